"""Metadata stored with a scorer: its training run and the reference profiles of later checks."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any, Self

from configs.durations import format_duration

JsonObject = dict[str, Any]

# Keys of scorer.json as the first versions wrote them. They never change: stored scorers are read
# by every later version.
_KEY_OF_FIELD = {
    "suspects": "audit",
    "feature_distribution": "population",
    "event_volume": "activity",
    "typical_lead": "usual",
    "fit_engagement": "facets",
    "within_account": "accounts",
    "expectations": "promise",
}


@dataclass(frozen=True)
class ScorerMetadata:
    """Training context and reference profiles of a scorer, as the JSON values that are stored.

    A field that is left at its default is not stored: scorers of earlier versions lack the keys
    that came later. Profiles stay JSON here; the module that builds each one also reads it.

    Attributes:
        catalog: Features offered to the training, ``Catalog.to_json``.
        horizon: Prediction horizon such as ``30d``; None where the target has none.
        trained_as_of: As-of of the training, ISO 8601 with offset; empty outside a training.
        observation_date: Instant through which outcomes were complete, ISO 8601 with offset.
        suspects: Columns flagged by the leakage audit, and whether the config allowed them.
        search: Chosen hyperparameters and the report of the search.
        feature_distribution: Bins of the training features, for drift checks.
        event_volume: Weekly event counts before the training, for volume checks.
        typical_lead: Training medians that reason texts compare values with.
        fit_engagement: Score scales of the fit and engagement sides.
        within_account: Dependence of outcomes within an account.
        expectations: Out-of-time metrics that realised outcomes are compared with.
        other: Keys without a field here, and keys stored as null; kept so that a scorer that is
            loaded and saved again has the same bytes.
    """

    catalog: JsonObject | None = None
    horizon: str | None = None
    trained_as_of: str = ""
    observation_date: str = ""
    suspects: list[JsonObject] | None = None
    search: JsonObject | None = None
    feature_distribution: JsonObject | None = None
    event_volume: JsonObject | None = None
    typical_lead: JsonObject | None = None
    fit_engagement: JsonObject | None = None
    within_account: JsonObject | None = None
    expectations: JsonObject | None = None
    other: JsonObject = field(default_factory=dict)

    @classmethod
    def from_training(
        cls,
        catalog: JsonObject,
        horizon: timedelta | None,
        trained_as_of: datetime,
        observation_date: datetime,
        suspects: list[JsonObject],
    ) -> Self:
        """Return the metadata that a training knows before it fits; a horizon of None is stored."""
        return cls.from_json(
            {
                "catalog": catalog,
                "horizon": format_duration(horizon) if horizon else None,
                "trained_as_of": trained_as_of.isoformat(),
                "observation_date": observation_date.isoformat(),
                "audit": suspects,
            }
        )

    def to_json(self) -> dict[str, Any]:
        """Return the stored keys; ``from_json`` restores an equal object."""
        values = {
            _key_of(f.name): getattr(self, f.name)
            for f in fields(self)
            if f.name != "other" and getattr(self, f.name) != f.default
        }
        return {**self.other, **values}

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Return the metadata of stored keys; raise TypeError if they are not a JSON object."""
        if not isinstance(data, dict):
            raise TypeError(f"metadata is {type(data).__name__}, not an object")
        stored = {_key_of(f.name): f for f in fields(cls) if f.name != "other"}
        values = {
            stored[key].name: value
            for key, value in data.items()
            if key in stored and value is not None and value != stored[key].default
        }
        other = {
            key: value
            for key, value in data.items()
            if key not in stored or stored[key].name not in values
        }
        return cls(**values, other=other)


def _key_of(field_name: str) -> str:
    return _KEY_OF_FIELD.get(field_name, field_name)
