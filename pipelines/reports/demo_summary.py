"""Renders the result of the demo: the best leads, the file, the models, and the next steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import RenderableType

from pipelines.reports.metric_tables import (
    METRIC_LABELS,
    describe_evaluation,
    describe_training_result,
    format_estimate,
    format_learner,
)
from pipelines.reports.night_tables import select_reasons, select_top_leads
from pipelines.reports.terminal import escape_text, render_delivery, render_table

if TYPE_CHECKING:
    from configs.schema import Project
    from pipelines.results.night import NightResult, PublishedScores
    from pipelines.results.training import TargetTraining

# As much as one screen shows; `leadscore backtest` and report.md of the training hold all tables.
SHOWN_LEADS = 5
SHOWN_REASONS = 3
SHOWN_METRICS = (
    "roc_auc",
    "average_precision",
    "log_loss",
    "calibration_slope",
    "outcome_rate",
    "mean_predicted",
    "lift_at_capacity",
)
NEXT_STEPS = {
    "report CONFIG": "the page for sales: the goal, stuck deals, the best leads",
    "forecast CONFIG": "what the month and quarter will bring, chance of the goal",
    "funnel CONFIG": "where leads get stuck and drop off, how long a win takes",
    "fit CONFIG": "which accounts become customers, the silent ones that fit",
    "explain CONFIG ID": "one lead's score and its reasons",
    "check CONFIG": "the data, and the rows that were quarantined",
    "audit CONFIG": "the planted column that leaks the outcome",
    "backtest CONFIG": "all metrics of the models, also by fold and stage",
    "schema": "every key of a YAML; start from CONFIG",
}


def render_demo(
    project: Project,
    trainings: list[TargetTraining],
    night: NightResult | None,
    oracles: dict[str, dict[str, Any]],
) -> list[RenderableType]:
    """Return the parts of the demo's result: best leads, file, models, next steps.

    ``night`` is None if a training was refused; then there are no scores and no file. ``oracles``
    holds the metrics of the true probabilities by target.
    """
    models: list[RenderableType] = [
        render_table(build_model_table(project, trainings, oracles)),
        *_describe_models(trainings),
    ]
    # Without a champion there are no scores, but the metrics show why the gate refused.
    if night is None:
        return models
    leads: list[RenderableType] = []
    for target in night.published.rows:
        leads.append(f"\nbest leads of target {target}")
        leads.append(render_table(build_lead_table(night.published, target)))
    return [*leads, render_delivery(night), "\nmodels", *models, "", *_describe_next(project.path)]


def _describe_next(config: str) -> list[str]:
    """Return the commands to try next, for the demo's config."""
    steps = {
        step.replace("CONFIG", config): use.replace("CONFIG", config)
        for step, use in NEXT_STEPS.items()
    }
    width = max(map(len, steps))
    lines = [f"  leadscore {step:<{width}}   {use}" for step, use in steps.items()]
    return ["Next, with .venv activated (or .venv/bin/leadscore):", *map(escape_text, lines)]


def build_lead_table(published: PublishedScores, target: str) -> list[list[str]]:
    """Return the best leads of a target with score, grade, probability and reasons."""
    rows = [
        [
            row["entity_id"],
            str(row["score"]),
            row["grade"],
            f"{row['probability']:.0%}",
            "; ".join(select_reasons(row, SHOWN_REASONS)),
        ]
        for row in select_top_leads(published, target, SHOWN_LEADS)
    ]
    return [["lead", "score", "grade", "probability", "reasons"], *rows]


def build_model_table(
    project: Project, trainings: list[TargetTraining], oracles: dict[str, dict[str, Any]]
) -> list[list[str]]:
    """Return one row per metric and one column per target, with those of the true probabilities."""
    trained = [training for training in trainings if training.trained is not None]
    rows = [
        [label, *(format_estimate(training.metrics.get(key)) for training in trained)]
        for key, label in METRIC_LABELS.items()
        if key in SHOWN_METRICS
    ]
    truth = [oracles[training.target] for training in trained if training.target in oracles]
    if truth:
        rows += [
            ["ROC AUC of the true probabilities", *(f"{o['roc_auc']:.3f}" for o in truth)],
            ["log loss of the true probabilities", *(f"{o['log_loss']:.4f}" for o in truth)],
            ["mean true probability", *(f"{o['mean']:.4f}" for o in truth)],
            ["share of the knowable known", *(f"{o['skill']:.0%}" for o in truth)],
            ["intervals that contain the truth", *(f"{o['interval_holds']:.0%}" for o in truth)],
        ]
    learners = [format_learner(t.trained.learner) for t in trained if t.trained is not None]
    head = [describe_evaluation(project.ordered), *(training.target for training in trained)]
    counts = [f"{training.rows['rows']:,}" for training in trained]
    return [head, ["learner", *learners], ["rows", *counts], *rows]


def _describe_models(trainings: list[TargetTraining]) -> list[str]:
    """Return the decision of the gate on each target, and the place of its full report."""
    lines = []
    for training in trainings:
        verdict = "refused by the gate" if training.error else describe_training_result(training)
        lines.append(escape_text(f"{training.target}: {verdict}"))
    return lines
