"""A year of nights on the demo company, with weekly training decisions and three outages.

``python -m tests.benchmarks.year LEADS [NIGHTS]`` runs it in its own workspace and prints one line
of JSON. Every night and every decision call the functions of the commands. Part-way, on 2024-11-01,
the company changes: customers chat instead of filling in forms, and open fewer e-mails.

The outages: the machine is off for three nights; a source is half-written one night; a run is
killed while it publishes. Missing nights are backfilled by ``score_nights``, as by ``leadscore
score --as-of A --until B``.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import LeadscoreError
from configs.schema import load_project
from pipelines.demo import CONFIG_PATH
from pipelines.monitoring.monitor import monitor_targets, recommend_for_targets
from pipelines.nightly.backfill import backfill_nights
from pipelines.nightly.night import score_night
from pipelines.runner import Runner
from pipelines.simulated.simulate import write_company
from pipelines.training.train import train_targets
from pipelines.workspace import open_store
from serve.monitoring.realised import measure_outcomes
from serve.scoring.grade_flips import GRADED, count_grade_flips, grade_by_score

FIRST = "2024-07-01"
# Nights of the outages, counted from the first night.
OFF, HALF_WRITTEN, KILLED = range(60, 63), 150, 240
# Minimum days between trainings of a target, regardless of recommendations: a month brings enough
# new outcomes, a week few.
PATIENCE = 27

KILL = """
import os, signal, sys
from configs.schema import load_project
from pipelines.nightly import night, publish
from pipelines.runner import Runner
publish.publish_scores = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
night.score_night(load_project(sys.argv[1]), sys.argv[2], Runner())
"""


class Year:
    """One simulated year: the company, its nights, and what was seen of them."""

    def __init__(self, leads: int, nights: int) -> None:
        self.project = load_project(CONFIG_PATH)
        write_company(self.project.workspace_path / "data", leads=leads)
        first = self.project.parse_instant(FIRST)
        self.nights = [first + timedelta(days=day) for day in range(nights)]
        self.trained: list[dict] = []
        self.refused: list[dict] = []
        self.memory: list[float] = []
        self.seconds: list[float] = []

    def run(self) -> None:
        """Run the nights."""
        for number, night in enumerate(self.nights):
            as_of = night.isoformat()
            if number % 7 == 0:
                self._decide(as_of)
            if number in OFF:
                continue
            if number == HALF_WRITTEN:
                self._half_written(as_of)
            elif number == KILLED:
                self._killed(as_of)
            else:
                self._night(as_of)
            if number in (OFF[-1] + 1, HALF_WRITTEN + 1, KILLED + 1):
                self._make_up(number)

    def _night(self, as_of: str) -> None:
        begin = time.perf_counter()
        try:
            score_night(self.project, as_of, Runner())
        except LeadscoreError as error:
            self.refused.append({"as_of": as_of[:10], "why": str(error).partition("\n")[0]})
            _say(f"{as_of[:10]}: {self.refused[-1]['why']}")
            return
        self.seconds.append(time.perf_counter() - begin)
        self.memory.append(_resident())
        _say(f"{as_of[:10]}: {self.seconds[-1]:.1f} s, {self.memory[-1]:.2f} GiB")

    def _decide(self, as_of: str) -> None:
        targets = list(self.project.targets)
        advice = recommend_for_targets(self.project, as_of, targets, Runner())
        tried = {
            row["target"] for row in self.trained if row["as_of"] > _days_before(as_of, PATIENCE)
        }
        needed = [name for name in targets if advice[name].retrain and name not in tried]
        for result in train_targets(self.project, as_of, needed, Runner()) if needed else []:
            why = "; ".join(advice[result.target].reasons)
            kept = (
                str(result.error).partition("\n")[0]
                if result.error
                else f"version {result.version.number}"
            )
            self.trained.append(
                {"as_of": as_of[:10], "target": result.target, "why": why, "became": kept}
            )
            _say(f"{as_of[:10]}: {result.target} trained, {kept}: {why}")

    def _half_written(self, as_of: str) -> None:
        """Cut a source in the middle of a row; the night must refuse until the file is whole."""
        path = self.project.workspace_path / "data" / "web" / "part-000.parquet"
        path = (
            path
            if path.exists()
            else next((self.project.workspace_path / "data" / "web").iterdir())
        )
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        try:
            score_night(self.project, as_of, Runner())
            raise AssertionError("a half-written source was scored")
        except LeadscoreError as error:
            _say(f"{as_of[:10]}: refused, {str(error).partition(chr(10))[0]}")
        finally:
            path.write_bytes(whole)

    def _killed(self, as_of: str) -> None:
        """Kill the night with SIGKILL where it has scored and is about to publish."""
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", KILL, self.project.path, as_of], check=False
        )
        if done.returncode != -signal.SIGKILL:
            raise AssertionError(
                f"the night that should have been killed ended with {done.returncode}"
            )
        _say(f"{as_of[:10]}: killed")

    def _make_up(self, number: int) -> None:
        """Backfill the nights missing in the ledger, as an operator does by `deploy --status`."""
        missing = [
            night
            for night in self.nights[number - len(OFF) : number + 1]
            if night not in self.published()
        ]
        if missing:
            done = backfill_nights(
                self.project, missing[0].isoformat(), missing[-1].isoformat(), Runner()
            )
            _say(
                f"backfilled {sum(night.published is not None for night in done)} of "
                f"{len(missing)} nights"
            )

    def published(self) -> set:
        """Return the as-ofs that the ledger calls published."""
        ledger = open_store(self.project).runs(self.project.project)
        return set(ledger.filter(pc.field("status") == "published")["as_of"].to_pylist())

    def told(self) -> dict:
        """Return the results of the year."""
        ledger = open_store(self.project).runs(self.project.project).to_pylist()
        end = (self.nights[-1] + timedelta(days=1)).isoformat()
        found = monitor_targets(self.project, end, list(self.project.targets), Runner())
        return {
            "nights": len(self.nights),
            "gaps": [night.isoformat() for night in self.nights if night not in self.published()],
            "ledger": dict(Counter(row["status"] for row in ledger)),
            "trained": self.trained,
            "refused": self.refused,
            "months": {each.target: _months(each) for each in found},
            "warnings": {each.target: list(each.warnings) for each in found},
            "flaps": {name: self._flaps(name) for name in self.project.targets},
            "seconds": {"median": float(np.median(self.seconds)), "most": max(self.seconds)},
            "memory": {
                "after 30 nights": self.memory[min(30, len(self.memory) - 1)],
                "last": self.memory[-1],
            },
        }

    def _flaps(self, target: str) -> dict[str, dict[str, float]]:
        """Return how many grades flipped back within 7 days: as published, and by score."""
        store, name = open_store(self.project), self.project.project
        rows = [
            store.scores(name, night, target, GRADED.names)
            for night in self.nights
            if night in self.published()
        ]
        whole = pa.concat_tables(rows)
        found = {
            "published": count_grade_flips(whole),
            "plain": count_grade_flips(grade_by_score(whole)),
        }
        return {
            kind: vars(each) | {"share": each.lead_share, "weekly": each.week_share}
            for kind, each in found.items()
        }


def _months(each) -> dict[str, dict]:
    """Return realised against expected outcomes by month of the night, with intervals by lead."""
    rows = each.followed.rows
    if not rows.num_rows:
        return {}
    month = np.array(pc.strftime(rows["as_of"], "%Y-%m").to_pylist())
    lead = rows["entity_id"].combine_chunks().dictionary_encode().indices.to_numpy()
    masks = {("month", name): month == name for name in sorted(set(month))}
    return {
        name: part.to_json()
        for (_, name), part in measure_outcomes(rows, lead, masks, None, None).items()
    }


def _days_before(as_of: str, days: int) -> str:
    return (datetime.fromisoformat(as_of) - timedelta(days=days)).isoformat()[:10]


def _resident() -> float:
    """Return this process's memory in GiB, as it is now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**30


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main(leads: int, nights: int) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LEADSCORE_WORKSPACE"] = os.environ.get("LEADSCORE_WORKSPACE", folder)
        year = Year(leads, nights)
        year.run()
        return year.told()


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 365)))
