"""A shop with what customers need to get right, in CSV files and a config.

Some people belong to a firm, which is then the customer. Orders reach the data late; some are made
shortly after midnight, so that their day depends on the time zone; some are refunded on the day.
"""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

START = datetime(2023, 1, 1, tzinfo=UTC)
AS_OF = "2025-01-01"
ZONE = "America/New_York"
MARGIN = 0.4
CONFIG: dict[str, Any] = {
    "project": "shop",
    "timezone": ZONE,
    "workspace": "workspace",
    "sources": {
        "leads": {
            "path": "leads.csv",
            "entity_id": "id",
            "created_at": "born",
            "account_id": "firm",
            "attributes": ["country"],
        },
        "events": [
            {
                "path": "events.csv",
                "entity_id": "lead",
                "event_time": "at",
                "known_at": "loaded",
                "event_type": "what",
                "value": "amount",
            }
        ],
        "max_staleness": "60d",
    },
    "targets": {
        "order": {
            "population": {"recurring": True},
            "outcome": "order",
            "horizon": "30d",
            "cutoffs": {"every": "30d"},
        }
    },
    "customers": {
        "purchases": ["order", "refund"],
        "margin": MARGIN,
        "horizon": "730d",
        "lapse": "120d",
        "advocacy": ["referral"],
    },
    "capacity": {"per_week": 20, "owner": "seller"},
}
LEADS_HEADER = ["id", "born", "firm", "country", "seller"]
EVENTS_HEADER = ["lead", "at", "loaded", "what", "amount"]


def write(folder: Path, leads: int = 500, seed: int = 3, **changes: object) -> None:
    """Write the files of the shop and its config, with top-level keys replaced."""
    random = np.random.default_rng(seed)
    people, log = [], []
    for number in range(leads):
        name = f"L{number:04}"
        born = START + timedelta(days=float(random.uniform(0, 450)))
        firm = f"F{random.integers(0, leads // 5):03}" if random.random() < 0.4 else ""
        people.append([name, _format(born), firm, random.choice(["us", "ca"]), "Ann"])
        log += list(_live(random, name, born))
    _write_csv(folder / "leads.csv", LEADS_HEADER, people)
    _write_csv(folder / "events.csv", EVENTS_HEADER, log)
    write_config(folder, {**CONFIG, **changes})


def write_config(folder: Path, config: dict[str, Any]) -> None:
    """Write a config of the shop."""
    (folder / "shop.yaml").write_text(json.dumps(config))


def _live(random: np.random.Generator, lead: str, born: datetime) -> Any:
    """Yield the orders, refunds and referrals of a lead."""
    rate, life = random.gamma(1.0, 1 / 40), random.exponential(300)
    yield _make_event(random, lead, born, "visit", "")
    if random.random() < 0.2:
        return
    day = random.exponential(5)
    while day < life:
        at = born + timedelta(days=float(day))
        if at >= START + timedelta(days=760):
            return
        amount = round(float(random.lognormal(4, 0.6)), 2)
        yield _make_event(random, lead, at, "order", amount)
        if random.random() < 0.05:
            yield _make_event(random, lead, at, "refund", -amount)
        if random.random() < 0.02:
            yield _make_event(random, lead, at, "referral", "")
        day += random.exponential(1 / rate)


def _make_event(
    random: np.random.Generator, lead: str, at: datetime, what: str, amount: object
) -> list[object]:
    loaded = at + timedelta(days=float(random.exponential(2)))
    return [lead, _format(at), _format(loaded), what, amount]


def _format(instant: datetime) -> str:
    return instant.isoformat(timespec="seconds")


def _write_csv(path: Path, header: list[str], rows: list[list[object]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
