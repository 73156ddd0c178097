"""Parts of a blend: their names, their shares, and the blend that they make."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from models.learners.blend import Blend, BlendPart, compute_weighted_sum, fit_shares
from models.learners.hazard import Hazard
from models.learners.lightgbm import LightGbm
from models.learners.logistic import Logistic
from models.learners.protocol import Model

# Raw or calibrated log-odds (rows,) of each model by its name.
Margins = dict[str, np.ndarray]

# A second logistic regression whose sample weights decay fast; it exists only inside a blend.
RECENT_LOGISTIC = "recent"
BLEND_PART_NAMES = (LightGbm.name, Hazard.name, Logistic.name, RECENT_LOGISTIC)


def list_models_to_fit(learners: Iterable[type[Model]]) -> set[str]:
    """Return the names of the models to fit for these learners: for a blend, all its parts."""
    return {
        name
        for learner in learners
        for name in (BLEND_PART_NAMES if learner is Blend else (learner.name,))
    }


def fit_blend_shares(margins: Margins, label: np.ndarray) -> dict[str, float]:
    """Return the share of each part of a blend, from rows that no part was fitted on."""
    names = [name for name in BLEND_PART_NAMES if name in margins]
    return dict(zip(names, fit_shares([margins[name] for name in names], label), strict=True))


def blend_margins(margins: Margins, shares: Mapping[str, float]) -> np.ndarray:
    """Return the weighted sum of the parts' log-odds (rows,)."""
    return compute_weighted_sum([margins[name] for name in shares], list(shares.values()))


def build_blend(models: Mapping[str, Model], shares: Mapping[str, float]) -> Blend:
    """Return the blend of fitted models; parts with a share of 0 are left out."""
    parts = [(models[name], share) for name, share in shares.items() if share > 0]
    pairs = [(model, share) for model, share in parts if isinstance(model, BlendPart)]
    return Blend(tuple(model for model, _ in pairs), tuple(share for _, share in pairs))
