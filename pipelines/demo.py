"""The demo: a simulated company, and a comparison of its models with the true probabilities."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

import configs
from configs.errors import ConfigError
from configs.loading.workspace_place import WORKSPACE_VARIABLE
from configs.schema import Project, load_project
from features.contracts import Dataset
from features.tools.atomic_file import write_atomically
from models.clusters import number_clusters
from models.evaluation.metrics import compute_skill, evaluate_rows
from models.registry.registry import Registry
from models.training.results import TrainResult
from pipelines.results.training import TargetTraining
from pipelines.runner import read_clock
from pipelines.simulated.committees import CommitteeLaw
from pipelines.simulated.customers import DEMO_CUSTOMERS
from pipelines.simulated.oracle import compute_oracle
from pipelines.simulated.simulate import write_company
from pipelines.simulated.visitors import VisitorLaw
from pipelines.training_data import load_snapshot
from pipelines.workspace import open_workspace

CONFIG_PATH = Path(configs.__file__).parent / "demo.yaml"
# Its true probabilities are not known: they depend on what the contacts will do.
COMMITTEES_PATH = CONFIG_PATH.with_name("demo_committees.yaml")
VISITORS_PATH = CONFIG_PATH.with_name("demo_visitors.yaml")
COPY_WORKSPACE = "workspace: workspace"


def create_company(
    leads: int,
    seed: int,
    log: Callable[[str], None],
    committees: bool = False,
    visitors: bool = False,
) -> Project:
    """Write the simulated company's files into the workspace and return its config.

    With ``committees`` accounts have buying groups, and the config is that of COMMITTEES_PATH; with
    ``visitors`` there are web visitors, and it is that of VISITORS_PATH. Raises ConfigError for
    both.
    """
    if committees and visitors:
        raise ConfigError("--committees and --visitors are two companies", fix="choose one of them")
    path = COMMITTEES_PATH if committees else VISITORS_PATH if visitors else CONFIG_PATH
    project = load_project(_prepare_config(path))
    folder = project.workspace_path / "data"
    log(f"simulating {leads:,} leads in {folder}")
    law = CommitteeLaw() if committees else None
    customers = None if committees or visitors else DEMO_CUSTOMERS
    browsers = VisitorLaw() if visitors else None
    summary = write_company(
        folder, leads, seed, committees=law, customers=customers, visitors=browsers
    )
    log(f"simulated {summary.events:,} events")
    return project


def _prepare_config(config: Path) -> str:
    """Return the path of the demo's config, in the current directory where it is no clone.

    Raises ConfigError for another file of this name.
    """
    if config.is_relative_to(Path.cwd()) or os.environ.get(WORKSPACE_VARIABLE):
        return os.path.relpath(config)
    # The folder of an installed package is no place for a company's data.
    text = config.read_text(encoding="utf-8").replace("workspace: ../workspace", COPY_WORKSPACE)
    path = Path(config.name)
    if not path.exists():
        write_atomically(path, text)
    if path.read_text(encoding="utf-8", errors="replace") != text:
        raise ConfigError(
            "this file is not the demo's config",
            where=str(path.absolute()),
            fix="rename it, or run the demo in another folder",
        )
    return str(path)


def prepare_registry(project: Project) -> None:
    """Create the tables of the model registry, so that the first training finds them.

    Raises what opening the workspace and the registry raises.
    """
    # Under the lock: two processes that create the database of MLflow 3.17 at the same time failed
    # in three of three tries.
    with open_workspace(project):
        Registry(project.workspace_path, project.project).champion(next(iter(project.targets)))


def compute_oracle_metrics(
    project: Project, results: list[TargetTraining], log: Callable[[str], None]
) -> dict[str, dict[str, Any]]:
    """Return by target the oracle's metrics on the out-of-time rows of the trained model.

    Rows are ranked within folds, as for the model. ``skill`` is the share of the knowable that the
    model knows: (log loss of the base rate − of the model) / (log loss of the base rate − of the
    oracle). ``roc_auc_share`` is the model's ROC AUC divided by the oracle's. ``interval_holds`` is
    the share of rows whose 90 % interval contains the oracle's probability. A target that was not
    trained is left out.
    """
    trained = {result.target: result.trained for result in results if result.trained is not None}
    if not trained:
        return {}
    dataset = load_snapshot(project, None, read_clock()).dataset
    metrics = {}
    for target, training in trained.items():
        log(f"{target}: computing the true probabilities")
        metrics[target] = _compare_with_oracle(project, target, training, dataset)
    return metrics


def _compare_with_oracle(
    project: Project, target: str, trained: TrainResult, dataset: Dataset
) -> dict[str, Any]:
    rows = trained.out_of_time
    truth = compute_oracle(
        dataset, rows, target, project.target_config(target).horizon or timedelta(0)
    )
    label, base, model = (
        rows[column].to_numpy() for column in ("label", "base_rate", "probability")
    )
    # Each fold has a model of its own, so rows of different folds are not ranked together.
    oracle_metrics, model_metrics = (
        evaluate_rows(label, probability, number_clusters(rows), stratum=rows["fold"])
        for probability in (truth, model)
    )
    low, high = trained.scorer.band.interval(model)
    return {
        "roc_auc": oracle_metrics["roc_auc"].value,
        "roc_auc_share": model_metrics["roc_auc"].value / oracle_metrics["roc_auc"].value,
        "log_loss": oracle_metrics["log_loss"].value,
        "skill": compute_skill(label, model, base, truth),
        "mean": float(np.mean(truth)),
        "mean_predicted": float(np.mean(model)),
        "outcome_rate": float(np.mean(label)),
        "interval_holds": float(np.mean((low <= truth) & (truth <= high))),
    }
