"""Small hostile histories for the tests: ties, edges, late rows, shared accounts, entities without events."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
from hypothesis import strategies as st

from features.contracts import EVENTS, INSTANT, LEADS, Dataset

START = datetime(2024, 3, 25, tzinfo=UTC)
HOUR = timedelta(hours=1)

# A coarse clock makes ties and events exactly on a window's edge common; the odd microsecond tests both sides of it.
moments = st.builds(
    lambda hours, tick: START + hours * 6 * HOUR + timedelta(microseconds=tick),
    st.integers(0, 60),
    st.sampled_from([-1, 0, 0, 0, 1]),
)
delays = st.sampled_from([timedelta(0)] * 3 + [timedelta(hours=6), timedelta(days=2), timedelta(days=9)])
entities = st.sampled_from(["a", "b", "c", "d"])


@st.composite
def event(draw):
    at = draw(moments)
    return {
        "entity_id": draw(entities),
        "event_time": at,
        "available_at": at + draw(delays),
        "event_type": draw(st.sampled_from(["visit", "call", "won", "lost"])),
        "channel": draw(st.sampled_from(["web", "phone", None])),
        "value": draw(st.sampled_from([None, 0.0, 1.5, -2.25, 1e6])),
    }


@st.composite
def dataset(draw, accounts=("x", "x", "y", None)):
    """Four entities, two of one account, with up to 25 events."""
    created = [draw(moments) for _ in range(4)]
    leads = [
        {
            "entity_id": name,
            "account_id": account,
            "created_at": at,
            "available_at": at + draw(delays),
            "size": 1.0,
        }
        for name, account, at in zip("abcd", accounts, created, strict=True)
    ]
    return of(leads, draw(st.lists(event(), max_size=25)))


def of(leads, events):
    """Build the canonical Dataset of these rows: ordered, without duplicates."""
    schema = pa.schema(
        [*LEADS, *[pa.field(n, pa.float64()) for n in (leads[0] if leads else {}) if n not in LEADS.names]]
    )
    rows = {tuple(e[name] for name in EVENTS.names): e for e in events}
    smallest = (datetime(1, 1, 1, tzinfo=UTC), "", float("-inf"))
    kinds = {"channel": smallest[1], "value": smallest[2]}
    order = sorted(
        rows,
        key=lambda row: [
            (v is not None, v if v is not None else kinds[n]) for n, v in zip(EVENTS.names, row, strict=True)
        ],
    )
    return Dataset(
        pa.Table.from_pylist(sorted(leads, key=lambda r: r["entity_id"]), schema=schema),
        pa.Table.from_pylist([rows[key] for key in order], schema=EVENTS),
        counts=(),
        fingerprint="test",
    )


def spine_of(rows):
    """Build a SPINE table from (entity, cutoff) pairs, in the canonical order."""
    rows = sorted(set(rows), key=lambda r: (r[1], r[0]))
    return pa.table(
        {
            "entity_id": pa.array([r[0] for r in rows], pa.string()),
            "cutoff": pa.array([r[1] for r in rows], INSTANT),
        }
    )
