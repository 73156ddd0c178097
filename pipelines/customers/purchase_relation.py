"""Customers without contracts: they buy when they like, and leave in silence."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np
import pyarrow as pa

from models.customers.chance_calibration import ChanceCalibration, calibrate_chances
from models.customers.correction_trial import CorrectionTrial
from models.customers.margins import fit_margins
from models.customers.past_accuracy import ChosenPurchases, choose_purchases
from models.customers.states import (
    AT_RISK,
    LAPSED,
    CustomersAt,
    StateRules,
    classify_customers,
    find_customer_days,
)
from models.customers.tree_trial import TreeCorrection, correct_by_trees
from models.customers.value_draws import BLOCK, ValueHorizon, draw_futures
from models.purchases.histories import (
    DAYS_PER_WEEK,
    MAX_CHECKED,
    Purchases,
    count_purchases,
    sample_histories,
    summarize_purchases,
)
from models.purchases.purchase_model import fit_purchases
from models.revenue.bridge_forecast import QuarterDraws
from pipelines.customers.customer_rows import describe_gap, measure_gaps
from pipelines.customers.purchases import seed_customers
from pipelines.customers.relation import CustomerNotes, CustomerRelation
from pipelines.customers.traits import collect_traits
from pipelines.customers.values import (
    DAY,
    CustomerValues,
    predict_values,
)
from pipelines.customers.win_back_rows import build_win_back_tables, collect_lapsed_customers


class PurchaseRelation(CustomerRelation):
    """Customers without contracts."""

    @cached_property
    def chosen(self) -> ChosenPurchases | None:
        """Return the model of purchases."""
        horizon = self.config.horizon // DAY
        return choose_purchases(self.bought.purchases, self.bought.end, horizon)

    @cached_property
    def models(self) -> ChosenPurchases | None:
        """Return the models behind the values."""
        if self.chosen is None or self.chosen.refused is not None:
            return None
        return self.chosen

    @cached_property
    def correction(self) -> TreeCorrection | None:
        """Return how trees correct the model."""
        if self.models is None:
            return None
        bought, models = self.bought, self.models
        traits = collect_traits(self.snapshot, bought)
        return correct_by_trees(bought.purchases, traits, bought.end, models.fitted, models.margins)

    @cached_property
    def calibration(self) -> ChanceCalibration | None:
        """Return the calibration of the chance to buy."""
        if self.models is None:
            return None
        return calibrate_chances(self.bought.purchases, self.bought.end, self.models.fitted.name)

    @property
    def trials(self) -> tuple[CorrectionTrial, ...]:
        """Return what decided whether trees and the calibration are used."""
        own = self.correction.trials if self.correction else ()
        return (*own, self.calibration.trial) if self.calibration else own

    def describe_day(self, end: int) -> CustomersAt:
        """Return the customers before the day ``end``, by what the models say today."""
        histories = summarize_purchases(self.bought.purchases, end)
        days = find_customer_days(self.bought.purchases, end)
        alive = np.ones(len(histories))
        if self.models is not None:
            alive = self.models.fitted.forecast(histories).alive
        advocates = self.find_advocates(end)[histories.customer]
        rules = StateRules(self.config.lapse // DAY, self.config.onboarding // DAY)
        return CustomersAt(histories, days, classify_customers(days, alive, advocates, end, rules))

    def predict_values(self) -> CustomerValues | None:
        """Return the predictions of each customer."""
        if self.models is None:
            return None
        seeds = seed_customers(self.bought)
        corrections = (self.correction, self.calibration)
        return predict_values(self.models, self.histories, self.config, seeds, *corrections)

    def write_notes(self, now: CustomersAt, values: CustomerValues | None) -> CustomerNotes:
        """Return reasons, and reviews at the expected purchase, at the latest when one lapses."""
        end = self.bought.end
        review = now.days.last + self.config.lapse // DAY
        if values is not None:
            soon = np.where(np.isfinite(values.next_days), values.next_days, np.inf)
            review = np.minimum(review, end + np.minimum(soon, 1e6).astype(np.int64))
        return CustomerNotes(_list_reasons(now, end), review)

    def list_active_months(self) -> tuple[Purchases, int]:
        """Return the purchases."""
        return self.bought.purchases, self.bought.end

    def list_margins(self, edges: np.ndarray) -> Purchases:
        """Return the purchases."""
        return self.bought.purchases

    def draw_quarters(self, origin: int, edges: tuple[int, int, int]) -> Iterator[QuarterDraws]:
        """Yield simulated margins: what came of the quarter that runs, and what is to come."""
        models = self.models
        histories = summarize_purchases(self.bought.purchases, origin)
        if models is None:
            return
        fitted, margins = models.fitted, models.margins
        if origin < self.bought.end:
            few = sample_histories(histories, MAX_CHECKED)
            fitted, margins = fit_purchases(few).select(fitted.name), fit_margins(few)
        if margins is None:
            return
        _, came = count_purchases(self.bought.purchases, histories, edges[0], origin)
        running, both = ((edge - origin) / DAYS_PER_WEEK for edge in edges[1:])
        horizon = ValueHorizon(running, both, 0.0, margins.paid_share)
        seeds = seed_customers(self.bought)
        for start in range(0, len(histories), BLOCK):
            rows = histories.select(np.arange(start, min(start + BLOCK, len(histories))))
            forecast = fitted.forecast(rows)
            draws = draw_futures(forecast, margins.paid, horizon, seeds[rows.customer])
            first = came[start : start + BLOCK, None] + draws[0]
            yield QuarterDraws(rows.customer, first, draws[1] - draws[0])

    def build_win_backs(self, now: CustomersAt) -> dict[str, pa.Table]:
        """Return the chances that those who have lapsed come back."""
        lapsed, check = collect_lapsed_customers(self.config, self.bought, now, self.models)
        return build_win_back_tables(self.snapshot, self.bought, lapsed, check)


def _list_reasons(now: CustomersAt, end: int) -> list[str]:
    purchases = now.histories.repeats.astype(np.int64) + 1
    silent, gap = end - 1 - now.days.last, measure_gaps(now)
    rows = zip(purchases.tolist(), silent.tolist(), gap.tolist(), now.state.tolist(), strict=True)
    return [_describe_customer(*row) for row in rows]


def _describe_customer(purchases: int, silent: int, gap: float, state: int) -> str:
    """Return the purchases of a customer in a sentence."""
    ago = describe_gap(silent)
    if purchases == 1:
        return f"one purchase, {ago}"
    text = f"{purchases} purchases, one every {gap:.0f} days, the last {ago}"
    if state in (AT_RISK, LAPSED) and silent > gap > 0:
        text += f": {silent / gap:.1f} times its usual gap"
    return text
