"""The scorer: everything between a feature matrix and a lead's probability, score and grade, frozen together."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa

from configs.errors import DataError
from features.contracts import SPINE
from features.definitions.catalog import Catalog
from models.calibration import Affine, Band, probability
from models.encoding import Encoding
from models.grades import GRADE_OF
from models.learners.amount_model import Worth
from models.learners.hazard import Hazard
from models.learners.kinds import KINDS
from models.learners.lightgbm import Model
from models.serialization import read_json, read_text, unreadable, write_json

FORMAT = 2
FILE = "scorer.json"
SHARES = (0.5, 0.8)
"""Of the outcomes that come within the horizon: the days after which so many have come."""

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
"""One row a row of the matrix, in its order; columns mean what they mean in SCORES.

``amount`` is the learnt one: null where none was, whatever amount the config names.
"""


@dataclass(frozen=True)
class Scale:
    """Monotone maps from probability to score and grade, frozen so that a lead moves only if its own chance does.

    ``share`` is the share of out-of-time rows below ``chance``, ties counted half; straight lines in between.
    """

    chance: tuple[float, ...]
    share: tuple[float, ...]

    @classmethod
    def fit(cls, chance: np.ndarray) -> Self:
        """Fit on the calibrated out-of-time probabilities, at their percentiles."""
        ranked = np.sort(chance)
        knots = np.unique(np.quantile(ranked, np.arange(101) / 100))
        ends = np.searchsorted(ranked, knots, "left") + np.searchsorted(ranked, knots, "right")
        return cls(tuple(knots.tolist()), tuple((ends / (2 * len(ranked))).tolist()))

    def score(self, chance: np.ndarray) -> np.ndarray:
        """Return 1 to 100 for each probability."""
        share = np.interp(chance, np.array(self.chance), np.array(self.share))
        return np.clip(np.floor(100 * share).astype(np.int64) + 1, 1, 100)

    def grade(self, chance: np.ndarray) -> list[str]:
        """Return A to D for each probability."""
        return GRADE_OF[self.score(chance)].tolist()


@dataclass(frozen=True)
class Scorer:
    """One target's model with all that makes its output readable.

    ``meta`` holds JSON values that people ask a model for: horizon, trained_as_of, observation_date, base_rate,
    what the features mean.
    """

    target: str
    model: Model
    encoding: Encoding
    calibrator: Affine
    band: Band
    scale: Scale
    meta: dict[str, Any]
    timing: Hazard | None = None
    worth: Worth | None = None

    @property
    def learner(self) -> str:
        """Name of the kind of model, one of KINDS."""
        return self.model.name

    @cached_property
    def catalog(self) -> Catalog:
        """The features that were offered to the training."""
        return Catalog.from_json(self.meta["catalog"])

    def predict(self, matrix: pa.Table) -> pa.Table:
        """Return PREDICTIONS for a feature matrix; no row's result depends on another row.

        Raises DataError for a column that is absent or of another type.
        """
        x = self.encoding.encode(matrix)
        chance = probability(self.calibrator.apply(self.model.margin(x)))
        low, high = self.band.interval(chance)
        columns = [
            *spine_of(matrix),
            chance,
            low,
            high,
            self.scale.score(chance),
            self.scale.grade(chance),
        ]
        return pa.table([*columns, *self._days(x), self._amount(x)], schema=PREDICTIONS)

    def _days(self, x: np.ndarray) -> list[pa.Array]:
        if self.timing is None:
            return [pa.nulls(len(x), pa.float64()) for _ in SHARES]
        relative = self.timing.relative(x)
        return [pa.array(self.timing.days(relative, share)) for share in SHARES]

    def _amount(self, x: np.ndarray) -> pa.Array:
        return pa.array(self.worth.expected(x)) if self.worth else pa.nulls(len(x), pa.float64())

    def explain(self, matrix: pa.Table) -> np.ndarray:
        """Return (rows, features + 1) in calibrated log-odds; features as in ``encoding.names``, bias last.

        A row's sum is the log-odds of its probability, while that lies within ±30.
        """
        parts = self.calibrator.slope * self.model.contributions(self.encoding.encode(matrix))
        parts[:, -1] += self.calibrator.intercept
        return parts

    def save(self, directory: Path) -> None:
        """Write the model's file and ``scorer.json`` into a directory; the same bytes for the same scorer."""
        directory.mkdir(parents=True, exist_ok=True)
        self.model.save(directory)
        parts = {
            "format": FORMAT,
            "target": self.target,
            "learner": self.learner,
            "model_sha256": _digest(directory / self.model.file),
            "features": self.encoding.to_json(),
            "calibrator": asdict(self.calibrator),
            "band": self.band.to_json(),
            "scale": asdict(self.scale),
            "timing": self.timing.to_json() if self.timing else None,
            "worth": self.worth.to_json() if self.worth else None,
            "meta": self.meta,
        }
        write_json(directory / FILE, parts)

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read what ``save`` wrote.

        Raises DataError for an absent or damaged file, an unknown format, or a model file that is not the one
        this scorer was saved with.
        """
        path = directory / FILE
        parts = read_json(path)
        _known_format(parts, path)
        try:
            kind = KINDS[parts["learner"]]
            _same_model(parts["model_sha256"], directory / kind.file)
            return cls(
                target=parts["target"],
                model=kind.load(directory),
                encoding=Encoding.from_json(parts["features"]),
                calibrator=Affine(**parts["calibrator"]),
                band=Band.from_json(parts["band"]),
                scale=Scale(tuple(parts["scale"]["chance"]), tuple(parts["scale"]["share"])),
                meta=parts["meta"],
                timing=Hazard.from_json(parts["timing"]) if parts["timing"] else None,
                worth=Worth.from_json(parts["worth"]) if parts.get("worth") else None,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise unreadable(path, error) from error


def spine_of(matrix: pa.Table) -> list[pa.ChunkedArray]:
    """Return entity_id and cutoff of a matrix; raises DataError if one is absent."""
    missing = [name for name in SPINE.names if name not in matrix.column_names]
    if missing:
        raise DataError("not a feature matrix", where=missing[0], found="no such column")
    return [matrix[name].cast(SPINE.field(name).type) for name in SPINE.names]


def _digest(path: Path) -> str:
    return hashlib.sha256(read_text(path).encode()).hexdigest()


def _known_format(parts: Any, path: Path) -> None:
    found = parts.get("format") if isinstance(parts, dict) else None
    if found != FORMAT:
        raise DataError(
            "stored model of an unknown format",
            where=str(path),
            found=f"format {found!r}, this version reads {FORMAT}",
            fix="use the leadscore version that wrote it, or train again",
        )


def _same_model(expected: str, path: Path) -> None:
    if _digest(path) != expected:
        raise DataError(
            "the stored model was changed or mixed with another",
            where=str(path),
            found="its sha256 is not the one in scorer.json",
            fix="restore both files from the registry, or train again",
        )
