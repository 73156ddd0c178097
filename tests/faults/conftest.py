"""The table of attacks: what each test tried, how often, and what came of it."""

import os
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.built_once import build_once
from tests.faults.commands import run_commands
from tests.faults.company import FIRST, train_company
from tests.faults.nights import Nights

PROPERTY = "attack"


def is_full_attack() -> bool:
    """Return whether the attacks run at their full size, as ``make attack`` asks for."""
    return os.environ.get("LEADSCORE_ATTACK", "") not in ("", "0")


@pytest.fixture
def record_attack(record_property) -> Callable[[str, Mapping[str, int]], None]:
    """Return a function that adds a line to the table: an attack, and its outcomes counted.

    Call it before the assertions, so that the table also shows what went wrong.
    """

    def record(attack: str, outcomes: Mapping[str, int]) -> None:
        record_property(PROPERTY, {"attack": attack, "outcomes": dict(outcomes)})

    return record


@pytest.fixture(scope="module")
def nights(tmp_path_factory):
    """Return the process that runs nights which fail at a chosen point."""
    if not sys.platform.startswith("linux") or not shutil.which("cc"):
        pytest.skip("needs Linux and cc")
    with Nights(tmp_path_factory.mktemp("shim")) as process:
        yield process


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """Return the folder of a company with a champion and nothing published; copy it to use it."""
    return build_once(tmp_path_factory, "trained", train_company)


@pytest.fixture(scope="session")
def published(trained, tmp_path_factory):
    """Return the folder of the same company after the night of FIRST; copy it to use it."""

    def publish(folder: Path) -> None:
        shutil.copytree(trained, folder, symlinks=True, dirs_exist_ok=True)
        run_commands(folder, ["score", "company.yaml", "--as-of", FIRST, "--direct"])

    return build_once(tmp_path_factory, "published", publish)


def pytest_terminal_summary(terminalreporter, config):
    """Print the table; where workers ran the tests, their reports carry its lines."""
    if not is_full_attack() or hasattr(config, "workerinput"):
        return
    rows = {}
    for report in [r for key in ("passed", "failed") for r in terminalreporter.getreports(key)]:
        for name, row in getattr(report, "user_properties", ()):
            if name == PROPERTY and report.when == "call":
                outcomes, _ = rows.setdefault(row["attack"], (Counter(), report.outcome))
                outcomes.update(row["outcomes"])
    terminalreporter.section("attacks")
    for attack, (outcomes, result) in sorted(rows.items()):
        counts = ", ".join(f"{count:,} {outcome}" for outcome, count in outcomes.items() if count)
        total = sum(outcomes.values())
        terminalreporter.write_line(f"{attack:<56} {total:>7,} tried: {counts}  [{result}]")
