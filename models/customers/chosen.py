"""What tables and intervals need of a model that forecasts as of the past have chosen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Protocol

from features.tools.json_values import format_json
from models.customers.margins import MarginModel

if TYPE_CHECKING:
    from models.customers.past_accuracy import PastAccuracy


class FittedModel(Protocol):
    """A model of purchases or of renewals, fitted."""

    @property
    def name(self) -> str:
        """Return the name of the model."""


class ChosenModel(Protocol):
    """The model that is taken, and what the past says of it."""

    @property
    def fitted(self) -> FittedModel:
        """Return the model."""

    @property
    def margins(self) -> MarginModel | None:
        """Return the model of margins; None where nothing brought an amount."""

    @property
    def past(self) -> tuple[PastAccuracy, ...]:
        """Return the accuracy of all models and baselines at each past as-of."""

    @property
    def refused(self) -> str | None:
        """Return why nothing may be published; None if the model is good enough."""

    def describe_parameters(self) -> str:
        """Return the parameters of all models as JSON."""

    def spread_of_total(self, days: float, what: str) -> float:
        """Return the standard deviation of the logarithm of a total over these days ahead."""


def format_parameters(
    models: Mapping[str, Mapping[str, float]], margins: MarginModel | None
) -> str:
    """Return the parameters of models by name, and those of margins, as JSON."""
    shown = {**models, **({"gamma_gamma": asdict(margins.paid)} if margins else {})}
    rounded = {
        name: {key: float(f"{value:.6g}") for key, value in parameters.items()}
        for name, parameters in shown.items()
    }
    return format_json(rounded)
