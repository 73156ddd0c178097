"""The demo: a simulated company, and how much of what can be known about it the model knows."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

import configs
from configs.schema import Project, load_project
from features.contracts import Dataset
from models.evaluation.metrics import compute_skill, evaluate_rows
from models.training.results import TrainResult
from pipelines.results.training import TargetTraining
from pipelines.simulated.oracle import oracle
from pipelines.simulated.simulate import simulate
from pipelines.training_data import load_snapshot

CONFIG = Path(configs.__file__).parent / "demo.yaml"
STEPS = """Next, with .venv activated (or .venv/bin/leadscore):
  leadscore check configs/demo.yaml        what is in the data, and what was set aside
  leadscore audit configs/demo.yaml        the column that was planted to give the outcome away
  leadscore explain configs/demo.yaml ID   one lead's score and its reasons
  leadscore schema                         every key of a company's YAML; start from configs/demo.yaml"""


def company(leads: int, seed: int, note: Callable[[str], None]) -> Project:
    """Write the simulated company's files into the workspace and return its config."""
    path = os.path.relpath(CONFIG) if CONFIG.is_relative_to(Path.cwd()) else str(CONFIG)
    project = load_project(path)
    note(f"simulating {leads:,} leads in {project.workspace_path / 'data'}")
    summary = simulate(project.workspace_path / "data", leads=leads, seed=seed)
    note(f"simulated {summary.events:,} events")
    return project


def oracles(
    project: Project, results: list[TargetTraining], note: Callable[[str], None]
) -> dict[str, dict[str, Any]]:
    """Return each trained target's oracle figures on the model's own out-of-time rows, ranked within folds as its are.

    ``compute_skill`` is the share of what can be known that the model knows: (log loss of the base rate − of the model) /
    (log loss of the base rate − of the oracle); ``roc_auc_share`` the model's ROC AUC over the oracle's;
    ``interval_holds`` the share of rows whose 90 % interval holds the oracle's probability.
    """
    whole = load_snapshot(project, None).dataset
    found = {}
    for result in results:
        if result.trained is not None:
            note(f"{result.target}: asking the oracle")
            found[result.target] = _against_oracle(project, result.target, result.trained, whole)
    return found


def _against_oracle(
    project: Project, target: str, trained: TrainResult, dataset: Dataset
) -> dict[str, Any]:
    rows = trained.out_of_time
    truth = oracle(dataset, rows, target, project.target_config(target).horizon or timedelta(0))
    label, base, model = (
        rows[column].to_numpy() for column in ("label", "base_rate", "probability")
    )
    figures, own = (
        evaluate_rows(label, chance, rows["entity_id"], stratum=rows["fold"])
        for chance in (truth, model)
    )
    low, high = trained.scorer.band.interval(model)
    return {
        "roc_auc": figures["roc_auc"].value,
        "roc_auc_share": own["roc_auc"].value / figures["roc_auc"].value,
        "log_loss": figures["log_loss"].value,
        "skill": compute_skill(label, model, base, truth),
        "mean": float(np.mean(truth)),
        "mean_predicted": float(np.mean(model)),
        "outcome_rate": float(np.mean(label)),
        "interval_holds": float(np.mean((low <= truth) & (truth <= high))),
    }
