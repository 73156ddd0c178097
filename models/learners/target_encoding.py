"""Target encoding: trees that also read how often the outcome came at a row's categories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from models.learners.category_rates import CategoryRates, fit_category_rates
from models.learners.fit_input import FitInput
from models.learners.lightgbm import LightGbm
from models.serialization import JsonModel
from models.stored_json import StoredTargetEncoding, check_stored

# Trees sort fewer categories by their outcomes themselves, at little risk.
MIN_LEVELS = 30


@dataclass(frozen=True)
class TargetEncodedTrees(JsonModel):
    """LightGBM on the features and on the rates of their categories, stored as one JSON file.

    Trees split a category of hundreds of levels into two sets, each time on the outcomes of the
    train rows themselves; pairs of categories take two such splits. Rates say the same in a number.

    Attributes:
        trees: Model of the features, followed by one column for each of the rates.
        rates: Rates of columns and pairs.
    """

    trees: LightGbm
    rates: tuple[CategoryRates, ...]
    name: ClassVar[str] = "target_encoding"
    file: ClassVar[str] = "target_encoding.json"

    @classmethod
    def fit(cls, fit_input: FitInput, y: np.ndarray) -> Self:
        """Fit rates in the order of time, and trees on labels ``y``, 0 or 1."""
        rates, ordered = fit_category_rates(fit_input, y)
        x = _replace_categories(fit_input.x, rates, ordered)
        return cls(LightGbm.fit(replace(fit_input, x=x), y), rates)

    def margin(self, x: np.ndarray) -> np.ndarray:
        """Return the log-odds of each row."""
        return self.trees.margin(self._add_rates(x))

    def contributions(self, x: np.ndarray) -> np.ndarray:
        """Return (rows, features + 1) that sum to the margin, bias last.

        The trees' exact SHAP values; that of a rate goes to its column, of a pair to both in equal
        parts, as neither says anything of the pair without the other.
        """
        parts = self.trees.contributions(self._add_rates(x))
        features = x.shape[1]
        total = np.column_stack([parts[:, :features], parts[:, -1]])
        for rates, part in zip(self.rates, parts[:, features:-1].T, strict=True):
            for column in rates.columns:
                total[:, column] += part / len(rates.columns)
        return total

    def accepts_features(self, is_category: Sequence[bool]) -> bool:
        """Return whether trees and rates read rows of these features."""
        columns = [column for rates in self.rates for column in rates.columns]
        return all(c < len(is_category) and is_category[c] for c in columns) and (
            self.trees.accepts_features([*is_category, *(False for _ in self.rates)])
        )

    def to_json(self) -> dict[str, Any]:
        """Return the trees' text and the rates."""
        return {"trees": self.trees.to_json(), "rates": [rates.to_json() for rates in self.rates]}

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Return the model that ``to_json`` described."""
        check_stored(StoredTargetEncoding, data)
        rates = tuple(CategoryRates.from_json(rates) for rates in data["rates"])
        return cls(LightGbm.from_json(data["trees"]), rates)

    def _add_rates(self, x: np.ndarray) -> np.ndarray:
        looked_up = [rates.look_up(x) for rates in self.rates]
        return _replace_categories(
            x, self.rates, np.reshape(looked_up, (len(self.rates), len(x))).T
        )


def has_many_levels(levels: int) -> bool:
    """Return whether a column of so many categories is read by its rates alone."""
    return levels > MIN_LEVELS


def _replace_categories(
    x: np.ndarray, rates: Sequence[CategoryRates], looked_up: np.ndarray
) -> np.ndarray:
    """Return the features and the rates' columns, without the categories that rates stand for.

    Trees would find sets of hundreds of categories by the outcomes of the same train rows.
    """
    x = x.copy()
    for rate in rates:
        if len(rate.columns) == 1 and has_many_levels(len(rate.keys)):
            x[:, rate.columns[0]] = np.nan
    return np.column_stack([x, looked_up])
