"""Segmented: a global model, with recalibrations or models of their own for some segments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

import numpy as np

from models.calibration import AffineCalibrator
from models.learners.blend import BLEND_PARTS, Blend, BlendPart
from models.learners.protocol import Model
from models.learners.target_encoding import TargetEncodedTrees
from models.serialization import JsonModel
from models.stored_json import StoredSegmented, check_stored

SegmentedPart = BlendPart | Blend | TargetEncodedTrees
SEGMENTED_PARTS: dict[str, type[SegmentedPart]] = {
    **BLEND_PARTS,
    Blend.name: Blend,
    TargetEncodedTrees.name: TargetEncodedTrees,
}


@dataclass(frozen=True)
class ModelOfSegment:
    """How the rows of one segment are predicted.

    Attributes:
        code: Code of the segment in its column.
        calibrator: Map of the log-odds of ``model``, or of the calibrated global ones without it.
        model: Model of the segment's rows alone; None where the global model is recalibrated.
    """

    code: int
    calibrator: AffineCalibrator
    model: SegmentedPart | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the values that ``from_json`` reads."""
        return {
            "code": self.code,
            "calibrator": asdict(self.calibrator),
            "model": _describe_part(self.model) if self.model else None,
        }

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Return the part that ``to_json`` described."""
        model = _restore_part(data["model"]) if data["model"] else None
        return cls(data["code"], AffineCalibrator(**data["calibrator"]), model)


@dataclass(frozen=True)
class Segmented(JsonModel):
    """Global model, but for the segments that another predicts better; stored as one JSON file.

    The segment is one of the categories that the global model reads. A row without a value, or
    with one that has no part of its own, has the global prediction.

    Attributes:
        column: Place of the segment among the features.
        base: Global model.
        calibrator: Map of the log-odds of the global model.
        parts: Segments that are not predicted by the global model as it is.
    """

    column: int
    base: SegmentedPart
    calibrator: AffineCalibrator
    parts: tuple[ModelOfSegment, ...]
    name: ClassVar[str] = "segmented"
    file: ClassVar[str] = "segmented.json"

    def margin(self, x: np.ndarray) -> np.ndarray:
        """Return the calibrated log-odds of each row, by the model of its segment."""
        margin = self.calibrator.apply(self.base.margin(x))
        for part in self.parts:
            rows = np.flatnonzero(x[:, self.column] == part.code)
            if rows.size:
                raw = part.model.margin(x[rows]) if part.model else margin[rows]
                margin[rows] = part.calibrator.apply(raw)
        return margin

    def contributions(self, x: np.ndarray) -> np.ndarray:
        """Return the contributions of the model of each row's segment, bias last.

        The bias is that of the global model in every row. By how much that of a segment's model
        differs is a contribution of the segment.
        """
        values = _scale_contributions(self.base.contributions(x), self.calibrator)
        for part in self.parts:
            rows = np.flatnonzero(x[:, self.column] == part.code)
            if rows.size:
                raw = part.model.contributions(x[rows]) if part.model else values[rows]
                bias = values[rows, -1]
                scaled = _scale_contributions(raw, part.calibrator)
                scaled[:, self.column] += scaled[:, -1] - bias
                scaled[:, -1] = bias
                values[rows] = scaled
        return values

    def accepts_features(self, is_category: Sequence[bool]) -> bool:
        """Return whether the segment is a category, and each model reads rows of these features."""
        models = [self.base, *(part.model for part in self.parts if part.model)]
        has_column = self.column < len(is_category) and is_category[self.column]
        return has_column and all(model.accepts_features(is_category) for model in models)

    def to_json(self) -> dict[str, Any]:
        """Return the global model and the parts."""
        return {
            "column": self.column,
            "base": _describe_part(self.base),
            "calibrator": asdict(self.calibrator),
            "parts": [part.to_json() for part in self.parts],
        }

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Return the model that ``to_json`` described."""
        check_stored(StoredSegmented, data)
        parts = tuple(ModelOfSegment.from_json(part) for part in data["parts"])
        calibrator = AffineCalibrator(**data["calibrator"])
        return cls(data["column"], _restore_part(data["base"]), calibrator, parts)


def require_segmented_part(model: Model) -> SegmentedPart:
    """Return a model that can be stored as a part; raise TypeError for any other."""
    if not isinstance(model, SegmentedPart):
        raise TypeError(f"a model by segment cannot hold a {model.name}")
    return model


def _scale_contributions(values: np.ndarray, calibrator: AffineCalibrator) -> np.ndarray:
    """Return contributions that sum to the calibrated log-odds of the sum of ``values``."""
    scaled = calibrator.slope * values
    scaled[:, -1] += calibrator.intercept
    return scaled


def _describe_part(model: SegmentedPart) -> dict[str, Any]:
    return {"learner": model.name, "model": model.to_json()}


def _restore_part(data: Any) -> SegmentedPart:
    return SEGMENTED_PARTS[data["learner"]].from_json(data["model"])
