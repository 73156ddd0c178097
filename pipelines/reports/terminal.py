"""Renders results as tables and texts for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich import markup
from rich.console import Group, RenderableType
from rich.table import Table

from configs.errors import escape_controls
from models.fit.accounts import select_white_space
from pipelines.reports.company.channel_tables import (
    NOT_EFFECT,
    PATHS_NOT_EFFECT,
    build_cost_table,
    build_credit_table,
    build_path_credit_rows,
    build_period_table,
    describe_channels,
    describe_paths,
    list_channel_notes,
)
from pipelines.reports.company.customer_tables import (
    build_acquisition_rows,
    build_customer_backtest_table,
    build_customer_state_table,
    build_customer_track_table,
    build_retention_rows,
    build_revenue_rows,
    build_save_table,
    build_win_back_rows,
    describe_bridge_forecast,
    describe_corrections,
    describe_customer_backtest,
    describe_customer_values,
    describe_customers,
    describe_win_backs,
)
from pipelines.reports.company.fit_tables import (
    build_account_table,
    build_fit_class_table,
    build_fit_grid,
    build_profile_rows,
    describe_fit,
    describe_fit_grid,
    describe_profile,
    describe_white_space,
    list_refusals,
)
from pipelines.reports.company.forecast_tables import (
    build_accuracy_table,
    build_backtest_table,
    build_change_table,
    build_deal_table,
    build_forecast_table,
    describe_backtest,
    describe_errors,
    describe_forecast,
    describe_knowledge,
    describe_missing,
)
from pipelines.reports.company.funnel_tables import (
    build_cycle_rows,
    build_entry_rows,
    build_paths_table,
    build_silence_rows,
    build_stage_table,
    build_stuck_rows,
    describe_funnel,
    describe_leak,
    describe_naive_cycle,
    describe_order,
    describe_silence,
    iter_segments,
)
from pipelines.reports.company.touch_tables import (
    NAIVE,
    build_cut_rows,
    build_hazard_rows,
    build_next_rows,
    describe_touches,
)
from pipelines.reports.company.uplift_tables import (
    build_policy_table,
    build_ranking_table,
    build_uplift_table,
    describe_gate,
    describe_uplift,
)
from pipelines.reports.company.web_tables import build_web_rows, describe_web
from pipelines.reports.data_tables import (
    build_catalog_table,
    build_event_table,
    build_form_table,
    build_source_table,
    build_target_table,
    describe_catalog,
    describe_data,
)
from pipelines.reports.lead_tables import (
    MAX_FEATURES,
    build_contribution_table,
    build_history_table,
    build_reason_table,
    describe_scores,
    describe_suppressions,
    describe_trace,
)
from pipelines.reports.metric_tables import (
    build_ablation_table,
    build_audit_table,
    build_challenger_table,
    build_learner_table,
    build_reliability_table,
    build_segment_table,
    build_slice_table,
    describe_row_counts,
    describe_training_result,
    describe_verdict,
    format_learner,
)
from pipelines.reports.monitor_tables import (
    build_monitor_tables,
    describe_counts,
    describe_recommendation,
)
from pipelines.reports.night_tables import (
    build_backfill_table,
    build_delivery_table,
    build_dry_run_table,
    build_top_leads_table,
    build_unloaded_table,
    describe_delivery,
)

if TYPE_CHECKING:  # a command pays only for the imports that it runs
    from datetime import tzinfo
    from zoneinfo import ZoneInfo

    from configs.schema import Project
    from features.definitions.catalog import Catalog
    from models.channels.path_result import PathResult
    from models.channels.result import ChannelResult
    from models.customers.backtest import CustomerBacktest
    from models.customers.result import CustomerResult
    from models.evaluation.sliced_metrics import SliceMetrics
    from models.fit.result import FitResult
    from models.forecast.accuracy import ForecastAccuracy
    from models.forecast.result import ForecastBacktest, ForecastResult
    from models.funnel.result import FunnelResult
    from models.touches.result import TouchResult
    from models.uplift.result import UpliftResult
    from pipelines.lead.explain import Explanation
    from pipelines.nightly.forget import ErasureResult
    from pipelines.results.ablation import TargetAblation
    from pipelines.results.audit import TargetAudit
    from pipelines.results.backtest import TargetBacktest
    from pipelines.results.data_check import DataCheck
    from pipelines.results.dry_run import DryRun
    from pipelines.results.monitoring import MonitorResult
    from pipelines.results.night import BackfilledNight, NightResult
    from pipelines.results.training import TargetTraining

ABLATION_NOTE = (
    "worse by: the increase of log loss over that with all features, on the same rows and in nats "
    "a row; + is worse than with all features, - is better, and an interval that contains 0 shows "
    "no difference. LightGBM alone, calibrated, in the folds of a training."
)


def escape_text(text: str) -> str:
    """Return markup of rich that shows a text as it is, with visible control characters."""
    return markup.escape(escape_controls(text))


def render_table(rows: list[list[str]]) -> Table:
    """Return a table of texts; the first row holds the headers."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for position, header in enumerate(rows[0]):
        # Long texts are folded: by default rich cuts them and adds an ellipsis.
        table.add_column(escape_text(header), no_wrap=position == 0, overflow="fold")
    for row in rows[1:]:
        # Texts of the data may hold square brackets, which rich would read as markup.
        table.add_row(*(escape_text(text) for text in row))
    return table


def render_training(project: Project, result: TargetTraining) -> RenderableType:
    """Return one target's metrics and the decision on its challenger."""
    if result.trained is None:
        return f"\n{project.project} · {result.target}: not trained"
    chosen = result.trained.learner
    tables = _stack_tables(
        build_challenger_table(result.metrics, project.ordered),
        build_learner_table(result.baselines, chosen),
        *([build_segment_table(result.segments)] if result.segments else []),
    )
    head = _describe_head(project, result.target, result.rows)
    learner = f"learner {format_learner(chosen)}, folds: {len(result.trained.folds)}"
    verdict = "refused by the gate" if result.error else describe_training_result(result)
    return Group(escape_text(head), learner, *tables, "", escape_text(verdict))


def render_backtest(project: Project, result: TargetBacktest) -> RenderableType:
    """Return one target's metrics, also by slice, their reliability, and the gate's decision."""
    evaluation = result.evaluation
    if evaluation is None or result.verdict is None:
        return f"\n{project.project} · {result.target}: not tested"
    tables = [
        build_challenger_table(evaluation.metrics, project.ordered),
        build_learner_table(evaluation.baselines, result.learner),
        *([build_segment_table(result.segments)] if result.segments else []),
        build_slice_table("new to its fold", evaluation.unseen),
        build_slice_table("fold", _label_folds(result, evaluation.folds, project.timed)),
        *(build_slice_table(column, slices) for column, slices in evaluation.segments.items()),
    ]
    tables += [build_slice_table("stage", evaluation.stages)] if evaluation.stages else []
    tables += [build_reliability_table(evaluation.reliability)]
    head = _describe_head(project, result.target, result.rows)
    learner = f"learner {format_learner(result.learner)}, folds: {len(result.folds)}"
    verdict = escape_text(describe_verdict(result.verdict))
    return Group(escape_text(head), learner, *_stack_tables(*tables), "", verdict)


def _describe_head(project: Project, target: str, rows: dict[str, int]) -> str:
    counts = describe_row_counts(rows, project.follows_up(target))
    return f"\n{project.project} · {target}: {counts}"


def _label_folds(
    result: TargetBacktest, folds: dict[str, SliceMetrics], timed: bool
) -> dict[str, SliceMetrics]:
    """Add to the name of each fold its first test day, where the data has times."""
    days = {str(fold["fold"]): f": {fold['test']['from'][:10]}" for fold in result.folds}
    return {name + (days[name] if timed else ""): fold for name, fold in folds.items()}


def render_ablation(project: Project, result: TargetAblation) -> RenderableType:
    """Return the contribution of each feature family to one target."""
    # An ablation trains LightGBM alone, which trains on mature rows only.
    counts = describe_row_counts(result.rows, followed=False)
    table = render_table(build_ablation_table(result.trials, project.ordered))
    return Group(
        escape_text(f"\n{project.project} · {result.target}: {counts}"), table, ABLATION_NOTE
    )


def render_audit(project: Project, target: str, audit: TargetAudit) -> RenderableType:
    """Return the columns that seem to leak a target's outcome, and what the audit cannot see."""
    head = f"\n{project.project} · {target}"
    limits = [escape_text(limit) for limit in audit.limits]
    if not audit.findings:
        return Group(escape_text(f"{head}: no column seems to leak the outcome"), *limits)
    noun = "column seems" if len(audit.findings) == 1 else "columns seem"
    title = escape_text(f"{head}: {len(audit.findings)} {noun} to leak the outcome")
    return Group(title, render_table(build_audit_table(audit.findings)), *limits)


def render_top_leads(night: NightResult) -> RenderableType:
    """Return the best leads of each target with their strongest reason."""
    return render_table(build_top_leads_table(night.published))


def render_delivery(night: NightResult) -> RenderableType:
    """Return where the scores of a night went."""
    published = night.published
    rows = ", ".join(f"{target} {count:,}" for target, count in published.rows.items())
    as_of = published.as_of.isoformat()
    lines = [f"\npublished as of {as_of}: {rows} (run {published.run_id})"]
    lines.append(f"export: {night.export.file}")
    if night.export.page:
        lines.append(f"page: {night.export.page}")
    elif night.export.page_problem:
        lines.append(f"no page: {night.export.page_problem}")
    lines += [f"no {group}: {why}" for group, why in published.table_problems.items()]
    if night.exported_as_of != published.as_of:
        lines.append(
            f"  it stays at {night.exported_as_of.isoformat()}, the newest; "
            "`leadscore export --as-of` writes an older one"
        )
    lines += [describe_delivery(delivery) for delivery in night.deliveries]
    return escape_text("\n".join(lines))


def render_dry_run(result: DryRun) -> list[RenderableType]:
    """Return what a night would publish, and its differences to the newest published night."""
    current = result.current_as_of.isoformat() if result.current_as_of else "nothing yet"
    lines = [f"would publish as of {result.as_of.isoformat()}; published: {current}"]
    if not result.becomes_current:
        lines.append("the CRM's file would stay that of the newest complete night")
    if result.deliveries:
        lines.append(f"would deliver: {', '.join(result.deliveries)}")
    if result.suppressed.listed_counts:
        lines.append(result.suppressed.describe())
    lines.append("dry run: nothing was published or changed")
    return [render_table(build_dry_run_table(result)), escape_text("\n".join(lines))]


def render_deliveries(rows: list[dict[str, Any]]) -> RenderableType:
    """Return the delivery ledger, the newest last."""
    return render_table(build_delivery_table(rows))


def render_unloaded(leads: Sequence[dict[str, Any]]) -> RenderableType:
    """Return the leads that a CRM did not load."""
    return render_table(build_unloaded_table(leads))


def render_backfill(nights: list[BackfilledNight]) -> RenderableType:
    """Return one row per backfilled night."""
    return render_table(build_backfill_table(nights))


def render_catalog(catalog: Catalog) -> RenderableType:
    """Return every feature with its meaning."""
    return Group(
        render_table(build_catalog_table(catalog)), *map(escape_text, describe_catalog(catalog))
    )


def render_data_check(check: DataCheck) -> list[RenderableType]:
    """Return the report of ``leadscore check``."""
    sources = render_table(build_source_table(check.counts))
    if any(count.quarantined for count in check.counts):
        sources.caption = escape_text(f"quarantined rows are in {check.quarantine}")
        sources.caption_justify = "left"
    parts: list[RenderableType] = [escape_text("\n".join(describe_data(check))), sources]
    if any(count.form for count in check.counts):
        parts.append(render_table(build_form_table(check.counts)))
    if check.types:
        parts.append(render_table(build_event_table(check.types)))
    if check.suppressed.listed_counts:
        parts.append(escape_text(check.suppressed.describe()))
    parts.append(render_table(build_target_table(check.targets)))
    problems = [f"problem: target {t.target}: {t.problem}" for t in check.targets if t.problem]
    notes = [f"note: {line}" for line in check.warnings]
    return [*parts, *(escape_text(line) for line in [*problems, *notes])]


def render_funnel(result: FunnelResult, currency: str | None = None) -> list[RenderableType]:
    """Return the funnel: stages, biggest leak, cycle, paths, entries, silence, stuck leads."""
    parts: list[RenderableType] = [escape_text(describe_funnel(result))]
    tables = result.tables
    for title, rows in iter_segments(tables.funnel.to_pylist()):
        parts += ["", *([escape_text(title)] if title else [])]
        parts.append(render_table(build_stage_table(rows, currency)))
    parts += ["", escape_text(describe_leak(result))]
    parts += _stack_tables(build_cycle_rows(tables.cycle.to_pylist()))
    parts += [escape_text(describe_naive_cycle(result))]
    parts += _stack_tables(build_paths_table(tables.paths.to_pylist()))
    parts += [escape_text(describe_order(result.order))]
    parts += _stack_tables(build_entry_rows(tables.entries.to_pylist()))
    silence = tables.silence.to_pylist()
    parts += _stack_tables(build_silence_rows(silence)) if silence else []
    parts += [escape_text(describe_silence(silence, result.outbound))]
    web = result.web.to_pylist()
    parts += _stack_tables(build_web_rows(web, currency)) if web else []
    parts += [escape_text(describe_web(web))] if web else []
    stuck = tables.stuck.to_pylist()
    parts += ["", f"stuck: {len(stuck):,} leads stay longer than 80 % of those that moved on"]
    return [*parts, render_table(build_stuck_rows(stuck, currency))] if stuck else parts


def render_forecast(
    result: ForecastResult, zone: ZoneInfo, currency: str | None = None
) -> list[RenderableType]:
    """Return what the current period will bring, its change in a week, and the deals behind it."""
    parts: list[RenderableType] = [escape_text(describe_forecast(result, zone, currency))]
    parts += _stack_tables(build_forecast_table(result, zone, currency))
    if result.changes.num_rows:
        parts += _stack_tables(build_change_table(result.changes.to_pylist(), currency))
    if result.deals.num_rows:
        parts += _stack_tables(build_deal_table(result.deals.to_pylist(), currency))
    lines = [describe_errors(result), *describe_knowledge(result)]
    return [*parts, "", *map(escape_text, lines)]


def render_fit(result: FitResult) -> list[RenderableType]:
    """Return the profile, the classes, the grid, the white space, and what was refused."""
    tables, basis = result.tables, result.basis
    parts: list[RenderableType] = [escape_text(describe_fit(result))]
    profile = tables.fit_profile.to_pylist()
    parts += _stack_tables(build_profile_rows(profile)) if profile else []
    parts += map(escape_text, describe_profile(basis, profile))
    classes, grid = tables.fit_classes.to_pylist(), tables.fit_grid.to_pylist()
    parts += _stack_tables(build_fit_class_table(classes)) if profile else []
    if profile and grid:
        parts += [*_stack_tables(build_fit_grid(grid)), escape_text(describe_fit_grid(basis, grid))]
    accounts = tables.fit_accounts.to_pylist()
    white_space = select_white_space(tables.fit_accounts).to_pylist()
    parts += ["", escape_text(describe_white_space(basis, accounts, len(white_space)))]
    parts += _stack_tables(build_account_table(white_space)) if white_space else []
    return [*parts, "", *map(escape_text, list_refusals(result))]


def render_customers(result: CustomerResult, currency: str | None = None) -> list[RenderableType]:
    """Return states, values, past forecasts, retention, revenue and whom to keep."""
    rows = result.tables.list_rows
    parts: list[RenderableType] = [escape_text(describe_customers(result))]
    parts += _stack_tables(build_customer_state_table(rows("customer_states"), currency))
    parts += map(escape_text, describe_customer_values(result, currency))
    if track := rows("customer_track"):
        parts += _stack_tables(build_customer_track_table(track))
    parts += map(escape_text, describe_corrections(rows("customer_corrections")))
    if retention := rows("retention"):
        parts += _stack_tables(build_retention_rows(retention))
    if bridge := rows("revenue_bridge"):
        contracts = result.basis["contract_days"] is not None
        parts += _stack_tables(build_revenue_rows(bridge, currency, contracts))
        parts.append(escape_text(describe_bridge_forecast(result.basis)))
    if at_stake := build_save_table(rows("customers"), currency):
        parts += _stack_tables(at_stake)
    if acquisition := build_acquisition_rows(rows("acquisition"), currency):
        parts += _stack_tables(acquisition)
    parts += map(escape_text, describe_win_backs(result))
    if win_backs := build_win_back_rows(rows("win_backs"), currency):
        parts += _stack_tables(win_backs)
    return parts


def render_channels(result: ChannelResult, currency: str | None = None) -> list[RenderableType]:
    """Return cost and customers of channels, their credit, and the periods."""
    rows = result.tables.list_rows("channels")
    parts: list[RenderableType] = [*map(escape_text, describe_channels(result))]
    tables = (build_cost_table(rows, currency), build_credit_table(rows))
    parts += _stack_tables(*(table for table in tables if table))
    parts += map(escape_text, [*list_channel_notes(rows), NOT_EFFECT])
    return [*parts, *_stack_tables(build_period_table(rows, currency))]


def render_path_credits(result: PathResult) -> list[RenderableType]:
    """Return the credit of the channels of a table of paths."""
    rows = result.tables.list_rows("path_credits")
    parts: list[RenderableType] = [*map(escape_text, describe_paths(result))]
    return [*parts, *_stack_tables(build_path_credit_rows(rows)), escape_text(PATHS_NOT_EFFECT)]


def render_touches(result: TouchResult, currency: str | None = None) -> list[RenderableType]:
    """Return the chance of a reply by touch number, channel and gap, and whom to touch next."""
    rows = result.tables.list_rows("touch_hazard")
    parts: list[RenderableType] = [*map(escape_text, describe_touches(result))]
    next_rows = build_next_rows(result.tables.list_rows("next_touch"), currency)
    tables = (build_hazard_rows(rows), build_cut_rows(rows), next_rows)
    return [*parts, *_stack_tables(*(table for table in tables if table)), escape_text(NAIVE)]


def render_uplift(result: UpliftResult) -> list[RenderableType]:
    """Return the effect of outreach, the gate, and where it passed the policy and the leads."""
    parts: list[RenderableType] = [*map(escape_text, describe_uplift(result))]
    if ranking := build_ranking_table(result.basis):
        parts += _stack_tables(ranking)
    parts += map(escape_text, describe_gate(result.verdict))
    rows = result.tables.list_rows
    tables = (build_policy_table(rows("uplift_policy")), build_uplift_table(rows("uplift")))
    return [*parts, *_stack_tables(*(table for table in tables if table))]


def render_customer_backtest(backtest: CustomerBacktest) -> list[RenderableType]:
    """Return a forecast of customers as of the past beside what came."""
    lines = [escape_text(line) for line in describe_customer_backtest(backtest)]
    return [*lines, *_stack_tables(build_customer_backtest_table(backtest))]


def render_forecast_backtest(
    backtest: ForecastBacktest, accuracy: ForecastAccuracy, zone: ZoneInfo
) -> list[RenderableType]:
    """Return past forecasts beside what came, and how far they and simpler ones were off."""
    lines = [describe_backtest(backtest, accuracy), *describe_missing(backtest)]
    accuracies = build_accuracy_table(accuracy, backtest.unit)
    tables = (build_backtest_table(backtest, zone), accuracies)
    return [*map(escape_text, lines), *_stack_tables(*tables)]


def render_monitor_result(project: Project, result: MonitorResult) -> RenderableType:
    """Return the realised outcomes of one target's published scores."""
    head = f"\n{project.project} · {result.target}: {describe_counts(result)}"
    recommendation = (escape_text(line) for line in describe_recommendation(result))
    tables = _stack_tables(*build_monitor_tables(result))
    return Group(escape_text(head), *tables, "", *recommendation)


def render_explanation(
    explanation: Explanation, zone: tzinfo, max_features: int | None = MAX_FEATURES
) -> list[RenderableType]:
    """Return one entity's scores with their reasons, causes and features, and its history.

    Nights are shown in the time zone ``zone``. ``max_features`` is the number of features shown,
    None for all.
    """
    parts: list[RenderableType] = [
        escape_text(text) for text in describe_suppressions(explanation, zone)
    ]
    for row in explanation.newest:
        trace = explanation.traces.get(row["target"])
        parts.append(escape_text(describe_scores(explanation, row)))
        parts.append(render_table(build_reason_table(row, trace)))
        if trace:
            parts.append(escape_text("\n".join(describe_trace(trace, zone))))
        if trace and trace.replay:
            parts.append(render_table(build_contribution_table(trace.replay, max_features)))
    if explanation.history:
        parts.append(render_table(build_history_table(explanation)))
    return parts


def render_erasure(result: ErasureResult) -> RenderableType:
    """Return the number of rows that were erased in each place."""
    lines = [
        f"{place}: {f'{rows:,}' if rows else 'nothing found'}"
        for place, rows in result.erased.items()
    ]
    if result.records:
        lines.insert(0, f"with the records merged with it: {', '.join(result.records)}")
    return escape_text("\n".join(lines))


def _stack_tables(*tables: list[list[str]]) -> list[RenderableType]:
    """Return tables one below the other, an empty line above each."""
    return [part for rows in tables for part in ("", render_table(rows))]
