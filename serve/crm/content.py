"""The content of one delivery: leads that are due, leads to clear, and the state after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from serve.crm.cells import find_unfit_keys, render_cells
from serve.crm.plan import STATUS_FIELD, ExportPlan
from serve.crm.state import CrmState
from serve.crm.stored_deliveries import StoredDelivery
from serve.crm.unloaded import DueAgain
from serve.crm.wide_table import CLEARED, ENTITY_COLUMN, build_wide_table

# Maximum number of undeliverable keys that the manifest names.
MAX_EXAMPLES = 5


@dataclass(frozen=True)
class DeltaBase:
    """The deliveries that a new one is compared with.

    The CRM may have loaded any of them last, so a delta covers the changes since each one.

    Attributes:
        base: Id of the oldest of them; None if there is none of an earlier night.
        deliveries: The base and all later deliveries.
        deliver_all: Whether all leads are due regardless of what the CRM holds.
        again: Leads that the CRM did not load.
    """

    base: str | None
    deliveries: Sequence[StoredDelivery]
    deliver_all: bool
    again: DueAgain = field(default_factory=DueAgain)


@dataclass(frozen=True)
class DeliveryContent:
    """The rows of one delivery.

    Attributes:
        kind: ``full`` or ``delta``.
        base: Id of the delivery that a delta follows.
        tables: Typed rows: leads that are due, and leads to clear.
        texts: The cells of these rows.
        state: What the CRM holds after the delivery.
        refused: Count and examples of leads whose key no file can hold.
        again: Number of rows that the CRM did not load before.
    """

    kind: str
    base: str | None
    tables: tuple[pa.Table, pa.Table]
    texts: tuple[pa.Table, pa.Table]
    state: CrmState
    refused: Mapping[str, Any]
    again: int

    @property
    def rows(self) -> int:
        """Return the number of rows of scored leads."""
        return self.tables[0].num_rows

    @property
    def cleared(self) -> int:
        """Return the number of rows that clear a lead."""
        return self.tables[1].num_rows


def build_content(
    plan: ExportPlan,
    scores: pa.Table,
    as_of: datetime,
    delta_base: DeltaBase,
    tables: Mapping[str, pa.Table] | None = None,
) -> DeliveryContent:
    """Determine which leads are due, from the scores and from what the CRM may hold.

    A lead is due if any delivery since the base lacks it or has other cells for it, or if the CRM
    did not load it. A lead that any of them holds, and that has no score and no row of ``tables``
    any more, is cleared, and so is one whose clearing was not loaded. Cells of another layout
    cannot be compared: all leads are due then.
    """
    table = build_wide_table(scores, plan, tables)
    is_unfit = find_unfit_keys(table[ENTITY_COLUMN], plan.format)
    refused = table[ENTITY_COLUMN].filter(is_unfit)
    table = table.filter(pc.invert(is_unfit))
    # All leads, not only those that are due: the state covers everything that the CRM holds.
    texts = render_cells(table, plan.format)
    state = CrmState.from_cells(
        table[ENTITY_COLUMN], [texts[str(n)] for n in plan.compared_columns]
    )
    # A delivery with another key column addressed records that this one cannot clear.
    comparable = [
        delivery for delivery in delta_base.deliveries if delivery.manifest["key"] == plan.key
    ]
    states = [delivery.state() for delivery in comparable]
    is_delta = not delta_base.deliver_all and all(
        delivery.manifest["layout"] == plan.layout for delivery in delta_base.deliveries
    )
    is_again = pc.is_in(table[ENTITY_COLUMN], value_set=delta_base.again.keys)
    if is_delta:
        is_due = pc.or_(is_again, pa.array(state.find_changed(states)))
        table, texts, is_again = (rows.filter(is_due) for rows in (table, texts, is_again))
    removed = state.find_removed(states, delta_base.again.clearable)
    is_cleared_again = pc.is_in(removed, value_set=delta_base.again.keys)
    clearing_rows = _build_clearing_rows(plan, removed, as_of)
    return DeliveryContent(
        kind="delta" if is_delta else "full",
        base=delta_base.base,
        tables=(table, clearing_rows),
        texts=(texts, render_cells(clearing_rows, plan.format)),
        state=state,
        refused={"rows": len(refused), "examples": refused.slice(0, MAX_EXAMPLES).to_pylist()},
        again=sum(pc.sum(mask).as_py() or 0 for mask in (is_again, is_cleared_again)),
    )


def _build_clearing_rows(plan: ExportPlan, keys: pa.Array, as_of: datetime) -> pa.Table:
    """Return rows with null in all columns but key, entity type, status and as-of."""
    values = {STATUS_FIELD.name: CLEARED, "as_of": as_of, "entity_type": plan.entity_type}
    columns = []
    for column in plan.columns:
        value = None if column.target else values.get(column.column)
        columns.append(
            keys
            if column.column == ENTITY_COLUMN
            else pa.repeat(pa.scalar(value, column.field.type), len(keys))
        )
    return pa.table([keys, *columns], names=[ENTITY_COLUMN, *map(str, range(len(columns)))])
