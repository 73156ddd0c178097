"""Renders results as Markdown, for Prefect and for files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from features.intake.objections import has_personal_ids
from pipelines.reports.escaping import escape_cell, escape_markdown, format_code
from pipelines.reports.metric_tables import (
    build_challenger_table,
    build_learner_table,
    build_segment_table,
    describe_row_counts,
    describe_training_result,
)
from pipelines.reports.monitor_tables import (
    build_monitor_tables,
    describe_counts,
    describe_recommendation,
)
from pipelines.reports.night_tables import build_count_table, build_top_leads_table

if TYPE_CHECKING:
    from configs.schema import Project
    from pipelines.results.monitoring import MonitorResult
    from pipelines.results.night import NightResult
    from pipelines.results.training import TargetTraining


def render_markdown_table(rows: list[list[str]]) -> list[str]:
    """Return a table as lines of Markdown; the first row holds the headers."""
    # Rows of small slices have fewer cells, but Markdown needs as many in each line.
    width = len(rows[0])
    lines = [
        "| " + " | ".join([*map(escape_cell, row), *[""] * (width - len(row))]) + " |"
        for row in rows
    ]
    return [lines[0], "|" + "---|" * width, *lines[1:]]


def render_training_markdown(project: Project, results: list[TargetTraining]) -> str:
    """Return the summary of a training of all targets."""
    lines = [f"# {project.project}: training"]
    for result in results:
        lines += [f"\n## {result.target}", escape_markdown(describe_training_result(result))]
        if result.trained:
            challenger = build_challenger_table(result.metrics, project.ordered)
            learners = build_learner_table(result.baselines, result.trained.learner)
            followed = project.follows_up(result.target)
            lines += [escape_markdown(describe_row_counts(result.rows, followed)), ""]
            lines += [*render_markdown_table(challenger), "", *render_markdown_table(learners)]
            if result.segments:
                lines += ["", *render_markdown_table(build_segment_table(result.segments))]
    return "\n".join(lines)


def render_night_markdown(project: Project, night: NightResult) -> str:
    """Return the summary of a night: its files, its checks that warned, and its best leads.

    Prefect keeps it, so it has no ids where these are personal; target and rank name a lead then.
    """
    published, export = night.published, night.export
    lines = [
        f"# {project.project}: scores as of {published.as_of.isoformat()}",
        "",
        f"run {format_code(published.run_id)}, export {format_code(str(export.file.absolute()))}",
        "",
    ]
    if export.page:
        lines += [f"page to look at: {format_code(str(export.page.absolute()))}", ""]
    elif export.page_problem:
        lines += [f"no page: {escape_markdown(export.page_problem)}", ""]
    for group, problem in published.table_problems.items():
        lines += [f"no {group}: {escape_markdown(problem)}", ""]
    lines += render_markdown_table(build_count_table(published))
    if published.checks:
        lines += ["", "## Checks that warned", ""]
        lines += [f"- {escape_markdown(str(check))}" for check in published.checks]
    leads = build_top_leads_table(published, shows_ids=not has_personal_ids(project))
    return "\n".join([*lines, "", "## Best leads", "", *render_markdown_table(leads)])


def render_monitor_markdown(project: Project, results: list[MonitorResult]) -> str:
    """Return the realised outcomes of all targets' published scores."""
    lines = [f"# {project.project}: published scores against realised outcomes"]
    for result in results:
        lines += ["", f"## {result.target}", "", escape_markdown(describe_counts(result))]
        for rows in build_monitor_tables(result):
            lines += ["", *render_markdown_table(rows)]
        lines += ["", *(f"- {escape_markdown(line)}" for line in describe_recommendation(result))]
    return "\n".join(lines)
