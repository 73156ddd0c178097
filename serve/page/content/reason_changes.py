"""Why scores changed: the reasons of a night compared with those of the night before."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.tools.duckdb_sql import run_query
from serve.reasons.selection import MIN_CONTRIBUTION

KINDS = ("new", "gone", "stronger", "weaker")
MAX_CHANGES = 3
KEY = ("target", "entity_id")
# The rows are ordered, since the page of the same scores is the same file, to the byte.
# Only changes in the direction of the score explain it. A reason that is missing counts as zero: it
# is weaker than those that are shown.
CHANGES_SQL = """
    WITH reasons AS (
        SELECT row, direction, TRUE AS is_new, unnest(from_json(reasons, $form)) AS reason
        FROM pairs
        UNION ALL
        SELECT row, direction, FALSE, unnest(from_json(previous_reasons, $form)) FROM pairs
    ),
    features AS (
        SELECT row, direction, reason.feature AS feature,
               max(reason.contribution) FILTER (is_new) AS contribution,
               max(reason.contribution) FILTER (NOT is_new) AS previous_contribution,
               coalesce(max(reason.sentence) FILTER (is_new), max(reason.sentence)) AS sentence
        FROM reasons GROUP BY ALL
    ),
    changes AS (
        SELECT row, feature, sentence,
               abs(coalesce(contribution, 0) - coalesce(previous_contribution, 0)) AS size,
               CASE WHEN previous_contribution IS NULL THEN 0
                    WHEN contribution IS NULL THEN 1
                    WHEN abs(contribution) > abs(previous_contribution) THEN 2
                    ELSE 3 END AS kind
        FROM features
        WHERE direction * (coalesce(contribution, 0) - coalesce(previous_contribution, 0))
              >= $smallest
    )
    SELECT row, kind, sentence,
           row_number() OVER (PARTITION BY row ORDER BY size DESC, feature) - 1 AS place
    FROM changes QUALIFY place < $most ORDER BY row, place"""
REASON_FORM = '[{"feature": "VARCHAR", "contribution": "DOUBLE", "sentence": "VARCHAR"}]'


def compare_reasons(pairs: pa.Table) -> pa.Table:
    """Return the changed reasons that explain the change of each score, strongest first.

    ``pairs`` has ``row`` (any number of a lead), ``direction`` (1 if its score rose, -1 if it fell)
    and ``reasons`` and ``previous_reasons``, as in SCORES. The result has ``row``, ``place`` (0 to
    MAX_CHANGES - 1), ``kind`` (a place in KINDS) and ``sentence``: the one of this night, or the
    earlier one of a reason that is gone.
    """
    values = {"form": REASON_FORM, "smallest": MIN_CONTRIBUTION, "most": MAX_CHANGES}
    return run_query(CHANGES_SQL, values, pairs=pairs)


def pair_reasons(previous: pa.Table, shown: pa.Table) -> pa.Table:
    """Return the pairs that ``compare_reasons`` takes of rows of SCORES.

    ``previous`` has ``target``, ``entity_id`` and ``reasons`` of the night before.
    """
    rows, place = match_rows(previous, shown)
    current = shown.select(["trend", "reasons"]).take(rows)
    pairs = pa.table(
        {
            "row": rows,
            "direction": pc.fill_null(pc.sign(current["trend"]), 0),
            "reasons": current["reasons"],
            "previous_reasons": previous["reasons"].take(place),
        }
    )
    # Texts that are the same hold no change.
    differs = (pc.field("direction") != 0) & (pc.field("reasons") != pc.field("previous_reasons"))
    return pairs.filter(differs)


def match_rows(other: pa.Table, shown: pa.Table) -> tuple[pa.Array, pa.Array]:
    """Return places of shown rows, and the place of each in another table with the same KEY."""
    if not other.num_rows or not shown.num_rows:
        none = pa.array([], pa.int64())
        return none, none
    places = pc.index_in(join_key(shown), value_set=join_key(other).combine_chunks())
    rows = pa.array(np.flatnonzero(np.asarray(pc.is_valid(places))))
    return rows, places.take(rows).combine_chunks()


def join_key(table: pa.Table) -> pa.ChunkedArray:
    """Return target and entity of each row as one text."""
    # No name of a target holds a NUL character.
    return pc.binary_join_element_wise(*(table[name] for name in KEY), "\0")
