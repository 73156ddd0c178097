"""A small trained company for attacks on its stored model."""

from pathlib import Path

import pytest

from configs.schema import Project, load_project
from models.learners import lightgbm
from models.learners.lightgbm import LightGbm
from models.scorer import Scorer
from models.scorer_metadata import ScorerMetadata
from models.training.settings import TrainingSettings
from models.training.train import train_scorer
from pipelines.runner import read_clock
from pipelines.training.reference_profile import attach_reference_profile
from pipelines.training_data import build_training_rows, load_snapshot
from tests.pipelines import tiny


def write_company(folder: Path, patch: pytest.MonkeyPatch) -> Scorer:
    """Write a company of 150 leads into a folder, go there, and return its trained scorer."""
    patch.setattr(lightgbm, "ROUNDS", 6)
    patch.delenv("LEADSCORE_WORKSPACE", raising=False)
    patch.chdir(folder)
    return train_one_learner(load_project(tiny.write(folder, leads=150, **tiny.LITTLE)), tiny.END)


def train_one_learner(project: Project, as_of: str) -> Scorer:
    """Return the scorer of LightGBM alone, trained without the gate."""
    snapshot = load_snapshot(project, as_of, read_clock())
    rows = build_training_rows(snapshot, "buy")
    metadata = ScorerMetadata(rows.catalog.to_json(), trained_as_of=snapshot.as_of.isoformat())
    settings = TrainingSettings(
        "buy",
        project.targets["buy"].horizon,
        project.evaluation,
        metadata=metadata,
        learners=(LightGbm,),
    )
    trained = train_scorer(rows.matrix, rows.labels, settings)
    return attach_reference_profile(trained, snapshot, "buy", rows).scorer
