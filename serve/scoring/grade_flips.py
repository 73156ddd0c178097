"""How steady published grades are: the leads whose grade changes and changes back within days."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pyarrow as pa

from features.contracts import SCORES
from features.spine import instants
from models.grades import GRADE_OF

GRADED = pa.schema([SCORES.field(name) for name in ("entity_id", "as_of", "score", "grade")])
WEEK = timedelta(days=7)


@dataclass(frozen=True)
class Flaps:
    """Of the ``leads`` scored, and of their lead-weeks (``weeks``: lead and 7 days, by the night), how many flap."""

    leads: int
    flapping: int
    weeks: int
    flapping_weeks: int

    @property
    def share(self) -> float:
        """The share of the leads that ever flap; NaN without leads."""
        return self.flapping / self.leads if self.leads else np.nan

    @property
    def weekly(self) -> float:
        """The share of the lead-weeks in which a change is undone; NaN without leads."""
        return self.flapping_weeks / self.weeks if self.weeks else np.nan


def flaps(rows: pa.Table, within: timedelta = WEEK) -> Flaps:
    """Count the leads of one target whose published grade flaps; ``rows`` is GRADED, one row a lead and as-of.

    A lead flaps where its grade changes at one of its nights t and is again what it was before t at one of its nights
    in (t, t + within]. Such a flap counts for the week in which it is undone, counted in 7 days from the first night.
    """
    lead, night, grade = _sorted(rows)
    week = (night - (night.min() if len(night) else 0)) // (WEEK // timedelta(microseconds=1))
    start = np.flatnonzero(
        np.append(True, (np.diff(lead) != 0) | (np.diff(grade) != 0))[: len(lead)]
    )
    undone = _undone(lead[start], night[start], grade[start], within // timedelta(microseconds=1))
    rows_undone = start[undone]
    pairs = np.unique(np.stack([lead, week]), axis=1).shape[1]
    there = np.unique(np.stack([lead[rows_undone], week[rows_undone]]), axis=1).shape[1]
    return Flaps(len(np.unique(lead)), len(np.unique(lead[rows_undone])), pairs, there)


def plain(rows: pa.Table) -> pa.Table:
    """Return GRADED rows with the grades that their scores alone give: as if none were kept."""
    return rows.set_column(
        rows.column_names.index("grade"), "grade", pa.array(GRADE_OF[rows["score"].to_numpy()])
    )


def _sorted(rows: pa.Table) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return lead, night and grade as numbers, by lead and night."""
    lead, grade = (
        rows[name].combine_chunks().dictionary_encode().indices.to_numpy()
        for name in ("entity_id", "grade")
    )
    night = instants(rows["as_of"])
    order = np.lexsort((night, lead))
    return lead[order], night[order], grade[order]


def _undone(lead: np.ndarray, since: np.ndarray, grade: np.ndarray, within: int) -> np.ndarray:
    """Return the spells (a lead, a grade, and since when) that bring back the grade of before a change ``within`` ago.

    Spells are by lead and time. The change of spell i is undone by the spell i + k that has the grade of i - 1.
    """
    found = np.zeros(len(lead), bool)
    first = np.arange(1, max(len(lead), 1))
    first = first[lead[first] == lead[first - 1]]
    for step in range(1, len(lead)):
        first = first[first + step < len(lead)]
        first = first[
            (lead[first + step] == lead[first]) & (since[first + step] - since[first] <= within)
        ]
        if not len(first):
            break
        back = grade[first + step] == grade[first - 1]
        found[first[back] + step] = True
    return found
