"""Renders the report of one training as Markdown: data, model, metrics, gate and next steps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from configs.durations import format_duration
from configs.targets import ColumnOutcome, Target
from models.accounts import WithinAccountDependence
from models.evaluation.gate import GateVerdict
from models.leakage.suspects import Suspect
from models.learners.amount_model import NO_AMOUNTS
from models.training.results import TrainResult
from pipelines.reports.escaping import escape_markdown, format_code
from pipelines.reports.markdown import render_markdown_table
from pipelines.reports.metric_tables import (
    build_challenger_table,
    build_learner_table,
    build_reliability_table,
    build_segment_table,
    build_slice_table,
    describe_row_counts,
    format_estimate,
    format_learner,
)
from pipelines.results.evaluation import Evaluation
from pipelines.training_data import Snapshot
from pipelines.version import find_code_version

# The strongest ones; tables/importance.csv holds all features.
MAX_FEATURES = 10
FILE_LIST = """- `plots/`: reliability, distribution, gain, metrics by fold, importance
- `tables/`: the same as numbers; `parts.csv` by fold, segment, stage and for new entities and
  accounts, `gate.csv` every test of the gate
- `config.yaml` as written, `features.json` every feature with its meaning, `folds.json`,
  `gate.json`
- the registered model holds the scorer: its model as text or JSON, and `scorer.json`"""


@dataclass(frozen=True)
class ReportInput:
    """Content of the report of one training.

    Attributes:
        snapshot: Data that the training read.
        trained: Scorer, out-of-time predictions and folds.
        evaluation: Metrics of the out-of-time predictions.
        verdict: Decision of the gate.
        rows: Numbers of rows: rows, mature, immature, positive.
        importance: (feature, meaning, mean absolute log-odds), greatest first.
        suspects: Suspected columns among those that the config offers.
    """

    snapshot: Snapshot
    trained: TrainResult
    evaluation: Evaluation
    verdict: GateVerdict
    rows: dict[str, int]
    importance: list[tuple[str, str, float]]
    suspects: tuple[Suspect, ...] = ()

    @property
    def fold_labels(self) -> dict[str, str]:
        """Label of each fold by number: its first test day, or the number without times."""
        timed = self.snapshot.project.timed
        return {
            str(f["fold"]): f["test"]["from"][:10] if timed else str(f["fold"])
            for f in self.trained.folds
        }


def render_training_report(inputs: ReportInput) -> str:
    """Return the report as Markdown; sections without content are left out."""
    sections = {
        "Model": _describe_model(inputs),
        "Rows": _describe_rows(inputs),
        "Metrics": _describe_metrics(inputs),
        "Models by segment": _describe_segments(inputs),
        "Scores of accounts": _describe_accounts(inputs),
        "Amounts": _describe_amounts(inputs),
        "Gate": _describe_gate(inputs.verdict),
        "Importance": _describe_importance(inputs),
        "Columns that seem to leak the outcome": _describe_suspects(inputs),
        "Next steps": _describe_next_steps(inputs),
        "Files": iter([FILE_LIST]),
    }
    texts = {title: "\n".join(lines) for title, lines in sections.items()}
    body = [f"## {title}\n\n{text}" for title, text in texts.items() if text]
    verdict = "passed the gate" if inputs.verdict.passed else "was refused by the gate"
    head = f"# {inputs.snapshot.project.project} · {inputs.trained.scorer.target}: {verdict}"
    return "\n\n".join([head, *body]) + "\n"


def _describe_model(inputs: ReportInput) -> Iterator[str]:
    snapshot, scorer = inputs.snapshot, inputs.trained.scorer
    project, calibrator = snapshot.project, scorer.calibrator
    times = (
        f"as of {snapshot.as_of.isoformat()}, "
        f"outcomes complete through {snapshot.observed.isoformat()}"
    )
    learner = format_learner(scorer.learner)
    others = [name for name in map(format_learner, inputs.evaluation.baselines) if name != learner]
    used, offered = len(scorer.encoding.names), len(scorer.catalog.features)
    target = _describe_target(project.target_config(scorer.target))
    yield f"- **target** `{scorer.target}`: {target}"
    yield f"- **data** {times if project.timed else 'without times'},"
    yield f"  fingerprint `{snapshot.dataset.fingerprint}`, config `{project.config_hash}`,"
    yield f"  code `{find_code_version()}`"
    yield f"- **model** {learner} on {used} of {offered} features,"
    yield f"  compared with {', '.join(others)};"
    yield (
        f"  its log-odds are calibrated by {calibrator.intercept:+.3f} "
        f"+ {calibrator.slope:.3f} × raw"
    )


def _describe_target(target_config: Target) -> str:
    outcome, population = target_config.outcome, target_config.population
    if isinstance(outcome, ColumnOutcome):
        values = " or ".join(format_code(str(value)) for value in outcome.values)
        age = (
            f"final {format_duration(outcome.mature_after)} after creation"
            if outcome.mature_after
            else "no maturity"
        )
        question = f"is {format_code(outcome.column)} {values}?"
        return f"{question} (a column without a time: no horizon, {age})"
    until = f" until {_list_codes(population.until)}" if population.until else ""
    until += f", again from {_list_codes(population.reopen)}" if population.reopen else ""
    until += ", also after the outcome" if population.recurring else ""
    revoked = target_config.outcome_revoked_by
    stands = f", not revoked by {_list_codes(revoked)}" if revoked else ""
    horizon = format_duration(target_config.horizon) if target_config.horizon else "ever"
    types = " or ".join(map(format_code, target_config.outcome_types))
    question = f"does {types} occur within {horizon}{stands}?"
    return f"{question} For entities from {format_code(population.after)}{until}"


def _list_codes(names: Iterable[str]) -> str:
    return ", ".join(map(format_code, names))


def _describe_rows(inputs: ReportInput) -> Iterator[str]:
    timed = inputs.snapshot.project.timed
    followed = inputs.snapshot.project.follows_up(inputs.trained.scorer.target)
    yield describe_row_counts(inputs.rows, followed) + "."
    yield ""
    if inputs.snapshot.dataset.ordered and not timed:
        yield "Each fold is trained on rows that come before its first test row:"
    elif timed and not followed:
        yield "Each fold is trained on rows whose column was final before its first test row:"
    elif timed:
        yield "Each fold is trained on rows whose whole horizon lies before its first test row:"
    else:
        yield "The rows have no order, so each fold is tested on entities not in its train rows:"
    yield ""
    yield from render_markdown_table(_build_fold_table(inputs.trained.folds, timed))


def _build_fold_table(folds: list[dict[str, Any]], timed: bool) -> list[list[str]]:
    """Return one row per fold: cutoffs and counts of its train rows and its test rows."""
    train, test = (["train cutoffs"], ["test cutoffs"]) if timed else ([], [])
    headers = ["fold", *train, "rows", "outcomes", *test, "rows tested", "outcomes", "entities"]
    rows = [
        [
            str(fold["fold"]),
            *_build_part_cells(fold["train"], timed),
            *_build_part_cells(fold["test"], timed),
            f"{fold['test']['entities']:,}",
        ]
        for fold in folds
    ]
    return [headers, *rows]


def _build_part_cells(part: dict[str, Any], timed: bool) -> list[str]:
    cutoffs = [f"{part['from'][:10]} to {part['to'][:10]}"] if timed else []
    return [*cutoffs, f"{part['rows']:,}", f"{part['outcomes']:,}"]


def _describe_segments(inputs: ReportInput) -> Iterator[str]:
    rows, column = inputs.trained.segments, inputs.snapshot.project.learning.segment_by
    if not rows or column is None:
        return
    yield f"Chosen by {format_code(column)} in the test windows before the last one: `gain` is"
    yield "log loss of the global model minus that of the better alternative, in nats a row."
    yield ""
    yield from render_markdown_table(build_segment_table(rows))


def _describe_accounts(inputs: ReportInput) -> Iterator[str]:
    """Compare outcomes of accounts with several entities at one time to their expected number."""
    fit = WithinAccountDependence.from_json(inputs.trained.scorer.metadata.within_account)
    if not fit.groups:
        return
    yield f"Two or more entities of one account were tested at the same time {fit.groups:,} times."
    yield f"At least one of them had the outcome {fit.observed:,} times. Their probabilities give"
    yield f"{fit.independent:,.0f} if entities are independent; the scores of accounts expect"
    yield f"{fit.expected:,.0f} (further entities add {fit.added_share:.0%} of their share)."


def _describe_amounts(inputs: ReportInput) -> Iterator[str]:
    """Describe the amount model, and its expectations on later entities."""
    model = inputs.trained.scorer.amount_model
    if not inputs.snapshot.project.target_config(inputs.trained.scorer.target).learns_amount:
        return
    sentence = model.sentence if model else NO_AMOUNTS
    yield f"{sentence[0].upper()}{sentence[1:]}."
    if model and (trial := model.trial):
        yield f"For the {trial.entities:,} later entities it expected {trial.expected:,.2f} on"
        # 1.5 is the power of the loss that the amount model is trained with.
        yield f"average; the observed mean is {trial.observed:,.2f}. The Tweedie deviance of power"
        yield f"1.5 is {trial.tree_deviance:,.4g} for the trees and"
        yield f"{trial.mean_deviance:,.4g} for the mean."


def _describe_metrics(inputs: ReportInput) -> Iterator[str]:
    evaluation, ordered = inputs.evaluation, inputs.snapshot.dataset.ordered
    rows = "later than all rows it was trained on" if ordered else "that it was not trained on"
    # By entity and not by row, because the rows of one lead are dependent.
    yield f"All metrics of the model are computed on rows {rows}, with 90 % intervals by entity."
    yield ""
    yield _describe_capacity(inputs)
    folds = {inputs.fold_labels[number]: part for number, part in evaluation.folds.items()}
    slices = {
        "new to its fold": evaluation.unseen,
        "fold": folds,
        **evaluation.segments,
        "stage": evaluation.stages,
    }
    tables = [
        build_challenger_table(evaluation.metrics, ordered),
        build_learner_table(evaluation.baselines, inputs.trained.learner),
        *(build_slice_table(kind, parts) for kind, parts in slices.items() if parts),
        build_reliability_table(evaluation.reliability),
    ]
    for table in tables:
        yield ""
        yield from render_markdown_table(table)


def _describe_capacity(inputs: ReportInput) -> str:
    capacity, metrics = inputs.evaluation.rows.capacity, inputs.evaluation.metrics
    precision, lift = metrics["precision_at_capacity"], metrics["lift_at_capacity"]
    # Where every lead can be worked, the lift is 1 for any model.
    if lift.n == inputs.trained.out_of_time.num_rows:
        return (
            f"The capacity of {capacity} leads a batch covers all leads: there is no lift to gain."
        )
    # Without a capacity the metrics at capacity are those of the top tenth.
    best = f"the {capacity} best leads" if capacity else "the best tenth"
    return (
        f"Of {best} of each batch, a share of {format_estimate(precision)} has the outcome: "
        f"{format_estimate(lift)} times the share of all leads."
    )


def _describe_gate(verdict: GateVerdict) -> Iterator[str]:
    yield "It passed every test:" if verdict.passed else "It was refused and cannot be promoted:"
    yield ""
    for test in verdict.tests:
        yield f"- {'passed' if test.passed else '**failed**'}: {escape_markdown(test.sentence)}"
    for cause in verdict.causes:
        yield f"- {escape_markdown(cause.sentence)}"


def _describe_importance(inputs: ReportInput) -> Iterator[str]:
    rows = [
        [meaning, format_code(name), f"{value:.3f}"]
        for name, meaning, value in inputs.importance[:MAX_FEATURES]
    ]
    yield from render_markdown_table([["meaning", "feature", "mean absolute log-odds"], *rows])


def _describe_suspects(inputs: ReportInput) -> Iterator[str]:
    for suspect in inputs.suspects:
        state = "allowed by the config" if suspect.allowed else "left out"
        yield f"- {format_code(suspect.column)} ({state}): {escape_markdown(suspect.evidence)}"


def _describe_next_steps(inputs: ReportInput) -> Iterator[str]:
    target, passed = inputs.trained.scorer.target, inputs.verdict.passed
    if passed:
        yield "The version is the champion. To return to its predecessor, or to any version:"
    else:
        yield "The champion, if there is one, stays. To test more data or another config:"
    yield ""
    yield "```"
    if passed:
        yield f"leadscore rollback CONFIG --target {target}"
        yield f"leadscore promote  CONFIG --target {target} --version N"
    yield f"leadscore backtest CONFIG --target {target}"
    yield "```"
