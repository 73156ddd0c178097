"""What a person is told at the end of a run, as Markdown for Prefect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines.reports.metric_tables import (
    challenger_table,
    learner_table,
    markdown_table,
    rows_text,
)

if TYPE_CHECKING:
    from configs.schema import Project
    from pipelines.results.night import NightResult
    from pipelines.results.training import TargetTraining


def verdict_text(result: TargetTraining) -> str:
    """Return what became of a challenger, in one line."""
    if result.error:
        return str(result.error)
    number = result.version.number if result.version else "?"
    return f"version {number} passed the gate and is the champion"


def training_markdown(project: Project, results: list[TargetTraining]) -> str:
    """Return a training's summary as Markdown."""
    lines = [f"# {project.project}: training"]
    for result in results:
        lines += [f"\n## {result.target}", verdict_text(result)]
        if result.trained:
            lines += [rows_text(result.rows, project.timed), ""]
            lines += [*markdown_table(challenger_table(result.metrics, project.ordered)), ""]
            lines += markdown_table(learner_table(result.baselines, result.trained.learner))
    return "\n".join(lines)


def night_markdown(project: Project, night: NightResult) -> str:
    """Return a night's summary as Markdown."""
    rows = "\n".join(f"| {target} | {count:,} |" for target, count in night.rows.items())
    head = f"# {project.project}: scores as of {night.as_of.isoformat()}"
    return f"{head}\n\nrun `{night.run_id}`, export `{night.export}`\n\n| target | rows |\n|---|---|\n{rows}"
