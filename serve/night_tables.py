"""The tables that a night computes of the company as a whole, published with its scores.

One entry in NIGHT_TABLES makes a table of the scores database, files beside ``scores.csv``, and a
part of every check, of retention and of erasure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import DataError
from features.contracts import make_field
from features.score_tables import SCORES
from models.buying_roles import BUYING_ROLES, ROLES_TABLE
from models.channels.schemas import CHANNEL_BASIS, CHANNEL_STEPS, CHANNEL_WEEKS, CHANNELS
from models.customers.schemas import (
    ACQUISITION,
    CUSTOMER_BASIS,
    CUSTOMER_CORRECTIONS,
    CUSTOMER_FLOWS,
    CUSTOMER_STATES,
    CUSTOMER_TRACK,
    CUSTOMERS,
    RETENTION,
    REVENUE_BRIDGE,
    WIN_BACK_TRACK,
    WIN_BACKS,
)
from models.fit.schemas import FIT_ACCOUNTS, FIT_BASIS, FIT_CLASSES, FIT_GRID, FIT_PROFILE
from models.forecast.schemas import CHANGES, DEALS, FORECAST, FORECAST_BASIS, FORECAST_TRACK
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
from models.qualification.schemas import QUALIFICATION, THRESHOLDS
from models.touches.schemas import NEXT_TOUCH, TOUCH_BASIS, TOUCH_HAZARD
from models.uplift.schemas import UPLIFT, UPLIFT_BASIS, UPLIFT_POLICY
from models.visitors.schemas import WEB_FUNNEL
from serve.run import Run

# Rows of tables that have it are of single leads: they are erased and suppressed with the lead.
LEAD_COLUMN = "entity_id"
POSITION = make_field("position", pa.int64(), "place of the row in its table, from 1")
# Left out of files, so that the same scores give the same files.
RUN_COLUMN = "run_id"


@dataclass(frozen=True)
class NightTable:
    """A table of a night.

    Attributes:
        name: Name of its SQL table and its files.
        group: What it is computed with: the tables of a group are there together or not at all.
        rows: The columns that are computed.
        key: Columns that no two rows of a night share.
    """

    name: str
    group: str
    rows: pa.Schema
    key: tuple[str, ...]

    @cached_property
    def exported(self) -> pa.Schema:
        """Return the columns of its files."""
        own = [field for field in self.rows if field.name not in ("project", "as_of")]
        return pa.schema([SCORES.field("project"), SCORES.field("as_of"), POSITION, *own])

    @cached_property
    def stored(self) -> pa.Schema:
        """Return the columns of its SQL table."""
        return self.exported.append(SCORES.field(RUN_COLUMN))

    @property
    def names_leads(self) -> bool:
        """Return whether each row is of a single lead."""
        return LEAD_COLUMN in self.rows.names


NIGHT_TABLES = (
    NightTable("funnel", "funnel", FUNNEL, ("segment_by", "segment", "stage")),
    NightTable("paths", "funnel", PATHS, ("from", "to")),
    NightTable("cycle", "funnel", CYCLE, ("segment_by", "segment")),
    NightTable("stuck", "funnel", STUCK, (LEAD_COLUMN,)),
    NightTable("leaks", "funnel", LEAKS, ("stage",)),
    NightTable("curves", "funnel", CURVES, ("stage", "age_days")),
    NightTable("aging", "funnel", AGING, ("stage", "age_class")),
    NightTable("entries", "funnel", ENTRIES, ("stage",)),
    NightTable("silence", "funnel", SILENCE, ("silent_days",)),
    NightTable("forecast", "forecast", FORECAST, ("period", "period_start", "unit", "segment")),
    NightTable("deals", "forecast", DEALS, (LEAD_COLUMN,)),
    NightTable("forecast_changes", "forecast", CHANGES, ("unit", "step")),
    NightTable("forecast_track", "forecast", FORECAST_TRACK, ("unit", "forecast_as_of")),
    NightTable("forecast_basis", "forecast", FORECAST_BASIS, ("period",)),
    NightTable("qualification", "qualification", QUALIFICATION, ("step", "month", "band")),
    NightTable("thresholds", "qualification", THRESHOLDS, ("step",)),
    NightTable("fit_basis", "fit", FIT_BASIS, ("target",)),
    NightTable("fit_profile", "fit", FIT_PROFILE, ("attribute", "value")),
    NightTable("fit_classes", "fit", FIT_CLASSES, ("fit_class",)),
    NightTable("fit_grid", "fit", FIT_GRID, ("cell",)),
    NightTable("fit_accounts", "fit", FIT_ACCOUNTS, (LEAD_COLUMN,)),
    NightTable("customers", "customers", CUSTOMERS, (LEAD_COLUMN,)),
    NightTable("customer_states", "customers", CUSTOMER_STATES, ("state",)),
    NightTable("customer_flows", "customers", CUSTOMER_FLOWS, ("from", "to")),
    NightTable("retention", "customers", RETENTION, ("cohort", "month")),
    NightTable("revenue_bridge", "customers", REVENUE_BRIDGE, ("period", "step")),
    NightTable("acquisition", "customers", ACQUISITION, ("cohort",)),
    NightTable("win_backs", "customers", WIN_BACKS, (LEAD_COLUMN,)),
    NightTable("win_back_track", "customers", WIN_BACK_TRACK, ("method",)),
    NightTable("customer_track", "customers", CUSTOMER_TRACK, ("forecast_as_of", "model")),
    NightTable("customer_corrections", "customers", CUSTOMER_CORRECTIONS, ("what",)),
    NightTable("customer_basis", "customers", CUSTOMER_BASIS, ("unit",)),
    NightTable("web_funnel", "visitors", WEB_FUNNEL, ("segment_by", "segment")),
    NightTable("channels", "channels", CHANNELS, ("period", "scope", "channel")),
    NightTable("channel_weeks", "channels", CHANNEL_WEEKS, ("week", "channel")),
    NightTable("channel_steps", "channels", CHANNEL_STEPS, ("from", "to")),
    NightTable("channel_basis", "channels", CHANNEL_BASIS, ("unit",)),
    NightTable("next_touch", "touches", NEXT_TOUCH, (LEAD_COLUMN,)),
    NightTable("touch_hazard", "touches", TOUCH_HAZARD, ("cut", "value", "touch_no")),
    NightTable("touch_basis", "touches", TOUCH_BASIS, ("touch_types",)),
    NightTable("uplift", "uplift", UPLIFT, (LEAD_COLUMN,)),
    NightTable("uplift_policy", "uplift", UPLIFT_POLICY, ("share",)),
    NightTable("uplift_basis", "uplift", UPLIFT_BASIS, ("target",)),
    NightTable(ROLES_TABLE, "buying_group", BUYING_ROLES, ("target", "role")),
)


# Tables with at most one row of a lead, whose columns a CRM may get.
LEAD_TABLES = {table.name: table for table in NIGHT_TABLES if table.key == (LEAD_COLUMN,)}


def select_group(group: str) -> list[NightTable]:
    """Return the tables that are computed together under a name."""
    return [table for table in NIGHT_TABLES if table.group == group]


def prepare_night_table(table: NightTable, rows: pa.Table) -> pa.Table:
    """Return computed rows as both databases take them; NaN becomes null.

    Raises DataError for a missing value that is required, for a text with a NUL character, which
    PostgreSQL does not take, and for two rows of one key.
    """
    arrays = list[pa.ChunkedArray]()
    for field in table.rows:
        column = rows[field.name].cast(field.type)
        if field.type == pa.float64():
            column = pc.if_else(pc.is_finite(column), column, None)
        missing = 0 if field.nullable else column.null_count
        _refuse_rows(table, field.name, "a required value is missing", missing, rows.num_rows)
        if field.type == pa.string():
            odd = pc.sum(pc.match_substring(column, "\0"), min_count=0).as_py()
            _refuse_rows(table, field.name, "a text holds a NUL character", odd, rows.num_rows)
        arrays.append(column)
    prepared = pa.table(arrays, schema=table.rows)
    distinct = prepared.group_by(list(table.key)).aggregate([]).num_rows
    key, repeated = ", ".join(table.key), rows.num_rows - distinct
    _refuse_rows(table, key, "rows have the same key", repeated, rows.num_rows)
    return prepared


def _refuse_rows(table: NightTable, column: str, problem: str, count: int, rows: int) -> None:
    if count:
        where = f"table {table.name}, column {column}"
        raise DataError(problem, where=where, found=f"{count:,} of {rows:,} rows")


def stamp_night_tables(tables: Mapping[str, pa.Table], run: Run) -> dict[str, pa.Table]:
    """Return computed tables by name as a run stores them, their rows in the same order.

    Raises as ``prepare_night_table``.
    """
    return {
        table.name: _stamp_rows(table, prepare_night_table(table, tables[table.name]), run)
        for table in NIGHT_TABLES
        if table.name in tables
    }


def _stamp_rows(table: NightTable, rows: pa.Table, run: Run) -> pa.Table:
    position = pa.array(np.arange(1, rows.num_rows + 1))
    columns = {name: rows[name] for name in rows.column_names}
    columns |= {POSITION.name: position}
    for name in ("project", "as_of", RUN_COLUMN):
        field = table.stored.field(name)
        columns[name] = pa.repeat(pa.scalar(getattr(run, name), field.type), rows.num_rows)
    return pa.table([columns[name] for name in table.stored.names], schema=table.stored)
