"""Comparison of feature matrices, with the oracle within tolerances or bit by bit."""

import math
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from tests.features.oracle import expected

RELATIVE = 1e-12
EXACT = ("least", "most")
# Prefix of a feature's name for the size of its summands, if rounding of these may show in the
# value.
SIZE = "size of "


def disagreements(matrix, data, spine, catalog):
    """Return a line per difference between a matrix and the oracle: feature, row, both values."""
    assert matrix.column_names == [
        "entity_id",
        "cutoff",
        *(feature.name for feature in catalog.features),
    ]
    assert matrix.select(["entity_id", "cutoff"]).to_pylist() == spine.to_pylist()
    spread = [
        replace(f, name=SIZE + f.name, aggregate="gap_max")
        for f in catalog.features
        if f.aggregate == "gap_std"
    ]
    wanted = expected(data, spine, catalog, [*catalog.features, *spread]) | faded(
        data, spine, catalog
    )
    lines = []
    for feature in catalog.features:
        name, found = feature.name, matrix[feature.name].to_pylist()
        sizes = wanted.get(SIZE + name, [None] * len(found))
        for row, (mine, right, size) in enumerate(zip(found, wanted[name], sizes, strict=True)):
            if not agree(feature.aggregate, mine, right, size):
                lines.append(
                    f"{name} of row {row}, {spine.slice(row, 1).to_pylist()[0]}: {mine!r}, not "
                    f"{right!r}"
                )
    return lines


def faded(data, spine, catalog):
    """Return the decayed totals of absolute values.

    They give the scale of rounding errors: it may be much larger than the decayed total itself.
    """
    place = data.events.column_names.index("value")
    sizes = data.events.set_column(place, data.events.field(place), pc.abs(data.events["value"]))
    totals = [
        replace(f, name=SIZE + f.name) for f in catalog.features if f.aggregate == "decay_total"
    ]
    return expected(replace(data, events=sizes), spine, catalog, totals) if totals else {}


def agree(aggregate, found, wanted, size=None):
    """Return whether a value is right.

    Categories and extremes must be equal, sums within one unit in the last place, all others within
    1e-12 of their own size, or of the size of their summands.
    """
    if wanted is None or isinstance(wanted, str) or found is None:
        return found == wanted
    if math.isnan(wanted) or math.isnan(found):
        return math.isnan(wanted) and math.isnan(found)
    if found == wanted or aggregate in EXACT or math.isinf(wanted):
        return found == wanted
    last_digit = math.ulp(wanted)
    if aggregate == "total":
        return abs(found - wanted) <= last_digit
    return abs(found - wanted) <= max(
        last_digit, RELATIVE * (abs(wanted) if size is None else size)
    )


def same_bits(a, b):
    """Return whether two matrices are equal bit by bit, including NaN."""
    pairs = ((a[n].combine_chunks(), b[n].combine_chunks()) for n in a.column_names)
    return a.column_names == b.column_names and all(
        x.to_numpy(zero_copy_only=False).tobytes() == y.to_numpy(zero_copy_only=False).tobytes()
        if pa.types.is_floating(x.type)
        else x.equals(y)
        for x, y in pairs
    )
