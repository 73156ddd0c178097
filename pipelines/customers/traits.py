"""Attributes of customers as of their entry, for trees."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from features.definitions.attributes import infer_attribute_kinds
from models.customers.trees import CustomerTraits
from models.encoding import Encoding
from pipelines.customers.purchases import CustomerPurchases
from pipelines.fit.attributes import list_entry_names, read_entry_column
from pipelines.training_data import Snapshot


def collect_traits(snapshot: Snapshot, bought: CustomerPurchases) -> CustomerTraits:
    """Return the attributes of customers that models may use, by customer number.

    An attribute with a history has the value that was available before the entry. Columns that are
    excluded, personal or dates are left out.
    """
    dataset = snapshot.dataset
    kinds = infer_attribute_kinds(dataset.values, dataset.readings.columns)
    names = list_entry_names(snapshot, [*dataset.attributes, *kinds])
    rows = pa.array(bought.unit)
    matrix = pa.table(
        {n: read_entry_column(snapshot, bought.units, n, kinds).take(rows) for n in names}
    )
    varied = [n for n in names if len(matrix[n].unique()) > 1]
    if not varied:
        return CustomerTraits(np.empty((len(rows), 0)), [])
    encoding = Encoding.fit(matrix, varied)
    return CustomerTraits(encoding.encode(matrix), encoding.categorical)
