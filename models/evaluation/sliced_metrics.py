"""The same figures of parts of the tested rows: by fold, by segment, of entities never seen in training.

A part that cannot carry figures is said to be too small, so that nobody reads noise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np

from models.evaluation.metrics import Figure, Predicted, evaluate_parts

FEWEST_ROWS, FEWEST_OUTCOMES = 50, 5
"""Of fewer rows, or fewer with or without the outcome, no figure but the counts is given."""
FEWEST_COUNTED = 20
"""A figure of fewer rows than this, such as the precision of a part of which hardly any row is worked, is left out."""
MOST_VALUES = 10
"""Values of a segment shown by themselves; the rarer ones are taken together."""
MISSING, OTHERS = "(missing)", "(others)"
Name = TypeVar("Name", bound=Hashable)


@dataclass(frozen=True)
class Part:
    """How many rows, entities and outcomes a part of the tested rows has, and its figures; none where too small."""

    rows: int
    entities: int
    outcomes: int
    figures: dict[str, Figure] = field(default_factory=dict)

    @property
    def too_small(self) -> bool:
        """Whether the part has too few rows, or too few with or without the outcome."""
        return (
            self.rows < FEWEST_ROWS
            or min(self.outcomes, self.rows - self.outcomes) < FEWEST_OUTCOMES
        )

    def to_json(self) -> dict[str, Any]:
        """Return counts and figures as plain JSON values."""
        counts = {"rows": self.rows, "entities": self.entities, "outcomes": self.outcomes}
        metrics = {name: figure.to_json() for name, figure in self.figures.items()}
        return {**counts, "too_small": self.too_small, "metrics": metrics}


def breakdown(
    rows: Predicted, masks: Mapping[Name, np.ndarray], *, seed: int = 0, replicates: int = 200
) -> dict[Name, Part]:
    """Return each part of the rows, given by a boolean mask; the figures are those of ``evaluate_parts``."""
    label, entity = np.asarray(rows.label), np.asarray(rows.entity_id)
    parts = {
        name: Part(int(mask.sum()), len(np.unique(entity[mask])), int(label[mask].sum()))
        for name, mask in masks.items()
    }
    shown = {name: masks[name] for name, part in parts.items() if not part.too_small}
    figures = evaluate_parts(rows, shown, seed=seed, replicates=replicates) if shown else {}
    return {
        name: replace(part, figures=_counted(figures.get(name, {}))) for name, part in parts.items()
    }


def _counted(figures: dict[str, Figure]) -> dict[str, Figure]:
    return {name: figure for name, figure in figures.items() if figure.n >= FEWEST_COUNTED}


def by_value(values: Sequence[str | None], order: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """Return a mask for each value: those in ``order`` first and all, then the most frequent, the rest as one.

    Of values outside ``order`` the MOST_VALUES most frequent stand by themselves, ties by name; MISSING is None.
    """
    counts = Counter(values)
    ranked = sorted(
        (v for v in counts if v is not None and v not in order), key=lambda v: (-counts[v], v)
    )
    shown = [value for value in order if counts[value]] + ranked[:MOST_VALUES]
    place: dict[str | None, int] = {value: at for at, value in enumerate(shown)} | {None: -1}
    code = np.array([place.get(value, -2) for value in values], dtype=int)
    masks = {value: code == at for at, value in enumerate(shown)}
    rest = {OTHERS: code == -2, MISSING: code == -1}
    return masks | {name: mask for name, mask in rest.items() if mask.any()}
