"""What the earlier nights say of tonight's scores: the score and grade before, the grade that is kept, the trend."""

from __future__ import annotations

from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from models.grades import Steady, held


def with_history(frame: pa.Table, previous: pa.Table, as_of: datetime, steady: Steady) -> pa.Table:
    """Add previous_score, previous_grade, falling_since and trend, and keep the grades that ``held`` keeps.

    ``frame`` has entity_id, score and the plain grade, ``previous`` is PREVIOUS of the last earlier as-of. The same
    give the same, so an as-of that is published again keeps its grades.
    """
    found = pc.index_in(frame["entity_id"], value_set=previous["entity_id"].combine_chunks())
    score, grade, falling = (previous[name].take(found) for name in ("score", "grade", "falling_since"))
    kept, since = held(frame["score"], grade, falling, as_of, steady)
    frame = frame.set_column(frame.column_names.index("grade"), "grade", kept)
    more = {"previous_score": score, "previous_grade": grade, "falling_since": since}
    for name, column in more.items():
        frame = frame.append_column(name, column)
    return frame.append_column("trend", pc.subtract(frame["score"], score))
