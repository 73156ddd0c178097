"""Companies whose customers pay by the year, in CSV files and a config.

``python -m tests.pipelines.customers.subscriptions FOLDER`` writes the one that the docs show.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

START = datetime(2018, 1, 1, 12, tzinfo=UTC)
AS_OF = "2025-01-01"
DAYS = 2_557
PERIOD, GRACE = 365, 30
# Customers of 1,000 in the "high end" segment of Fader and Hardie (2007), after years 0 to 7.
HIGH_END = (1000, 869, 743, 653, 593, 551, 517, 491)
CONFIG: dict[str, Any] = {
    "project": "subscriptions",
    "timezone": "UTC",
    "workspace": "workspace",
    "sources": {
        "leads": {
            "path": "leads.csv",
            "entity_id": "id",
            "created_at": "born",
            "attributes": ["country"],
        },
        "events": [
            {
                "path": "events.csv",
                "entity_id": "lead",
                "event_time": "at",
                "event_type": "what",
                "value": "amount",
            }
        ],
        "max_staleness": "60d",
    },
    "targets": {
        "payment": {
            "population": {"recurring": True},
            "outcome": "payment",
            "horizon": "30d",
            "cutoffs": {"every": "30d"},
        }
    },
    "customers": {
        "purchases": ["payment"],
        "margin": 0.5,
        "contract": {"period": "365d", "grace": "30d"},
    },
}
Event = tuple[str, float, str, object]


def write_config(folder: Path, **customers: object) -> None:
    """Write a config of the company, with keys of `customers` added."""
    config = {**CONFIG, "customers": {**CONFIG["customers"], **customers}}
    (folder / "contracts.yaml").write_text(json.dumps(config))


def write_high_end(folder: Path) -> None:
    """Write the printed cohort: who is left after a year pays on the day that the next begins."""
    events = [
        (f"C{number:04}", year * PERIOD, "payment", 100)
        for year, left in enumerate(HIGH_END)
        for number in range(left)
    ]
    write_events(folder, events)
    write_config(folder, contract={"period": "365d", "grace": "0d"})


def write_company(folder: Path, size: int = 600, seed: int = 5) -> None:
    """Write customers who begin over the years, pay early or late, cancel, stop, and come back."""
    events = [
        event for number in range(size) for event in _live(np.random.default_rng([seed, number]))
    ]
    write_events(folder, events)
    contract = {**CONFIG["customers"]["contract"], "ended": ["cancellation"]}
    write_config(folder, contract=contract, advocacy=["referral"])


def _live(random: np.random.Generator) -> Iterable[Event]:
    lead = f"C{random.integers(0, 10**9):09}"
    day, leaves = float(random.uniform(0, DAYS - 200)), random.beta(0.9, 4)
    mean = 400 / random.gamma(5, 1 / 5)
    while day < DAYS:
        yield lead, day, "payment", round(float(mean * random.gamma(8, 1 / 8)), 2)
        if random.random() < 0.05:
            yield lead, day + float(random.uniform(1, 150)), "payment", 40
        if random.random() < 0.03:
            yield lead, day + float(random.uniform(1, 300)), "referral", ""
        if random.random() < leaves:
            if random.random() < 0.5:
                yield lead, day + float(random.uniform(200, PERIOD)), "cancellation", ""
            if random.random() > 0.15:
                return
            day += PERIOD + GRACE + float(random.uniform(20, 400))
        else:
            day += PERIOD + min(float(random.normal(4, 8)), GRACE - 1)


def write_events(folder: Path, events: Iterable[Event]) -> None:
    """Write events (lead, days after START, type, value) and the leads."""
    rows = sorted(
        [lead, (START + timedelta(days=day)).isoformat(timespec="seconds"), what, value]
        for lead, day, what, value in events
        if day < DAYS
    )
    first: dict[str, str] = {}
    for lead, at, *_ in rows:
        first[lead] = min(at, first.get(lead, at))
    leads = [[lead, at, "de"] for lead, at in first.items()]
    for name, header, lines in (
        ("leads.csv", ["id", "born", "country"], leads),
        ("events.csv", ["lead", "at", "what", "amount"], rows),
    ):
        with (folder / name).open("w", newline="") as file:
            csv.writer(file).writerows([header, *lines])


if __name__ == "__main__":
    Path(sys.argv[1]).mkdir(parents=True, exist_ok=True)
    write_company(Path(sys.argv[1]))
