"""A published score computed once more: by the model that said it, from what was known then."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import ConfigError, DataError
from configs.schema import Project
from configs.targets import Target
from features.build import build_features
from features.contracts import SPINE, Dataset
from features.sources import read_sources
from features.spine import build_scoring_spine, build_training_spine
from features.wording.wording import Wording
from models.calibration import to_probability
from models.registry.registry import Registry
from models.scorer import PREDICTIONS, Scorer
from pipelines.workspace import find_registry
from serve.reasons.reasons import ReasonWriter, write_reasons

SAME = [name for name in PREDICTIONS.names if name not in (*SPINE.names, "amount")]
"""Columns of SCORES that follow from the lead's features and the model alone; the config may name another amount."""


@dataclass(frozen=True)
class Past:
    """What scores can be computed again from: the sources as they are now, and the models as they were registered.

    ``loaded`` keeps the models that were read, by target and version: a registered version never changes.
    """

    project: Project
    whole: Dataset
    registry: Registry | None
    loaded: dict[tuple[str, str], Scorer] = field(default_factory=dict)

    @classmethod
    def of(cls, project: Project) -> Self:
        """Read the sources and open the registry beside a night that may be running.

        Takes no workspace lock and leaves the quarantine as it is. Raises what reading raises.
        """
        whole = read_sources(project, None, project.workspace_path / "scratch")
        return cls(project, whole, find_registry(project))

    def scorer(self, row: dict[str, Any]) -> Scorer:
        """Load the very model that a SCORES row names; raises ConfigError or DataError where it is gone or changed."""
        named = row["target"], row["model_version"]
        if named not in self.loaded:
            if self.registry is None:
                raise ConfigError("there is no model registry", where=str(self.project.workspace_path))
            version = self.registry.version(named[0], int(named[1]))
            self.loaded[named] = Scorer.load(self.registry.scorer_directory(version))
        return self.loaded[named]

    def cutoff(self, row: dict[str, Any]) -> datetime:
        """Return the instant from which the features of a SCORES row look back.

        Data without times has cutoffs that only carry an order: they are taken from the data once more. Raises
        DataError where the data no longer holds the entity.
        """
        if self.whole.timed:
            return row["cutoff"]
        target = self.project.target_config(row["target"])
        spines = [
            build(self.whole, target, row["as_of"]) for build in (build_scoring_spine, build_training_spine)
        ]
        own = pa.concat_tables(spines).filter(pc.field("entity_id") == row["entity_id"])
        if not own.num_rows:
            raise _gone(row["entity_id"])
        return own["cutoff"][0].as_py()


@dataclass(frozen=True)
class Replay:
    """What a published score comes out as today, from the data known before its as-of and its own model.

    ``reproduced`` says that all that the model predicts is equal to the bit. ``base`` and ``total`` are log-odds:
    the model's base value, and that with the ``contribution`` (log-odds) of every one of ``features``, strongest
    first; each has its ``value``, the ``write_sentence`` that words it, and the ``points`` of probability (in per cent) that
    the lead would have less without it, which do not add up. ``write_reasons`` are grouped as published ones are.
    """

    predicted: dict[str, Any]
    reproduced: bool
    base: float
    total: float
    features: list[dict[str, Any]]
    reasons: list[dict[str, Any]]

    @property
    def probability(self) -> float:
        """What comes out, 0 to 1."""
        return float(self.predicted["probability"])

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return vars(self)


def replay(
    known: Dataset, scorer: Scorer, row: dict[str, Any], cutoff: datetime, wording: Wording
) -> Replay:
    """Compute a SCORES row's prediction again from the data known before its as-of.

    Raises DataError where the data does not hold the entity, or lacks what the model reads.
    """
    matrix = features_of(known, scorer, row["entity_id"], [cutoff])
    predicted = scorer.predict(matrix).select(SAME).to_pylist()[0]
    parts = scorer.explain(matrix)
    teller = ReasonWriter.from_scorer(scorer, wording)
    used, total = matrix.select(scorer.encoding.names), float(parts[0].sum())
    values = used.to_pylist()[0]
    without = to_probability(total - parts[0, :-1])
    told = [
        {
            "feature": name,
            "value": _plain(values[name]),
            "sentence": teller.write_sentence(name, values[name]),
            "contribution": float(parts[0, place]),
            "points": 100 * float(to_probability(np.array([total]))[0] - without[place]),
        }
        for place, name in enumerate(used.column_names)
    ]
    return Replay(
        predicted,
        _same(predicted, row),
        float(parts[0, -1]),
        total,
        sorted(told, key=lambda one: -abs(one["contribution"])),
        json.loads(write_reasons(parts, used, teller)[0]),
    )


def features_of(dataset: Dataset, scorer: Scorer, entity: str, cutoffs: list[datetime]) -> pa.Table:
    """Return the matrix of one entity, a row a cutoff, with what its model reads and nothing else.

    All other leads stay in the data: features look at the account, and at how long others took. Raises DataError where
    the data does not hold the entity.
    """
    if not pc.any(pc.equal(dataset.leads["entity_id"], entity)).as_py():
        raise _gone(entity)
    spine = pa.table([[entity] * len(cutoffs), cutoffs], schema=SPINE)
    return build_features(dataset, spine, scorer.catalog.keeping(scorer.encoding.names))


def eligible(known: Dataset, target: Target, row: dict[str, Any]) -> bool:
    """Say whether a SCORES row's entity would be scored at its as-of by the data known before it."""
    return row["entity_id"] in build_scoring_spine(known, target, row["as_of"])["entity_id"].to_pylist()


def _same(predicted: dict[str, Any], row: dict[str, Any]) -> bool:
    """Say whether a SCORES row is what the model predicts; its grade may be the one kept from the night before."""
    # What an earlier version did not publish yet cannot differ.
    equal = {name: row[name] is None or predicted[name] == row[name] for name in SAME}
    kept = row["grade"] == row["previous_grade"]
    return all(equal[name] or (name == "grade" and kept) for name in SAME)


def _plain(value: float | str | None) -> float | str | None:
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _gone(entity: str) -> DataError:
    return DataError(
        "the data no longer holds this lead as known then", where="entity_id", found=repr(entity)
    )
