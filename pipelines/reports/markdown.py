"""What a person is told at the end of a run, as Markdown for Prefect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines.reports.metric_tables import (
    build_challenger_table,
    build_learner_table,
    describe_row_counts,
    render_markdown_table,
)

if TYPE_CHECKING:
    from configs.schema import Project
    from pipelines.results.night import NightResult
    from pipelines.results.training import TargetTraining


def describe_training_result(result: TargetTraining) -> str:
    """Return what became of a challenger, in one line."""
    if result.error:
        return str(result.error)
    number = result.version.number if result.version else "?"
    return f"version {number} passed the gate and is the champion"


def render_training_markdown(project: Project, results: list[TargetTraining]) -> str:
    """Return a training's summary as Markdown."""
    lines = [f"# {project.project}: training"]
    for result in results:
        lines += [f"\n## {result.target}", describe_training_result(result)]
        if result.trained:
            lines += [describe_row_counts(result.rows, project.timed), ""]
            lines += [
                *render_markdown_table(build_challenger_table(result.metrics, project.ordered)),
                "",
            ]
            lines += render_markdown_table(
                build_learner_table(result.baselines, result.trained.learner)
            )
    return "\n".join(lines)


def render_night_markdown(project: Project, night: NightResult) -> str:
    """Return a night's summary as Markdown."""
    rows = "\n".join(f"| {target} | {count:,} |" for target, count in night.published.rows.items())
    head = f"# {project.project}: scores as of {night.published.as_of.isoformat()}"
    return f"{head}\n\nrun `{night.published.run_id}`, export `{night.export}`\n\n| target | rows |\n|---|---|\n{rows}"
