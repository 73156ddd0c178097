"""Small hostile event histories for the tests.

They have ties, boundary times, late rows, odd values, shared accounts, and entities without events.
``LEADSCORE_EXAMPLES`` multiplies the number of generated examples.
"""

import os
from datetime import UTC, datetime, timedelta
from math import inf, isnan, nan
from random import Random

import pyarrow as pa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from features.contracts import EVENTS, INSTANT, LEADS, VALUES, Dataset
from features.definitions.catalog import Catalog

# Mondays before the Sundays on which the clocks of Berlin change, 31 March and 27 October.
START, AUTUMN = datetime(2024, 3, 25, tzinfo=UTC), datetime(2024, 10, 21, tzinfo=UTC)
HOUR, TICK = timedelta(hours=1), timedelta(microseconds=1)

TYPES = ("visit", "call", "mail", "won", "lost", "gone")
CHANNELS = ("web", "phone", "fax", None)
TAME, LARGE, ODD = (
    (None, 0.0, 1.5, -2.25, 1e6, 0.1),
    (1e300, -1e300, 1e16, 1.0, 5e-324),
    (inf, -inf, nan),
)
POOLS = (
    TAME,
    (None, 0.1, -0.1, 0.3),
    TAME + LARGE,
    (0.1, *LARGE),
    TAME + LARGE + ODD,
    (*TAME, inf),
)
"""What a history's values are drawn from: infinite ones would hide what all others add up to."""
ROLES, SIZES = ("buyer", "user", "it", None), (1.0, 2.5, None)
ACCOUNTS = (
    ("x", "x", "y", None),
    ("x", "x", "x", "x"),
    ("x", "y", "x", "y"),
    (None, None, None, None),
)
# Attribute columns that hold text; all others hold numbers.
ATTRIBUTES = {"role": pa.string()}

# Features of these histories, except for some event types, a stage, a channel and a role: the
# histories contain words that are unknown to the catalog.
CATALOG = Catalog(
    types=("call", "mail", "visit", "won"),
    channels=("phone", "web"),
    valued=("call", "visit"),
    stages=("call", "lost", "visit", "won"),
    attributes=(("size", "number"), ("role", "category")),
    windows=(timedelta(hours=12), timedelta(days=1), timedelta(days=7)),
    half_lives=(timedelta(days=3), timedelta(days=14)),
    outbound=("mail",),
    offline=("phone",),
    ends=("mail", "won"),
    role="role",
    roles=("buyer", "user"),
    role_features=True,
    timezone="Europe/Berlin",
    accounts=True,
)


def examples(count):
    """Return Hypothesis settings for ``count`` examples, times LEADSCORE_EXAMPLES if it is set."""
    times = float(os.environ.get("LEADSCORE_EXAMPLES", "1"))
    return settings(
        max_examples=max(1, round(count * times)), suppress_health_check=[HealthCheck.too_slow]
    )


def one_of_each(catalog):
    """Return a catalog with two features of each aggregate and scope.

    These are the last declared ones with and without a window, for tests in which all features take
    too long.
    """
    return catalog.select(
        {(f.aggregate, f.scope, f.span is None): f.name for f in catalog.features}.values()
    )


# A coarse clock makes ties and events exactly on a window's boundary common; the odd microsecond
# tests both sides of it. Its other hours are those at which office hours, days and summer time
# begin and end in Berlin.
hours = st.sampled_from([0, 0, 6, 6, 12, 12, 18, 18, 1, 7, 16, 17, 22, 23])
moments = st.builds(
    lambda season, days, hour, tick: season + timedelta(days=days, hours=hour, microseconds=tick),
    st.sampled_from([START, START, START, AUTUMN]),
    st.integers(0, 14),
    hours,
    st.sampled_from([-1, 0, 0, 0, 1]),
)
delays = st.sampled_from(
    [timedelta(0)] * 3 + [TICK, timedelta(hours=6), timedelta(days=2), timedelta(days=9)]
)
entities = st.sampled_from(["a", "b", "c", "d"])
spines = st.lists(st.tuples(entities, moments), min_size=1, max_size=12).map(
    lambda rows: spine_of(rows)
)


@st.composite
def event(draw, moments=moments, values=POOLS[-2]):
    at = draw(moments)
    return {
        "entity_id": draw(entities),
        "event_time": at,
        "available_at": at + draw(delays),
        "event_type": draw(st.sampled_from(TYPES)),
        "channel": draw(st.sampled_from(CHANNELS)),
        "value": draw(st.sampled_from(values)),
    }


@st.composite
def dataset(draw, moments=moments):
    """Draw four entities, some of which share an account, with up to 25 events."""
    leads = [
        {
            "entity_id": name,
            "account_id": account,
            "created_at": at,
            "available_at": at + draw(delays),
            "size": draw(st.sampled_from(SIZES)),
            "role": draw(st.sampled_from(ROLES)),
        }
        for name, account, at in zip(
            "abcd", draw(st.sampled_from(ACCOUNTS)), draw(four(moments)), strict=True
        )
    ]
    return of(leads, draw(st.lists(event(moments, draw(st.sampled_from(POOLS))), max_size=25)))


def four(moments):
    return st.lists(moments, min_size=4, max_size=4)


def crowd(seed, leads=12, events=400):
    """Return a larger data set on the same clock, from a seed; too large to draw one by one."""
    chance = Random(seed)
    values = chance.choice(POOLS)

    def moment():
        day, hour = chance.randrange(15), chance.choice([0, 6, 7, 12, 16, 18, 22])
        return START + timedelta(days=day, hours=hour, microseconds=chance.choice([-1, 0, 0, 0, 1]))

    def known(at):
        return at + chance.choice([timedelta(0)] * 5 + [timedelta(hours=6), timedelta(days=2)])

    names = [f"e{number:04d}" for number in range(leads)]
    rows = [
        {"entity_id": name, "account_id": chance.choice(["x", "y", "z", None])} for name in names
    ]
    for row in rows:
        row["created_at"] = moment() - timedelta(days=chance.choice([0, 7, 7]))
        row |= {
            "available_at": known(row["created_at"]),
            "size": chance.choice(SIZES),
            "role": chance.choice(ROLES),
        }
    log = [{"entity_id": chance.choice(names), "event_time": moment()} for _ in range(events)]
    for row in log:
        row |= {"available_at": known(row["event_time"]), "event_type": chance.choice(TYPES)}
        row |= {"channel": chance.choice(CHANNELS), "value": chance.choice(values)}
    return of(rows, log)


crowds = st.integers(0, 2**32 - 1).map(crowd)


def of(leads, events, values=()):
    """Build the canonical Dataset of these rows: ordered, without duplicates."""
    names = [name for name in (leads[0] if leads else {}) if name not in LEADS.names]
    schema = pa.schema(
        [*LEADS, *[pa.field(name, ATTRIBUTES.get(name, pa.float64())) for name in names]]
    )
    return Dataset(
        pa.Table.from_pylist(sorted(leads, key=lambda row: row["entity_id"]), schema=schema),
        _canonical(events, EVENTS),
        counts=(),
        fingerprint="test",
        values=_canonical(values, VALUES),
    )


def _canonical(rows, schema):
    """Return distinct rows ordered by all columns, null first and NaN last."""
    keyed = {tuple(_place(row[name]) for name in schema.names): row for row in rows}
    return pa.Table.from_pylist([keyed[key] for key in sorted(keyed)], schema=schema)


def _place(value):
    if value is None:
        return (0,)
    return (2,) if isinstance(value, float) and isnan(value) else (1, value)


def spine_of(rows):
    """Build a SPINE table from (entity, cutoff) pairs, in the canonical order."""
    rows = sorted(set(rows), key=lambda r: (r[1], r[0]))
    return pa.table(
        {
            "entity_id": pa.array([r[0] for r in rows], pa.string()),
            "cutoff": pa.array([r[1] for r in rows], INSTANT),
        }
    )
