"""Scorer: everything between a feature matrix and a lead's probability, score and grade."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import DataError
from features.contracts import SPINE
from features.definitions.catalog import Catalog
from models.calibration import AffineCalibrator, ProbabilityBand, to_probability
from models.encoding import Encoding
from models.grades import GRADE_BY_SCORE
from models.learners.amount_model import AmountModel
from models.learners.hazard import Hazard
from models.learners.kinds import MODELS_BY_NAME
from models.learners.protocol import Model
from models.scorer_metadata import ScorerMetadata
from models.serialization import (
    DamagedModelError,
    read_json,
    read_text,
    unreadable_model_error,
    write_json,
)
from models.stored_json import StoredScorer, check_stored

# 2 since `timing` is stored: its key is required, so format 1 cannot be read.
FORMAT_VERSION = 2
SCORER_FILE = "scorer.json"
# Shares of the outcomes within the horizon that outcome_days_50 and outcome_days_80 stand for.
OUTCOME_SHARES = (0.5, 0.8)

# Grain: one row per row of the matrix, in its order. Columns mean what they mean in SCORES, except
# ``amount``, which is the predicted one: null without an amount model, even if the config names an
# amount column.
PREDICTIONS = pa.schema(
    [
        *SPINE,
        pa.field("probability", pa.float64(), nullable=False),
        pa.field("probability_low", pa.float64(), nullable=False),
        pa.field("probability_high", pa.float64(), nullable=False),
        pa.field("score", pa.int64(), nullable=False),
        pa.field("grade", pa.string(), nullable=False),
        pa.field("outcome_days_50", pa.float64()),
        pa.field("outcome_days_80", pa.float64()),
        pa.field("amount", pa.float64()),
    ]
)


@dataclass(frozen=True)
class ScoreScale:
    """Monotone map from a value, such as a probability, to score and grade.

    It is fixed with the model, so that a lead's score changes only if its own value does.

    Attributes:
        quantiles: Values at the percentiles of the out-of-time rows, ascending.
        shares: Share of these rows below each value, ties counted half; linear in between.
    """

    quantiles: tuple[float, ...]
    shares: tuple[float, ...]

    @classmethod
    def fit(cls, values: np.ndarray) -> Self:
        """Fit on values (rows,), such as the calibrated out-of-time probabilities."""
        ranked = np.sort(values)
        knots = np.unique(np.quantile(ranked, np.arange(101) / 100))
        ends = np.searchsorted(ranked, knots, "left") + np.searchsorted(ranked, knots, "right")
        return cls(tuple(knots.tolist()), tuple((ends / (2 * len(ranked))).tolist()))

    def score(self, values: np.ndarray) -> np.ndarray:
        """Return 1 to 100 for each value."""
        share = np.interp(values, np.array(self.quantiles), np.array(self.shares))
        # A share of exactly 1 would give 101.
        return np.clip(np.floor(100 * share).astype(np.int64) + 1, 1, 100)

    def grade(self, values: np.ndarray) -> list[str]:
        """Return A to D for each value."""
        return GRADE_BY_SCORE[self.score(values)].tolist()

    def to_json(self) -> dict[str, Any]:
        """Return the stored keys, which are older than the field names."""
        return {"chance": self.quantiles, "share": self.shares}

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Return the scale of stored keys; raise KeyError or TypeError for anything else."""
        return cls(tuple(data["chance"]), tuple(data["share"]))


@dataclass(frozen=True)
class Scorer:
    """Model of one target, with everything that its predictions and explanations need.

    Attributes:
        target: Name of the target.
        model: Fitted model.
        encoding: Features that the model reads.
        calibrator: Map from the model's log-odds to calibrated ones.
        band: 90 % interval of a probability.
        scale: Map from probability to score and grade.
        metadata: Training context and reference profiles.
        timing: Model of when the outcome comes; None where outcomes have no times.
        amount_model: Model of the amount of an outcome; None without amounts.
    """

    target: str
    model: Model
    encoding: Encoding
    calibrator: AffineCalibrator
    band: ProbabilityBand
    scale: ScoreScale
    metadata: ScorerMetadata = field(default_factory=ScorerMetadata)
    timing: Hazard | None = None
    amount_model: AmountModel | None = None

    @property
    def learner(self) -> str:
        """Name of the kind of model, a key of MODELS_BY_NAME."""
        return self.model.name

    @cached_property
    def catalog(self) -> Catalog:
        """Features that were offered to the training; raise DataError where none are stored."""
        if self.metadata.catalog is None:
            raise DataError(
                "the stored model does not list the features of its training",
                where=f"target {self.target}",
                fix="train again",
            )
        return Catalog.from_json(self.metadata.catalog)

    def predict(self, matrix: pa.Table) -> pa.Table:
        """Return PREDICTIONS for a feature matrix; no row's result depends on another row.

        Raise DataError for a column that is absent or of another type.
        """
        x = self.encoding.encode(matrix)
        probability = to_probability(self.calibrator.apply(self.model.margin(x)))
        low, high = self.band.interval(probability)
        columns = [
            *select_spine(matrix),
            probability,
            low,
            high,
            self.scale.score(probability),
            self.scale.grade(probability),
        ]
        numbers = [*self._predict_days(x), self._predict_amounts(x)]
        self._require_finite(probability, low, high, *numbers)
        return pa.table([*columns, *numbers], schema=PREDICTIONS)

    def _require_finite(self, *columns: np.ndarray | pa.Array) -> None:
        """Raise DataError for an infinite number or NaN, which no trained model predicts."""
        for column in columns:
            if pc.any(pc.invert(pc.is_finite(pa.array(column)))).as_py():
                raise DataError(
                    "the model predicts numbers that are not finite",
                    where=f"target {self.target}",
                    found=f"{self.learner}, {len(column):,} rows",
                    fix="roll back, or train again",
                )

    def _predict_days(self, x: np.ndarray) -> list[pa.Array]:
        if self.timing is None:
            return [pa.nulls(len(x), pa.float64()) for _ in OUTCOME_SHARES]
        log_relative = self.timing.log_relative_hazard(x)
        return [pa.array(self.timing.days_to_share(log_relative, s)) for s in OUTCOME_SHARES]

    def _predict_amounts(self, x: np.ndarray) -> pa.Array:
        if self.amount_model is None:
            return pa.nulls(len(x), pa.float64())
        return pa.array(self.amount_model.predict_amounts(x))

    def explain(self, matrix: pa.Table) -> np.ndarray:
        """Return (rows, features + 1) in calibrated log-odds, ordered as ``encoding.names``.

        The bias is last. A row's sum is the log-odds of its probability, while that lies within
        ±30.
        """
        parts = self.calibrator.slope * self.model.contributions(self.encoding.encode(matrix))
        parts[:, -1] += self.calibrator.intercept
        self._require_finite(parts.sum(axis=1))
        return parts

    def save(self, directory: Path) -> None:
        """Write the model's file and ``scorer.json``; the same bytes for the same scorer."""
        directory.mkdir(parents=True, exist_ok=True)
        # First, because scorer.json contains the hash of the model's file.
        self.model.save(directory)
        parts = {
            "format": FORMAT_VERSION,
            "target": self.target,
            "learner": self.learner,
            "model_sha256": _hash_file(directory / self.model.file),
            "features": self.encoding.to_json(),
            "calibrator": asdict(self.calibrator),
            "band": self.band.to_json(),
            "scale": self.scale.to_json(),
            "timing": self.timing.to_json() if self.timing else None,
            "worth": self.amount_model.to_json() if self.amount_model else None,
            "meta": self.metadata.to_json(),
        }
        write_json(directory / SCORER_FILE, parts)

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read a saved scorer.

        Raise DataError for an absent or damaged file, an unknown format, or a model file that is
        not the one this scorer was saved with.
        """
        path = directory / SCORER_FILE
        parts = read_scorer_json(path)
        try:
            model = MODELS_BY_NAME[parts["learner"]]
            _require_same_model(parts["model_sha256"], directory / model.file)
            # Scorers stored before amounts were modelled lack the key "worth".
            amount = parts.get("worth")
            scorer = cls(
                target=parts["target"],
                model=model.load(directory),
                encoding=Encoding.from_json(parts["features"]),
                calibrator=AffineCalibrator(**parts["calibrator"]),
                band=ProbabilityBand.from_json(parts["band"]),
                scale=ScoreScale.from_json(parts["scale"]),
                metadata=ScorerMetadata.from_json(parts["meta"]),
                timing=Hazard.from_json(parts["timing"]) if parts["timing"] else None,
                amount_model=AmountModel.from_json(amount) if amount else None,
            )
            scorer._require_fitting_parts()
        except (KeyError, TypeError, ValueError) as error:
            raise unreadable_model_error(path, error) from error
        return scorer

    def _require_fitting_parts(self) -> None:
        """Raise DamagedModelError if a model reads other features than those of the encoding."""
        kinds = [feature.kind == "category" for feature in self.encoding.features]
        parts = {"model": self.model, "timing": self.timing, "worth": self.amount_model}
        for name, part in parts.items():
            if part is not None and not part.accepts_features(kinds):
                raise DamagedModelError(f"{name}: it reads other features than are listed")


def read_scorer_json(path: Path) -> dict[str, Any]:
    """Return the content of a ``scorer.json``, within the bounds of what a training stores.

    Raise DataError for an absent or damaged file, and for an unknown format.
    """
    parts = read_json(path)
    _require_known_format(parts, path)
    try:
        check_stored(StoredScorer, parts)
    except DamagedModelError as error:
        raise unreadable_model_error(path, error) from error
    return dict(parts)


def select_spine(matrix: pa.Table) -> list[pa.ChunkedArray]:
    """Return entity_id and cutoff of a matrix; raise DataError if one is absent."""
    missing = [name for name in SPINE.names if name not in matrix.column_names]
    if missing:
        raise DataError("not a feature matrix", where=missing[0], found="no such column")
    return [matrix[name].cast(SPINE.field(name).type) for name in SPINE.names]


def _hash_file(path: Path) -> str:
    return hashlib.sha256(read_text(path).encode()).hexdigest()


def _require_known_format(parts: Any, path: Path) -> None:
    version = parts.get("format") if isinstance(parts, dict) else None
    if version != FORMAT_VERSION:
        raise DataError(
            "stored model of an unknown format",
            where=str(path),
            found=f"format {version!r}, this version reads {FORMAT_VERSION}",
            fix="use the leadscore version that wrote it, or train again",
        )


def _require_same_model(expected: str, path: Path) -> None:
    if _hash_file(path) != expected:
        raise DataError(
            "the stored model was changed or mixed with another",
            where=str(path),
            found="its sha256 is not the one in scorer.json",
            fix="restore both files from the registry, or train again",
        )
