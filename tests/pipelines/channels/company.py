"""A small company with touches and costs, in CSV files and a config, and its rows as plain dicts.

Some leads share an account; some rows reach the data late; costs have a channel without a touch.
"""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

START = datetime(2024, 1, 1, tzinfo=UTC)
AS_OF = "2025-01-01"
WINDOW = timedelta(days=90)
CHANNELS = ("ads", "mail", "fair", "web")
CONFIG: dict[str, Any] = {
    "project": "touched",
    "timezone": "UTC",
    "workspace": "workspace",
    "sources": {
        "leads": {
            "path": "leads.csv",
            "entity_id": "id",
            "created_at": "born",
            "account_id": "firm",
            "attributes": ["origin"],
        },
        "events": [
            {
                "path": "events.csv",
                "entity_id": "lead",
                "event_time": "at",
                "known_at": "loaded",
                "event_type": "what",
                "channel": "via",
                "value": "amount",
            }
        ],
        "costs": {
            "path": "costs.csv",
            "date": "day",
            "channel": "via",
            "cost": "spent",
            "known_at": "booked",
        },
        "max_staleness": "60d",
    },
    "targets": {"buy": {"outcome": "won", "horizon": "30d", "cutoffs": {"every": "30d"}}},
    "channels": {"opportunity": "offer", "window": "90d", "min_accounts": 5, "period": "quarter"},
}
Rows = list[dict[str, Any]]


def draw_rows(leads: int, seed: int = 5) -> dict[str, Rows]:
    """Return the rows of leads, events and costs; times are datetimes."""
    rng = np.random.default_rng(seed)
    people, events, costs = Rows(), Rows(), Rows()
    for number in range(leads):
        born = START + timedelta(days=float(rng.uniform(0, 360)))
        firm = f"F{number // 2}" if rng.random() < 0.5 else ""
        origin = str(rng.choice(["ads", "fair", ""]))
        people.append({"id": f"L{number}", "born": born, "firm": firm, "origin": origin})
        for _ in range(rng.poisson(4)):
            at = born + timedelta(days=float(rng.exponential(25)))
            what = str(rng.choice(["view", "view", "view", "offer", "won"]))
            via = str(rng.choice([*CHANNELS, ""])) if what == "view" else ""
            late = timedelta(days=float(rng.choice([0, 0, 9])))
            amount = round(float(rng.gamma(2, 100)), 2) if what == "won" else ""
            row = {"lead": f"L{number}", "at": at, "loaded": at + late, "what": what}
            events.append(row | {"via": via, "amount": amount})
    for week in range(53):
        for via in ("ads", "mail", "radio"):
            day = START + timedelta(weeks=week)
            spent = round(float(rng.uniform(50, 200)), 2)
            costs.append({"day": day, "via": via, "spent": spent, "booked": day + timedelta(6)})
    return {"leads": people, "events": events, "costs": costs}


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
    path = folder / "touched.yaml"
    path.write_text(json.dumps(config), encoding="utf-8")
    return path


def list_journeys(rows: dict[str, Rows], as_of: datetime, config: dict[str, Any]) -> Rows:
    """Return the accounts with a touch, by plain loops over the rows known before ``as_of``."""
    owner = {row["id"]: row["firm"] or row["id"] for row in rows["leads"] if row["born"] < as_of}
    known = [row for row in rows["events"] if row["loaded"] < as_of and row["lead"] in owner]
    accounts: dict[str, dict[str, Any]] = {
        name: {"account": name, "touches": [], "opened": [], "won": []}
        for name in sorted(set(owner.values()))
    }
    for row in known:
        account = accounts[owner[row["lead"]]]
        if row["what"] == "view" and row["via"] and config.get("touches", True):
            account["touches"].append((row["at"], row["via"]))
        if row["what"] == "offer":
            account["opened"].append(row["at"])
        if row["what"] == "won":
            account["won"].append((row["at"], row["amount"]))
    if "attribute" in config:
        for row in rows["leads"]:
            if row["id"] in owner and row["origin"]:
                accounts[owner[row["id"]]]["touches"].append((row["born"], row["origin"]))
    result = Rows()
    for account in accounts.values():
        touches = sorted(account["touches"])
        account["leads"] = sum(name == account["account"] for name in owner.values())
        first_won = min((at for at, _ in account["won"]), default=None)
        if not touches or (first_won and first_won <= touches[0][0]):
            continue
        entry = touches[0][0]
        end = entry + WINDOW
        opened = min(account["opened"], default=None)
        customer = first_won is not None and first_won < end
        until = min(at for at in (first_won, end) if at)
        stop = min(at for at in (until, opened) if at)
        before = [touch for touch in touches if touch[0] < stop]
        finish = stop if stop < end else max(at for at, _ in before) if before else end
        lookback = timedelta(days=config.get("lookback_days", WINDOW.days))
        used = [touch for touch in before if touch[0] >= finish - lookback]
        result.append(
            {
                "entry": entry,
                "period": f"{entry.year}-Q{(entry.month + 2) // 3}",
                "first": touches[0][1],
                "customer": customer,
                "used": [via for _, via in used],
                "days": [(finish - at) / timedelta(days=1) for at, _ in used],
                "after": [via for at, via in touches if stop <= at < until],
                "leads": account["leads"],
                "amount": sum(amount for at, amount in account["won"] if at >= entry),
                "sales": [(at, amount) for at, amount in account["won"] if at >= entry],
                "first_won": first_won,
            }
        )
    return result
