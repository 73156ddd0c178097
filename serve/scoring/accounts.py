"""The accounts of a night's scored entities: how likely one of them wins, whom to talk to, how broad the group is."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.contracts import ACCOUNT_SCORES, INSTANT, Dataset
from models.accounts import Together

RECENT = timedelta(days=30)
"""Who did anything within this span is active."""
NAMES = ("project", "target", "as_of", "model_version")
"""Columns that all rows of a target have alike."""
READ = (*NAMES, "entity_id", "account_id", "rank", "probability", "expected_value")
OWN = pa.schema([field for field in ACCOUNT_SCORES if field.name not in ("run_id", "scored_at")])


def account_scores(dataset: Dataset, frame: pa.Table, together: Together) -> pa.Table:
    """Return the ACCOUNT_SCORES of one target at one as-of, without what only the run that publishes can fill.

    ``frame`` holds SCORES of that target in the order of rank, ``dataset`` what was known before its as-of. Raises
    ValueError for rows in another order.
    """
    rows = frame.select(READ).filter(pc.is_valid(frame["account_id"]))
    if (np.diff(rows["rank"].to_numpy()) <= 0).any():
        raise ValueError("the scores are not in the order of rank")
    if not rows.num_rows:
        return OWN.empty_table()
    accounts = rows["account_id"].combine_chunks().dictionary_encode()
    ids, group = accounts.dictionary, accounts.indices.to_numpy()
    _, main = np.unique(group, return_index=True)  # the first of an account is its most probable
    people, active = _people(dataset, ids, rows["as_of"][0].as_py())
    columns = {name: pa.repeat(rows[name][0], len(ids)) for name in NAMES} | {
        "account_id": ids,
        "probability": pa.array(together.chance(group, rows["probability"].to_numpy(), len(ids))),
        "expected_value": _sums(rows["expected_value"], group, len(ids)),
        "entities": pa.array(np.bincount(group, minlength=len(ids))),
        "main_contact": rows["entity_id"].take(pa.array(main)),
        "main_probability": rows["probability"].take(pa.array(main)),
        "people": people,
        "active_people": active,
    }
    found = pa.table(columns).sort_by([("probability", "descending"), ("account_id", "ascending")])
    found = found.append_column("rank", pa.array(np.arange(1, len(ids) + 1)))
    return found.select(OWN.names).cast(OWN)


def _sums(value: pa.ChunkedArray, group: np.ndarray, groups: int) -> pa.Array:
    """Return the sum of each group's values, null where none is known."""
    known = pc.is_valid(value).to_numpy()
    sums = np.bincount(group, pc.fill_null(value, 0.0).to_numpy(), groups)
    return pa.array(sums, mask=np.bincount(group, known, groups) == 0)


def _people(dataset: Dataset, ids: pa.Array, as_of: datetime) -> tuple[pa.Array, pa.Array]:
    """Return how many entities each account has, and how many of them did something of late (null without times)."""
    account = pc.fill_null(
        pc.index_in(dataset.leads["account_id"], value_set=ids), len(ids)
    ).to_numpy()
    people = pa.array(np.bincount(account, minlength=len(ids) + 1)[:-1])
    if not dataset.timed:
        return people, pa.nulls(len(ids), pa.int64())
    late = pc.greater_equal(dataset.events["event_time"], pa.scalar(as_of - RECENT, INSTANT))
    code = dataset.lead_of(dataset.events["entity_id"].filter(late))
    seen = np.zeros(dataset.leads.num_rows, bool)
    seen[code[code >= 0]] = True
    return people, pa.array(np.bincount(account[seen], minlength=len(ids) + 1)[:-1])
