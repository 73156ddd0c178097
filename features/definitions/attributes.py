"""As-of join of attribute values: the newest value that was known at a cutoff."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import DataError
from features.intake.column_kinds import parse_as
from features.intake.values import infer_attribute
from features.readings.columns import ColumnReading, StoredReading
from features.tools.binary_search import find_lower_bounds
from features.tools.id_index import IdIndex
from features.tools.instants import column_to_microseconds
from features.tools.jit import jit_kernel

AttributeKind = Literal["number", "category"]


def infer_attribute_kinds(
    values: pa.Table, readings: Mapping[str, ColumnReading] | None = None
) -> dict[str, AttributeKind]:
    """Return the kind of every attribute of VALUES, in the order of names.

    It is that of its reading. Without one, an attribute is a number if all its values are numbers,
    booleans or dates, else a category.
    """
    readings = readings or {}
    return {
        name: _kind_of_column(infer_attribute(_select_texts(values, name)))
        if name not in readings
        else get_attribute_kind(readings[name].stored)
        for name in sorted(pc.unique(values["attribute"]).to_pylist())
    }


def get_attribute_kind(stored: StoredReading) -> AttributeKind:
    """Return the kind of a feature whose column is read like this."""
    return "category" if stored.kind == "category" else "number"


def as_of_join(
    values: pa.Table,
    attribute: str,
    kind: AttributeKind,
    entity: np.ndarray,
    cutoff: np.ndarray,
    ids: IdIndex,
    stored: StoredReading | None = None,
) -> pa.Array:
    """Return an attribute's value at each (entity, cutoff): float64 for a number, else string.

    ``values`` is VALUES. ``entity`` holds positions among ``ids``, ``cutoff`` microseconds since
    1970; both are int64 and of one length, in any order. The value is that of the newest
    ``valid_from`` among the rows with ``available_at < cutoff``. Of several at one ``valid_from``
    it is the one that became known last; at a tie the greatest as text, and any rather than a
    cleared one. It is null where none is known yet or the attribute was cleared.

    The cost is one sort of the attribute's history and a binary search per row, so pass all rows in
    one call. ``stored`` says how a number is read; a value that does not fit is missing. Without
    it, DataError is raised where a number is expected and a value known by then is not one.
    """
    own = values.filter(pc.equal(values["attribute"], attribute))
    code = ids.find(own["entity_id"]).astype(np.int64)
    own, code = own.filter(pa.array(code >= 0)), code[code >= 0]
    known, text = column_to_microseconds(own["available_at"]), own["value"].combine_chunks()
    order = _sort_history(code, column_to_microseconds(own["valid_from"]), known, text)
    begin = np.searchsorted(code[order], np.arange(len(ids) + 1))
    arrival = _order_by_arrival(begin, known[order])
    # A later position in the order is newer, and all positions of later entities lie behind: so the
    # newest value so far is a running maximum.
    newest = order[np.maximum.accumulate(arrival)]
    latest = find_lower_bounds(known[order[arrival]], begin[entity], begin[entity + 1], cutoff)
    latest = np.where(latest > begin[entity], latest - 1, -1)
    place = pa.array(newest[latest] if len(newest) else latest, mask=latest < 0)
    if kind == "category":
        return text.take(place)
    return parse_as(text, stored).take(place) if stored else _read_numbers(text, place, attribute)


def _select_texts(values: pa.Table, name: str) -> pa.ChunkedArray:
    # The distinct texts decide the kind, and they are far fewer than the rows.
    column = values["value"].filter(pc.equal(values["attribute"], name))
    return pa.chunked_array([pc.unique(column)])


def _kind_of_column(column: pa.Array) -> AttributeKind:
    return "number" if pa.types.is_floating(column.type) else "category"


def _sort_history(
    code: np.ndarray, since: np.ndarray, known: np.ndarray, text: pa.Array
) -> np.ndarray:
    """Return the order by entity, valid_from, available_at and text, null first.

    Texts are compared only where all else ties.
    """
    order = (
        np.arange(len(code)) if _is_sorted(code, since, known) else np.lexsort((known, since, code))
    )
    same = np.zeros(len(order), bool)
    same[1:] = (
        (np.diff(code[order]) == 0) & (np.diff(since[order]) == 0) & (np.diff(known[order]) == 0)
    )
    tied = np.flatnonzero(same | np.append(same, False)[1:])
    texts = text.take(pa.array(order[tied]))
    # Null ranks lowest, since the last of a tie is used: any value rather than a cleared one.
    rank = np.where(pc.is_null(texts), 0, pc.rank(texts, tiebreaker="dense").to_numpy())
    order[tied] = order[tied][np.lexsort((rank, np.cumsum(~same)[tied]))]
    return order


def _is_sorted(*keys: np.ndarray) -> bool:
    """Return whether rows ascend by several keys, the first being the primary one.

    VALUES do, so that they need no sort.
    """
    tied, rises = np.ones(max(len(keys[0]) - 1, 0), bool), True
    for key in keys:
        step = np.diff(key)
        rises &= bool((step[tied] >= 0).all())
        tied &= step == 0
    return rises


@jit_kernel
def _order_by_arrival(begin: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return each entity's positions by when they became known.

    Most entities have no late values and need no sort.
    """
    order = np.arange(len(known))
    for entity in range(len(begin) - 1):
        low, high = begin[entity], begin[entity + 1]
        if (np.diff(known[low:high]) < 0).any():
            order[low:high] = low + np.argsort(known[low:high], kind="mergesort")
    return order


def _read_numbers(text: pa.Array, place: pa.Array, name: str) -> pa.Array:
    """Parse the joined values as numbers, and only those: a later value must not even fail."""
    seen = np.zeros(len(text), bool)
    seen[place.drop_null().to_numpy()] = True
    number = infer_attribute(pa.chunked_array([text.filter(pa.array(seen))]))
    if _kind_of_column(number) != "number":
        raise DataError(
            "attribute was a number and is text now",
            where=name,
            found=f"such as {pc.min(number).as_py()!r}",
        )
    return number.take(pc.subtract(pa.array(np.cumsum(seen)).take(place), 1))
