"""Plausible but wrong inputs: refused, or named by the check or by the night; and what is not.

LEADSCORE_PLAUSIBLE=300 runs that many variants and prints the table of all kinds.
"""

import os
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest

from configs.errors import LeadscoreError
from configs.schema import Project, load_project
from models.learners import lightgbm
from models.registry.records import TrainingRecord
from models.registry.registry import Registry
from models.scorer import Scorer
from pipelines.check import examine_data
from pipelines.nightly.attempt import create_run
from pipelines.nightly.context import NightContext
from pipelines.nightly.night import score_night
from pipelines.nightly.publish_checks import check_data
from pipelines.nightly.score import score_targets
from pipelines.runner import Runner, read_clock
from pipelines.training_data import load_snapshot
from pipelines.workspace import open_store, open_workspace
from tests.faults.plausible import (
    KINDS,
    NIGHTS,
    TRAINED,
    VARIANT_NIGHT,
    Files,
    make_company,
    make_variant,
    write_config,
)
from tests.faults.trained_models import train_one_learner

REQUESTED = int(os.environ.get("LEADSCORE_PLAUSIBLE", "0"))
REFUSED, CHECKED, NAMED, HARMLESS, SILENT = (
    "refused",
    "named by check",
    "named by night",
    "same scores",
    "silent",
)
VERDICTS = (REFUSED, CHECKED, NAMED, HARMLESS, SILENT)
STILL_SILENT = {
    "currency",
    "leads of an earlier night",
    "permuted column",
}
"""Kinds of which some variants are not seen; docs/robustness.md says why."""


@dataclass(frozen=True)
class Observation:
    """What a person sees of one night, and its scores.

    Attributes:
        refusal: Text of the error that refused it; empty if it ran.
        check: Lines of the check: quarantined rows by reason, problems and warnings.
        night: Warnings and stops of the night.
        scores: Probability by target and entity.
    """

    refusal: str
    check: frozenset[str] = frozenset()
    night: frozenset[str] = frozenset()
    scores: pa.Table | None = None


@dataclass(frozen=True)
class Company:
    """A trained company after some nights."""

    project: Project
    files: Files
    scorers: dict[str, Scorer]
    context: NightContext

    def observe(self, files: Files) -> Observation:
        """Read the files as ``check`` does and as a night does; publish nothing."""
        files.write(self.project.workspace_path.parent)
        try:
            check = examine_data(self.project, VARIANT_NIGHT)
            snapshot = load_snapshot(self.project, VARIANT_NIGHT, read_clock())
        except LeadscoreError as error:
            return Observation(str(error))
        shown = [*check.warnings, *(target.problem for target in check.targets)]
        shown += [
            f"{count.source} {reason} {rows}"
            for count in check.counts
            for reason, rows in (count.quarantined | {"not yet": count.skipped}).items()
        ]
        store, name = self.context.store, self.project.project
        past = store.past_checks(name, snapshot.as_of, self.project.checks.nights)
        run = create_run(self.context, snapshot.as_of, dict.fromkeys(self.scorers))
        results = check_data(snapshot, self.scorers, past)
        scores = None
        try:
            if all(result.verdict != "stop" for result in results):
                scored = score_targets(snapshot, run, self.scorers, store, past, lambda _: None)
                results += scored.checks
                scores = scored.scores.select(["target", "entity_id", "probability"])
        except LeadscoreError as error:
            return Observation(str(error), frozenset(shown))
        alerts = [result for result in results if result.verdict in ("warn", "stop")]
        stops = [str(result) for result in alerts if result.verdict == "stop"]
        return Observation(
            "; ".join(stops),
            frozenset(shown),
            frozenset(f"{one.check} {one.target} {one.subject}" for one in alerts),
            scores,
        )


@pytest.fixture(scope="module")
def company(tmp_path_factory):
    """Return a small company with a champion and three published nights."""
    folder = tmp_path_factory.mktemp("plausible")
    files = make_company()
    files.write(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lightgbm, "ROUNDS", 15)
        patch.delenv("LEADSCORE_WORKSPACE", raising=False)
        project = load_project(write_config(folder))
        registry = Registry(project.workspace_path, project.project)
        scorer = train_champion(project, registry, folder / "model")
        for night in NIGHTS:
            score_night(project, night, Runner())
        context = NightContext(project, open_store(project), registry, Runner())
        yield Company(project, files, {"buy": scorer}, context)


def train_champion(project: Project, registry: Registry, folder: Path) -> Scorer:
    """Train one learner on one fold and promote it without the gate: the data are few."""
    scorer = train_one_learner(project, TRAINED)
    scorer.save(folder)
    with open_workspace(project):
        version = registry.log_training("buy", TrainingRecord(folder))
        registry.promote("buy", version.number)
    return scorer


def judge(observed: Observation, right: Observation) -> str:
    """Return the verdict of a variant, compared with what the right files give."""
    if observed.refusal:
        return REFUSED
    if observed.check - right.check:
        return CHECKED
    if observed.night - right.night:
        return NAMED
    same = observed.scores.sort_by("entity_id").equals(right.scores.sort_by("entity_id"))
    return HARMLESS if same else SILENT


def table(verdicts: dict[str, Counter]) -> str:
    """Return one line per kind, and one of all."""
    lines = [f"{'what is wrong':<32}{'cases':>7}" + "".join(f"{name:>16}" for name in VERDICTS)]
    total = sum(verdicts.values(), Counter())
    for kind, tally in [*verdicts.items(), ("all", total)]:
        counts = "".join(f"{tally[name]:>16}" for name in VERDICTS)
        lines.append(f"{kind:<32}{tally.total():>7}{counts}")
    return "\n".join(lines)


def test_plausible_inputs_are_refused_or_named(company, capsys):
    right, verdicts = company.observe(company.files), dict[str, Counter]()
    assert not right.refusal
    # Every second kind, since one takes a second; all of them on request.
    for number in range(REQUESTED) if REQUESTED else range(0, len(KINDS), 2):
        kind, files = make_variant(number, company.files)
        verdict = judge(company.observe(files), right)
        verdicts.setdefault(kind, Counter())[verdict] += 1
    if REQUESTED:
        with capsys.disabled():
            sys.stdout.write(f"\n{table(verdicts)}\n")
    silent = {kind for kind, tally in verdicts.items() if tally[SILENT]}
    assert silent <= STILL_SILENT, table(verdicts)
