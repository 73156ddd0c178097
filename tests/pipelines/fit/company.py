"""A company with everything that a profile has to get right, in CSV files and a config.

Mills buy three times as often. Of the other columns ``tier`` is set to gold with a win, and has a
history; ``segment`` is filled with a win, and has none; ``color`` means nothing.
"""

import csv
import json
from datetime import UTC, datetime, timedelta

import numpy as np

START = datetime(2024, 1, 1, tzinfo=UTC)
AS_OF = "2025-03-01"
HORIZON_DAYS = 90
CONFIG = {
    "project": "mills",
    "workspace": "workspace",
    "sources": {
        "leads": {
            "path": "leads.csv",
            "entity_id": "id",
            "created_at": "born",
            "known_at": "loaded",
            "account_id": "firm",
            "attributes": ["industry", "size", "color", "segment"],
        },
        "attributes": [
            {
                "path": "tiers.csv",
                "entity_id": "lead",
                "columns": ["tier"],
                "valid_from": "since",
            }
        ],
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
        "win": {
            "population": {"until": ["lost"]},
            "outcome": "won",
            "horizon": "30d",
            "cutoffs": {"every": "7d"},
            "amount": {"outcome": "value"},
        }
    },
    "features": {"outbound": ["call"]},
    "fit": {"horizon": f"{HORIZON_DAYS}d"},
    "capacity": {"per_week": 20, "owner": "seller"},
}
LEADS_HEADER = ["id", "born", "loaded", "firm", "industry", "size", "color", "segment", "seller"]
EVENTS_HEADER = ["lead", "at", "loaded", "what", "amount"]


def write(folder, leads=1500, seed=3, **changes):
    """Write the company; return the rows of its leads, events and tiers."""
    random = np.random.default_rng(seed)
    people, log, tiers = [], [], []
    firms = [make_firm(random, number) for number in range(leads // 2)]
    for number in range(leads):
        name = f"L{number:05}"
        born = START + timedelta(days=float(random.uniform(0, 420)))
        firm = firms[random.integers(0, len(firms))] if random.random() < 0.7 else None
        industry, size = (firm or make_firm(random, 0))[1:]
        events = list(live(random, name, born, 0.3 if industry == "mill" else 0.1))
        won = next((row[1] for row in events if row[3] == "won"), None)
        loaded = born + timedelta(hours=float(random.exponential(5)))
        people.append(
            [
                name,
                format_time(born),
                format_time(loaded),
                firm[0] if firm else "",
                industry,
                size,
                random.choice(["red", "blue", "green"]),
                random.choice(["key", "base"]) if won else "",
                random.choice(["Ann", "Bo"]),
            ]
        )
        log += events
        tiers.append([name, random.choice(["t0", "t1"]), format_time(born)])
        if won:
            tiers.append([name, "gold", won])
    write_company(folder, people, log, tiers, **changes)
    return people, log, tiers


def make_firm(random, number):
    industry = random.choice(["mill", "shop", "farm", ""], p=[0.25, 0.4, 0.25, 0.1])
    return f"F{number:04}", industry, int(random.lognormal(4, 1))


def live(random, lead, born, chance):
    """Yield the events of a lead."""
    at, end = born, born + timedelta(days=float(random.exponential(60)))
    wins = random.random() < chance
    while True:
        at += timedelta(days=float(random.exponential(7)))
        if at >= end:
            break
        yield make_event(random, lead, at, str(random.choice(["visit", "mail", "call"])))
    if wins:
        amount = int(random.lognormal(7, 1))
        yield make_event(random, lead, end, "won", amount)
    elif random.random() < 0.5:
        yield make_event(random, lead, end, "lost")


def make_event(random, lead, at, what, amount=""):
    late = timedelta(days=float(random.exponential(3))) if random.random() < 0.2 else timedelta(0)
    return [lead, format_time(at), format_time(at + late), what, amount]


def garble(folder, people, log, tiers, as_of=AS_OF, **changes):
    """Write the company with rows that became known from a day on changed, deleted and added."""
    limit, random = f"{as_of}T00:00:00+00:00", np.random.default_rng(1)
    known = [row for row in log if max(row[1], row[2]) < limit]
    # What was known of them was so without the fields that a win fills.
    old = [row for row in people if max(row[1], row[2]) < limit]
    own = {row[0] for row in old}
    late = [
        [row[0], max(row[1], limit), max(row[2], limit), "won", 10**6]
        for row in log
        if max(row[1], row[2]) >= limit and random.random() < 0.8 and row[0] in own
    ]
    early = [[row[0], row[1], limit, "won", 10**6] for row in known[::4]]
    new = [[f"N{n}", limit, limit, "F0001", "mill", 1, "red", "", "Bo"] for n in range(50)]
    turned = [[row[0], "gold", max(row[2], limit)] for row in tiers if row[0] in own]
    assert len(late) > 50
    events = [*late, *[row for row in known if row[0] in own], *early]
    random.shuffle(events)
    values = [*[row for row in tiers if row[2] < limit and row[0] in own], *turned]
    write_company(folder, [*new, *old], events, values, **changes)


def write_company(folder, people, log, tiers, **changes):
    write_rows(folder / "leads.csv", LEADS_HEADER, people)
    write_rows(folder / "events.csv", EVENTS_HEADER, log)
    write_rows(folder / "tiers.csv", ["lead", "tier", "since"], tiers)
    # YAML contains JSON.
    (folder / "mills.yaml").write_text(json.dumps(CONFIG | changes), encoding="utf-8")


def format_time(instant):
    return instant.strftime("%Y-%m-%dT%H:%M:%S+00:00")


def write_rows(path, header, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
