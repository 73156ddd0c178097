"""Result of the command `funnel`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from features.paths.states import FunnelStates
from features.tools.json_values import to_json_values
from models.funnel.leaks import StageLeak

# The tables of a result, in their order.
TABLES = ("funnel", "paths", "cycle", "stuck")


@dataclass(frozen=True)
class FunnelResult:
    """The funnel of a company as known at an as-of.

    Attributes:
        as_of: The as-of, in UTC.
        states: States of the funnel.
        by: Column by which the leads are divided, if any.
        funnel: FUNNEL.
        paths: PATHS.
        cycle: CYCLE.
        stuck: STUCK.
        leaks: Stages that once moved on more visits, the one that would add most wins first.
        leads: Number of leads.
        won: Number of spells that were won.
        lost: Number of spells that were lost.
        open: Number of spells that are open; a lead has one more for each time it was reopened.
        naive_median_days: Median days of those won so far, NaN without any.
    """

    as_of: datetime
    states: FunnelStates
    by: str | None
    funnel: pa.Table
    paths: pa.Table
    cycle: pa.Table
    stuck: pa.Table
    leaks: tuple[StageLeak, ...]
    leads: int
    won: int
    lost: int
    open: int
    naive_median_days: float

    def to_json(self) -> dict[str, Any]:
        """Return the tables as lists of rows of plain JSON values."""
        return {name: to_json_values(getattr(self, name).to_pylist()) for name in TABLES}
