"""The sentence on the models that score a night counts each lead once."""

from types import SimpleNamespace

import numpy as np
import pyarrow as pa

from models.calibration import AffineCalibrator
from models.encoding import EncodedFeature, Encoding
from models.learners.base_rate import BaseRate
from models.learners.logistic import Logistic
from models.learners.segmented import ModelOfSegment, Segmented
from serve.scoring.segment_use import describe_segment_use

IDENTITY = AffineCalibrator()
ENCODING = Encoding(
    (
        EncodedFeature("size", "number"),
        EncodedFeature("trade", "category", ("bank", "shop", "farm")),
    )
)
LINE = Logistic(0.0, ())


def describe(trades: list[str | None], model: object) -> str:
    matrix = pa.table({"size": np.zeros(len(trades)), "trade": pa.array(trades, pa.string())})
    return describe_segment_use(SimpleNamespace(model=model, encoding=ENCODING), matrix)


def test_leads_are_counted_by_their_model():
    parts = (ModelOfSegment(1, IDENTITY), ModelOfSegment(2, IDENTITY, LINE))
    model = Segmented(1, LINE, IDENTITY, parts)
    trades = (
        ["bank"] * 4 + ["shop"] * 3 + ["farm"] * 2 + [None] + ["mine", "inn", "zoo", "zoo", "x"]
    )
    assert describe(trades, model) == (
        "models by trade: 2 leads by models of their segment, 3 by the global model recalibrated, "
        "10 by the global model as it is, of these 1 without a value and 5 with a value not in the "
        "training (inn, mine, x, …)"
    )
    assert describe(["bank", "farm"], model).endswith("1 by the global model as it is")
    assert describe([], model).startswith("models by trade: 0 leads")


def test_model_without_segments_has_no_sentence():
    assert describe(["bank"], BaseRate(0.0)) == ""
