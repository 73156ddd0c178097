"""What a person is told at the end of a run, as Markdown for Prefect and as tables for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from configs.schema import Project
    from models.evaluation import Figure
    from pipelines.score import Night
    from pipelines.train import Training

SHOWN = {
    "roc_auc": "ROC AUC",
    "average_precision": "average precision",
    "log_loss": "log loss",
    "calibration_slope": "calibration slope",
    "outcome_rate": "outcome rate",
    "mean_predicted": "mean predicted",
    "lift_at_capacity": "lift at capacity",
}
"""The figures a person sees first, and their names."""


def figure_text(figure: Figure | None) -> str:
    """Return a figure with its 90 % interval, such as ``0.812 (0.790–0.833)``."""
    if figure is None or figure.value != figure.value:
        return "–"
    return f"{figure.value:.3f} ({figure.low:.3f}–{figure.high:.3f})"


def rows_text(rows: dict[str, int]) -> str:
    """Return how many rows a training used, in one line."""
    return (
        f"{rows['rows']:,} rows: {rows['mature']:,} mature with {rows['positive']:,} outcomes, "
        f"{rows['immature']:,} immature (not used, not called negative)"
    )


def verdict_text(result: Training) -> str:
    """Return what became of a challenger, in one line."""
    if result.error:
        return str(result.error)
    number = result.version.number if result.version else "?"
    return f"version {number} passed the gate and is the champion"


def figure_table(result: Training) -> list[list[str]]:
    """Return rows of texts: a figure's name, the challenger's, LightGBM's, logistic regression's, the base rate's."""
    columns = [result.metrics, *(result.baselines.get(name, {}) for name in ("lightgbm", "logistic", "base_rate"))]
    return [[words, *(figure_text(column.get(key)) for column in columns)] for key, words in SHOWN.items()]


def training_markdown(project: Project, results: list[Training]) -> str:
    """Return a training's summary as Markdown."""
    lines = [f"# {project.project}: training"]
    for result in results:
        lines += [f"\n## {result.target}", verdict_text(result)]
        if result.metrics:
            lines += [rows_text(result.rows), "", "| | challenger | LightGBM | logistic | base rate |"]
            lines.append("|---|---|---|---|---|")
            lines += ["| " + " | ".join(row) + " |" for row in figure_table(result)]
    return "\n".join(lines)


def night_markdown(project: Project, night: Night) -> str:
    """Return a night's summary as Markdown."""
    rows = "\n".join(f"| {target} | {count:,} |" for target, count in night.rows.items())
    head = f"# {project.project}: scores as of {night.as_of.isoformat()}"
    return f"{head}\n\nrun `{night.run_id}`, export `{night.export}`\n\n| target | rows |\n|---|---|\n{rows}"
