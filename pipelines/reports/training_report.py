"""The page that leads a data scientist through one training, from config to champion, as Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from configs.durations import format_duration
from configs.targets import ColumnOutcome, Target
from models.accounts import WithinAccountDependence
from models.evaluation.gate import GateVerdict
from models.leakage.leakage import Suspect
from models.learners.amount_model import NO_AMOUNTS
from models.training.results import TrainResult
from pipelines.reports.metric_tables import (
    build_challenger_table,
    build_learner_table,
    build_reliability_table,
    build_slice_table,
    describe_row_counts,
    format_estimate,
    format_learner,
    render_markdown_table,
)
from pipelines.results.evaluation import Evaluation
from pipelines.training_data import Snapshot
from pipelines.version import find_code_version

MAX_FEATURES = 10
FILE_LIST = """- `plots/`: reliability, distribution of the predictions, gain, the figures fold by fold, importance
- `tables/`: the same as numbers; `parts.csv` by fold, segment, stage and for what is new, `gate.csv` every test
- `config.yaml` as written, `features.json` every feature in words, `folds.json`, `gate.json`
- the registered model holds the scorer: its model as text or JSON, and `scorer.json`"""


@dataclass(frozen=True)
class ReportInput:
    """All that is told of a training; ``importance`` is (feature, words, mean absolute log-odds), greatest first."""

    now: Snapshot
    trained: TrainResult
    found: Evaluation
    verdict: GateVerdict
    rows: dict[str, int]
    importance: list[tuple[str, str, float]]
    suspects: tuple[Suspect, ...] = ()

    @property
    def days(self) -> dict[str, str]:
        """What each fold is called: the first day that it tests, or its number where the data has no days."""
        timed = self.now.project.timed
        return {
            str(f["fold"]): f["test"]["from"][:10] if timed else str(f["fold"])
            for f in self.trained.folds
        }


def render_training_report(told: ReportInput) -> str:
    """Return what was trained, on which rows, what it can do, what the gate said, and how to go on."""
    sections = {
        "What was trained": _describe_model(told),
        "On which rows": _describe_rows(told),
        "What it can do": _describe_metrics(told),
        "What an account's score is worth": _describe_accounts(told),
        "What an outcome is worth": _describe_amounts(told),
        "What the gate said": _describe_gate(told.verdict),
        "What the model looks at": _describe_importance(told),
        "Columns that look as if they knew the outcome": _describe_suspects(told),
        "How to go on": _describe_next_steps(told),
        "What else is here": iter([FILE_LIST]),
    }
    body = [
        f"## {title}\n\n" + "\n".join(lines)
        for title, lines in ((t, list(s)) for t, s in sections.items())
        if lines
    ]
    verdict = "passed the gate" if told.verdict.passed else "was refused by the gate"
    head = f"# {told.now.project.project} · {told.trained.scorer.target}: {verdict}"
    return "\n\n".join([head, *body]) + "\n"


def _describe_model(told: ReportInput) -> Iterator[str]:
    now, scorer = told.now, told.trained.scorer
    offered = len(scorer.catalog.features)
    target = now.project.target_config(scorer.target)
    yield f"- **target** `{scorer.target}`: {_describe_target(target)}"
    when = f"as of {now.as_of.isoformat()}, outcomes complete through {now.observed.isoformat()}"
    yield f"- **data** {when if now.project.timed else 'without times'},"
    yield f"  fingerprint `{now.dataset.fingerprint}`, config `{now.project.config_hash}`, code `{find_code_version()}`"
    learner, *others = (format_learner(name) for name in (scorer.learner, *told.found.baselines))
    beside = ", ".join(name for name in others if name != learner)
    yield f"- **model** {learner} on {len(scorer.encoding.names)} of {offered} features, beside it {beside};"
    yield f"  its log-odds are calibrated by {scorer.calibrator.intercept:+.3f} + {scorer.calibrator.slope:.3f} × raw"


def _describe_target(target: Target) -> str:
    if isinstance(target.outcome, ColumnOutcome):
        return f"is `{target.outcome.column}` `{target.outcome.equals}`? (a column without a time: no horizon)"
    ends = f" until `{'`, `'.join(target.population.until)}`" if target.population.until else ""
    horizon = format_duration(target.horizon) if target.horizon else "ever"
    outcome = "` or `".join(target.outcome_types)
    return f"will `{outcome}` happen within {horizon}? Asked of all from `{target.population.after}`{ends}"


def _describe_rows(told: ReportInput) -> Iterator[str]:
    yield describe_row_counts(told.rows, told.now.project.timed) + "."
    yield ""
    timed = told.now.project.timed
    if told.now.dataset.ordered and not timed:
        yield "Each fold learnt from rows that come before the first row it was tested on:"
    elif timed:
        yield "Each fold learnt from rows whose whole horizon lay before the first row it was tested on:"
    else:
        yield "The order of the rows means nothing, so each fold was tested on entities it had not learnt from:"
    yield ""
    learnt, tested = (["learnt from cutoffs"], ["tested on cutoffs"]) if timed else ([], [])
    heads = ["fold", *learnt, "rows", "outcomes", *tested, "rows tested", "outcomes", "entities"]
    yield from render_markdown_table(
        [heads, *(_build_fold_row(fold, timed) for fold in told.trained.folds)]
    )


def _build_fold_row(fold: dict[str, Any], timed: bool) -> list[str]:
    parts = [fold["train"], fold["test"]]
    days = [[f"{part['from'][:10]} to {part['to'][:10]}"] if timed else [] for part in parts]
    counts = [[f"{part['rows']:,}", f"{part['outcomes']:,}"] for part in parts]
    return [
        str(fold["fold"]),
        *days[0],
        *counts[0],
        *days[1],
        *counts[1],
        f"{parts[1]['entities']:,}",
    ]


def _describe_accounts(told: ReportInput) -> Iterator[str]:
    """Say how the chance of an account holds: of groups of two and more entities, tested at one time."""
    found = WithinAccountDependence.from_json(told.trained.scorer.metadata.within_account)
    if not found.groups:
        return
    yield f"Of {found.groups:,} times that two or more entities of an account were tested together, at least one"
    yield f"had the outcome {found.observed:,} times. By their chances it were {found.independent:,.0f} if each were on its"
    yield f"own; an account's score expects {found.expected:,.0f} (further entities add {found.added_share:.0%} of that)."


def _describe_amounts(told: ReportInput) -> Iterator[str]:
    """Say what amounts were learnt, and how they held on later entities."""
    scorer = told.trained.scorer
    if not told.now.project.target_config(scorer.target).learns_amount:
        return
    said = scorer.amount_model.sentence if scorer.amount_model else NO_AMOUNTS
    yield f"{said[0].upper()}{said[1:]}."
    if scorer.amount_model and (trial := scorer.amount_model.trial):
        yield f"Of the {trial.entities:,} later entities {trial.expected:,.2f} was expected on average; they were worth"
        yield f"{trial.observed:,.2f}. Deviance is that of Tweedie's law of power 1.5: {trial.tree_deviance:,.4g} of trees,"
        yield f"{trial.mean_deviance:,.4g} of the mean."


def _describe_metrics(told: ReportInput) -> Iterator[str]:
    found = told.found
    later = ", later than all it learnt from" if told.now.dataset.ordered else ""
    yield f"All figures are of rows that the model had not seen{later}, with 90 % intervals by entity."
    yield ""
    yield _describe_capacity(told)
    yield ""
    yield from render_markdown_table(
        build_challenger_table(found.metrics, told.now.dataset.ordered)
    )
    yield ""
    yield from render_markdown_table(build_learner_table(found.baselines, told.trained.learner))
    folds = {told.days[number]: part for number, part in found.folds.items()}
    tables = {
        "new to its fold": found.unseen,
        "fold": folds,
        **found.segments,
        "stage": found.stages,
    }
    for what, parts in tables.items():
        if parts:
            yield ""
            yield from render_markdown_table(build_slice_table(what, parts))
    yield ""
    yield from render_markdown_table(build_reliability_table(found.reliability))


def _describe_capacity(told: ReportInput) -> str:
    capacity = told.found.rows.capacity
    precision, lift = (told.found.metrics[f"{name}_at_capacity"] for name in ("precision", "lift"))
    if lift.n == told.trained.out_of_time.num_rows:
        return f"The capacity, {capacity} leads of each batch, is enough to work all of them: there is no lift to gain."
    of = f"the {capacity} best leads of each batch" if capacity else "the best tenth of each batch"
    return f"Of {of}, a share of {format_estimate(precision)} has the outcome: {format_estimate(lift)} times that of all."


def _describe_gate(verdict: GateVerdict) -> Iterator[str]:
    yield "It passed every test:" if verdict.passed else "It was refused and cannot be promoted:"
    yield ""
    for test in verdict.tests:
        yield f"- {'passed' if test.passed else '**failed**'}: {test.sentence}"


def _describe_importance(told: ReportInput) -> Iterator[str]:
    rows = [
        [words, f"`{name}`", f"{value:.3f}"]
        for name, words, value in told.importance[:MAX_FEATURES]
    ]
    yield from render_markdown_table([["what", "feature", "mean absolute log-odds"], *rows])


def _describe_suspects(told: ReportInput) -> Iterator[str]:
    for suspect in told.suspects:
        state = "allowed by the config" if suspect.allowed else "left out"
        yield f"- `{suspect.column}` ({state}): {suspect.evidence}"


def _describe_next_steps(told: ReportInput) -> Iterator[str]:
    target = told.trained.scorer.target
    if told.verdict.passed:
        yield "The version was made the champion. To go back to the one before, or to it again:"
    else:
        yield "The champion, if there is one, stays. To see what changes with more data or another config:"
    yield ""
    yield "```"
    if told.verdict.passed:
        yield f"leadscore rollback CONFIG --target {target}"
        yield f"leadscore promote  CONFIG --target {target} --version N"
    yield f"leadscore backtest CONFIG --target {target}"
    yield "```"
