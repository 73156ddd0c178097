"""Shapley values of channels in the game of the observed sets of channels.

What a set of channels brings is the number of conversions of the journeys that had no other
channel. The Shapley value of this game has a closed form: every journey splits its conversions
equally among its distinct channels. So it is exact for any number of channels, and no orders need
to be sampled. Journeys without a conversion do not enter it; the Markov chain has them.

Source: Zhao, Mahboobi and Bagheri, "Shapley value methods for attribution modeling in online
advertising" (2018), section 2.
"""

from __future__ import annotations

import numpy as np

from models.channels.journeys import Journeys


def credit_shapley(journeys: Journeys) -> np.ndarray:
    """Return the Shapley values, float64 (BUCKETS, channels); they add up to the conversions."""
    journey, channel = journeys.distinct
    size = np.bincount(journey, minlength=len(journeys.sizes))
    share = journeys.conversions[journey] / size[journey]
    return journeys.sum_by_bucket(journey, channel, share)
