"""One more row with any date: it changes no as-of, no maturity, no fold and no other lead."""

from datetime import UTC, datetime, timedelta
from functools import cache
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.schema import Project
from configs.targets import Cutoffs, Target
from features.build import build_features
from features.contracts import EVENTS, LEADS, Dataset
from features.intake.time_limits import TimeLimits
from features.labels import compute_labels
from features.sources import find_plausible_span
from features.spine import build_training_spine
from features.tools.instants import column_to_microseconds
from features.tools.supported_span import find_supported_span
from pipelines.training_data import cut_snapshot
from tests.features.logs import CATALOG

START, DAY, HOUR = datetime(2024, 1, 1, tzinfo=UTC), timedelta(days=1), timedelta(hours=1)
DAYS = 80
CLOCK = START + 400 * DAY
TARGETS = [
    Target(outcome="won", horizon="14d", cutoffs=cutoffs)
    for cutoffs in (Cutoffs(every="7d"), Cutoffs(delay="1h"))
]
LEAD_ROWS = pa.schema([*LEADS, ("size", pa.float64()), ("role", pa.string())])
FEW_FEATURES = CATALOG.select(
    [
        "any_count_7d",
        "any_age",
        "visit_decay_14d",
        "last_type_1",
        "account_any_count_all",
        "others_any_people_all",
        "created_age",
    ]
)
PROJECT = Project.model_validate(
    {
        "project": "p",
        "workspace": "w",
        "sources": {"leads": {"path": "l.csv", "entity_id": "id", "created_at": "born"}},
        "targets": {"win": {"outcome": "won", "horizon": "14d", "cutoffs": {"every": "7d"}}},
    }
)


def make_lead(name, created):
    row = {"entity_id": name, "account_id": name, "created_at": created, "available_at": created}
    return row | {"size": 1.0, "role": None}


def make_event(name, time, kind="visit"):
    return {"entity_id": name, "event_time": time, "available_at": time, "event_type": kind}


@cache
def make_clean_tables():
    """Return leads and events of a log in which each day has two rows or more."""
    leads, events = [], []
    for day in range(DAYS):
        name, begin = f"L{day:02}", START + day * DAY
        leads.append(make_lead(name, begin + (day % 20) * HOUR))
        later = begin + 20 * HOUR
        events += [make_event(f"L{day - back:02}", later) for back in (0, 3, 9) if day >= back]
        if day % 3 == 2:
            events.append(make_event(f"L{day - 2:02}", begin + 21 * HOUR, "won"))
    events.append(make_event("L00", later + HOUR / 2))
    return (
        pa.Table.from_pylist(leads, schema=LEAD_ROWS),
        pa.Table.from_pylist(events, schema=EVENTS),
    )


def to_dataset(tables):
    """Return the rows that the reader would use, as a data set."""
    limits = TimeLimits.from_project(PROJECT, CLOCK)
    for _ in range(2):
        tables = [
            drop_excluded(table, name, limits)
            for table, name in zip(tables, ("created_at", "event_time"), strict=True)
        ]
        limits = limits.narrow(find_plausible_span(Dataset(*tables, (), "")))
    return Dataset(*tables, (), "")


def drop_excluded(table, name, limits):
    columns = {"time": table[name], "available": table["available_at"]}
    flaws = limits.find_flaws({key: column.cast(pa.int64()) for key, column in columns.items()})
    excluded = np.any([mask.to_numpy() for mask, _ in flaws], axis=0)
    return table.filter(pa.array(~excluded)) if excluded.any() else table


def describe(tables, odd):
    """Return as-of and observation date, and by target the span of the folds and the other rows."""
    # There are no files in which a warning could find a row.
    with patch("pipelines.odd_rows._locate_row", return_value=("leads", "row 1")):
        snapshot = cut_snapshot(PROJECT, to_dataset(tables), None, CLOCK)
    described = [snapshot.as_of, snapshot.observed]
    for target in TARGETS:
        spine = build_training_spine(snapshot.dataset, target, snapshot.as_of)
        labels = compute_labels(snapshot.dataset, spine, target, snapshot.observed)
        mature = labels.filter(labels["mature"])
        described.append(find_supported_span(column_to_microseconds(mature["cutoff"])))
        # Also of the lead that has one event more.
        described.append(mature.num_rows - pc.sum(pc.equal(mature["entity_id"], "Z")).as_py())
        described.append(select_others(labels, odd))
    # Of the last target: its few rows keep the examples cheap.
    described.append(
        select_others(build_features(snapshot.dataset, spine, FEW_FEATURES, workers=1), odd)
    )
    return described


def select_others(table, odd):
    """Return the rows of the other leads, with a number for missing ones, which equal nothing."""
    others = table.filter(pc.not_equal(table["entity_id"], odd))
    columns = [
        pc.if_else(pc.is_nan(column), -1e9, column) if pa.types.is_floating(column.type) else column
        for column in others.columns
    ]
    return pa.table(columns, others.column_names)


@cache
def describe_clean(odd):
    return describe(make_clean_tables(), odd)


# Any hour of the years 1900 to 2199, and often one around the log.
any_time = st.one_of(
    st.integers(-(74 * 8766), 175 * 8766), st.integers(-500 * 24, (DAYS + 450) * 24)
).map(lambda hours: START + hours * HOUR)


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(any_time, st.booleans())
def test_others_are_unchanged_by_one_more_row(time, is_lead):
    leads, events = make_clean_tables()
    odd = "Z" if is_lead else "L30"
    if is_lead:
        leads = pa.concat_tables([leads, pa.Table.from_pylist([make_lead("Z", time)], LEAD_ROWS)])
    else:
        events = pa.concat_tables([events, pa.Table.from_pylist([make_event("L30", time)], EVENTS)])
    assert describe((leads, events), odd) == describe_clean(odd)
