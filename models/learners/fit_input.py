"""What a learner is given beside the outcomes: the same for every kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Lesson:
    """Rows to learn from, ``x`` (rows, features) float64, NaN where missing; ``categorical`` are columns of codes.

    ``repeats`` is how many rows an entity has. ``weight`` (rows,) says how much each row counts, on average 1; without
    it all count alike. ``parameters`` are LightGBM's, by its names for them, in place of those that it would be given;
    the other learners have none.
    """

    x: np.ndarray
    categorical: list[int]
    seed: int
    repeats: float = 1.0
    weight: np.ndarray | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
