"""Many histories of web visitors, drawn fast: shared devices, late log-ins, wrong links."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

from features.tools.instants import to_microseconds

START = datetime(2024, 3, 1, tzinfo=UTC)
HOUR_US = 3_600_000_000
# Hours that a history spans: few, so that many instants are equal.
SPAN = 240
LINKS = pa.schema(
    [("visitor", pa.string()), ("lead", pa.string())]
    + [(name, pa.int64()) for name in ("known", "start", "finish", "revoked")]
)
VISITS = pa.schema(
    [("id", pa.string()), ("visitor", pa.string()), ("time", pa.int64()), ("known", pa.int64())]
)


def hours_to_us(hours):
    """Return instants in microseconds; NaN for none stays NaN."""
    return to_microseconds(START) + np.asarray(hours, float) * HOUR_US


def draw_histories(seed, visitors, leads):
    """Return LINKS and VISITS of so many visitors, who may be so many leads."""
    rng = np.random.default_rng(seed)
    # Rows about a visitor: none for some, several for shared devices, corrections and repeats.
    counts = rng.choice([0, 1, 2, 3, 5], visitors, p=[0.2, 0.35, 0.25, 0.15, 0.05])
    who = np.repeat(np.arange(visitors), counts)
    size = len(who)
    # Mostly the visitor's first lead, so that later rows correct earlier ones.
    lead = (who * 7 + rng.choice([0, 0, 0, 1, 2, 3], size)) % (leads + 2)
    known = rng.integers(0, SPAN, size)
    start = np.where(rng.random(size) < 0.5, np.nan, rng.choice([0, 40, 41, 120], size))
    finish = np.where(rng.random(size) < 0.6, np.nan, rng.choice([40, 90, 121, 200], size))
    late = known + rng.integers(-5, 100, size)
    revoked = np.where(rng.random(size) < 0.65, np.nan, late)
    links = {
        "visitor": [f"v{n}" for n in who],
        "lead": [f"lead{n}" for n in lead],
        "known": hours_to_us(known),
        "start": hours_to_us(start),
        "finish": hours_to_us(finish),
        "revoked": hours_to_us(revoked),
    }
    whose = np.repeat(np.arange(visitors), rng.integers(1, 6, visitors))
    time = rng.integers(0, SPAN, len(whose))
    delay = rng.choice([0, 0, 0, 1, 30, 150], len(whose))
    visits = {
        "id": [f"e{n}" for n in range(len(whose))],
        "visitor": [f"v{n}" for n in whose],
        "time": hours_to_us(time),
        "known": hours_to_us(time + delay),
    }
    return to_table(links, LINKS), to_table(visits, VISITS)


def to_table(columns, schema):
    """Return columns as a table, in which NaN of an instant is null."""
    arrays = [
        pa.array(columns[f.name], f.type, from_pandas=True)
        if pa.types.is_string(f.type)
        else pa.array(
            [None if np.isnan(value) else int(value) for value in columns[f.name]], f.type
        )
        for f in schema
    ]
    return pa.table(arrays, schema=schema)


def to_rows(table, names):
    """Return a table as rows of texts for CSV, with instants in ISO form."""
    rows = []
    for row in table.to_pylist():
        texts = {}
        for name, value in row.items():
            is_instant = isinstance(value, int)
            epoch = datetime(1970, 1, 1, tzinfo=UTC)
            text = epoch + timedelta(microseconds=value) if is_instant else value
            texts[names[name]] = "" if text is None else str(text)
        rows.append(texts)
    return rows
