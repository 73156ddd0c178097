"""The naive Bayes score that CRMs ship: what a company has today, as a baseline beside every learner.

It is never calibrated and never chosen: its figures say what changes for those who now read their CRM's number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

import numpy as np

from models.learners.fit_input import Lesson
from models.serialization import JsonModel

ADDED = 0.1
"""Won and lost leads that every value is given on top of those counted, so that no share is 0."""
MOST_VALUES = 5
"""Different values up to which a number counts as a field: a state, a flag, a rating. A CRM counts leads by the value
of a field, and of a number that is measured hardly two leads share one."""
LEAST, MOST = 0.0001, 0.9999


@dataclass(frozen=True)
class FieldOdds:
    """Of one column the values that were counted, ascending, and the log-odds that each of them adds."""

    column: int
    values: tuple[float, ...]
    added: tuple[float, ...]

    @classmethod
    def count(cls, place: int, column: np.ndarray, y: np.ndarray) -> Self:
        """Count won and lost rows for each value; rows where the field is missing are not counted."""
        known = ~np.isnan(column)
        values, code = np.unique(column[known], return_inverse=True)
        won = np.bincount(code, y[known], values.size) + ADDED
        lost = np.bincount(code, 1 - y[known], values.size) + ADDED
        added = np.log(won / won.sum()) - np.log(lost / lost.sum())
        return cls(place, tuple(values.tolist()), tuple(added.tolist()))

    def add(self, column: np.ndarray) -> np.ndarray:
        """Return the log-odds that each row's value adds; 0 where it is missing or was never counted."""
        values, added = np.array(self.values), np.array(self.added)
        place = np.minimum(np.searchsorted(values, column), values.size - 1)
        return np.where(values[place] == column, added[place], 0.0)


@dataclass(frozen=True)
class NaiveBayes(JsonModel):
    """P(won) × P(value | won) over the fields, against the same for lost, held within 0.01 and 99.99 %, as JSON.

    The predictive lead scoring of Odoo's CRM (documentation of Odoo 17, Sales, CRM, "Assign leads with predictive
    lead scoring"), with fields as they were at the cutoff. Stages are a field like the others: which values are stages,
    and in which order, is not known here. Fields are taken to be independent, so what several fields say is believed as
    many times.
    """

    bias: float
    fields: tuple[FieldOdds, ...]
    name: ClassVar[str] = "naive_bayes"
    file: ClassVar[str] = "naive_bayes.json"

    @classmethod
    def fit(cls, lesson: Lesson, y: np.ndarray) -> Self:
        """Count rows by the categories and by numbers of few values; every row counts alike, as a CRM counts.

        Without any such column it is the base rate.
        """
        fields = [
            FieldOdds.count(j, lesson.x[:, j], y) for j in _fields(lesson.x, lesson.categorical)
        ]
        return cls(float(np.clip(np.log(np.sum(y) / np.sum(1 - y)), *_limits())), tuple(fields))

    def margin(self, x: np.ndarray) -> np.ndarray:
        """Return the log-odds of each row, added up from left to right and held within the limits."""
        return np.clip(self._unheld(x), *_limits())

    def contributions(self, x: np.ndarray) -> np.ndarray:
        """Return what each column adds, bias last; where the sum is held, all shrink by one factor to the limit."""
        parts = np.zeros((len(x), x.shape[1] + 1))
        for field in self.fields:
            parts[:, field.column] = field.add(x[:, field.column])
        total = self._unheld(x)
        held = np.clip(total, *_limits())
        beyond = total != held
        parts[beyond] *= ((held - self.bias)[beyond] / (total - self.bias)[beyond])[:, None]
        parts[:, -1] = self.bias
        return parts

    def to_json(self) -> dict[str, Any]:
        """Return bias and fields."""
        return {"bias": self.bias, "fields": [asdict(field) for field in self.fields]}

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Build the model that ``to_json`` described."""
        fields = [
            FieldOdds(int(f["column"]), tuple(f["values"]), tuple(f["added"]))
            for f in data["fields"]
        ]
        return cls(float(data["bias"]), tuple(fields))

    def _unheld(self, x: np.ndarray) -> np.ndarray:
        total = np.full(len(x), self.bias)
        for field in self.fields:
            total += field.add(x[:, field.column])
        return total


def _fields(x: np.ndarray, categorical: list[int]) -> Iterator[int]:
    """Yield the columns that hold a known value, and are categories or have few values."""
    for j in range(x.shape[1]):
        values = np.unique(x[~np.isnan(x[:, j]), j]).size
        if values and (j in categorical or values <= MOST_VALUES):
            yield j


def _limits() -> tuple[float, float]:
    return float(np.log(LEAST / (1 - LEAST))), float(np.log(MOST / (1 - MOST)))
