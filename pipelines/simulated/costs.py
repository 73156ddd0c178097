"""Weekly costs of the demo company's channels.

They have a random stream of their own and depend on no lead, so that every other file of a seed
stays the same. Amounts follow the expected leads of a source, not those that came.
"""

from __future__ import annotations

import csv
import io
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from features.tools.atomic_file import write_atomically
from pipelines.simulated.company import END, SOURCE_SHARES, SOURCES, START

COSTS_FILE = "costs.csv"
# Separates the stream from those of blocks, whose second number counts them.
COST_STREAM = 0xC057
# Spent on an expected lead of a source, with the people who work on it: a customer costs about a
# third of the margin that it brings, and trade fairs cost more than their customers bring.
COST_PER_LEAD = {
    "organic": 1_300.0,
    "paid_search": 5_400.0,
    "webinar": 3_600.0,
    "partner": 5_500.0,
    "trade_fair": 16_000.0,
    "bought_list": 900.0,
}
# Tools, which cost by the lead of any source.
COST_OF_TOOLS = {"email": 200.0, "chat": 150.0}
# Fairs are paid in the weeks in which they take place.
FAIR_WEEKS = (11, 24, 37, 46)
# Commissions of partners are booked when the invoice comes.
BOOKED_AFTER = {"partner": timedelta(days=21)}
WEEK = timedelta(days=7)
NOISE = 0.15


def write_costs(directory: Path, leads: int, seed: int) -> Path:
    """Write costs.csv of a company with this many leads: week, channel, cost and booked_at."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("week", "channel", "cost", "booked_at"))
    writer.writerows(draw_costs(leads, seed))
    path = directory / COSTS_FILE
    write_atomically(path, text.getvalue())
    return path


def draw_costs(leads: int, seed: int) -> list[tuple[str, str, str, str]]:
    """Return week, channel, cost and day of booking of each cost; the first row comes twice."""
    rng = np.random.default_rng([seed, COST_STREAM])
    weeks = _list_mondays()
    per_week, rows = leads / len(weeks), list[tuple[str, str, str, str]]()
    shares = dict(zip(SOURCES, SOURCE_SHARES, strict=True))
    for monday in weeks:
        noise = np.exp(NOISE * rng.standard_normal(len(COST_PER_LEAD) + len(COST_OF_TOOLS)))
        spent = [per_week * shares[name] * cost for name, cost in COST_PER_LEAD.items()]
        spent += [per_week * cost for cost in COST_OF_TOOLS.values()]
        for name, expected, factor in zip(
            (*COST_PER_LEAD, *COST_OF_TOOLS), spent, noise, strict=True
        ):
            is_fair = name == "trade_fair"
            if is_fair and monday.isocalendar().week not in FAIR_WEEKS:
                continue
            cost = expected * factor * (52 / len(FAIR_WEEKS) if is_fair else 1)
            booked = monday + BOOKED_AFTER.get(name, WEEK)
            rows.append((monday.isoformat(), name, f"{cost:.2f}", booked.isoformat()))
    # One row arrives twice, as in the other tables.
    return [*rows, rows[0]]


def _list_mondays() -> list[date]:
    """Return the Mondays of the company's time whose week is over before its end."""
    first = START.date() + timedelta(days=-START.weekday() % 7)
    count = (END.date() - first) // WEEK
    return [first + number * WEEK for number in range(count)]
