"""Scoring with mutated models, one after another, each as a night does it.

As a program it takes a folder and the numbers of the first and the last mutation, and prints one
line for each: ``number outcome kind detail``. A process that dies leaves the next number without a
line. A mutation that takes too long ends the process by an alarm.
"""

import resource
import shutil
import signal
import sys
import traceback
from pathlib import Path

import numpy as np

from configs.errors import LeadscoreError
from configs.schema import load_project
from models.registry.registry import Registry
from models.scorer import Scorer
from pipelines.nightly.attempt import create_run
from pipelines.nightly.context import NightContext
from pipelines.nightly.publish_checks import check_data
from pipelines.nightly.score import score_targets
from pipelines.runner import Runner, read_clock
from pipelines.training_data import load_snapshot
from pipelines.workspace import open_store
from tests.faults.mutations import mutate

MAX_MEMORY_BYTES, MAX_SECONDS = 4 * 2**30, 20
REFUSED, SCORED, UNEXPECTED, UNBOUNDED = "refused", "scored", "unexpected error", "not in [0, 1]"


class Night:
    """A night of a company, scored again and again with other models; nothing is published."""

    def __init__(self, folder: Path, as_of: str) -> None:
        project = load_project(folder / "company.yaml")
        self._snapshot = load_snapshot(project, as_of, read_clock())
        registry = Registry(project.workspace_path, project.project)
        context = NightContext(project, open_store(project), registry, Runner())
        self._store = context.store
        self._run = create_run(context, self._snapshot.as_of, {"buy": None})
        name, nights = project.project, project.checks.nights
        self._past = self._store.past_checks(name, self._snapshot.as_of, nights)

    def judge(self, directory: Path) -> tuple[str, str]:
        """Load a scorer and score with it; return the outcome and the error."""
        try:
            scorers = {"buy": Scorer.load(directory)}
            check_data(self._snapshot, scorers, self._past)
            scored = score_targets(
                self._snapshot, self._run, scorers, self._store, self._past, lambda _: None
            )
        except LeadscoreError as error:
            lines = str(error).splitlines()
            named = len(lines) <= 2 and error.exit_code in (2, 3, 5)
            return REFUSED if named else UNEXPECTED, str(error)
        except BaseException:  # noqa: BLE001 - nothing else may escape
            return UNEXPECTED, traceback.format_exc()
        probability = scored.scores["probability"].to_numpy()
        bounded = np.isfinite(probability).all() and ((probability >= 0) & (probability <= 1)).all()
        return SCORED if bounded else UNBOUNDED, ""


def main() -> None:
    """Judge the mutations of a range."""
    folder, as_of, first, last = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    templates = sorted((folder / "templates").iterdir())
    night = Night(folder, as_of)
    for template in templates:
        outcome, detail = night.judge(template)
        if outcome != SCORED:
            sys.exit(f"a sound model, {template.name}: {outcome} {detail}")
    sys.stdout.write("ready\n")
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    # The default action ends the process even in compiled code.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    for number in range(first, last):
        template = templates[number % len(templates)]
        directory = folder / "mutated"
        shutil.rmtree(directory, ignore_errors=True)
        kind = mutate(number, template, directory)
        signal.alarm(MAX_SECONDS)
        outcome, detail = night.judge(directory)
        signal.alarm(0)
        fields = (str(number), outcome, kind, detail[-1500:].replace("\n", " | "))
        sys.stdout.write("\t".join(fields) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
