"""Values that a CRM knows by number: the options of a choice column."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

# Options of the table msdyn_predictivescore (learn.microsoft.com, “msdyn_predictivescore
# table/entity reference”): of msdyn_grade, and of msdyn_scoretrend.
GRADE_OPTIONS = {"A": "0", "B": "1", "C": "2", "D": "3"}
IMPROVING, STEADY, DECLINING, NOT_ENOUGH_INFO = 0, 1, 2, 3


@dataclass(frozen=True)
class ColumnOptions:
    """How the values of a choice column are written.

    Attributes:
        sources: Columns of scores that it can get.
        encode: Returns the options of their values, in the type of these.
    """

    sources: tuple[str, ...]
    encode: Callable[[pa.ChunkedArray], pa.Array]


def encode_grades(grades: pa.ChunkedArray) -> pa.Array:
    """Return the options of grades; null where there is none."""
    places = pc.index_in(grades.cast(pa.string()), value_set=pa.array(list(GRADE_OPTIONS)))
    return pa.array(list(GRADE_OPTIONS.values())).take(places.combine_chunks())


def encode_trends(trends: pa.ChunkedArray) -> pa.Array:
    """Return the options of trends in points; where there is none, not enough is known."""
    options = pc.if_else(
        pc.greater(trends, 0), IMPROVING, pc.if_else(pc.less(trends, 0), DECLINING, STEADY)
    )
    return pc.fill_null(options.cast(pa.int64()), NOT_ENOUGH_INFO).combine_chunks()
