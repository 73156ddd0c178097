"""Weekly event volume against plain Python."""

from collections import Counter
from datetime import timedelta

import numpy as np
import pyarrow as pa

from features.contracts import EVENTS
from models.reference import event_volume
from models.reference.event_volume import EventVolume, count_weekly_events
from tests.features.logs import START, TICK


def make_log(seed=0, rows=600, days=60):
    rng = np.random.default_rng(seed)
    counts = []
    for _ in range(rows):
        at = START + timedelta(days=float(rng.uniform(0, days)))
        kind = str(rng.choice(["visit", "call", "won"], p=[0.8, 0.19, 0.01]))
        channel = None if rng.random() < 0.1 else str(rng.choice(["web", "phone"]))
        value = float(rng.integers(1, 9)) if kind == "call" and rng.random() < 0.9 else None
        late = at + timedelta(hours=float(rng.exponential(20)))
        counts.append(("e", at, late, kind, channel, value))
    columns = list(zip(*counts, strict=True))
    table = pa.table(
        [pa.array(c, f.type) for c, f in zip(columns, EVENTS, strict=True)], schema=EVENTS
    )
    return pa.concat_tables([table.slice(0, 100), table.slice(100)])


def count_by_hand(events, as_of, weeks):
    counts = [Counter() for _ in range(weeks)]
    for row in events.to_pylist():
        ago = as_of - row["available_at"]
        if timedelta(0) < ago <= weeks * timedelta(days=7):
            names = [f"event type {row['event_type']}"]
            names += [f"channel {row['channel']}"] if row["channel"] else []
            names += [f"amount of {row['event_type']}"] if row["value"] is not None else []
            counts[(ago - TICK) // timedelta(days=7)].update(names)
    return {
        name: [week[name] for week in counts] for name in {name for week in counts for name in week}
    }


def test_events_are_counted_by_week_of_availability():
    as_of = START + timedelta(days=50)
    events = make_log()
    known = events.filter(pa.array([at < as_of for at in events["available_at"].to_pylist()]))
    counts = {name: rows.tolist() for name, rows in count_weekly_events(known, as_of, 5).items()}
    assert counts == count_by_hand(known, as_of, 5) and "amount of call" in counts


def test_weekly_min_and_total_match_brute_force():
    as_of = START + timedelta(days=64)
    events = make_log()
    known = events.filter(pa.array([at < as_of for at in events["available_at"].to_pylist()]))
    kept = EventVolume.from_events(known, as_of)
    expected = count_by_hand(known, as_of, kept.weeks)
    assert kept.weeks == 9
    assert kept.total == {name: sum(rows) for name, rows in expected.items()}
    assert kept.weekly_min == {name: min(rows) for name, rows in expected.items()}
    assert EventVolume.from_json(kept.to_json()) == kept


def test_volume_keeps_busiest_subjects(monkeypatch):
    monkeypatch.setattr(event_volume, "MAX_SUBJECTS", 2)
    kept = EventVolume.from_events(make_log(), START + timedelta(days=70))
    assert len(kept.total) == 2 and "event type visit" in kept.total


def test_volume_accepts_empty_log():
    assert EventVolume.from_events(EVENTS.empty_table(), START) == EventVolume(0, {}, {})
