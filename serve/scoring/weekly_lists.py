"""The week's list: the leads that each owner works, and a few drawn at random so that the model hears of others."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from math import floor
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.night import Capacity
from features.contracts import Dataset
from features.intake.row_hash import text_hashes

PICK, EXPLORE = "pick", "explore"
KINDS = pa.array([PICK, EXPLORE])


@dataclass(frozen=True)
class Week:
    """A week by ISO 8601 in the company's zone: its name, like 2025-W07, and the midnight it begins with."""

    name: str
    begin: datetime

    @classmethod
    def of(cls, instant: datetime, zone: ZoneInfo) -> Week:
        """Return the week that an instant lies in."""
        day = instant.astimezone(zone).date()
        year, week, weekday = day.isocalendar()
        return cls(
            f"{year}-W{week:02d}", datetime.combine(day - timedelta(days=weekday - 1), time(), zone)
        )


def with_list(frame: pa.Table, given: pa.Table, capacity: Capacity | None, seed: str) -> pa.Table:
    """Add listed: “pick”, “explore”, or null for a lead that is not on the week's list; all null without a capacity.

    ``frame`` has entity_id and owner, by rank; ``given`` has entity_id, owner and listed of the leads on the list on
    earlier nights of the week, by night: a lead's first row counts. Whoever was given a place keeps it, and a place is
    given once a week: those of leads that are gone stay used. What is left of an owner's places for picks goes to the
    most probable, and what is left for exploring to those of the others with the smallest hash of ``seed`` and
    entity_id: a draw that comes out the same each time. No owner (null) is an owner too.
    """
    if capacity is None:
        return frame.append_column("listed", pa.nulls(frame.num_rows, pa.string()))
    given = first_each(given)
    place = pc.index_in(frame["entity_id"], value_set=given["entity_id"].combine_chunks())
    listed = (
        pc.fill_null(pc.index_in(given["listed"].take(place), value_set=KINDS), -1)
        .to_numpy()
        .copy()
    )
    owner, owners = _codes(frame["owner"])
    explored = floor(capacity.per_week * capacity.explore + 0.5)
    for kind, places in enumerate((capacity.per_week - explored, explored)):
        open_rows = np.flatnonzero(listed < 0)
        if KINDS[kind].as_py() == EXPLORE and places:
            open_rows = open_rows[_drawn(frame["entity_id"].take(pa.array(open_rows)), seed)]
        listed[_first(open_rows, owner, places - _used(given, kind, owners))] = kind
    return frame.append_column("listed", KINDS.take(pa.array(listed, mask=listed < 0)))


def first_each(rows: pa.Table) -> pa.Table:
    """Return the first row of each lead, in their order."""
    codes = rows["entity_id"].combine_chunks().dictionary_encode().indices.to_numpy()
    return rows.take(np.sort(np.unique(codes, return_index=True)[1]))


def seed_of(project: str, target: str, week: Week) -> str:
    """Return what the draw of a target's list depends on beside the lead."""
    return f"{project}\0{target}\0{week.name}\0"


def owners_of(dataset: Dataset, capacity: Capacity | None, lead: pa.Array) -> pa.Array:
    """Return the owner of each lead (row numbers of ``leads``) as text, null where there is none or none is named."""
    if capacity is None or capacity.owner is None:
        return pa.nulls(len(lead), pa.string())
    column = dataset.leads[capacity.owner].combine_chunks()
    if pa.types.is_floating(column.type):  # a number stands for a name, and is written as one
        column = pa.array(
            [None if value is None else f"{value:.15g}" for value in column.to_pylist()],
            pa.string(),
        )
    return column.take(lead)


def in_a_week(dataset: Dataset, capacity: Capacity | None) -> int | None:
    """Return how many leads all owners of today's data can work in a week; None where no capacity is given."""
    if capacity is None or capacity.owner is None:
        return capacity.per_week if capacity else None
    return capacity.per_week * max(len(pc.unique(dataset.leads[capacity.owner])), 1)


def _codes(owner: pa.ChunkedArray) -> tuple[np.ndarray, pa.Array]:
    """Return each row's place among the owners, and the owners; null is one of them."""
    owners = pc.unique(owner)
    return pc.index_in(owner, value_set=owners).to_numpy(), owners


def _used(given: pa.Table, kind: int, owners: pa.Array) -> np.ndarray:
    """Return how many places of a kind each owner has given this week."""
    own = given.filter(pc.equal(given["listed"], KINDS[kind]))["owner"]
    return np.bincount(
        pc.index_in(own, value_set=owners).drop_null().to_numpy(), minlength=len(owners)
    )


def _drawn(entity_id: pa.ChunkedArray, seed: str) -> np.ndarray:
    """Return the order of a draw: that of the hashes, which are as good as random."""
    names = pc.binary_join_element_wise(seed, entity_id, "")
    hashes = text_hashes(names)
    return np.lexsort((hashes[:, 1], hashes[:, 0]))


def _first(rows: np.ndarray, owner: np.ndarray, left: np.ndarray) -> np.ndarray:
    """Return the first of some rows, as many for each owner as are left."""
    codes = owner[rows]
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], np.arange(len(left)))
    place = np.empty(len(rows), np.int64)
    place[order] = np.arange(len(rows)) - starts[codes[order]]
    return rows[place < left[codes]]
