"""Account scores: outcome probability, main contact and buying-group size of each account."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.contracts import INSTANT, Dataset
from features.score_tables import ACCOUNT_SCORES
from features.tools.instants import to_microseconds
from models.accounts import WithinAccountDependence
from serve.scoring.buying_group import NO_ROLES, GroupRules, describe_groups

# The breadth of a buying group counts people with an event in the last 30 days.
ACTIVE_WITHIN = timedelta(days=30)
# The same value in every row of one target and as-of.
SHARED_COLUMNS = ("project", "target", "as_of", "model_version")
READ_COLUMNS = (*SHARED_COLUMNS, "entity_id", "account_id", "rank", "probability", "expected_value")
UNSTAMPED_ACCOUNT_SCORES = pa.schema(
    [field for field in ACCOUNT_SCORES if field.name not in ("run_id", "scored_at")]
)


def score_accounts(
    dataset: Dataset,
    scores: pa.Table,
    dependence: WithinAccountDependence,
    rules: GroupRules = NO_ROLES,
) -> pa.Table:
    """Return ACCOUNT_SCORES of one target at one as-of, one row per account, by rank.

    The columns run_id and scored_at are missing; the publishing run adds them.

    ``scores`` holds SCORES rows of that target, sorted by rank; leads without an account are
    ignored. ``dataset`` holds the data available before the as-of. ``rules`` describe the buying
    groups.

    Raises ValueError if the scores are not sorted by rank.
    """
    rows = scores.select(READ_COLUMNS).filter(pc.is_valid(scores["account_id"]))
    if (np.diff(rows["rank"].to_numpy()) <= 0).any():
        raise ValueError("the scores are not sorted by rank")
    if not rows.num_rows:
        return UNSTAMPED_ACCOUNT_SCORES.empty_table()
    accounts = rows["account_id"].combine_chunks().dictionary_encode()
    ids, group = accounts.dictionary, accounts.indices.to_numpy()
    # Rows are sorted by rank, so the first row of an account is its most probable lead.
    _, main = np.unique(group, return_index=True)
    as_of = rows["as_of"][0].as_py()
    people, active = _count_people(dataset, ids, as_of)
    columns = {name: pa.repeat(rows[name][0], len(ids)) for name in SHARED_COLUMNS} | {
        "account_id": ids,
        "probability": pa.array(
            dependence.any_outcome_probability(group, rows["probability"].to_numpy(), len(ids))
        ),
        "expected_value": _sum_by_group(rows["expected_value"], group, len(ids)),
        "entities": pa.array(np.bincount(group, minlength=len(ids))),
        "main_contact": rows["entity_id"].take(pa.array(main)),
        "main_probability": rows["probability"].take(pa.array(main)),
        "people": people,
        "active_people": active,
    }
    columns |= describe_groups(dataset, rows, ids, as_of, rules)
    ranked = pa.table(columns).sort_by([("probability", "descending"), ("account_id", "ascending")])
    ranked = ranked.append_column("rank", pa.array(np.arange(1, len(ids) + 1)))
    return ranked.select(UNSTAMPED_ACCOUNT_SCORES.names).cast(UNSTAMPED_ACCOUNT_SCORES)


def _sum_by_group(value: pa.ChunkedArray, group: np.ndarray, groups: int) -> pa.Array:
    """Return the sum of each group's values; null for a group whose values are all null."""
    known = pc.is_valid(value).to_numpy()
    sums = np.bincount(group, pc.fill_null(value, 0.0).to_numpy(), groups)
    return pa.array(sums, mask=np.bincount(group, known, groups) == 0)


def _count_people(dataset: Dataset, ids: pa.Array, as_of: datetime) -> tuple[pa.Array, pa.Array]:
    """Return the number of entities of each account, and of those active within ACTIVE_WITHIN.

    The second array is null if the data has no times.
    """
    # Records that became another one are no people any more.
    ended = dataset.merges.ends(dataset.leads["entity_id"]) < to_microseconds(as_of)
    place = pc.fill_null(pc.index_in(dataset.leads["account_id"], value_set=ids), len(ids))
    account = np.where(ended, len(ids), place.to_numpy())
    # Leads of no scored account are counted in one more bin, which is dropped.
    people = pa.array(np.bincount(account, minlength=len(ids) + 1)[:-1])
    if not dataset.timed:
        return people, pa.nulls(len(ids), pa.int64())
    recent = pc.greater_equal(
        dataset.events["event_time"], pa.scalar(as_of - ACTIVE_WITHIN, INSTANT)
    )
    code = dataset.find_leads(dataset.events["entity_id"].filter(recent))
    is_active = np.zeros(dataset.leads.num_rows, bool)
    is_active[code[code >= 0]] = True
    return people, pa.array(np.bincount(account[is_active], minlength=len(ids) + 1)[:-1])
