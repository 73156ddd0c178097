"""Figures of the accounts of a period, by channel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from configs.channels.channels import Channels
from features.tools.instants import US_PER_DAY, duration_to_microseconds
from models.channels.credits import ChannelCredits, CreditRules, estimate_credits
from models.survival.bootstrap import REPLICATES, draw_weights
from models.survival.stays import BUCKETS
from pipelines.channels.account_journeys import AccountJourneys, select_journeys
from pipelines.channels.margins import AccountMargins
from pipelines.channels.periods import CohortPeriods
from pipelines.channels.touches import AccountTouches


@dataclass(frozen=True)
class ChannelCohorts:
    """What the rows are made of.

    Attributes:
        config: The section `channels`.
        touches: All touches.
        journeys: All accounts with a touch.
        periods: Their periods, and costs; of the channels of ``names``.
        names: Channels with touches, in their order, and then those with costs alone.
        margins: Margins of the accounts, if known.
    """

    config: Channels
    touches: AccountTouches
    journeys: AccountJourneys
    periods: CohortPeriods
    names: tuple[str, ...]
    margins: AccountMargins | None


@dataclass(frozen=True)
class CohortFigures:
    """Figures of the accounts of a period; arrays have an element per channel of ``names``.

    Attributes:
        members: Mask of the accounts.
        customer: Mask of those that became customers within the window.
        touches: Touches that may get credit.
        after: Touches after the opportunity.
        pairs: Account and channel of each channel that may get credit from an account.
        leads: Leads of the accounts touched first.
        customers: Customers touched first; the first axis are replicates after the whole.
        credits: Credits; None until the period is mature.
        cost: Costs, NaN where unknown.
    """

    members: np.ndarray
    customer: np.ndarray
    touches: np.ndarray
    after: np.ndarray
    pairs: tuple[np.ndarray, np.ndarray]
    leads: np.ndarray
    customers: np.ndarray
    credits: ChannelCredits | None
    cost: np.ndarray

    def count_accounts(self, own: np.ndarray) -> int:
        """Return the accounts that any of some channels (mask) touched."""
        account, channel = self.pairs
        return len(np.unique(account[own[channel]]))


def measure_cohort(cohorts: ChannelCohorts, numbers: np.ndarray, mature: bool) -> CohortFigures:
    """Return the figures of the accounts of some periods; credits only if they are mature."""
    journeys, touches, width = cohorts.journeys, cohorts.touches, len(cohorts.names)
    members = np.isin(cohorts.periods.account, numbers)
    own = (journeys.account >= 0) & members[np.maximum(journeys.account, 0)]
    customer = members & journeys.customer
    selected = select_journeys(touches, journeys, members)
    size = np.bincount(touches.units.of_lead, minlength=len(touches.units))[journeys.unit]
    first = journeys.first_channel
    bucket = (touches.units.cluster[journeys.unit] % np.uint64(BUCKETS)).astype(np.int64)
    cell = bucket[customer] * width + first[customer]
    by_bucket = np.bincount(cell, minlength=BUCKETS * width).reshape(BUCKETS, width)
    weights = np.concatenate([np.ones((1, BUCKETS)), draw_weights(REPLICATES)])
    cost = cohorts.periods.cost
    return CohortFigures(
        members,
        customer,
        np.bincount(touches.channel[journeys.used & own], minlength=width),
        np.bincount(touches.channel[journeys.after & own], minlength=width),
        selected.distinct,
        np.bincount(first[members], size[members], width).astype(np.int64),
        weights @ by_bucket,
        estimate_credits(selected, make_credit_rules(cohorts.config)) if mature else None,
        np.full(width, np.nan) if cost is None else cost[numbers].sum(0),
    )


def make_credit_rules(config: Channels) -> CreditRules:
    """Return the rules of the config."""
    days = duration_to_microseconds(config.half_life) / US_PER_DAY
    return CreditRules(days, (config.position.first, config.position.last))
