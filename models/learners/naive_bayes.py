"""Naive Bayes: the predictive score that CRMs ship, as a baseline next to every learner.

It is never calibrated and never chosen. Its metrics show the gain over the score that a company's
CRM gives today.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

import numpy as np

from models.learners.fit_input import FitInput
from models.serialization import JsonModel
from models.stored_json import StoredNaiveBayes, check_stored

# Won and lost leads that are added to the counts of each value, so that no share is 0.
PSEUDO_COUNT = 0.1
# A number with at most so many distinct values counts as a field: a state, a flag, a rating. A CRM
# counts leads by the value of a field; hardly two leads share the value of a measured number.
MAX_FIELD_VALUES = 5
# The CRM clips its probability to 0.01 and 99.99 %.
MIN_PROBABILITY, MAX_PROBABILITY = 0.0001, 0.9999


@dataclass(frozen=True)
class FieldOdds:
    """Log-odds that the values of one field add.

    Attributes:
        column: Column of the feature matrix.
        values: Values counted in training, ascending.
        added: Log-odds that each value adds.
    """

    column: int
    values: tuple[float, ...]
    added: tuple[float, ...]

    @classmethod
    def from_counts(cls, column: int, x: np.ndarray, y: np.ndarray) -> Self:
        """Count won and lost rows for each value of ``x`` (rows,); missing values do not count."""
        present = ~np.isnan(x)
        values, code = np.unique(x[present], return_inverse=True)
        won = np.bincount(code, y[present], values.size) + PSEUDO_COUNT
        lost = np.bincount(code, 1 - y[present], values.size) + PSEUDO_COUNT
        added = np.log(won / won.sum()) - np.log(lost / lost.sum())
        return cls(column, tuple(values.tolist()), tuple(added.tolist()))

    def contribution(self, x: np.ndarray) -> np.ndarray:
        """Return the log-odds that each value adds; 0 where it is missing or was never counted."""
        values, added = np.array(self.values), np.array(self.added)
        # A value beyond the last one is compared with the last, and so contributes 0.
        place = np.minimum(np.searchsorted(values, x), values.size - 1)
        return np.where(values[place] == x, added[place], 0.0)


@dataclass(frozen=True)
class NaiveBayes(JsonModel):
    """P(won) × P(value | won) over the fields, against the same for lost, clipped to 0.01–99.99 %.

    The predictive lead scoring of Odoo's CRM (documentation of Odoo 17, Sales, CRM, "Assign leads
    with predictive lead scoring"), with fields as of the cutoff. Stages are a field like any
    other: which values are stages, and in which order, is not known here. Fields are assumed to be
    independent, so evidence that several fields share is counted several times.

    Attributes:
        bias: Log-odds of the share of outcomes.
        fields: Fields that the model reads.
    """

    bias: float
    fields: tuple[FieldOdds, ...]
    name: ClassVar[str] = "naive_bayes"
    file: ClassVar[str] = "naive_bayes.json"

    @classmethod
    def fit(cls, fit_input: FitInput, y: np.ndarray) -> Self:
        """Count rows by categories and by numbers of few values; rows weigh alike, as in a CRM.

        Without any such column the model is the base rate.
        """
        x = fit_input.x
        fields = [
            FieldOdds.from_counts(j, x[:, j], y) for j in _find_fields(x, fit_input.categorical)
        ]
        bias = np.clip(np.log(np.sum(y) / np.sum(1 - y)), *_margin_limits())
        return cls(float(bias), tuple(fields))

    def margin(self, x: np.ndarray) -> np.ndarray:
        """Return the log-odds of each row, added up from left to right and clipped."""
        return np.clip(self._unclipped_margin(x), *_margin_limits())

    def contributions(self, x: np.ndarray) -> np.ndarray:
        """Return the log-odds that each column adds, bias last.

        Where the margin is clipped, all contributions of the row shrink by one factor.
        """
        parts = np.zeros((len(x), x.shape[1] + 1))
        for field in self.fields:
            parts[:, field.column] = field.contribution(x[:, field.column])
        margin = self._unclipped_margin(x)
        clipped = np.clip(margin, *_margin_limits())
        changed = margin != clipped
        factor = (clipped - self.bias)[changed] / (margin - self.bias)[changed]
        parts[changed] *= factor[:, None]
        parts[:, -1] = self.bias
        return parts

    def accepts_features(self, is_category: Sequence[bool]) -> bool:
        """Return whether each field is one of these features."""
        return all(field.column < len(is_category) for field in self.fields)

    def to_json(self) -> dict[str, Any]:
        """Return bias and fields."""
        return {"bias": self.bias, "fields": [asdict(field) for field in self.fields]}

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Return the model that ``to_json`` described."""
        check_stored(StoredNaiveBayes, data)
        fields = [
            FieldOdds(int(field["column"]), tuple(field["values"]), tuple(field["added"]))
            for field in data["fields"]
        ]
        return cls(float(data["bias"]), tuple(fields))

    def _unclipped_margin(self, x: np.ndarray) -> np.ndarray:
        total = np.full(len(x), self.bias)
        for field in self.fields:
            total += field.contribution(x[:, field.column])
        return total


def _find_fields(x: np.ndarray, categorical: list[int]) -> Iterator[int]:
    """Yield the columns that are not all missing, and are categories or have few values."""
    for j in range(x.shape[1]):
        values = np.unique(x[~np.isnan(x[:, j]), j]).size
        if values and (j in categorical or values <= MAX_FIELD_VALUES):
            yield j


def _margin_limits() -> tuple[float, float]:
    """Return the log-odds of the least and the greatest probability."""
    return (
        float(np.log(MIN_PROBABILITY / (1 - MIN_PROBABILITY))),
        float(np.log(MAX_PROBABILITY / (1 - MAX_PROBABILITY))),
    )
