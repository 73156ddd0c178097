"""Corrupt inputs: each row is counted, or the input is refused; never a traceback or a hang.

LEADSCORE_CORRUPT=1000 runs that many cases, a sample of them through the command line with a
champion that scores.
"""

import json
import os
import select
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.examined import COUNTED, REFUSED, TRACEBACK, UNCOUNTED
from tests.pipelines import tiny

WANTED = int(os.environ.get("LEADSCORE_CORRUPT", "0"))
# Cases, processes that read them, and seconds after which a case is a hang. The first case of a
# process gets more time, for imports and compilation.
# A second process is worth its start for many cases only.
CASES, READERS, MAX_SECONDS = WANTED or 70, 2 if WANTED else 1, 60

DIED, HUNG = "process died", "hang"
OUTCOMES = (COUNTED, REFUSED, UNCOUNTED, TRACEBACK, DIED, HUNG)


class Reader:
    """A process that reads cases; it is restarted when it dies or hangs."""

    def __init__(self, template: Path | None) -> None:
        self._environment = os.environ | ({"TEMPLATE": str(template)} if template else {})
        self._environment.pop("LEADSCORE_WORKSPACE", None)
        self._process: subprocess.Popen | None = None

    def judge(self, number: int, command: str) -> dict:
        """Return the outcome of a case."""
        is_first = self._process is None
        process = self._process = self._process or self._start()
        process.stdin.write(f"{number} {command}\n")
        process.stdin.flush()
        ready, _, _ = select.select([process.stdout], [], [], MAX_SECONDS + 240 * is_first)
        if line := process.stdout.readline() if ready else "":
            return json.loads(line)
        self.stop()
        return {
            "number": number,
            "wrong": [],
            "forms": [],
            "outcome": DIED if ready else HUNG,
            "detail": "",
        }

    def stop(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _start(self) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.faults.examined"],
            cwd=Path(__file__).parents[2],
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )


@contextmanager
def start_readers(template: Path | None) -> Iterator[list[Reader]]:
    """Return readers, and stop them."""
    readers = [Reader(template) for _ in range(READERS)]
    try:
        yield readers
    finally:
        for reader in readers:
            reader.stop()


@pytest.fixture(scope="module")
def readers():
    """Return the readers of cases without a champion, which start only once."""
    with start_readers(None) as readers:
        yield readers


def judged(work: list[tuple[int, str]], readers: list[Reader]) -> list[dict]:
    """Return the outcomes of the cases, read by several processes in parallel."""

    def read(reader: Reader, part: list[tuple[int, str]]) -> list[dict]:
        return [reader.judge(number, command) for number, command in part]

    parts = [work[i :: len(readers)] for i in range(len(readers))]
    with ThreadPoolExecutor(len(readers)) as pool:
        return [outcome for part in pool.map(read, readers, parts) for outcome in part]


def table(outcomes: list[dict]) -> str:
    """Return one line per kind of corruption; a case with several kinds is in several lines."""
    kinds: dict[str, Counter] = {}
    for outcome in outcomes:
        for kind in {name.split(" (")[0] for name in outcome["wrong"]}:
            kinds.setdefault(kind, Counter())[outcome["outcome"]] += 1
    kinds = dict(sorted(kinds.items())) | {
        "all cases": Counter(outcome["outcome"] for outcome in outcomes)
    }
    rows = [(kind, sum(tally.values()), tally) for kind, tally in kinds.items()]
    lines = [f"{'what is wrong':<40}{'cases':>7}" + "".join(f"{name:>13}" for name in OUTCOMES)]
    lines += [
        f"{kind:<40}{n:>7}" + "".join(f"{tally[name]:>13}" for name in OUTCOMES)
        for kind, n, tally in rows
    ]
    return "\n".join(lines)


def failures(outcomes: list[dict]) -> str:
    """Return the cases that were neither counted nor refused, with their reproducible numbers."""
    failed = [outcome for outcome in outcomes if outcome["outcome"] not in (COUNTED, REFUSED)]
    return "\n\n".join(
        f"{outcome['number']} {outcome['wrong']} {outcome['forms']}: "
        f"{outcome['outcome']} {outcome['detail'][-800:]}"
        for outcome in failed[:10]
    )


def test_corrupt_inputs_are_counted_or_refused(readers, capsys):
    outcomes = judged([(number, "") for number in range(CASES)], readers)
    if WANTED:
        with capsys.disabled():
            sys.stdout.write(f"\n{table(outcomes)}\n")
    assert not failures(outcomes), failures(outcomes)
    assert len(outcomes) == CASES
    tally = Counter(outcome["outcome"] for outcome in outcomes)
    assert min(tally[COUNTED], tally[REFUSED]) > CASES / 5, (
        "the cases are all too mild, or all too harsh"
    )


def test_sound_company_is_counted_in_all_formats(readers):
    outcomes = judged([(number, "") for number in range(-12, 0)], readers)
    assert {outcome["outcome"] for outcome in outcomes} == {COUNTED}
    assert {form for outcome in outcomes for form in outcome["forms"]} == {
        "csv",
        "gz",
        "jsonl",
        "parquet",
        "sqlite",
    }


def test_command_line_exit_codes_match_outcomes(readers):
    work = [
        (number, command)
        for number in range(1000, 1000 + max(CASES // 20, 6))
        for command in ("check", "check --json")
    ]
    outcomes = judged(work, readers)
    assert not failures(outcomes), failures(outcomes)


@pytest.mark.skipif(not WANTED, reason="trains a champion first: with LEADSCORE_CORRUPT alone")
def test_night_on_corrupt_inputs_publishes_or_is_refused(tmp_path):
    tiny.write(tmp_path)
    train = [
        sys.executable,
        "-m",
        "pipelines.cli",
        "train",
        "company.yaml",
        "--as-of",
        tiny.END,
        "--direct",
    ]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    environment.pop("LEADSCORE_WORKSPACE", None)
    subprocess.run(train, cwd=tmp_path, env=environment, check=True, capture_output=True)
    work = [(number, "score --direct") for number in range(2000, 2000 + CASES // 20)]
    with start_readers(tmp_path / "workspace") as readers:
        outcomes = judged(work, readers)
    assert not failures(outcomes), failures(outcomes)
