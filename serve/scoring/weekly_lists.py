"""Weekly lists: the leads that each owner works in a week, and a few drawn at random to explore."""

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
from features.tools.row_hash import hash_texts

PICK, EXPLORE = "pick", "explore"
# Picks come first: only leads that are no pick are drawn to explore.
LIST_KINDS = pa.array([PICK, EXPLORE])


@dataclass(frozen=True)
class Week:
    """A week by ISO 8601 in the company's time zone.

    Attributes:
        name: Year and week, such as 2025-W07.
        start: Midnight of its Monday.
    """

    name: str
    start: datetime

    @classmethod
    def containing(cls, instant: datetime, zone: ZoneInfo) -> Week:
        """Return the week that contains an instant."""
        day = instant.astimezone(zone).date()
        year, week, weekday = day.isocalendar()
        return cls(
            f"{year}-W{week:02d}", datetime.combine(day - timedelta(days=weekday - 1), time(), zone)
        )


def add_weekly_list(
    scores: pa.Table,
    earlier: pa.Table,
    capacity: Capacity | None,
    seed: str,
    pickable: np.ndarray | None = None,
) -> pa.Table:
    """Append listed: “pick”, “explore”, or null for a lead that is not on the week's list.

    ``scores`` needs entity_id and owner, sorted by rank. ``earlier`` has entity_id, owner and
    listed of the leads on the list on earlier nights of the week, sorted by night; the first row
    of a lead counts.

    A lead keeps its place for the week. A place is given once a week, so the places of leads that
    are gone stay used. An owner's free places for picks go to its most probable leads. The free
    places for exploring go to its other leads with the smallest hash of ``seed`` and entity_id,
    so a repeated draw gives the same leads. Null counts as one owner. Without a capacity, listed
    is null. ``pickable`` is a mask of the leads that may be picked, all by default; the others may
    still be drawn.
    """
    if capacity is None:
        return scores.append_column("listed", pa.nulls(scores.num_rows, pa.string()))
    earlier = keep_first_per_lead(earlier)
    place = pc.index_in(scores["entity_id"], value_set=earlier["entity_id"].combine_chunks())
    listed = (
        pc.fill_null(pc.index_in(earlier["listed"].take(place), value_set=LIST_KINDS), -1)
        .to_numpy()
        .copy()
    )
    owner, owners = _encode_owners(scores["owner"])
    explored = count_explored_places(capacity)
    for kind, places in enumerate((capacity.per_week - explored, explored)):
        open_rows = np.flatnonzero(listed < 0)
        if LIST_KINDS[kind].as_py() == PICK and pickable is not None:
            open_rows = open_rows[pickable[open_rows]]
        if LIST_KINDS[kind].as_py() == EXPLORE and places:
            open_rows = open_rows[_draw_order(scores["entity_id"].take(pa.array(open_rows)), seed)]
        free = places - _count_used_places(earlier, kind, owners)
        listed[_take_free_places(open_rows, owner, free)] = kind
    return scores.append_column("listed", LIST_KINDS.take(pa.array(listed, mask=listed < 0)))


def count_explored_places(capacity: Capacity) -> int:
    """Return the places of each owner's list that are filled with leads drawn at random."""
    # ``round`` would round half to even; half a place is rounded up.
    return floor(capacity.per_week * capacity.explore + 0.5)


def find_draw_chances(scores: pa.Table, earlier: pa.Table) -> np.ndarray:
    """Return with which probability each lead that was drawn this night was drawn; else NaN.

    ``scores`` needs entity_id, owner and listed; ``earlier`` is that of ``add_weekly_list``. All
    leads of an owner that had no place were drawn from with equal probability.
    """
    is_new = pc.invert(pc.is_in(scores["entity_id"], earlier["entity_id"].combine_chunks()))
    drawn = pc.and_(pc.fill_null(pc.equal(scores["listed"], EXPLORE), False), is_new).to_numpy()
    owner, owners = _encode_owners(scores["owner"])
    could_be = drawn | scores["listed"].is_null().to_numpy()
    counts = [np.bincount(owner[rows], minlength=len(owners)) for rows in (drawn, could_be)]
    return np.where(drawn, counts[0][owner] / np.maximum(counts[1][owner], 1), np.nan)


def keep_first_per_lead(rows: pa.Table) -> pa.Table:
    """Return the first row of each lead, in the order of ``rows``."""
    codes = rows["entity_id"].combine_chunks().dictionary_encode().indices.to_numpy()
    return rows.take(np.sort(np.unique(codes, return_index=True)[1]))


def make_draw_seed(project: str, target: str, week: Week) -> str:
    """Return the seed of the draw for a target's list: one per project, target and week."""
    return f"{project}\0{target}\0{week.name}\0"


def look_up_owners(dataset: Dataset, capacity: Capacity | None, lead: pa.Array) -> pa.Array:
    """Return the owner of each lead as text; null if it has none or no owner column is set.

    ``lead`` holds row numbers of the dataset's leads.
    """
    if capacity is None or capacity.owner is None:
        return pa.nulls(len(lead), pa.string())
    column = dataset.leads[capacity.owner].combine_chunks()
    # A numeric owner is an identifier: 15 digits write every whole number as it was given.
    if pa.types.is_floating(column.type):
        column = pa.array(
            [None if value is None else f"{value:.15g}" for value in column.to_pylist()],
            pa.string(),
        )
    return column.take(lead)


def total_weekly_capacity(dataset: Dataset, capacity: Capacity | None) -> int | None:
    """Return how many leads all owners can work in a week; None without a capacity."""
    return capacity.per_week * count_owners(dataset, capacity) if capacity else None


def count_owners(dataset: Dataset, capacity: Capacity) -> int:
    """Return the number of weekly lists: one per owner, one without an owner column."""
    return 1 if capacity.owner is None else max(len(pc.unique(dataset.leads[capacity.owner])), 1)


def _encode_owners(owner: pa.ChunkedArray) -> tuple[np.ndarray, pa.Array]:
    """Return each row's owner code, and the distinct owners; null is one of them."""
    owners = pc.unique(owner)
    return pc.index_in(owner, value_set=owners).to_numpy(), owners


def _count_used_places(earlier: pa.Table, kind: int, owners: pa.Array) -> np.ndarray:
    """Return the number of places of a kind that each owner has given this week."""
    # By the owner of that night: the place of a lead that changed owners stays used.
    own = earlier.filter(pc.equal(earlier["listed"], LIST_KINDS[kind]))["owner"]
    return np.bincount(
        pc.index_in(own, value_set=owners).drop_null().to_numpy(), minlength=len(owners)
    )


def _draw_order(entity_id: pa.ChunkedArray, seed: str) -> np.ndarray:
    """Return the order of a reproducible random draw: the order of seeded hashes."""
    names = pc.binary_join_element_wise(seed, entity_id, "")
    hashes = hash_texts(names)
    return np.lexsort((hashes[:, 1], hashes[:, 0]))


def _take_free_places(rows: np.ndarray, owner: np.ndarray, left: np.ndarray) -> np.ndarray:
    """Return the first rows of each owner, at most ``left`` (places by owner code) of them."""
    codes = owner[rows]
    # Stable, so that each owner's rows keep the order of rank or draw.
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], np.arange(len(left)))
    place = np.empty(len(rows), np.int64)
    place[order] = np.arange(len(rows)) - starts[codes[order]]
    return rows[place < left[codes]]
