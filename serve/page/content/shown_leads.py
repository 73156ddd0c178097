"""The leads that the list of a page shows, where there are more than a browser can hold."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# A page of 100,000 leads opens within three seconds (docs/benchmarks.md).
MAX_ROWS = 100_000
# Leads whose reasons are compared with the night before, which are read for it one by one.
MAX_COMPARED = 20_000
BEST_GRADE = "A"
# A table of the first section is a summary; the list of leads has all.
MAX_LEADS = 10
# From this share of the leads on, a list of those that can be worked selects nothing.
UNSELECTIVE_SHARE = 0.9


def find_new_best(scores: pa.Table) -> pa.ChunkedArray:
    """Return for each row of SCORES whether the lead has grade A and had not the night before.

    A lead that was not scored then counts as new; on the first night of a target no lead does.
    """
    previous = scores["previous_grade"]
    compared = pc.unique(scores["target"].filter(pc.is_valid(previous)))
    is_new = pc.fill_null(pc.not_equal(previous, BEST_GRADE), True)
    return pc.and_(
        pc.and_(pc.equal(scores["grade"], BEST_GRADE), is_new),
        pc.is_in(scores["target"], value_set=compared),
    )


def find_fallen(scores: pa.Table) -> pa.ChunkedArray:
    """Return for each row of SCORES whether its grade fell since the night before."""
    # Grades are letters: a later one is worse.
    return pc.fill_null(pc.greater(scores["grade"], scores["previous_grade"]), False)


def find_at_risk(scores: pa.Table) -> pa.ChunkedArray:
    """Return for each row of SCORES whether its grade is about to fall.

    Its score is too low for the grade, and did not rise since the night before.
    """
    rose = pc.fill_null(pc.greater(scores["trend"], 0), False)
    return pc.and_(pc.is_valid(scores["falling_since"]), pc.invert(rose))


def find_lost(scores: pa.Table) -> pa.ChunkedArray:
    """Return for each row of SCORES whether its score fell since the night before."""
    return pc.fill_null(pc.less(scores["trend"], 0), False)


def list_unselective(scores: pa.Table) -> dict[str, tuple[int, int]]:
    """Return the leads on the week's list and all open ones of each target whose list selects none.

    That is so where sales can work nearly all open leads in a week.
    """
    counts = scores.group_by("target").aggregate([("listed", "count"), ([], "count_all")])
    return {
        row["target"]: (row["listed_count"], row["count_all"])
        for row in counts.to_pylist()
        if row["listed_count"] >= UNSELECTIVE_SHARE * row["count_all"]
    }


def order_losses(scores: pa.Table) -> np.ndarray:
    """Return the places of rows of SCORES, the largest loss of score first, ties by rank."""
    return np.lexsort((scores["rank"].to_numpy(), pc.fill_null(scores["trend"], 0).to_numpy()))


def mark_largest_losses(scores: pa.Table) -> np.ndarray:
    """Return for each row of SCORES whether the first section names it for its loss of score."""
    places = np.flatnonzero(np.asarray(find_lost(scores)))
    marks = np.zeros(scores.num_rows, bool)
    if len(places) > MAX_LEADS:
        # Most need no order: they lost less than as many others.
        trend = scores["trend"].to_numpy()[places]
        places = places[trend <= np.partition(trend, MAX_LEADS - 1)[MAX_LEADS - 1]]
    losses = scores.select(["rank", "trend"]).take(pa.array(places))
    marks[places[order_losses(losses)[:MAX_LEADS]]] = True
    return marks


def choose_shown_rows(scores: pa.Table, limit: int = MAX_ROWS) -> np.ndarray:
    """Return the places of the rows of SCORES that the list shows, ascending.

    All are shown if there are at most ``limit``. Otherwise these are all listed leads, all that are
    new in grade A, all whose grade fell or is about to fall, and the largest losses of score, even
    beyond the limit, and the best other leads of each target, down to the same rank.
    """
    if scores.num_rows <= limit:
        return np.arange(scores.num_rows)
    is_kept = pc.is_valid(scores["listed"])
    for find in (find_new_best, find_fallen, find_at_risk):
        is_kept = pc.or_(is_kept, find(scores))
    kept, rank = np.array(is_kept) | mark_largest_losses(scores), scores["rank"].to_numpy()
    others_by_rank = np.cumsum(np.bincount(rank[~kept]))
    # The last rank down to which the other leads of all targets fit in.
    last_rank = np.searchsorted(others_by_rank, limit - kept.sum(), side="right") - 1
    return np.flatnonzero(kept | (rank <= last_rank))


def choose_compared_leads(
    scores: pa.Table, rows: np.ndarray, limit: int = MAX_COMPARED
) -> dict[str, list[str]]:
    """Return the ids, by target, of the shown rows of SCORES whose change of score is explained.

    These are the leads that have reasons and a score before, at most ``limit``: the largest losses,
    then the best ranks.
    """
    shown = scores.select(["target", "entity_id", "rank", "trend", "reasons"]).take(pa.array(rows))
    has_reasons = pc.not_equal(shown["reasons"], "[]")
    compared = shown.filter(pc.and_(pc.is_valid(shown["trend"]), has_reasons))
    order = np.lexsort((compared["rank"].to_numpy(), ~mark_largest_losses(compared)))[:limit]
    chosen = compared.take(pa.array(order))
    return {
        target: chosen.filter(pc.field("target") == target)["entity_id"].to_pylist()
        for target in pc.unique(chosen["target"]).to_pylist()
    }
