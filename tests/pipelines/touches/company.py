"""A small company that touches its leads, in CSV files and a config; its rows are plain dicts."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

START = datetime(2024, 1, 1, tzinfo=UTC)
AS_OF = "2024-07-01"
DAYS = 182
TOUCHES = ("email_sent", "outreach_call")
ROLES = {
    **dict.fromkeys(TOUCHES, "touch"),
    "answer": "reply",
    "unsubscribed": "opt_out",
    "won": "end",
    "lost": "end",
}
CONFIG: dict[str, Any] = {
    "project": "nurtured",
    "timezone": "UTC",
    "workspace": "workspace",
    "sources": {
        "leads": {
            "path": "leads.csv",
            "entity_id": "id",
            "created_at": "born",
            "account_id": "firm",
        },
        "events": [
            {
                "path": "events.csv",
                "entity_id": "lead",
                "event_time": "at",
                "known_at": "loaded",
                "event_type": "what",
                "channel": "via",
            }
        ],
        "max_staleness": "60d",
    },
    "targets": {
        "buy": {
            "population": {"until": ["lost"]},
            "outcome": "won",
            "horizon": "30d",
            "cutoffs": {"every": "30d"},
        }
    },
    "touches": {
        "types": list(TOUCHES),
        "replies": ["answer"],
        "opt_outs": ["unsubscribed"],
        "quiet_after": "40d",
        "min_gap": "3d",
        "max_number": 5,
        "min_at_risk": 20,
        "cost": {"email": 0.5, "outreach_call": 9},
        "reply_value": 14,
        "opt_out_harm": 30,
    },
}
Rows = list[dict[str, Any]]


def draw_rows(leads: int, seed: int = 5) -> dict[str, Rows]:
    """Return the rows of leads and events, through two weeks after the as-of."""
    rng = np.random.default_rng(seed)
    people, events = Rows(), Rows()
    for number in range(leads):
        born = START + timedelta(days=float(rng.uniform(0, DAYS - 20)))
        firm = f"F{number // 2}" if rng.random() < 0.4 else ""
        people.append({"id": f"L{number:04d}", "born": born, "firm": firm})
        at = born
        for _ in range(rng.integers(0, 7)):
            at += timedelta(days=int(rng.integers(1, 20)), hours=int(rng.integers(0, 24)))
            if at >= START + timedelta(days=DAYS + 14):
                break
            what = str(rng.choice(TOUCHES, p=[0.7, 0.3]))
            # Calls have no channel of their own.
            events.append(_make_row(number, at, what, "email" if what == TOUCHES[0] else "", rng))
            chances = {"answer": 0.2, "unsubscribed": 0.06, "won": 0.03, "lost": 0.05}
            for name, chance in chances.items():
                if rng.random() < chance:
                    later = at + timedelta(days=float(rng.exponential(6)))
                    events.append(_make_row(number, later, name, "", rng))
    # The last event of the data decides through when outcomes are seen.
    last = START + timedelta(days=DAYS, hours=-6)
    events.append(_make_row(0, last, "view", "", rng) | {"loaded": last})
    return {"leads": people, "events": events}


def _make_row(
    number: int, at: datetime, what: str, via: str, rng: np.random.Generator
) -> dict[str, Any]:
    at = at.replace(microsecond=0)
    late = timedelta(days=float(rng.choice([0, 0, 0, 4])))
    return {"lead": f"L{number:04d}", "at": at, "loaded": at + late, "what": what, "via": via}


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
    config = {key: value for key, value in {**CONFIG, **changes}.items() if value is not None}
    path = folder / "nurtured.yaml"
    path.write_text(json.dumps(config), encoding="utf-8")
    return path


def list_known(rows: dict[str, Rows], as_of: datetime) -> list[tuple[int, int, str, int]]:
    """Return the events known before ``as_of`` as those of the plain loops, in microseconds.

    Channel 0 is e-mail, channel 1 a call.
    """
    leads = {row["id"]: place for place, row in enumerate(rows["leads"]) if row["born"] < as_of}
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return [
        (
            leads[row["lead"]],
            (row["at"] - epoch) // timedelta(microseconds=1),
            ROLES[row["what"]],
            int(row["what"] == TOUCHES[1]),
        )
        for row in rows["events"]
        if row["loaded"] < as_of and row["lead"] in leads and row["what"] in ROLES
    ]
