"""Erasure from exports, deliveries and quarantine: other rows stay, and manifests agree."""

import csv
import hashlib
import json
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from configs.errors import StateError
from serve.crm.delivery import write_delivery
from serve.crm.stored_deliveries import list_stored_deliveries
from serve.erasure import deliveries
from serve.erasure.deliveries import erase_deliveries, erase_export
from serve.erasure.quarantine import erase_quarantine
from serve.erasure.sweep import find_remaining_mentions
from serve.export.export import write_export
from serve.store.entity_matcher import EntityMatcher, remove_rows
from tests.serve.crm.samples import FORMS, a_night, a_plan
from tests.serve.samples import LATER, MONDAY, TUESDAY, a_run, some_scores

HOSTILE = ['=1+1"x', "L-007", "Ж, 'é", "a\\b", "0012", "L-0071"]
NAMED = EntityMatcher("L-007")
FIRST, SECOND = "20250707T043000Z-0123456789ab", "20250708T043000Z-ba9876543210"


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def table(path):
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    text = path.read_text(encoding="utf-8-sig")
    return (
        [json.loads(x) for x in text.splitlines()]
        if path.suffix == ".jsonl"
        else list(csv.reader(text.split("\n")))
    )


@pytest.mark.parametrize("gone", HOSTILE)
@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_remove_rows_removes_only_rows_of_entity(tmp_path, gone, form):
    run = a_run()
    path = write_export(some_scores(run, ids=HOSTILE), tmp_path, run, form).file
    rows, content = remove_rows(path, EntityMatcher(gone))
    rest = tmp_path / path.name
    rest.write_bytes(content)
    before, after = table(path), table(rest)
    assert rows == 1 and len(after) == len(before) - 1
    dropped = [row for row in before if row not in after]
    assert len(dropped) == 1 and [row for row in before if row in after] == after
    assert gone in str(dropped[0]).replace("\\\\", "\\") or gone.split('"')[0] in str(dropped[0])
    assert (
        remove_rows(rest, EntityMatcher(gone))[0] == 0
        and remove_rows(path, EntityMatcher("nobody"))[0] == 0
    )


def test_erase_export_rewrites_current_and_removes_former(tmp_path):
    for as_of, ids in ((MONDAY, ["a", "b"]), (MONDAY, ["a", "L-007"]), (TUESDAY, ["b", "L-007"])):
        run = a_run(as_of=as_of)
        write_export(some_scores(run, ids=ids), tmp_path, run, "jsonl")
    run = a_run(as_of=TUESDAY)
    folder = tmp_path / "exports"
    counts = erase_export(
        folder, NAMED, lambda: write_export(some_scores(run, ids=["b"]), tmp_path, run, "jsonl")
    )
    assert counts == {"exports/current": 2, "exports, former (removed)": 2}
    assert len([path for path in folder.iterdir() if not path.is_symlink()]) == 2
    assert find_remaining_mentions(tmp_path, NAMED) == []
    again = erase_export(folder, NAMED, lambda: pytest.fail("nothing to write"))
    assert again == {"exports/current": 0, "exports, former (removed)": 0}


def delivery(folder, name, ids, sequence=1):
    """Write a delivery with parts, state and manifest, as one to a CRM has them."""
    place = folder / name
    place.mkdir(parents=True)
    lines = ["\ufeffKey,Score", *(f'"{one}",5' for one in ids)]
    (place / "part-0001.csv").write_text("\r\n".join(lines) + "\r\n", encoding="utf-8", newline="")
    pq.write_table(pa.table({"key": ids, "high": [1] * len(ids)}), place / "state.parquet")
    files = {
        path.name: {"sha256": digest(path), "bytes": path.stat().st_size}
        for path in place.iterdir()
    }
    parts = [{"name": "part-0001.csv", "rows": len(ids), **files["part-0001.csv"]}]
    manifest = {"delivery": name, "sequence": sequence, "rows": len(ids), "parts": parts}
    manifest |= {"state": files["state.parquet"], "refused": {"rows": 1, "examples": ["L-007"]}}
    (place / "manifest.json").write_text(json.dumps(manifest))
    (folder / "current").unlink(missing_ok=True)
    (folder / "current").symlink_to(name)


def check(folder, ids):
    current = folder / "current"
    manifest = json.loads((current / "manifest.json").read_text())
    (part,) = manifest["parts"]
    assert (manifest["rows"], part["rows"]) == (len(ids), len(ids)) and manifest["refused"][
        "examples"
    ] == ["***"]
    assert manifest["delivery"] == current.resolve().name and manifest["sequence"] == 2
    for described, path in (
        (part, current / part["name"]),
        (manifest["state"], current / "state.parquet"),
    ):
        assert (described["sha256"], described["bytes"]) == (digest(path), path.stat().st_size)
    assert (current / "part-0001.csv").read_bytes().startswith(b"\xef\xbb\xbfKey,Score\r\n")
    assert [row[0] for row in table(current / "part-0001.csv")[1:] if row] == ids
    assert [row["key"] for row in table(current / "state.parquet")] == ids


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff"])
def test_damaged_manifest_is_named(tmp_path, content):
    for run in (a_run("r1"), a_run("r2", as_of=TUESDAY)):
        write_export(some_scores(run, ids=HOSTILE), tmp_path, run)
    (former,) = (tmp_path / "exports").glob("20250707*")
    (former / "manifest.json").write_bytes(content)
    with pytest.raises(StateError, match="manifest of an export is damaged") as error:
        erase_export(tmp_path / "exports", NAMED, lambda: None)
    assert error.value.where == str(former / "manifest.json")


def test_erase_deliveries_leaves_complete_deliveries_with_their_names(tmp_path):
    folder = tmp_path / "exports" / "crm"
    delivery(folder, FIRST, ["a", "L-007"])
    delivery(folder, SECOND, ["a", "L-007", "L-0071"], sequence=2)
    counts = erase_deliveries(tmp_path / "exports", NAMED)
    assert counts["exports/crm/former"] >= 2 and counts["exports/crm/current"] >= 2
    check(folder, ["a", "L-0071"])
    assert [path.name for path in sorted(folder.iterdir())] == [FIRST, SECOND, "current"]
    assert [row["key"] for row in table(folder / FIRST / "state.parquet")] == ["a"]
    assert find_remaining_mentions(tmp_path, NAMED) == []
    assert set(erase_deliveries(tmp_path / "exports", NAMED).values()) == {0}


@pytest.mark.parametrize("form", FORMS)
def test_deltas_continue_after_erasure(tmp_path, form):
    plan = a_plan(form, columns={"S__c" if form == "salesforce" else "S": "buy.score"}, delta=True)
    a, b, gone = (1, "D", ""), (2, "D", ""), (3, "D", "")
    for day, leads in enumerate(
        [{"a": a, "b": b, "L-007": gone}, {"a": b, "b": b, "c": a, "L-007": gone}, {"b": a}]
    ):
        scores, run = a_night(MONDAY + timedelta(days=day), leads, run_id=f"r{day}")
        write_delivery(plan, scores, tmp_path, run, LATER)
        erase_deliveries(tmp_path / "exports", NAMED)
        (newest,) = list_stored_deliveries(tmp_path / "exports" / "crm")[-1:]
        manifest = newest.manifest
        for part in [*manifest["parts"], {"file": "state.parquet", **manifest["state"]}]:
            path = newest.folder / part["file"]
            assert (part["sha256"], part["bytes"]) == (digest(path), path.stat().st_size)
        assert (
            sum(part["rows"] for part in manifest["parts"])
            == manifest["rows"] + manifest["cleared"]
        )
        assert (
            "L-007" not in newest.state().keys.to_pylist()
            and find_remaining_mentions(tmp_path, NAMED) == []
        )
    assert (manifest["kind"], manifest["rows"], manifest["cleared"]) == ("delta", 1, 2)


def test_erase_deliveries_reduces_cleared_count(tmp_path):
    plan = a_plan("csv", columns={"S": "buy.score"}, delta=True)
    for day, leads in enumerate([{"b": (1, "D", ""), "L-007": (2, "D", "")}, {"b": (2, "D", "")}]):
        scores, run = a_night(MONDAY + timedelta(days=day), leads, run_id=f"r{day}")
        write_delivery(plan, scores, tmp_path, run, LATER)
    erase_deliveries(tmp_path / "exports", NAMED)
    *_, now = list_stored_deliveries(tmp_path / "exports" / "crm")
    assert (now.manifest["rows"], now.manifest["cleared"]) == (1, 0)


@pytest.mark.parametrize("nights", [1, 2])
def test_pending_clears_of_other_leads_survive_erasure(tmp_path, nights):
    """A lead that lost its score is cleared by the next delta, even if another one is erased."""
    plan = a_plan("csv", columns={"S": "buy.score"}, delta=True)
    leads = {"b": (1, "D", ""), "c": (2, "D", ""), "L-007": (2, "D", "")}
    for day in range(nights):
        scores, run = a_night(MONDAY + timedelta(days=day), leads, run_id=f"r{day}")
        write_delivery(plan, scores, tmp_path, run, LATER)
    before = list_stored_deliveries(tmp_path / "exports" / "crm")
    erase_deliveries(tmp_path / "exports", NAMED)
    after = list_stored_deliveries(tmp_path / "exports" / "crm")
    assert [
        (stored.id, stored.manifest["sequence"], stored.manifest["base"]) for stored in after
    ] == [(stored.id, stored.manifest["sequence"], stored.manifest["base"]) for stored in before]
    scores, run = a_night(MONDAY + timedelta(days=nights), {"b": (1, "D", "")}, run_id="last")
    done = write_delivery(plan, scores, tmp_path, run, LATER).manifest
    assert (done["kind"], done["rows"], done["cleared"], done["base"]) == (
        "delta",
        0,
        1,
        before[-1].id,
    )


def test_repeated_night_after_erasure_clears_other_leads(tmp_path):
    plan = a_plan("csv", columns={"S": "buy.score"}, delta=True)
    b, c, gone = (1, "D", ""), (2, "D", ""), (3, "D", "")
    for day, leads in enumerate([{"b": b, "c": c, "L-007": gone}, {"b": b, "L-007": c}]):
        scores, run = a_night(MONDAY + timedelta(days=day), leads, run_id=f"r{day}")
        write_delivery(plan, scores, tmp_path, run, LATER)
    erase_deliveries(tmp_path / "exports", NAMED)
    first, second = list_stored_deliveries(tmp_path / "exports" / "crm")
    scores, run = a_night(MONDAY + timedelta(days=1), {"b": b}, run_id="again")
    done = write_delivery(plan, scores, tmp_path, run, LATER).manifest
    assert (done["kind"], done["cleared"], done["base"]) == ("delta", 1, first.id)
    assert done["sequence"] == second.manifest["sequence"] + 1


@pytest.mark.parametrize("step", ["rename", "sync_folder", "write_durably", "fingerprint_file"])
def test_erasure_killed_at_any_step_is_finished_by_next(tmp_path, monkeypatch, step):
    folder = tmp_path / "exports" / "crm"
    delivery(folder, FIRST, ["a"])
    delivery(folder, SECOND, ["a", "L-007"], sequence=2)
    where, name = (Path, "replace") if step == "rename" else (deliveries, step)
    real, left = getattr(where, name), [3]

    for at in range(1, 8):
        left[0] = at

        def dies(*arguments, real=real):
            left[0] -= 1
            if left[0] == 0:
                raise KeyboardInterrupt
            return real(*arguments)

        with monkeypatch.context() as patch:
            patch.setattr(where, name, dies)
            try:
                erase_deliveries(tmp_path / "exports", NAMED)
            except KeyboardInterrupt:
                assert step == "rename" or (folder / "current" / "manifest.json").exists()
    erase_deliveries(tmp_path / "exports", NAMED)
    check(folder, ["a"])
    assert (
        sorted(p.name for p in folder.iterdir()) == [FIRST, SECOND, "current"]
        and find_remaining_mentions(tmp_path, NAMED) == []
    )


def test_erase_quarantine_removes_only_rows_of_entity(tmp_path):
    rows = [
        ["leads", "l.csv", "2", "duplicate", json.dumps({"id": "L-007", "parent": "a"})],
        ["leads", "l.csv", "3", "duplicate", json.dumps({"id": "a", "parent": "L-007"})],
        ["leads", "l.csv", "4", "unreadable row", json.dumps('"L-007,x')],
        ["leads", "l.csv", "5", "unreadable row", json.dumps("L-0071,x")],
    ]
    with (tmp_path / "leads.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["source", "file", "row", "reason", "original"], *rows])
    counts = erase_quarantine(tmp_path, NAMED, {"leads": "id"})
    assert counts == {"quarantine/leads.csv": 2}
    with (tmp_path / "leads.csv").open(newline="") as file:
        assert list(csv.reader(file))[1:] == [rows[1], rows[3]]
    assert erase_quarantine(tmp_path, NAMED, {"leads": "id"}) == {"quarantine/leads.csv": 0}


def test_remaining_mentions_are_listed(tmp_path):
    (tmp_path / "notes.txt").write_text("x" * 100 + " L-007")
    (tmp_path / "other.txt").write_text("L-0071, XL-007")
    pq.write_table(pa.table({"k": ["L-007"] * 3}), tmp_path / "mine.parquet")
    (tmp_path / ".lock").write_text("leadscore forget L-007")
    assert find_remaining_mentions(tmp_path, NAMED) == ["mine.parquet", "notes.txt"]
    assert find_remaining_mentions(tmp_path, EntityMatcher("007")) == []


def test_other_writings_of_the_id_are_erased(tmp_path):
    matcher = EntityMatcher(" Ann@Example.com")
    text = 'a,b\nann@example.com,1\nx,2\nANN@EXAMPLE.COM\u00a0,3\n"joann@example.com",4\n'
    (tmp_path / "x.csv").write_text(text)
    assert remove_rows(tmp_path / "x.csv", matcher) == (2, b'a,b\nx,2\n"joann@example.com",4\n')
    pq.write_table(pa.table({"id": ["ann@example.com", "b"]}), tmp_path / "x.parquet")
    assert remove_rows(tmp_path / "x.parquet", matcher)[0] == 1
    russian = EntityMatcher("ЯНА")
    (tmp_path / "y.jsonl").write_text('{"id": "Яна"}\n{"id": "яна"}\n{"id": "Яна2"}\n')
    assert remove_rows(tmp_path / "y.jsonl", russian) == (2, '{"id": "Яна2"}\n'.encode())
    (tmp_path / "log.txt").write_text("of ANN@example.com")
    assert "log.txt" in find_remaining_mentions(tmp_path, matcher)
