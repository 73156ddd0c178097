"""A small company in a directory: 900 leads over a year whose visits predict a purchase."""

import csv
from datetime import datetime, timedelta

import numpy as np
import yaml

START = datetime(2024, 1, 1)  # noqa: DTZ001 - naive on purpose: the config's zone gives it meaning
END = "2025-01-01"

CONFIG = {
    "project": "tiny",
    "timezone": "Europe/Berlin",
    "workspace": "workspace",
    "sources": {
        "leads": {
            "path": "leads.csv",
            "entity_id": "id",
            "created_at": "created",
            "account_id": "firm",
            "attributes": ["country", "size"],
        },
        "events": [
            {
                "path": "events.csv",
                "entity_id": "lead",
                "event_time": "at",
                "event_type": "what",
                "channel": "via",
            }
        ],
    },
    "targets": {
        "buy": {
            "population": {"after": "created", "until": ["lost"], "max_age": "90d"},
            "outcome": "bought",
            "horizon": "21d",
            "cutoffs": {"every": "14d"},
        }
    },
    "features": {"windows": ["7d", "30d"], "half_lives": ["14d"], "stages": ["met", "bought"]},
    "capacity": 20,
}

LITTLE = {
    "features": {
        "windows": ["7d", "30d"],
        "half_lives": ["14d"],
        "families": ["counts", "recency", "lead"],
    },
    "evaluation": {"folds": 1},
}
"""Changes that make training fast and leave enough to fit."""


def write(folder, leads=900, seed=1, signal=True, **changes):
    """Write leads.csv, events.csv and company.yaml into a folder.

    ``changes`` replace keys of the config. Without ``signal`` all leads are alike and buy by
    chance.
    """
    rng = np.random.default_rng(seed)
    rows, events = [], []
    for number in range(leads):
        created = START + timedelta(days=float(rng.uniform(0, 360)))
        keen = rng.random() < 0.3 if signal else None
        rows.append(
            [
                f"L{number:04}",
                created.isoformat(" "),
                f"F{number // 3}",
                rng.choice(["DE", "FR"]),
                rng.integers(1, 99),
            ]
        )
        events += list(_life(rng, f"L{number:04}", created, keen))
    _csv(folder / "leads.csv", ["id", "created", "firm", "country", "size"], rows)
    _csv(folder / "events.csv", ["lead", "at", "what", "via"], events)
    path = folder / "company.yaml"
    path.write_text(
        yaml.safe_dump(CONFIG | changes, sort_keys=False, allow_unicode=True), encoding="utf-8"
    )
    return path


def _life(rng, lead, created, keen):
    end = datetime.fromisoformat(END)
    pace, chance = {True: (4, 0.12), False: (25, 0.01), None: (8, 0.05)}[keen]
    for day in np.cumsum(rng.exponential(pace, 40)):
        at = created + timedelta(days=float(day))
        if at >= end or day > 120:
            return
        yield [
            lead,
            at.isoformat(" "),
            str(rng.choice(["visit", "met"], p=[0.8, 0.2])),
            str(rng.choice(["web", "phone"])),
        ]
        if rng.random() < chance:
            yield [lead, (at + timedelta(hours=1)).isoformat(" "), "bought", "web"]
            return


def _csv(path, header, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
