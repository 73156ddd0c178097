"""Input common to every learner's ``fit``, apart from the labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class FitInput:
    """Rows to fit on.

    Attributes:
        x: Features (rows, features) float64, NaN where missing.
        categorical: Columns of ``x`` that hold category codes.
        seed: Seed of every random choice.
        rows_per_entity: Mean number of rows of an entity.
        weight: Sample weights (rows,), 1 on average; None where all rows weigh alike.
        parameters: LightGBM parameters that replace the chosen ones; other learners ignore them.
    """

    x: np.ndarray
    categorical: list[int]
    seed: int
    rows_per_entity: float = 1.0
    weight: np.ndarray | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
