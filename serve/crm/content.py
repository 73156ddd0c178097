"""What one delivery holds: the leads that are due, those to clear, and what the CRM holds after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from serve.crm.cells import rendered, unfit
from serve.crm.kept import Kept
from serve.crm.plan import STATUS, Plan
from serve.crm.state import State
from serve.crm.wide import CLEARED, ENTITY, wide

SHOWN = 5
"""Keys of leads that could not be delivered that the manifest names."""


@dataclass(frozen=True)
class Follows:
    """The delivery ``base`` that one follows and all later ones: any of them may be the last that the CRM loaded.

    ``base`` is None on the first night. ``all_due`` where every lead is to be delivered whatever the CRM holds.
    """

    base: str | None
    deliveries: Sequence[Kept]
    all_due: bool


@dataclass(frozen=True)
class Content:
    """One delivery: ``tables`` are the leads that are due and those to clear, ``texts`` their cells.

    ``state`` is what the CRM holds after it; ``refused`` counts the leads whose key no file can hold, with examples.
    """

    kind: str
    base: str | None
    tables: tuple[pa.Table, pa.Table]
    texts: tuple[pa.Table, pa.Table]
    state: State
    refused: Mapping[str, Any]

    @property
    def rows(self) -> int:
        """Rows of leads that are scored."""
        return self.tables[0].num_rows

    @property
    def cleared(self) -> int:
        """Rows that clear a lead."""
        return self.tables[1].num_rows


def content(plan: Plan, scores: pa.Table, as_of: datetime, follows: Follows) -> Content:
    """Work out what is due, from the scores and from what the CRM may hold.

    A lead is due where any of the deliveries followed lacks it or told something else of it. A lead that any of them
    holds and that has no score any more is cleared. Values of another layout cannot be compared, so all leads are due.
    """
    table = wide(scores, plan)
    bad = unfit(table[ENTITY], plan.format)
    refused = table[ENTITY].filter(bad)
    table = table.filter(pc.invert(bad))
    texts = rendered(table, plan.format)
    state = State.of(table[ENTITY], [texts[str(n)] for n in plan.compared])
    before = [one for one in follows.deliveries if one.manifest["key"] == plan.key]
    states = [one.state() for one in before]
    delta = not follows.all_due and all(
        one.manifest["layout"] == plan.layout for one in follows.deliveries
    )
    if delta:
        due = pa.array(state.differs(states))
        table, texts = table.filter(due), texts.filter(due)
    clears = _clears(plan, state.lacks(states), as_of)
    return Content(
        kind="delta" if delta else "full",
        base=follows.base,
        tables=(table, clears),
        texts=(texts, rendered(clears, plan.format)),
        state=state,
        refused={"rows": len(refused), "examples": refused.slice(0, SHOWN).to_pylist()},
    )


def _clears(plan: Plan, gone: pa.Array, as_of: datetime) -> pa.Table:
    """Return rows without any value but the status and the night."""
    said = {STATUS.name: CLEARED, "as_of": as_of}
    columns = []
    for one in plan.mapped:
        value = None if one.target else said.get(one.column)
        columns.append(
            gone if one.column == ENTITY else pa.repeat(pa.scalar(value, one.field.type), len(gone))
        )
    return pa.table([gone, *columns], names=[ENTITY, *map(str, range(len(columns)))])
