"""What customers with and without contracts have in common, and where they differ."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from configs.customers.customers import Customers
from models.customers.chosen import ChosenModel
from models.customers.correction_trial import CorrectionTrial
from models.customers.states import CustomersAt
from models.purchases.histories import PurchaseHistories, Purchases, summarize_purchases
from models.revenue.bridge_forecast import QuarterDraws
from pipelines.customers.purchases import CustomerPurchases, find_days, select_events
from pipelines.customers.values import CustomerValues
from pipelines.training_data import Snapshot

# An advocate is one who brought somebody within this time.
ADVOCACY_DAYS = 365


@dataclass(frozen=True)
class CustomerNotes:
    """Reasons for the state of each customer, and when to look at it again.

    Attributes:
        reasons: What the state and the value rest on, by customer.
        review: Day on which to look again, int64 days since 1970 (customers,).
    """

    reasons: list[str]
    review: np.ndarray


class CustomerRelation(ABC):
    """How customers buy: the model of it, states, predictions and notes."""

    def __init__(self, snapshot: Snapshot, config: Customers, bought: CustomerPurchases) -> None:
        """Take the purchases of the customers."""
        self.snapshot, self.config, self.bought = snapshot, config, bought

    @cached_property
    def histories(self) -> PurchaseHistories:
        """Return the histories of the purchases before the as-of."""
        return summarize_purchases(self.bought.purchases, self.bought.end)

    @property
    @abstractmethod
    def chosen(self) -> ChosenModel | None:
        """Return the model that the past has chosen; None if the history is too short."""

    @property
    @abstractmethod
    def models(self) -> ChosenModel | None:
        """Return the model that was chosen; None if nothing may be published."""

    @property
    def trials(self) -> tuple[CorrectionTrial, ...]:
        """Return what decided whether corrections are used; empty where none was tried."""
        return ()

    @abstractmethod
    def describe_day(self, end: int) -> CustomersAt:
        """Return the customers before the day ``end``, by what the models say today."""

    @abstractmethod
    def predict_values(self) -> CustomerValues | None:
        """Return the predictions of each customer; None without a model."""

    @abstractmethod
    def write_notes(self, now: CustomersAt, values: CustomerValues | None) -> CustomerNotes:
        """Return the notes on each customer."""

    @abstractmethod
    def list_active_months(self) -> tuple[Purchases, int]:
        """Return purchases by which retention is measured, and the first day that is not known."""

    @abstractmethod
    def list_margins(self, edges: np.ndarray) -> Purchases:
        """Return the margins of the periods between days, by which the revenue bridge is built."""

    @abstractmethod
    def draw_quarters(self, origin: int, edges: tuple[int, int, int]) -> Iterator[QuarterDraws]:
        """Yield simulated margins of the quarters between edges, by what was seen before a day.

        The first quarter runs at that day, ``origin``. The model that was chosen is fitted on
        earlier purchases only.
        """

    @abstractmethod
    def build_win_backs(self, now: CustomersAt) -> dict[str, pa.Table]:
        """Return WIN_BACKS and WIN_BACK_TRACK."""

    def find_advocates(self, end: int) -> np.ndarray:
        """Return whether each customer brought somebody in the year before ``end``."""
        rows = select_events(self.snapshot, self.config.advocacy)
        events = self.snapshot.dataset
        day = find_days(self.snapshot, events.events["event_time"].take(pa.array(rows)))
        recent = (day < end) & (day >= end - ADVOCACY_DAYS)
        unit = self.bought.units.of_lead[events.event_leads[rows[recent]]]
        return np.isin(self.bought.unit, unit)
