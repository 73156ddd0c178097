"""Stability of published grades: leads whose grade changes and changes back within days."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pyarrow as pa

from features.score_tables import SCORES
from features.tools.instants import WEEK, column_to_microseconds, duration_to_microseconds
from models.grades import GRADE_BY_SCORE

GRADED = pa.schema([SCORES.field(name) for name in ("entity_id", "as_of", "score", "grade")])


@dataclass(frozen=True)
class GradeFlips:
    """Counts of grade flips, by lead and by lead-week.

    Attributes:
        leads: Distinct leads scored.
        flipping_leads: Leads with at least one flip.
        weeks: Distinct pairs of a lead and a 7-day week in which it was scored.
        flipping_weeks: Pairs in which at least one flip was completed.
    """

    leads: int
    flipping_leads: int
    weeks: int
    flipping_weeks: int

    @property
    def lead_share(self) -> float:
        """Share of the leads with at least one flip; NaN without leads."""
        return self.flipping_leads / self.leads if self.leads else np.nan

    @property
    def week_share(self) -> float:
        """Share of the lead-weeks in which a flip is completed; NaN without leads."""
        return self.flipping_weeks / self.weeks if self.weeks else np.nan


def count_grade_flips(rows: pa.Table, within: timedelta = WEEK) -> GradeFlips:
    """Count the grade flips of one target in GRADED rows, one row per lead and as-of.

    A lead flips if its grade changes on night t and returns to the grade before t on one of its
    nights in (t, t + within]. The flip belongs to the week in which the grade returns; weeks are
    7 days long, counted from the first night of ``rows``.
    """
    lead, night, grade = _sort_by_lead(rows)
    week = (night - (night.min() if len(night) else 0)) // duration_to_microseconds(WEEK)
    start = np.flatnonzero(
        # Cut to the rows, since without any there is no first spell either.
        np.append(True, (np.diff(lead) != 0) | (np.diff(grade) != 0))[: len(lead)]
    )
    is_undoing = _find_undoing_spells(
        lead[start], night[start], grade[start], duration_to_microseconds(within)
    )
    undoing_rows = start[is_undoing]
    weeks = np.unique(np.stack([lead, week]), axis=1).shape[1]
    undoing = np.stack([lead[undoing_rows], week[undoing_rows]])
    flipping_weeks = np.unique(undoing, axis=1).shape[1]
    return GradeFlips(
        len(np.unique(lead)), len(np.unique(lead[undoing_rows])), weeks, flipping_weeks
    )


def grade_by_score(rows: pa.Table) -> pa.Table:
    """Return GRADED rows with the grade of each score, ignoring grades kept from earlier nights."""
    return rows.set_column(
        rows.column_names.index("grade"),
        "grade",
        pa.array(GRADE_BY_SCORE[rows["score"].to_numpy()]),
    )


def _sort_by_lead(rows: pa.Table) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return lead codes, nights (microseconds) and grade codes, sorted by lead, then by night."""
    lead, grade = (
        rows[name].combine_chunks().dictionary_encode().indices.to_numpy()
        for name in ("entity_id", "grade")
    )
    night = column_to_microseconds(rows["as_of"])
    order = np.lexsort((night, lead))
    return lead[order], night[order], grade[order]


def _find_undoing_spells(
    lead: np.ndarray, since: np.ndarray, grade: np.ndarray, within: int
) -> np.ndarray:
    """Return a mask of the spells that restore the grade held before a change ``within`` ago.

    A spell is a run of equal grades of one lead; ``since`` is its first night in microseconds.
    Spells are sorted by lead and time. Spell i + k undoes the change at spell i if it has the
    grade of spell i - 1.
    """
    is_undoing = np.zeros(len(lead), bool)
    first = np.arange(1, max(len(lead), 1))
    # The first spell of a lead changes no grade, so nothing can undo it.
    first = first[lead[first] == lead[first - 1]]
    # Each step keeps only changes that may still be undone, so few steps are needed.
    for step in range(1, len(lead)):
        first = first[first + step < len(lead)]
        first = first[
            (lead[first + step] == lead[first]) & (since[first + step] - since[first] <= within)
        ]
        if not len(first):
            break
        is_restored = grade[first + step] == grade[first - 1]
        is_undoing[first[is_restored] + step] = True
    return is_undoing
