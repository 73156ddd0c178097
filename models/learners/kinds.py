"""Every kind of model that a scorer can hold, by its name."""

from __future__ import annotations

from models.learners.blend import Blend
from models.learners.hazard import Hazard
from models.learners.lightgbm import BaseRate, LightGbm, Model
from models.learners.logistic import Logistic
from models.learners.naive_bayes import NaiveBayes

KINDS: dict[str, type[Model]] = {
    kind.name: kind for kind in (LightGbm, Hazard, Logistic, Blend, NaiveBayes, BaseRate)
}
