"""Every kind of model that a scorer can hold, by its name."""

from __future__ import annotations

from models.blend import Blend
from models.hazard import Hazard
from models.learners import BaseRate, LightGbm, Model
from models.logistic import Logistic
from models.naive_bayes import NaiveBayes

KINDS: dict[str, type[Model]] = {kind.name: kind for kind in (LightGbm, Hazard, Logistic, Blend, NaiveBayes, BaseRate)}
