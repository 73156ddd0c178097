"""Nights ended at each of their writes, by SIGKILL or by a full disk, are completed by the next.

Each write, rename, creation and removal below the workspace is such a point, and with PostgreSQL
everything sent to the server, down to half a write. LEADSCORE_KILLS is the number of points tried
per mode and store, spread evenly, or ``all``.
"""

import csv
import os
import shutil
import signal
import sys
from collections import Counter
from pathlib import Path

import pytest

from configs.schema import load_project
from pipelines.workspace import open_store
from tests.faults.company import FIRST, SECOND, Place, left
from tests.faults.conftest import is_full_attack

KILLS = os.environ.get("LEADSCORE_KILLS", "12" if is_full_attack() else "3")
MODES = {"k": "killed before it", "t": "killed half-way or after it", "f": "no space from it on"}

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux") or not shutil.which("cc"), reason="needs Linux, cc"
)


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.server)]
)
def place(request, tmp_path_factory):
    url = request.getfixturevalue("postgresql_url") if request.param == "postgresql" else None
    return Place(tmp_path_factory.mktemp(request.param), url)


@pytest.fixture(scope="module")
def after_first(place, trained, nights):
    """Return a company after its first night, and what its second night writes and leaves."""
    first = place.home / "first"
    shutil.copytree(trained, first, symlinks=True)
    if place.url:
        place.admin("CREATE DATABASE first")
        place.configure(first, "first")
    assert nights.run(first, FIRST)["error"] is None
    second = place.copy(first, "first")
    before = left(second)
    writes = nights.run(second, SECOND)
    assert writes["error"] is None
    expected = left(second)
    assert expected["rows"] > before["rows"]
    # The funnel is published with the scores, and is not that of the night before.
    assert expected["tables"][0] == before["tables"][0] and not before["tables"][1]
    assert expected["tables"][1]["funnel"] != expected["tables"][0]["funnel"]
    assert len(expected["delivered"]) == len(before["delivered"]) + 1 == 2
    return first, before, expected, writes["names"].split()


def points(count: int) -> list[int]:
    """Return points of 1 to ``count``, spread evenly, with the first and the last."""
    chosen = count if KILLS == "all" else min(int(KILLS), count)
    return sorted({1 + round(i * (count - 1) / max(1, chosen - 1)) for i in range(chosen)})


@pytest.mark.parametrize("mode", MODES)
def test_night_killed_at_any_write_is_completed_by_next(
    mode, place, after_first, nights, capsys, record_attack
):
    first, before, expected, writes = after_first
    chosen, tried = points(len(writes)), Counter()
    for at in chosen:
        folder = place.copy(first, "first")
        ended = nights.run(folder, SECOND, at, mode)
        point = f"write {at} of {len(writes)} ({writes[at - 1]}), {MODES[mode]}: {ended}"
        assert ended["signal"] == (0 if mode == "f" else signal.SIGKILL), point
        assert not str(ended["error"]).startswith("traceback"), point
        state = left(folder)
        pairs = [(one["current"], one["tables"]) for one in (before, expected)]
        assert (state["current"], state["tables"]) in pairs, f"a mixture at {point}"
        assert state["export"] in (before["export"], expected["export"]), f"a mixture at {point}"
        assert state["delivered"] in (before["delivered"], expected["delivered"]), (
            f"a mixture at {point}"
        )
        again = nights.run(folder, SECOND)
        assert again["error"] is None, f"{again} after {point}"
        assert left(folder) == expected, point
        tried[writes[at - 1]] += 1
        place.drop(folder)
    store = "PostgreSQL" if place.url else "SQLite"
    record_attack(f"night on {store}, {MODES[mode]}", {"completed by the next": len(chosen)})
    with capsys.disabled():
        kinds = ", ".join(f"{name} {count}" for name, count in sorted(tried.items()))
        summary = (
            f"{store}, {MODES[mode]}: {len(chosen)} of {len(writes)} points, "
            f"0 lost, 0 twice, 0 partial ({kinds})"
        )
        sys.stdout.write(f"\n{summary}\n")


def recorded(folder: Path) -> tuple:
    """Return the results of the deliveries, and their counts in the ledger."""
    home = Path.cwd()
    os.chdir(folder)
    try:
        project = load_project("company.yaml")
        store = open_store(project)
        results = store.results_of_unloaded(project.project, "crm").drop_columns("acknowledged_at")
        ledger = store.deliveries(project.project).select(["loaded", "failed", "unprocessed"])
        return results.to_pylist(), ledger.to_pylist()
    finally:
        os.chdir(home)


def test_acknowledgement_killed_at_any_write_is_recorded_whole_or_not(
    place, after_first, nights, record_attack
):
    first, *_ = after_first
    whole = place.copy(first, "first")
    write_results_of_delivery(whole)
    before = recorded(whole)
    done = nights.acknowledge(whole, "results.csv")
    assert done["error"] is None
    expected, writes = recorded(whole), done["names"].split()
    assert before[0] == [] and len(expected[0]) > 1 and expected[1][0]["loaded"] > 1
    outcomes, chosen = Counter(), points(len(writes))
    if KILLS != "all":
        # Fewer than of a night, which writes far more; the middle one is within the transaction.
        chosen = chosen[1::3]
    for mode, at in [(mode, at) for mode in MODES for at in chosen]:
        folder = place.copy(first, "first")
        write_results_of_delivery(folder)
        ended = nights.acknowledge(folder, "results.csv", at, mode)
        state = recorded(folder)
        outcomes["recorded whole" if state == expected else "not recorded"] += 1
        point = f"write {at} of {len(writes)} ({writes[at - 1]}), {MODES[mode]}: {ended}"
        assert not str(ended["error"]).startswith("traceback"), point
        assert state in (before, expected), f"a mixture at {point}"
        assert nights.acknowledge(folder, "results.csv")["error"] is None, point
        assert recorded(folder) == expected, point
        place.drop(folder)
    place.drop(whole)
    record_attack("acknowledgement killed or without space at a write", outcomes)


def write_results_of_delivery(folder: Path) -> None:
    """Write results of the company's delivery, every third row failed."""
    (part,) = (folder / "workspace" / "exports" / "crm" / "current").glob("part-*.csv")
    with part.open(encoding="utf-8", newline="") as file:
        keys = [row[0] for row in csv.reader(file)][1:]
    lines = [f"{key},{'loaded' if i % 3 else 'failed'},no" for i, key in enumerate(keys)]
    text = "\n".join(["id,status,error", *lines, ""])
    (folder / "results.csv").write_text(text, encoding="utf-8")
