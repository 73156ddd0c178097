"""The smallest scorer that can be stored, for tests of what reads scorers."""

import json

import numpy as np

from models.calibration import AffineCalibrator, ProbabilityBand
from models.encoding import EncodedFeature, Encoding
from models.learners.base_rate import BaseRate
from models.scorer import Scorer, ScoreScale

CATALOG = {
    "accounts": False,
    "attributes": [["origin", "category"]],
    "half_lives": ["14d"],
    "timed": True,
    "windows": ["7d"],
}


def save_base_rate(directory):
    """Save the smallest scorer that can be stored."""
    scorer = Scorer(
        "close",
        BaseRate(-1.0),
        Encoding((EncodedFeature("origin", "category", ("ёлка",)),)),
        AffineCalibrator(),
        ProbabilityBand.fit(np.array([0.3]), np.array([0]), np.array(["e"]), np.array([0.0])),
        ScoreScale.fit(np.array([0.3])),
    )
    scorer.save(directory)
    return json.loads((directory / "scorer.json").read_text("utf-8"))
