"""What a person sees in the terminal, as tables."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from features.wording.wording import load_english
from pipelines.reports.markdown import describe_training_result
from pipelines.reports.metric_tables import (
    build_challenger_table,
    build_learner_table,
    build_reliability_table,
    build_slice_table,
    describe_evaluation,
    describe_row_counts,
    describe_verdict,
    format_estimate,
    format_learner,
)

if TYPE_CHECKING:  # a command pays only for what it runs
    from configs.schema import Project
    from features.definitions.catalog import Catalog
    from models.evaluation.metrics import Estimate
    from models.evaluation.sliced_metrics import SliceMetrics
    from models.training.ablation import AblationTrial
    from pipelines.results.ablation import TargetAblation
    from pipelines.results.audit import AuditFinding
    from pipelines.results.backtest import TargetBacktest
    from pipelines.results.data_check import DataCheck, TargetCheck
    from pipelines.results.night import BackfilledNight, NightResult
    from pipelines.results.training import TargetTraining

TOP = 10
TODAY = (
    "which may be newer than a cutoff; where they change, give their history in sources.attributes"
)
READING = (
    "worse by: log loss less that with all features, on the same rows and in nats a row; + is worse than with all "
    "features, - is better, and an interval on both sides of 0 tells neither. LightGBM alone, calibrated, in the "
    "folds of a training."
)
"""How the table of an ablation is to be read."""


def render_training(project: Project, result: TargetTraining) -> RenderableType:
    """Return one target's figures and what became of its challenger."""
    if result.trained is None:
        return f"\n{project.project} · {result.target}: not trained"
    chosen = result.trained.learner
    tables = _tables(
        build_challenger_table(result.metrics, project.ordered),
        build_learner_table(result.baselines, chosen),
    )
    head = (
        f"\n{project.project} · {result.target}: {describe_row_counts(result.rows, project.timed)}"
    )
    learner = f"learner {format_learner(chosen)}, folds: {len(result.trained.folds)}"
    verdict = "refused by the gate" if result.error else escape(describe_training_result(result))
    report = [f"report: report.md of MLflow run {result.version.run_id}"] if result.version else []
    return Group(escape(head), learner, *tables, "", verdict, *report)


def render_backtest(project: Project, result: TargetBacktest) -> RenderableType:
    """Return what the past says of one target: all figures, by part, reliability, and what the gate would do."""
    found = result.evaluation
    if found is None or result.verdict is None:
        return f"\n{project.project} · {result.target}: not tested"
    tables = [
        build_challenger_table(found.metrics, project.ordered),
        build_learner_table(found.baselines, result.learner),
        build_slice_table("new to its fold", found.unseen),
        build_slice_table("fold", _label_folds(result, project.timed)),
        *(build_slice_table(column, parts) for column, parts in found.segments.items()),
    ]
    tables += [build_slice_table("stage", found.stages)] if found.stages else []
    tables += [build_reliability_table(found.reliability)]
    head = (
        f"\n{project.project} · {result.target}: {describe_row_counts(result.rows, project.timed)}"
    )
    learner = f"learner {format_learner(result.learner)}, folds: {len(result.folds)}"
    return Group(
        escape(head), learner, *_tables(*tables), "", escape(describe_verdict(result.verdict))
    )


def _label_folds(result: TargetBacktest, timed: bool) -> dict[str, SliceMetrics]:
    """Name the folds by the first day that they test, where the data has days."""
    parts = result.evaluation.folds if result.evaluation else {}
    days = {str(fold["fold"]): f": {fold['test']['from'][:10]}" for fold in result.folds}
    return {name + (days[name] if timed else ""): part for name, part in parts.items()}


def render_oracle(oracle: dict[str, Any] | None) -> RenderableType | None:
    """Return how the model compares with what could be known at all."""
    if oracle is None:
        return None
    return (
        f"the truth: oracle ROC AUC {oracle['roc_auc']:.3f}, log loss {oracle['log_loss']:.4f}; "
        f"the model knows {oracle['skill']:.0%} of what can be known; mean predicted {oracle['mean_predicted']:.4f}, "
        f"true {oracle['mean']:.4f}, happened {oracle['outcome_rate']:.4f};\n"
        f"the 90 % interval holds the truth in {oracle['interval_holds']:.0%} of the rows"
    )


def render_top_leads(night: NightResult) -> RenderableType:
    """Return the best leads of each target with their strongest reason."""
    table = _table(
        "target",
        "rank",
        "entity",
        "probability (90 % interval)",
        "score",
        "grade",
        "strongest reason",
    )
    for target in night.published.rows:
        rows = [
            row
            for row in night.published.scores.to_pylist()
            if row["target"] == target and row["rank"] <= TOP
        ]
        for row in rows:
            chance = f"{row['probability']:.3f} ({row['probability_low']:.3f} to {row['probability_high']:.3f})"
            numbers = (str(row["score"]), row["grade"], _reason(row["reasons"]))
            table.add_row(target, str(row["rank"]), escape(row["entity_id"]), chance, *numbers)
    return table


def render_delivery(night: NightResult, more: str = "") -> RenderableType:
    """Return where the scores went."""
    rows = ", ".join(f"{target} {count:,}" for target, count in night.published.rows.items())
    text = f"\npublished as of {night.published.as_of.isoformat()}: {rows} (run {night.published.run_id})\nexport: {night.export}"
    if night.exported_as_of != night.published.as_of:
        text += f"\n  it stays at {night.exported_as_of.isoformat()}, the newest; `leadscore export --as-of` writes an older one"
    for one in night.deliveries:
        said = one.manifest
        what = f"{said['kind']}, {said['rows']:,} leads, {said['cleared']:,} cleared: {one.folder}"
        text += f"\n{said['name']}: {'' if one.is_new else 'nothing is new since '}{what}"
    return escape(text + (f"\n\n{more}" if more else ""))


def render_deliveries(rows: list[dict[str, Any]]) -> Table:
    """Return the delivery ledger, the newest last; a delivery that is not on the disk any more is called removed.

    The id of a delivery begins with its as-of.
    """
    counted = ("sequence", "rows", "cleared", "refused", "parts")
    heads = ("no.", "leads", "cleared", "refused", "files")
    table = _table("export", "status", "kind", *heads, "delivery", "base", "made at (UTC)")
    for row in rows:
        counts = ("" if row[name] is None else f"{row[name]:,}" for name in counted)
        there = row["status"] == "delivered"
        what = row["delivery"] if there else (row["message"] or "").partition("\n")[0]
        status = "removed" if there and not row["kept"] else row["status"]
        made_at = f"{row['made_at'].astimezone(UTC):%Y-%m-%d %H:%M}"
        table.add_row(row["name"], status, row["kind"], *counts, escape(what), row["base"], made_at)
    return table


def render_backfill(nights: list[BackfilledNight]) -> Table:
    """Return a row for each night that was made up for."""
    table = _table("as of", "status", "rows", "model versions", "warnings")
    for night in nights:
        done = night.published
        if done is None:
            table.add_row(night.as_of.isoformat(), "not published", "", "", "")
            continue
        used = (
            done.scores.group_by(["target", "model_version"])
            .aggregate([])
            .sort_by("target")
            .to_pylist()
        )
        versions = ", ".join(f"{row['target']} {row['model_version']}" for row in used)
        rows = f"{done.scores.num_rows:,}"
        table.add_row(
            done.as_of.isoformat(), "published", rows, escape(versions), str(len(done.checks) or "")
        )
    return table


def render_catalog(found: Catalog) -> RenderableType:
    """Return every feature with its meaning."""
    table = _table("feature", "family", "unit", "what it is", "known")
    words = load_english()
    for feature in found.features:
        what, known = escape(words.noun_phrase(feature.meaning)), escape(feature.availability)
        table.add_row(escape(feature.name), feature.family, feature.meaning.unit, what, known)
    families = Counter(feature.family for feature in found.features)
    shares = ", ".join(f"{name} {number}" for name, number in families.items())
    foot = [f"{len(found.features)} features: {shares}"]
    if found.attributes:
        foot.append(
            f"static attributes, of which there are {len(found.attributes)}, show today's values, {TODAY}"
        )
    return Group(table, *foot)


def render_ablation(project: Project, found: TargetAblation) -> RenderableType:
    """Return what each family of features is worth to one target."""
    table = _table(
        describe_evaluation(project.ordered), "features", "ROC AUC", "log loss", "worse by"
    )
    for trial in found.trials:
        figures = (
            format_estimate(trial.roc_auc),
            format_estimate(trial.log_loss),
            _signed(trial.difference),
        )
        table.add_row(
            _trial(trial),
            str(trial.feature_count),
            *(figures if trial.mode != "all" else (*figures[:2], "")),
        )
    # LightGBM alone learns from what is mature.
    rows = describe_row_counts(found.rows, followed=False)
    return Group(f"\n{project.project} · {found.target}: {rows}", table, READING)


def render_audit(project: Project, target: str, found: list[AuditFinding]) -> RenderableType:
    """Return the columns that seem to know a target's outcome, with the evidence and what becomes of them."""
    if not found:
        return f"\n{project.project} · {target}: no column seems to know the outcome"
    table = _table("column", "evidence", "state")
    for finding in found:
        table.add_row(
            escape(finding.suspect.column), escape(finding.suspect.evidence), finding.state
        )
    number = f"{len(found)} column{'s' * (len(found) > 1)} {'seem' if len(found) > 1 else 'seems'} to know the outcome"
    return Group(f"\n{project.project} · {target}: {number}", table)


def render_data_check(found: DataCheck) -> list[RenderableType]:
    """Return what ``check`` found."""
    when = f"as of {found.as_of.isoformat()}" if found.timed else "(data without times)"
    head = [f"{found.project} {when}"]
    head.append(
        f"{found.entities:,} entities, {found.accounts:,} accounts, {found.events:,} events"
    )
    if found.span:
        head.append(f"from {found.span[0].isoformat()} to {found.span[1].isoformat()}")
        head.append(f"outcomes complete through {found.observed.isoformat()}")
    parts: list[RenderableType] = [escape("\n".join(head)), _sources(found)]
    if found.types:
        kinds = _table("event type", "events")
        for name, count in found.types.items():
            kinds.add_row(escape(name), f"{count:,}")
        parts.append(kinds)
    parts += [escape(found.suppressed.describe())] if found.suppressed.listed_counts else []
    parts.append(_targets(found.targets))
    parts += [
        escape(f"problem: target {t.target}: {t.problem}") for t in found.targets if t.problem
    ]
    return [*parts, *(escape(f"note: {line}") for line in found.warnings)]


def _trial(trial: AblationTrial) -> str:
    whole = {"all": "all features", "none": "no feature: the base rate"}
    return whole.get(trial.mode, f"{trial.mode} {trial.family}")


def _signed(figure: Estimate) -> str:
    return f"{figure.value:+.4f} ({figure.low:+.4f} to {figure.high:+.4f})"


def _reason(reasons: str) -> str:
    best = max(json.loads(reasons), key=lambda reason: reason["contribution"], default=None)
    return escape(best["sentence"]) if best and best["contribution"] > 0 else ""


def _sources(found: DataCheck) -> Table:
    table = _table("source", "rows in", "used", "not yet", "suppressed", "quarantined", "reasons")
    for count in found.counts:
        bad = sum(count.quarantined.values())
        why = ", ".join(f"{reason} {rows:,}" for reason, rows in count.quarantined.items())
        numbers = [
            f"{number:,}"
            for number in (count.rows_in, count.used, count.skipped, count.suppressed, bad)
        ]
        table.add_row(escape(count.source), *numbers, escape(why))
    table.caption_justify = "left"
    table.caption = (
        f"quarantined rows are in {found.quarantine}"
        if any(c.quarantined for c in found.counts)
        else None
    )
    return table


def _targets(targets: tuple[TargetCheck, ...]) -> Table:
    table = _table(
        "target", "eligible rows", "entities", "mature", "outcomes", "base rate", "to score"
    )
    for target in targets:
        rate = f"{target.base_rate:.2%}" if target.base_rate is not None else "–"
        numbers = (target.rows, target.entities, target.mature, target.positive)
        table.add_row(
            target.target, *(f"{number:,}" for number in numbers), rate, f"{target.to_score:,}"
        )
    return table


def _tables(*tables: list[list[str]]) -> list[RenderableType]:
    """Return tables one below the other, an empty line above each."""
    return [part for rows in tables for part in ("", render_table(rows))]


def render_table(rows: list[list[str]]) -> Table:
    """Return a table of texts whose first row are the heads."""
    table = _table(*(escape(head) for head in rows[0]))
    for row in rows[1:]:
        table.add_row(*(escape(text) for text in row))
    return table


def _table(first: str, *columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(first, no_wrap=True, overflow="fold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
