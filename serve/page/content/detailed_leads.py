"""The leads of which a page has all details: those that sales people are most likely to open."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from serve.page.content.shown_leads import BEST_GRADE, find_fallen, mark_largest_losses

# Rows of scores with details. Their reasons, history and events take about 3 kB each in the page.
MAX_DETAILED = 1_000
# How many earlier nights the page shows of a lead.
PAST_NIGHTS = 60
# In the order in which they take turns.
LISTED, NEW_BEST, BEST, FALLEN, OTHER = range(5)


def choose_detailed_leads(scores: pa.Table, limit: int = MAX_DETAILED) -> pa.Table:
    """Return the rows of SCORES that get details, at most ``limit``, in the order of the table.

    Listed leads and the largest losses of score come first. Then those that are new in grade A,
    those with grade A and those whose grade has fallen take turns, so that none of these groups
    takes the place of another; then all others. Within each, leads are taken by rank.
    """
    if scores.num_rows <= limit:
        return scores
    group, rank = _group_leads(scores), scores["rank"].to_numpy()
    # The page names these, so that they are opened.
    group = np.where(mark_largest_losses(scores), LISTED, group)
    # Ties of two targets by their order in the table.
    by_group = np.lexsort((np.arange(len(rank)), rank, group))
    turn = np.empty(len(rank), np.int64)
    starts = np.searchsorted(group[by_group], group[by_group])
    turn[by_group] = np.arange(len(rank)) - starts
    # All listed leads before, and all others after those that take turns.
    phase = np.where(group == LISTED, 0, np.where(group == OTHER, 2, 1))
    chosen = np.lexsort((group, turn, phase))[:limit]
    return scores.take(pa.array(np.sort(chosen)))


def list_detailed_entities(scores: pa.Table) -> list[str]:
    """Return the distinct entities of ``choose_detailed_leads``, in the order of the table."""
    entities: list[str] = choose_detailed_leads(scores)["entity_id"].unique().to_pylist()
    return entities


def _group_leads(scores: pa.Table) -> np.ndarray:
    """Return the group of each row: LISTED, NEW_BEST, BEST, FALLEN or OTHER."""
    grade, previous = scores["grade"], scores["previous_grade"]
    is_best = pc.equal(grade, BEST_GRADE)
    # A lead without an earlier score is new in its grade.
    is_new = pc.fill_null(pc.not_equal(previous, BEST_GRADE), True)
    groups = pc.case_when(
        pc.make_struct(
            pc.is_valid(scores["listed"]), pc.and_(is_best, is_new), is_best, find_fallen(scores)
        ),
        *(pa.scalar(group, pa.int64()) for group in (LISTED, NEW_BEST, BEST, FALLEN, OTHER)),
    )
    return groups.to_numpy()
