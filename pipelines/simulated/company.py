"""The demo company: its calendar, its business clock, and the stochastic law of its leads.

The law is a Markov-modulated point process. An account is quiet or buying, and each of its leads
has a hidden intent. Events and outcomes of a lead occur at rates that depend on these states alone.
Rates are per business day. The business clock carries the rhythm of hours, weekdays and seasons, so
the process is homogeneous in business time and the exact probability of an outcome can be computed.
Source of the method: Fischer and Meier-Hellstern, "The Markov-modulated Poisson process (MMPP)
cookbook", Performance Evaluation 18 (1993).
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
# From here on customers chat instead of filling in forms and open fewer e-mails. Their intent stays
# the same, so that training data of before and after differ in behaviour but not in outcomes.
CHANGE_AT = datetime(2024, 11, 1, tzinfo=UTC)
# A late row becomes available exactly this long after its event; one constant keeps the filter
# exact.
LATE_DELAY = timedelta(days=2)

INTENTS = ("silent", "cold", "warm", "hot")
# Outcome ``2 * phase + way``: phase 0 is lead, 1 opportunity; way 0 is onward, 1 given up.
OUTCOMES = ("opportunity", "disqualified", "won", "lost")
OUTCOME_OF_TARGET = {"propensity": "opportunity", "close": "won"}

# By source: the multiplier of the onward rates, and the probability of each intent on entry. Some
# leads enter warm or hot, that is in the middle of the funnel.
SOURCES = {
    "organic": (1.0, (0.05, 0.55, 0.32, 0.08)),
    "paid_search": (0.9, (0.10, 0.60, 0.24, 0.06)),
    "webinar": (1.1, (0.05, 0.45, 0.42, 0.08)),
    "partner": (1.5, (0.02, 0.28, 0.40, 0.30)),
    "trade_fair": (1.2, (0.05, 0.50, 0.33, 0.12)),
    "bought_list": (0.5, (0.35, 0.58, 0.06, 0.01)),
}
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


class MarkType(NamedTuple):
    """One kind of event, a mark of the point process.

    Attributes:
        event_type: Type of the event.
        channel: Channel of the event, None for a stage change in the CRM.
        log: Source that holds the rows: "web" or "crm".
        as_lead: Rates per business day by intent, in phase lead.
        as_opportunity: Rates per business day by intent, in phase opportunity.
        late: Share of rows that become available LATE after the event.
        value: Meaning of the value: "minutes", "deal", or "" for none.
    """

    event_type: str
    channel: str | None
    log: str
    as_lead: tuple[float, float, float, float]
    as_opportunity: tuple[float, float, float, float]
    late: float = 0.0
    value: str = ""


MARKS = (
    MarkType(
        "email_open", "email", "web", (0.006, 0.045, 0.075, 0.110), (0.005, 0.030, 0.055, 0.090)
    ),
    MarkType(
        "email_click", "email", "web", (0.001, 0.012, 0.050, 0.080), (0.001, 0.010, 0.030, 0.060)
    ),
    MarkType("page_view", "web", "web", (0.002, 0.025, 0.110, 0.240), (0.002, 0.020, 0.060, 0.180)),
    MarkType(
        "pricing_view", "web", "web", (0.000, 0.002, 0.020, 0.180), (0.001, 0.003, 0.020, 0.120)
    ),
    MarkType(
        "form_submit", "web", "web", (0.000, 0.004, 0.025, 0.060), (0.000, 0.002, 0.008, 0.020)
    ),
    MarkType(
        "form_submit",
        "partner",
        "web",
        (0.000, 0.001, 0.006, 0.012),
        (0.000, 0.001, 0.002, 0.004),
        0.4,
    ),
    MarkType("chat", "chat", "web", (0.000, 0.002, 0.012, 0.060), (0.001, 0.006, 0.030, 0.090)),
    MarkType(
        "webinar", "event", "web", (0.000, 0.006, 0.025, 0.030), (0.000, 0.004, 0.012, 0.015), 0.5
    ),
    MarkType(
        "call",
        "phone",
        "crm",
        (0.001, 0.010, 0.030, 0.120),
        (0.002, 0.015, 0.060, 0.300),
        0.3,
        "minutes",
    ),
    MarkType(
        "meeting", "event", "crm", (0.000, 0.001, 0.006, 0.060), (0.000, 0.004, 0.025, 0.200), 0.4
    ),
    MarkType(
        "meeting", "partner", "crm", (0.000, 0.001, 0.006, 0.020), (0.000, 0.003, 0.015, 0.050), 0.4
    ),
    MarkType("mql", None, "crm", (0.000, 0.001, 0.030, 0.030), (0.000, 0.000, 0.000, 0.000)),
    MarkType(
        "sales_accepted", None, "crm", (0.000, 0.000, 0.004, 0.050), (0.004, 0.010, 0.004, 0.001)
    ),
    MarkType(
        "proposal",
        None,
        "crm",
        (0.000, 0.000, 0.000, 0.000),
        (0.000, 0.001, 0.010, 0.130),
        0.0,
        "deal",
    ),
)
# After CHANGE: the factor of e-mail rates, and the share of web forms that become chats.
EMAIL_AFTER, FORMS_TO_CHAT = 0.7, 0.5


class CompanyLaw(NamedTuple):
    """The rates of a company, per business day.

    Axes: Z is the account's state (0 quiet, 1 buying), X the lead's intent, phase 0 lead and 1
    opportunity, regime 0 before and 1 after CHANGE, way 0 onward and 1 given up.

    Attributes:
        z_rate: (Z,) rate of leaving the account's state.
        x_rate: (Z, X, X) rate of moving between intents; the diagonal is zero.
        mark_rate: (regime, phase, X, mark) rate of each mark.
        late: (mark,) share of late rows.
        exit_rate: (phase, way, Z, X) rate of each outcome; way 0 is multiplied by the lead's fit.
        entry: (row, X) probability of each intent on entry.
    """

    z_rate: np.ndarray
    x_rate: np.ndarray
    mark_rate: np.ndarray
    late: np.ndarray
    exit_rate: np.ndarray
    entry: np.ndarray


def build_demo_law() -> CompanyLaw:
    """Return the demo company's law.

    Intent lasts for weeks and drives the rates of marks, so the history is informative.
    """
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
    # Opportunities (the second rows) end slowly, so that they leave a history from which the target
    # close can be learned.
    onward = np.array([[0.00003, 0.0002, 0.0015, 0.0400], [0.00005, 0.0002, 0.0010, 0.0220]])
    given_up = np.array([[0.0180, 0.0060, 0.0020, 0.0005], [0.0120, 0.0045, 0.0015, 0.0005]])
    buying = np.array([1.0, 1.8])[None, :, None]
    return CompanyLaw(
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
    """Return the mark rates (phase, X, mark) after CHANGE from those before it.

    There are fewer e-mail events, and half of the web forms become chats.
    """
    names = [(m.event_type, m.channel) for m in MARKS]
    after = before.copy()
    for mark in (("email_open", "email"), ("email_click", "email")):
        after[..., names.index(mark)] *= EMAIL_AFTER
    forms = names.index(("form_submit", "web"))
    moved = FORMS_TO_CHAT * before[..., forms]
    after[..., forms] -= moved
    after[..., names.index(("chat", "chat"))] += moved
    return after


def compute_fit(leads: pa.Table) -> np.ndarray:
    """Return the multiplier of each lead's onward rates from industry, country, source and size.

    A missing or unknown value is neutral. It is a value of its own in the law, so it hides no
    information from the oracle.
    """
    employees = pc.cast(leads["employees"], pa.float64()).to_numpy(zero_copy_only=False)
    size = np.clip(
        (np.nan_to_num(employees, nan=TYPICAL_EMPLOYEES) / TYPICAL_EMPLOYEES) ** 0.2, 0.5, 2.0
    )
    sources = {name: multiplier for name, (multiplier, _) in SOURCES.items()}
    for name, table in (("industry", INDUSTRIES), ("country", COUNTRIES), ("source", sources)):
        size = size * np.array([table.get(value, 1.0) for value in leads[name].to_pylist()])
    return size


def find_entry_rows(leads: pa.Table) -> np.ndarray:
    """Return the row of ``Law.entry`` for each lead.

    Raises DataError for a source that is not in SOURCES.
    """
    rows = {name: row for row, name in enumerate(SOURCES)}
    sources = leads["source"].to_pylist()
    unknown = [name for name in sources if name not in rows]
    if unknown:
        raise DataError(
            "unknown lead source in the simulated company",
            where="column source",
            found=f"{len(unknown)} rows, such as {unknown[0]!r}",
            fix=f"use one of {', '.join(rows)}",
        )
    return np.array([rows[name] for name in sources], dtype=np.int64)


@dataclass(frozen=True)
class BusinessClock:
    """Map between calendar time and business time.

    Attributes:
        edges: ``edges[i]`` is the business time, in days, i hours after START (UTC).
    """

    edges: np.ndarray

    def to_business_days(self, us: np.ndarray) -> np.ndarray:
        """Return business days since START at instants in microseconds since 1970 (UTC).

        Raises DataError for an instant outside the range of the clock.
        """
        hours = (np.asarray(us, dtype=np.int64) - to_microseconds(START)) / US_PER_HOUR
        if hours.size and (hours.min() < 0 or hours.max() >= len(self.edges)):
            raise DataError(
                "instant outside the range of the business clock",
                where="simulated company",
                fix=CLOCK_RANGE,
            )
        return np.interp(hours, np.arange(len(self.edges)), self.edges)

    def to_instants(self, tau: np.ndarray) -> np.ndarray:
        """Return the instant, in whole microseconds since 1970 (UTC), at ``tau`` business days."""
        hours = np.interp(tau, self.edges, np.arange(len(self.edges)))
        return to_microseconds(START) + np.floor(hours * US_PER_HOUR).astype(np.int64)


# Ten years: the company's 18 months, and any later cutoff plus horizon that a test may ask for.
CLOCK_DAYS = 3653
CLOCK_END = START + timedelta(days=CLOCK_DAYS)
CLOCK_RANGE = f"use instants from {START:%Y-%m-%d} on and before {CLOCK_END:%Y-%m-%d}"


def build_demo_clock() -> BusinessClock:
    """Return a clock that is fast by day and slow at night, at weekends and in summer.

    Its mean speed is about one business day a calendar day.
    """
    hour = np.arange(CLOCK_DAYS * 24)
    day = hour // 24
    # Each of the three factors has a mean of 1, so that a business day is about a calendar day.
    daytime = np.where((hour % 24 >= 7) & (hour % 24 < 19), 1.75, 0.25)
    workday = np.where((START.weekday() + day) % 7 < 5, 1.3, 0.25)
    season = 1 + 0.15 * np.cos(2 * np.pi * day / 365.25)
    return BusinessClock(np.concatenate([[0.0], np.cumsum(daytime * workday * season)]) / 24)
