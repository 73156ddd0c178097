"""Why scores changed: the reasons of a night compared with those of the night before."""

from __future__ import annotations

import pyarrow as pa

from features.tools.duckdb_sql import run_query
from serve.reasons.selection import MIN_CONTRIBUTION

KINDS = ("new", "gone", "stronger", "weaker")
MAX_CHANGES = 3
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
