"""The funnel of a company: its tables, and the counts that describe it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Self

import pyarrow as pa

from features.paths.states import FunnelStates
from features.tools.json_values import to_json_values
from models.funnel.schemas import (
    AGING,
    CURVES,
    CYCLE,
    ENTRIES,
    FUNNEL,
    LEAKS,
    PATHS,
    SILENCE,
    STUCK,
)
from models.visitors.schemas import WEB_FUNNEL

# The tables by name, in their order.
FUNNEL_SCHEMAS = {
    "funnel": FUNNEL,
    "paths": PATHS,
    "cycle": CYCLE,
    "stuck": STUCK,
    "leaks": LEAKS,
    "curves": CURVES,
    "aging": AGING,
    "entries": ENTRIES,
    "silence": SILENCE,
}


@dataclass(frozen=True)
class FunnelTables:
    """The funnel of a company as tables, for the database, files and the page.

    Attributes:
        funnel: FUNNEL.
        paths: PATHS.
        cycle: CYCLE.
        stuck: STUCK.
        leaks: LEAKS.
        curves: CURVES.
        aging: AGING.
        entries: ENTRIES.
        silence: SILENCE.
    """

    funnel: pa.Table
    paths: pa.Table
    cycle: pa.Table
    stuck: pa.Table
    leaks: pa.Table
    curves: pa.Table
    aging: pa.Table
    entries: pa.Table
    silence: pa.Table

    @classmethod
    def from_tables(cls, tables: Mapping[str, pa.Table]) -> Self | None:
        """Return the funnel among tables by name, without other columns; None if it is absent."""
        if not tables.keys() >= FUNNEL_SCHEMAS.keys():
            return None
        return cls(
            **{name: tables[name].select(rows.names) for name, rows in FUNNEL_SCHEMAS.items()}
        )

    def by_name(self) -> dict[str, pa.Table]:
        """Return the tables by name."""
        return {name: getattr(self, name) for name in FUNNEL_SCHEMAS}


@dataclass(frozen=True)
class OrderTest:
    """Whether the next state depends on the stage before, judged on later visits.

    Attributes:
        first: Log loss of the next state by the stage alone, in nats per visit.
        second: That by the stage and the one before.
        difference: ``first`` less ``second``.
        low: Lower end of its 90 % interval.
        high: Upper end of its 90 % interval.
        needed: Whether the stage before is needed.
        visits: Number of visits that were predicted.
    """

    first: float
    second: float
    difference: float
    low: float
    high: float
    needed: bool
    visits: int


@dataclass(frozen=True)
class FunnelResult:
    """The funnel of a company as known at an as-of.

    Attributes:
        as_of: The as-of, in UTC.
        states: States of the funnel.
        by: Columns by which the leads are divided.
        tables: Its tables.
        outbound: Event types that are touches of ours, and no activity of a lead.
        order: Whether the next state depends on the stage before; None with too few visits.
        leads: Number of leads.
        won: Number of spells that were won.
        lost: Number of spells that were lost.
        open: Number of spells that are open; a lead has one more for each time it was reopened.
        naive_median_days: Median days of those won so far, NaN without any.
        web: WEB_FUNNEL, empty without web visitors.
    """

    as_of: datetime
    states: FunnelStates
    by: tuple[str, ...]
    tables: FunnelTables
    outbound: tuple[str, ...]
    order: OrderTest | None
    leads: int
    won: int
    lost: int
    open: int
    naive_median_days: float
    web: pa.Table = field(default_factory=WEB_FUNNEL.empty_table)

    def to_json(self) -> dict[str, Any]:
        """Return the tables as lists of rows of plain JSON values, and the test of the order."""
        rows = {
            name: to_json_values(table.to_pylist()) for name, table in self.tables.by_name().items()
        }
        web = {"web_funnel": to_json_values(self.web.to_pylist())}
        return rows | web | {"order": None if self.order is None else asdict(self.order)}
