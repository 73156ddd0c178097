"""When a lead is looked at again, against the calendar in plain Python."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest

from configs.night import Review
from features.contracts import SCORES
from serve.review import with_review

BERLIN, SAO_PAULO = ZoneInfo("Europe/Berlin"), ZoneInfo("America/Sao_Paulo")
DAY = timedelta(days=1)
FRAME = pa.schema([SCORES.field(name) for name in ("cutoff", "grade", "outcome_days_50")])


def by_hand(as_of, cutoff, grade, half, review, zone):
    today = as_of.astimezone(zone).date()
    day = today + timedelta(days={"A": review.A, "B": review.B, "C": review.C, "D": review.D}[grade].days)
    if half is not None:
        day = min(day, (cutoff + half / 2 * DAY).astimezone(zone).date())
    return datetime.combine(max(day, today + DAY), time(), zone).astimezone(UTC)


@pytest.mark.parametrize("zone", [BERLIN, SAO_PAULO, ZoneInfo("UTC")])
@pytest.mark.parametrize("as_of", [datetime(2025, 3, 28, 23, 30, tzinfo=UTC), datetime(2025, 10, 20, 4, tzinfo=UTC)])
def test_every_lead_gets_a_midnight_of_the_company(as_of, zone):
    rng, rows = np.random.default_rng(1), []
    for _ in range(300):
        half = None if rng.random() < 0.3 else float(rng.uniform(0, 80))
        cutoff = as_of if rng.random() < 0.5 else as_of - timedelta(days=float(rng.uniform(0, 60)))
        rows.append((cutoff, str(rng.choice(list("ABCD"))), half))
    frame = pa.table(list(zip(*rows, strict=True)), schema=FRAME)
    for review in (Review(), Review(A="1d", B="12h", C="2d", D="90d")):
        found = with_review(frame, as_of, review, zone)["review_at"].to_pylist()
        assert found == [by_hand(as_of, *row, review, zone) for row in rows]


def test_the_examples_of_the_documentation():
    as_of = datetime(2025, 7, 1, tzinfo=BERLIN)
    rows = [(as_of, "A", None), (as_of, "D", 16.0), (as_of, "B", 0.5), (as_of - 20 * DAY, "C", 30.0)]
    found = with_review(pa.table(list(zip(*rows, strict=True)), schema=FRAME), as_of, Review(), BERLIN)["review_at"]
    assert [at.astimezone(BERLIN).isoformat()[:16] for at in found.to_pylist()] == [
        "2025-07-04T00:00",
        "2025-07-09T00:00",
        "2025-07-02T00:00",
        "2025-07-02T00:00",
    ]


def test_no_rows():
    assert with_review(FRAME.empty_table(), datetime(2025, 7, 1, tzinfo=UTC), Review(), BERLIN).num_rows == 0
