"""Nights on a disk that fails, without memory, or without power lose nothing and mix nothing."""

import os
import shutil
from collections import Counter
from pathlib import Path

import pytest

from tests.faults.company import FIRST, SECOND, left
from tests.faults.conftest import is_full_attack
from tests.faults.power_loss import Disk, read_operations

# All points take hours; these show what a fault does at the start, at the end and in between.
POINTS = int(os.environ.get("LEADSCORE_POINTS", "12" if is_full_attack() else "2"))
# (names, content) of what was not flushed; see Disk.write.
LOSSES = (("certain", "certain"), ("seen", "certain"), ("certain", "seen"), ("mixed", "mixed"))
FAULTS = {
    "e": "one call fails with an I/O error",
    "i": "all calls fail with I/O errors from there on",
    "a": "one large allocation fails",
    "A": "all large allocations fail from there on",
}


@pytest.fixture(scope="module")
def company(trained, nights, tmp_path_factory):
    """Return a company after its first night, and the states before and after the second."""
    first = tmp_path_factory.mktemp("failing") / "first"
    shutil.copytree(trained, first, symlinks=True)
    assert nights.run(first, FIRST)["error"] is None
    done = copy(first, "done")
    before = left(done)
    assert nights.run(done, SECOND)["error"] is None
    return first, before, left(done)


def copy(template: Path, name: str) -> Path:
    folder = template.with_name(name)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(template, folder, symlinks=True)
    return folder


def spread(count: int) -> list[int]:
    """Return points of 1 to ``count``, spread evenly, with the first and the last."""
    return sorted({1 + round(i * (count - 1) / (POINTS - 1)) for i in range(POINTS)})


def require_old_or_new(state: dict, before: dict, expected: dict, point: str) -> bool:
    """Return whether the second night is published; fail for a mixture of two nights."""
    for part in ("current", "export", "delivered"):
        assert state[part] in (before[part], expected[part]), f"a mixture of {part} at {point}"
    return state["current"] == expected["current"]


@pytest.mark.parametrize("mode", FAULTS if is_full_attack() else "ia")
def test_night_with_a_fault_is_completed_by_next(mode, company, nights, record_attack):
    first, before, expected = company
    counted = nights.run(copy(first, "counted"), SECOND, -1, mode)["seen"]
    outcomes = Counter()
    for at in spread(counted):
        folder = copy(first, "faulty")
        ended = nights.run(folder, SECOND, at, mode)
        point = f"{FAULTS[mode]}, {at} of {counted}: {ended['error']}, signal {ended['signal']}"
        state = left(folder)
        published = require_old_or_new(state, before, expected, point)
        if not ended["error"] and not ended["signal"]:
            assert published, f"reported as done: {point}"
        assert nights.run(folder, SECOND)["error"] is None, point
        assert left(folder) == expected, point
        named = "killed" if ended["signal"] else "reported" if ended["error"] else "unharmed"
        outcomes[named] += 1
    record_attack(f"night, {FAULTS[mode]}", outcomes)


def test_night_survives_a_loss_of_power(company, nights, record_attack, tmp_path):
    first, before, expected = company
    night, log = copy(first, "power"), tmp_path / "log"
    assert nights.run(night, SECOND, log=log)["error"] is None
    operations = read_operations(log)
    disk = Disk(night / "workspace", copy(first, "start") / "workspace")
    outcomes = Counter()
    points = spread(len(operations))
    for at, operation in enumerate(operations, start=1):
        disk.apply(operation)
        for seed, (names, content) in enumerate(LOSSES) if at in points else ():
            point = f"power lost after {at} of {len(operations)}, names {names}, content {content}"
            folder = copy(first, "restarted")
            disk.write(folder / "workspace", names, content, seed=at + seed)
            published = require_old_or_new(left(folder), before, expected, point)
            assert published or at < len(operations), f"what was reported is lost: {point}"
            again = nights.run(folder, SECOND)
            assert again["error"] is None, f"{again['error']} after {point}"
            assert left(folder) == expected, point
            outcomes["new night" if published else "former night"] += 1
    record_attack("night, power lost", outcomes)


def test_replay_of_all_writes_is_the_disk(company, nights, tmp_path):
    first, _, _ = company
    night, log = copy(first, "replayed"), tmp_path / "log"
    assert nights.run(night, SECOND, log=log)["error"] is None
    disk = Disk(night / "workspace", copy(first, "start") / "workspace")
    for operation in read_operations(log):
        disk.apply(operation)
    disk.write(tmp_path / "replay", "seen", "seen")
    assert contents(tmp_path / "replay") == contents(night / "workspace")


def contents(folder: Path) -> dict[str, object]:
    return {
        str(path.relative_to(folder)): path.readlink()
        if path.is_symlink()
        else path.read_bytes()
        if path.is_file()
        else None
        for path in folder.rglob("*")
    }
