"""Attributes that change, as of a cutoff: the newest value in their history that was known then."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import DataError
from features.intake.values import attribute as typed
from features.tools.binary_search import find_lower_bounds
from features.tools.duckdb_sql import run_query
from features.tools.id_index import IdIndex
from features.tools.instants import column_to_microseconds
from features.tools.jit import jit_kernel

AttributeKind = Literal["number", "category"]


def infer_attribute_kinds(values: pa.Table) -> dict[str, AttributeKind]:
    """Return every attribute of VALUES in the order of names, with what all its values have in common.

    The rule is that of the leads' attributes: numbers, true and false, and dates are numbers, the rest a category.
    """
    different = run_query(
        "SELECT DISTINCT attribute, value FROM rows ORDER BY attribute, value", rows=values
    )
    names = pc.unique(different["attribute"]).to_pylist()
    texts = (different["value"].filter(pc.equal(different["attribute"], name)) for name in names)
    return {name: _kind_of_column(typed(each)) for name, each in zip(names, texts, strict=True)}


def as_of_join(
    values: pa.Table, attribute: str, kind: AttributeKind, entity: np.ndarray, cutoff: np.ndarray, ids: IdIndex
) -> pa.Array:
    """Return an attribute's value at each (entity, cutoff): float64 for a number, string for a category.

    ``values`` is VALUES; ``entity`` holds places among ``ids``, ``cutoff`` microseconds since 1970, both int64 and
    of one length, in any order. The value is the one of the newest ``valid_from`` among those with ``available_at <
    cutoff``; of several at one ``valid_from`` the one that became known last, and if that is a tie too, the greatest
    as text, and any rather than a cleared one. Null where none is known yet or the attribute was cleared.

    Costs one sort of the attribute's history and a binary search a row, so take all rows in one call. Raises
    DataError where a number is wanted and a value that was then known is none.
    """
    own = values.filter(pc.equal(values["attribute"], attribute))
    code = ids.find(own["entity_id"]).astype(np.int64)
    own, code = own.filter(pa.array(code >= 0)), code[code >= 0]
    known, text = column_to_microseconds(own["available_at"]), own["value"].combine_chunks()
    order = _sort_history(code, column_to_microseconds(own["valid_from"]), known, text)
    begin = np.searchsorted(code[order], np.arange(len(ids) + 1))
    arrival = _order_by_arrival(begin, known[order])
    # The farther in the order the newer, and every place of a later entity lies behind: the newest so far is a maximum.
    newest = order[np.maximum.accumulate(arrival)]
    found = find_lower_bounds(known[order[arrival]], begin[entity], begin[entity + 1], cutoff)
    found = np.where(found > begin[entity], found - 1, -1)
    place = pa.array(newest[found] if len(newest) else found, mask=found < 0)
    return text.take(place) if kind == "category" else _read_numbers(text, place, attribute)


def _kind_of_column(column: pa.Array) -> AttributeKind:
    return "number" if pa.types.is_floating(column.type) else "category"


def _sort_history(
    code: np.ndarray, since: np.ndarray, known: np.ndarray, text: pa.Array
) -> np.ndarray:
    """Order values by entity, valid_from, available_at and text, null first; texts are compared where all else ties."""
    order = np.arange(len(code)) if _is_sorted(code, since, known) else np.lexsort((known, since, code))
    same = np.zeros(len(order), bool)
    same[1:] = (
        (np.diff(code[order]) == 0) & (np.diff(since[order]) == 0) & (np.diff(known[order]) == 0)
    )
    tied = np.flatnonzero(same | np.append(same, False)[1:])
    texts = text.take(pa.array(order[tied]))
    rank = np.where(pc.is_null(texts), 0, pc.rank(texts, tiebreaker="dense").to_numpy())
    order[tied] = order[tied][np.lexsort((rank, np.cumsum(~same)[tied]))]
    return order


def _is_sorted(*keys: np.ndarray) -> bool:
    """Say whether rows are in the order of several keys, the first of most weight: VALUES are, and need no sort."""
    tied, rises = np.ones(max(len(keys[0]) - 1, 0), bool), True
    for key in keys:
        step = np.diff(key)
        rises &= bool((step[tied] >= 0).all())
        tied &= step == 0
    return rises


@jit_kernel
def _order_by_arrival(begin: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Order each entity's places by when they became known; most entities have nothing late and need no sort."""
    order = np.arange(len(known))
    for entity in range(len(begin) - 1):
        low, high = begin[entity], begin[entity + 1]
        if (np.diff(known[low:high]) < 0).any():
            order[low:high] = low + np.argsort(known[low:high], kind="mergesort")
    return order


def _read_numbers(text: pa.Array, place: pa.Array, name: str) -> pa.Array:
    """Read as numbers the values that are seen, and only those: what is not known yet must not even fail."""
    seen = np.zeros(len(text), bool)
    seen[place.drop_null().to_numpy()] = True
    number = typed(pa.chunked_array([text.filter(pa.array(seen))]))
    if _kind_of_column(number) != "number":
        raise DataError(
            "attribute was a number and is text now",
            where=name,
            found=f"such as {pc.min(number).as_py()!r}",
        )
    return number.take(pc.subtract(pa.array(np.cumsum(seen)).take(place), 1))
