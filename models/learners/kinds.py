"""All kinds of models that a scorer can hold."""

from __future__ import annotations

from models.learners.base_rate import BaseRate
from models.learners.blend import Blend
from models.learners.hazard import Hazard
from models.learners.lightgbm import LightGbm
from models.learners.logistic import Logistic
from models.learners.naive_bayes import NaiveBayes
from models.learners.protocol import Model
from models.learners.segmented import Segmented
from models.learners.target_encoding import TargetEncodedTrees

# The order is that of the columns of OUT_OF_TIME and of the rows of reports.
MODELS_BY_NAME: dict[str, type[Model]] = {
    model.name: model
    for model in (
        LightGbm,
        Hazard,
        Logistic,
        Blend,
        TargetEncodedTrees,
        Segmented,
        NaiveBayes,
        BaseRate,
    )
}
