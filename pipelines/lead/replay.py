"""Replay of a published score: the same model on the data available then."""

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
from features.tools.json_values import to_json_values
from features.wording.composition import name_only_type
from features.wording.wording import Wording
from models.calibration import to_probability
from models.registry.registry import Registry
from models.scorer import PREDICTIONS, Scorer
from pipelines.workspace import find_registry
from serve.reasons.reasons import (
    ReasonWriter,
    null_if_not_finite,
    prepare_compositions,
    write_feature_sentences,
    write_reasons,
)

# Columns of SCORES that depend only on features and model. The amount is left out, since the config
# may have changed it.
REPRODUCED_COLUMNS = [name for name in PREDICTIONS.names if name not in (*SPINE.names, "amount")]


@dataclass(frozen=True)
class ReplaySources:
    """Current data and registered models, from which published scores are computed again.

    Attributes:
        project: Config of the project.
        dataset: All current data.
        registry: Model registry; None if there is none.
        loaded_scorers: Models read so far, by target and version; a registered version never
            changes.
    """

    project: Project
    dataset: Dataset
    registry: Registry | None
    loaded_scorers: dict[tuple[str, str], Scorer] = field(default_factory=dict)

    @classmethod
    def load(cls, project: Project, clock: datetime) -> Self:
        """Read the sources as available at ``clock`` and open the registry.

        This may be done while a night is running.

        Takes no workspace lock and does not change the quarantine. Raises the errors of reading
        the sources.
        """
        # No quarantine folder: that of a running night must stay as the night wrote it.
        dataset = read_sources(project, None, project.workspace_path / "scratch", clock)
        return cls(project, dataset, find_registry(project))

    def load_scorer(self, row: dict[str, Any]) -> Scorer:
        """Return the model that a SCORES row names.

        Raises ConfigError or DataError if it is gone or was changed.
        """
        key = row["target"], row["model_version"]
        if key not in self.loaded_scorers:
            if self.registry is None:
                raise ConfigError(
                    "there is no model registry", where=str(self.project.workspace_path)
                )
            version = self.registry.version(key[0], int(key[1]))
            self.loaded_scorers[key] = Scorer.load(self.registry.scorer_directory(version))
        return self.loaded_scorers[key]

    def find_cutoff(self, row: dict[str, Any]) -> datetime:
        """Return the cutoff from which the features of a SCORES row look back.

        In data without times cutoffs only encode an order and are not published; they are computed
        again from the data.

        Raises DataError if the data no longer holds the entity.
        """
        if self.dataset.timed:
            return row["cutoff"]
        target_config = self.project.target_config(row["target"])
        # The entity may have its outcome by now; then only the training spine holds it.
        spines = [
            build(self.dataset, target_config, row["as_of"])
            for build in (build_scoring_spine, build_training_spine)
        ]
        own = pa.concat_tables(spines).filter(pc.field("entity_id") == row["entity_id"])
        if not own.num_rows:
            raise _make_gone_error(row["entity_id"])
        return own["cutoff"][0].as_py()


@dataclass(frozen=True)
class Replay:
    """A published score computed again, by its own model on the data available before its as-of.

    The fields are keys of `explain --json`.

    Attributes:
        predicted: REPRODUCED_COLUMNS as predicted now.
        reproduced: Whether all of them equal the published ones to the bit.
        base: Base value of the model, in log-odds.
        total: Base value plus all contributions, in log-odds.
        features: Every feature, strongest first: its ``value``, ``sentence``, ``contribution`` in
            log-odds, and ``points``, the percentage points of probability that the lead would lose
            without it. The points do not add up.
        reasons: Reasons, grouped as in published scores.
    """

    predicted: dict[str, Any]
    reproduced: bool
    base: float
    total: float
    features: list[dict[str, Any]]
    reasons: list[dict[str, Any]]

    @property
    def probability(self) -> float:
        """Probability as predicted now, 0 to 1."""
        return float(self.predicted["probability"])

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        values: dict[str, Any] = to_json_values(vars(self))
        return values


def replay_score(
    available: Dataset, scorer: Scorer, row: dict[str, Any], cutoff: datetime, wording: Wording
) -> Replay:
    """Compute the prediction of a SCORES row again from the data available before its as-of.

    Raises DataError if the data does not hold the entity, or lacks a column that the model reads.
    """
    matrix = build_lead_matrix(available, scorer, row["entity_id"], [cutoff])
    predicted = scorer.predict(matrix).select(REPRODUCED_COLUMNS).to_pylist()[0]
    contributions = scorer.explain(matrix)
    wording = name_only_type(wording, scorer.catalog, available)
    writer = ReasonWriter.from_scorer(scorer, wording)
    compositions = prepare_compositions(available, matrix.select(SPINE.names), scorer, wording)
    used, total = matrix.select(scorer.encoding.names), float(contributions[0].sum())
    values = used.to_pylist()[0]
    without = to_probability(total - contributions[0, :-1])
    sentences = write_feature_sentences(used, writer, compositions)
    features = [
        {
            "feature": name,
            "value": null_if_not_finite(values[name]),
            "sentence": sentences[place],
            "contribution": float(contributions[0, place]),
            "points": 100 * float(to_probability(np.array([total]))[0] - without[place]),
        }
        for place, name in enumerate(used.column_names)
    ]
    return Replay(
        predicted,
        _is_reproduced(predicted, row),
        float(contributions[0, -1]),
        total,
        sorted(features, key=lambda feature: -abs(feature["contribution"])),
        json.loads(write_reasons(contributions, used, writer, compositions=compositions)[0]),
    )


def build_lead_matrix(
    dataset: Dataset, scorer: Scorer, entity: str, cutoffs: list[datetime]
) -> pa.Table:
    """Return the feature matrix of one entity, one row per cutoff, with the model's features alone.

    The dataset must hold all other leads too: features read the account and the pace of others.

    Raises DataError if the dataset does not hold the entity.
    """
    if not pc.any(pc.equal(dataset.leads["entity_id"], entity)).as_py():
        raise _make_gone_error(entity)
    spine = pa.table([[entity] * len(cutoffs), cutoffs], schema=SPINE)
    return build_features(dataset, spine, scorer.catalog.select(scorer.encoding.names))


def is_eligible(available: Dataset, target_config: Target, row: dict[str, Any]) -> bool:
    """Return whether the entity of a SCORES row is eligible at its as-of, by the available data."""
    spine = build_scoring_spine(available, target_config, row["as_of"])
    return row["entity_id"] in spine["entity_id"].to_pylist()


def _is_reproduced(predicted: dict[str, Any], row: dict[str, Any]) -> bool:
    """Return whether a SCORES row equals the prediction; its grade may be a kept one."""
    # A column that an earlier version did not publish is null and cannot differ.
    equal = {name: row[name] is None or predicted[name] == row[name] for name in REPRODUCED_COLUMNS}
    grade_is_kept = row["grade"] == row["previous_grade"]
    return all(equal[name] or (name == "grade" and grade_is_kept) for name in REPRODUCED_COLUMNS)


def _make_gone_error(entity: str) -> DataError:
    """Return the error for an entity that the data no longer holds."""
    return DataError(
        "the data no longer holds this lead as of then", where="entity_id", found=repr(entity)
    )
