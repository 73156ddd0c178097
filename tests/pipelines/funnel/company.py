"""A company with everything that a funnel has to get right, in two CSV files and a config."""

import csv
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

START = datetime(2024, 1, 1, tzinfo=UTC)
STAGES = ("mql", "meeting", "offer")
LEADS_HEADER = ["id", "born", "firm", "country", "amount", "seller"]
EVENTS_HEADER = ["lead", "at", "loaded", "what", "via"]
# Next steps from any state, with their chances: forward, skips, returns, losses, wins.
STEPS = {
    "created": {"mql": 0.5, "meeting": 0.15, "lost": 0.2, "closed": 0.15},
    "mql": {"meeting": 0.6, "offer": 0.1, "lost": 0.3},
    "meeting": {"offer": 0.5, "mql": 0.2, "lost": 0.3},
    "offer": {"won": 0.5, "meeting": 0.15, "lost": 0.35},
    "lost": {"back": 0.3},
    "closed": {},
    "back": {"mql": 0.8, "meeting": 0.2},
    "won": {"undone": 0.1},
    "undone": {"lost": 0.5, "won": 0.3},
}
CONFIG = {
    "project": "steps",
    "workspace": "workspace",
    "sources": {
        "leads": {
            "path": "leads.csv",
            "entity_id": "id",
            "created_at": "born",
            "account_id": "firm",
            "attributes": ["country", "amount"],
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
        "max_staleness": "30d",
    },
    "targets": {
        "win": {
            "population": {"until": ["lost", "closed"], "reopen": ["back"]},
            "outcome": "won",
            "outcome_revoked_by": ["undone"],
            "horizon": "30d",
            "cutoffs": {"every": "7d"},
            "amount": "amount",
        }
    },
    "features": {"stages": [*STAGES, "won"], "outbound": ["call"]},
    "capacity": {"per_week": 20, "owner": "seller"},
}


def write(folder: Path, leads=400, seed=3, **changes):
    """Write the company; return the rows of its leads and events."""
    rng = np.random.default_rng(seed)
    people, log = [], []
    for number in range(leads):
        born = START + timedelta(days=float(rng.integers(0, 300)))
        firm = f"F{rng.integers(0, leads // 2)}" if rng.random() < 0.7 else ""
        country, seller = rng.choice(["DE", "FR", ""]), rng.choice(["Ann", "Bo"])
        amount = int(rng.integers(1, 50)) * 100
        people.append([f"L{number:04}", format_time(born), firm, country, amount, seller])
        log += list_steps(rng, f"L{number:04}", born)
    write_rows(folder / "leads.csv", LEADS_HEADER, people)
    write_rows(folder / "events.csv", EVENTS_HEADER, log)
    # YAML contains JSON.
    (folder / "steps.yaml").write_text(json.dumps(CONFIG | changes), encoding="utf-8")
    return people, log


def garble(folder: Path, people, log, as_of):
    """Write the company with rows that became known from a day on changed, deleted and added."""
    limit, rng = f"{as_of}T00:00:00+00:00", np.random.default_rng(1)
    known = [row for row in log if max(row[1], row[2]) < limit]
    late = [
        [row[0], max(row[1], limit), max(row[2], limit), str(kind), row[4]]
        for row, kind in zip(log, rng.choice([*STEPS, "new"], len(log)), strict=True)
        if max(row[1], row[2]) >= limit and rng.random() < 0.7
    ]
    # Late rows of early events as well: they were not known either.
    early = [[row[0], row[1], limit, "lost", "fax"] for row in known[::3]]
    old = [row for row in people if row[1] < limit]
    new = [[f"N{place}", limit, "F1", "XX", 7, "Cy"] for place in range(50)]
    own = {row[0] for row in old}
    shuffled = [row for row in (*late, *known, *early) if row[0] in own]
    rng.shuffle(shuffled)
    assert len(late) > 100
    write_rows(folder / "leads.csv", LEADS_HEADER, [*new, *old])
    write_rows(folder / "events.csv", EVENTS_HEADER, shuffled)


def list_steps(rng, lead, born):
    state, at, rows = "created", born, []
    while state is not None:
        for _ in range(rng.integers(0, 3)):
            touch = at + timedelta(days=float(rng.exponential(2)))
            rows.append(make_event(rng, lead, touch, str(rng.choice(["call", "page"]))))
        names, chances = list(STEPS[state]), list(STEPS[state].values())
        step = rng.random()
        reached = np.searchsorted(np.cumsum(chances), step)
        state = names[reached] if reached < len(names) else None
        at += timedelta(days=float(rng.exponential(12)))
        if state is not None:
            rows.append(make_event(rng, lead, at, state))
    return [row for row in rows if row[1] < format_time(START + timedelta(days=330))]


def make_event(rng, lead, at, kind):
    late = timedelta(days=float(rng.exponential(4))) if rng.random() < 0.2 else timedelta(0)
    return [lead, format_time(at), format_time(at + late), kind, str(rng.choice(["web", "phone"]))]


def format_time(instant):
    return instant.strftime("%Y-%m-%dT%H:%M:%S+00:00")


def write_rows(path, header, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
