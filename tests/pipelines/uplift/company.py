"""A small company with an experiment whose effect is known, in CSV files and a config."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

START = datetime(2024, 1, 1, tzinfo=UTC)
AS_OF = "2024-08-01"
DAY = timedelta(days=1)
HORIZON = 30 * DAY
CONFIG: dict[str, Any] = {
    "project": "tried",
    "timezone": "UTC",
    "workspace": "workspace",
    "sources": {
        "leads": {
            "path": "leads.csv",
            "entity_id": "id",
            "created_at": "born",
            "attributes": ["kind", "size"],
        },
        "events": [
            {"path": "events.csv", "entity_id": "lead", "event_time": "at", "event_type": "what"}
        ],
        "experiments": {
            "path": "draws.csv",
            "entity_id": "lead",
            "assigned_at": "at",
            "arm": "arm",
            "channel": "via",
            "propensity": 0.5,
        },
        "max_staleness": "60d",
    },
    "targets": {
        "buy": {
            "population": {"until": ["gone"], "max_age": "200d"},
            "outcome": "won",
            "horizon": "30d",
            "cutoffs": {"every": "30d"},
        }
    },
    "uplift": {"top": 50},
}
Rows = list[dict[str, Any]]


def draw_rows(leads: int, seed: int = 3, effect: float = 0.5) -> dict[str, Rows]:
    """Return the rows of leads, events and draws; outreach helps leads of the kind “new” only.

    Some draws are for leads that had already won or gone, or that came later, and some are young.
    """
    rng = np.random.default_rng(seed)
    people, events, draws = Rows(), Rows(), Rows()
    for number in range(leads):
        name, born = f"L{number:04}", START + DAY * float(rng.uniform(0, 180))
        kind, size = str(rng.choice(["new", "old"])), int(rng.integers(1, 100))
        people.append({"id": name, "born": born, "kind": kind, "size": size})
        at = born + DAY * float(rng.uniform(-1, 60))
        treated = bool(rng.random() < 0.5)
        draws.append(
            {"lead": name, "at": at, "arm": "call" if treated else "control", "via": "phone"}
        )
        for _ in range(rng.poisson(2)):
            events.append({"lead": name, "at": born + DAY * rng.exponential(20), "what": "view"})
        if rng.random() < 0.08:
            what = str(rng.choice(["won", "gone"]))
            events.append({"lead": name, "at": at - DAY * float(rng.uniform(0, 9)), "what": what})
        # Those who buy anyway are not those whom outreach helps.
        chance = (
            0.05 + 0.1 * (size > 50) + 0.3 * (kind == "old") + effect * treated * (kind == "new")
        )
        if rng.random() < chance:
            events.append({"lead": name, "at": at + DAY * float(rng.uniform(0, 30)), "what": "won"})
    return {"leads": people, "events": events, "draws": draws}


def write(folder: Path, rows: dict[str, Rows], **changes: Any) -> Path:
    """Write the company to a folder, and return its config; a section of None is left out."""
    for name, table in rows.items():
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(table[0]))
            writer.writeheader()
            writer.writerows(
                {
                    key: value.isoformat() if isinstance(value, datetime) else value
                    for key, value in row.items()
                }
                for row in table
            )
    path = folder / "tried.yaml"
    config = {key: value for key, value in {**CONFIG, **changes}.items() if value is not None}
    path.write_text(json.dumps(config), encoding="utf-8")
    return path


def list_draws(rows: dict[str, Rows], as_of: datetime) -> Rows:
    """Return the draws for eligible leads with their outcomes, by plain loops; None if young."""
    born = {row["id"]: row["born"] for row in rows["leads"]}
    result = Rows()
    for draw in rows["draws"]:
        own = [row for row in rows["events"] if row["lead"] == draw["lead"] and row["at"] < as_of]
        ended = [
            row["at"]
            for row in own
            if row["what"] in ("won", "gone") and born[draw["lead"]] <= row["at"] < draw["at"]
        ]
        at = draw["at"]
        eligible = born[draw["lead"]] < at <= born[draw["lead"]] + 200 * DAY and not ended
        won = any(row["what"] == "won" and at <= row["at"] < at + HORIZON for row in own)
        result.append(
            {
                "eligible": eligible and at < as_of,
                "known": at < as_of,
                "outcome": won if at + HORIZON <= as_of else None,
                "treated": draw["arm"] == "call",
            }
        )
    return result
