"""The demo company: its calendar, its business clock, and the law by which leads behave.

The law is a Markov-modulated point process. An account is quiet or buying; each of its leads has a hidden
intent; what a lead does, and what becomes of it, happens at rates that depend on these alone. Rates are per
business day: the business clock carries the rhythm of hours, weekdays and seasons, so that in its time
everything is homogeneous and the exact probability of an outcome can be computed. Source of the method: Fischer
and Meier-Hellstern, "The Markov-modulated Poisson process (MMPP) cookbook", Performance Evaluation 18 (1993).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import DataError
from features.tools.instants import US_PER_HOUR, to_microseconds

START = datetime(2024, 1, 1, tzinfo=UTC)
END = datetime(2025, 7, 1, tzinfo=UTC)
CHANGE = datetime(2024, 11, 1, tzinfo=UTC)
"""From here on customers chat instead of filling in forms and open fewer e-mails; what they want stays as it was."""
LATE = timedelta(days=2)
"""A late row is known exactly this long after it happened."""

INTENTS = ("silent", "cold", "warm", "hot")
OUTCOMES = ("opportunity", "disqualified", "won", "lost")
"""Outcome ``2 * phase + way``: phase 0 lead, 1 opportunity; way 0 onward, 1 given up."""
OUTCOME_OF_TARGET = {"propensity": "opportunity", "close": "won"}

SOURCES = {
    "organic": (1.0, (0.05, 0.55, 0.32, 0.08)),
    "paid_search": (0.9, (0.10, 0.60, 0.24, 0.06)),
    "webinar": (1.1, (0.05, 0.45, 0.42, 0.08)),
    "partner": (1.5, (0.02, 0.28, 0.40, 0.30)),
    "trade_fair": (1.2, (0.05, 0.50, 0.33, 0.12)),
    "bought_list": (0.5, (0.35, 0.58, 0.06, 0.01)),
}
"""Source: its multiplier of the onward rates, and the chances of each intent on entry (some enter mid-funnel)."""
SOURCE_SHARES = (0.28, 0.22, 0.14, 0.10, 0.10, 0.16)
INDUSTRIES = {
    "software": 1.6,
    "finance": 1.3,
    "manufacturing": 1.0,
    "health": 0.9,
    "retail": 0.65,
    "public": 0.5,
}
COUNTRIES = {"DE": 1.2, "US": 1.15, "FR": 1.0, "GB": 1.0, "PL": 0.9, "ES": 0.75}
TYPICAL_EMPLOYEES = 120.0


class Mark(NamedTuple):
    """One kind of event: rates per business day by intent in each phase, its log, and the share of late rows."""

    event_type: str
    channel: str | None
    log: str
    as_lead: tuple[float, float, float, float]
    as_opportunity: tuple[float, float, float, float]
    late: float = 0.0
    value: str = ""


MARKS = (
    Mark("email_open", "email", "web", (0.006, 0.045, 0.075, 0.110), (0.005, 0.030, 0.055, 0.090)),
    Mark("email_click", "email", "web", (0.001, 0.012, 0.050, 0.080), (0.001, 0.010, 0.030, 0.060)),
    Mark("page_view", "web", "web", (0.002, 0.025, 0.110, 0.240), (0.002, 0.020, 0.060, 0.180)),
    Mark("pricing_view", "web", "web", (0.000, 0.002, 0.020, 0.180), (0.001, 0.003, 0.020, 0.120)),
    Mark("form_submit", "web", "web", (0.000, 0.004, 0.025, 0.060), (0.000, 0.002, 0.008, 0.020)),
    Mark(
        "form_submit",
        "partner",
        "web",
        (0.000, 0.001, 0.006, 0.012),
        (0.000, 0.001, 0.002, 0.004),
        0.4,
    ),
    Mark("chat", "chat", "web", (0.000, 0.002, 0.012, 0.060), (0.001, 0.006, 0.030, 0.090)),
    Mark(
        "webinar", "event", "web", (0.000, 0.006, 0.025, 0.030), (0.000, 0.004, 0.012, 0.015), 0.5
    ),
    Mark(
        "call",
        "phone",
        "crm",
        (0.001, 0.010, 0.030, 0.120),
        (0.002, 0.015, 0.060, 0.300),
        0.3,
        "minutes",
    ),
    Mark(
        "meeting", "event", "crm", (0.000, 0.001, 0.006, 0.060), (0.000, 0.004, 0.025, 0.200), 0.4
    ),
    Mark(
        "meeting", "partner", "crm", (0.000, 0.001, 0.006, 0.020), (0.000, 0.003, 0.015, 0.050), 0.4
    ),
    Mark("mql", None, "crm", (0.000, 0.001, 0.030, 0.030), (0.000, 0.000, 0.000, 0.000)),
    Mark("sales_accepted", None, "crm", (0.000, 0.000, 0.004, 0.050), (0.004, 0.010, 0.004, 0.001)),
    Mark(
        "proposal",
        None,
        "crm",
        (0.000, 0.000, 0.000, 0.000),
        (0.000, 0.001, 0.010, 0.130),
        0.0,
        "deal",
    ),
)
EMAIL_AFTER, FORMS_TO_CHAT = 0.7, 0.5


class Law(NamedTuple):
    """The rates of a company, per business day. Z: 0 quiet, 1 buying. X: intent. Phase: 0 lead, 1 opportunity.

    ``z_rate`` (Z,) leaves the account's state. ``x_rate`` (Z, X, X) moves intent, diagonal zero. ``mark_rate``
    (before or after the change, phase, X, mark). ``late`` (mark,) share of late rows. ``exit_rate``
    (phase, way, Z, X); way 0 is multiplied by the lead's fit. ``entry`` (row, X) chances of each intent on entry.
    """

    z_rate: np.ndarray
    x_rate: np.ndarray
    mark_rate: np.ndarray
    late: np.ndarray
    exit_rate: np.ndarray
    entry: np.ndarray


def demo_law() -> Law:
    """Return the demo company's law. Intent lives for weeks and shows itself, so that history tells much of it."""
    up = np.array([1.0, 3.0])[:, None, None]
    moves = np.array(
        [
            [0.0000, 0.0040, 0.0010, 0.0000],
            [0.0080, 0.0000, 0.0035, 0.0005],
            [0.0040, 0.0120, 0.0000, 0.0070],
            [0.0030, 0.0000, 0.0100, 0.0000],
        ]
    )
    before = np.array([[m.as_lead for m in MARKS], [m.as_opportunity for m in MARKS]]).transpose(
        0, 2, 1
    )
    onward = np.array([[0.00003, 0.0002, 0.0015, 0.0400], [0.00005, 0.0002, 0.0010, 0.0220]])
    given_up = np.array([[0.0180, 0.0060, 0.0020, 0.0005], [0.0120, 0.0045, 0.0015, 0.0005]])
    buying = np.array([1.0, 1.8])[None, :, None]
    return Law(
        z_rate=np.array([1 / 70, 1 / 35]),
        x_rate=np.where(np.triu(np.ones((4, 4)), 1) > 0, up * moves, moves),
        mark_rate=np.stack([before, _after_change(before)]),
        late=np.array([m.late for m in MARKS]),
        exit_rate=np.stack(
            [onward[:, None] * buying, given_up[:, None] * np.ones((1, 2, 1))], axis=1
        ),
        entry=np.array([chances for _, chances in SOURCES.values()]),
    )


def _after_change(before: np.ndarray) -> np.ndarray:
    """Return mark rates (phase, X, mark) from the change on: fewer e-mails, and half the web forms become chats."""
    names = [(m.event_type, m.channel) for m in MARKS]
    after = before.copy()
    for mark in (("email_open", "email"), ("email_click", "email")):
        after[..., names.index(mark)] *= EMAIL_AFTER
    forms = names.index(("form_submit", "web"))
    moved = FORMS_TO_CHAT * before[..., forms]
    after[..., forms] -= moved
    after[..., names.index(("chat", "chat"))] += moved
    return after


def fit(leads: pa.Table) -> np.ndarray:
    """Return each lead's multiplier of its onward rates from industry, country, source and employees.

    A missing or unknown value is neutral: it is a value of its own in the law, so nothing is hidden behind it.
    """
    employees = pc.cast(leads["employees"], pa.float64()).to_numpy(zero_copy_only=False)
    size = np.clip(
        (np.nan_to_num(employees, nan=TYPICAL_EMPLOYEES) / TYPICAL_EMPLOYEES) ** 0.2, 0.5, 2.0
    )
    sources = {name: multiplier for name, (multiplier, _) in SOURCES.items()}
    for name, table in (("industry", INDUSTRIES), ("country", COUNTRIES), ("source", sources)):
        size = size * np.array([table.get(value, 1.0) for value in leads[name].to_pylist()])
    return size


def entry_row(leads: pa.Table) -> np.ndarray:
    """Return the row of ``Law.entry`` for each lead; raise DataError for a source that the law does not know."""
    rows = {name: row for row, name in enumerate(SOURCES)}
    found = leads["source"].to_pylist()
    unknown = [name for name in found if name not in rows]
    if unknown:
        raise DataError(
            "a source the law does not know",
            where="source",
            found=f"{len(unknown)}, as {unknown[0]!r}",
        )
    return np.array([rows[name] for name in found], dtype=np.int64)


@dataclass(frozen=True)
class Clock:
    """Business time in days against calendar time: ``edges[i]`` is business time i hours after START (UTC)."""

    edges: np.ndarray

    def business(self, us: np.ndarray) -> np.ndarray:
        """Return business days since START at instants in microseconds since 1970; DataError outside the clock."""
        hours = (np.asarray(us, dtype=np.int64) - to_microseconds(START)) / US_PER_HOUR
        if hours.size and (hours.min() < 0 or hours.max() >= len(self.edges)):
            raise DataError(
                "an instant the company's clock does not cover", where="simulated company", fix=SPAN
            )
        return np.interp(hours, np.arange(len(self.edges)), self.edges)

    def calendar(self, tau: np.ndarray) -> np.ndarray:
        """Return the instant, in whole microseconds since 1970, at which the clock shows ``tau`` business days."""
        hours = np.interp(tau, self.edges, np.arange(len(self.edges)))
        return to_microseconds(START) + np.floor(hours * US_PER_HOUR).astype(np.int64)


CLOCK_DAYS = 3653
SPAN = f"use instants from {START:%Y-%m-%d} on and before {START + timedelta(days=CLOCK_DAYS):%Y-%m-%d}"


def demo_clock() -> Clock:
    """Return a clock that runs by day, slows at night and at weekends, and drags in summer; mean speed about 1."""
    hour = np.arange(CLOCK_DAYS * 24)
    day = hour // 24
    daytime = np.where((hour % 24 >= 7) & (hour % 24 < 19), 1.75, 0.25)
    workday = np.where((START.weekday() + day) % 7 < 5, 1.3, 0.25)
    season = 1 + 0.15 * np.cos(2 * np.pi * day / 365.25)
    return Clock(np.concatenate([[0.0], np.cumsum(daytime * workday * season)]) / 24)
