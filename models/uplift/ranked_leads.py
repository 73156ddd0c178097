"""Uplift of the leads of an as-of, with an interval, a class and the evidence for it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from models.evaluation.metrics import Estimate
from models.uplift.cross_validation import JudgedRows
from models.uplift.effect_estimates import estimate_mean, make_top_weights
from models.uplift.schemas import UPLIFT_POLICY

PERSUADABLE, DO_NOT_DISTURB = "persuadable", "do_not_disturb"
SURE_THING, LOST_CAUSE = "sure_thing", "lost_cause"
TESTED, WEAK = "tested", "weak"
# A 90 % interval of a normal distribution has these ends.
ERRORS = 1.645
FIFTHS = 5
POLICY_SHARES = (0.1, 0.2, 0.3, 0.5)


def predict_leads(judged: JudgedRows, x: np.ndarray) -> dict[str, np.ndarray]:
    """Return uplift and its interval, probability without outreach, class and evidence of leads.

    ``x`` are their features, as those of the randomised rows. The uplift is the mean over the
    models of all halves. An estimate from a random half of the data differs from that of all data
    about as much as this one differs from the truth, so their spread is the standard error (half
    sampling: McCarthy, *Review of the International Statistical Institute* 37, 1969); it has no
    part for what shrinkage takes from extreme effects.
    """
    effects = np.stack([models.effect.predict(x) for models in judged.models])
    without = np.mean([models.arms.predict(x)[0] for models in judged.models], axis=0)
    uplift, spread = effects.mean(axis=0), effects.std(axis=0, ddof=1)
    low, high = uplift - ERRORS * spread, uplift + ERRORS * spread
    size, tested = _look_up_fifths(judged, uplift)
    columns = {"uplift": uplift, "uplift_low": low, "uplift_high": high, "p_without": without}
    columns["persuade_class"] = np.select(
        [low > 0, high < 0, without >= _mean_without(judged)],
        [PERSUADABLE, DO_NOT_DISTURB, SURE_THING],
        LOST_CAUSE,
    )
    columns["randomised_n"] = size
    columns["evidence"] = np.where(tested, TESTED, WEAK)
    return columns


def _mean_without(judged: JudgedRows) -> float:
    rows = judged.rows
    weight = 1 / (1 - rows.propensity[~rows.treated])
    return float(np.average(rows.outcome[~rows.treated], weights=weight))


def _look_up_fifths(judged: JudgedRows, uplift: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the size of each lead's fifth of the randomised rows, and whether it has an effect."""
    predicted, pseudo = judged.average_rows("uplift"), judged.average_rows("pseudo")
    edges = np.quantile(predicted, np.arange(1, FIFTHS) / FIFTHS)
    own, fifth = np.searchsorted(edges, predicted), np.searchsorted(edges, uplift)
    effects = [
        estimate_mean(pseudo[own == place], judged.rows.cluster[own == place])
        for place in range(FIFTHS)
    ]
    size = np.array([effect.n for effect in effects])
    tested = np.array([effect.low > 0 or effect.high < 0 for effect in effects])
    return size[fifth], tested[fifth]


def build_policy(judged: JudgedRows, leads: int, top: int) -> pa.Table:
    """Return UPLIFT_POLICY: what outreach to the top by uplift, and by score, adds.

    ``leads`` can get outreach and ``top`` of them do; further rows have shares of them. The effects
    are those of the randomised rows, ranked by models that have not seen them.
    """
    own = min(top / leads, 1.0)
    shares = [own, *(share for share in POLICY_SHARES if abs(share - own) > 1e-9)]
    rows = [_build_policy_row(judged, share, round(share * leads)) for share in shares]
    return pa.Table.from_pylist(rows, schema=UPLIFT_POLICY)


def _build_policy_row(judged: JudgedRows, share: float, leads: int) -> dict[str, float | int]:
    weigh = make_top_weights(share)
    estimates = {
        "by_uplift": judged.estimate_by_uplift(weigh),
        "by_score": judged.estimate_by_response(weigh),
        "gain": judged.estimate_gain(weigh),
    }
    row: dict[str, float | int] = {"share": share, "leads": leads}
    for name, estimate in estimates.items():
        row |= dict(_name_ends(name, estimate, leads))
    return row


def _name_ends(name: str, estimate: Estimate, leads: int) -> Iterator[tuple[str, float]]:
    yield name, estimate.value * leads
    yield f"{name}_low", estimate.low * leads
    yield f"{name}_high", estimate.high * leads
