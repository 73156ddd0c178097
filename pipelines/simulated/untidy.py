"""Writes true rows as real source systems export them: late, shuffled, duplicated and broken."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from features.contracts import INSTANT, LEADS

# Shares of rows that are written twice, and of broken rows that are added to the true ones.
# Broken rows stay far below the 2 % (max_quarantine) that stop a run of demo.yaml.
DUPLICATE_SHARE, BROKEN_SHARE = 0.01, 0.002
WEB_SCHEMA = pa.schema(
    [
        ("lead_id", pa.string()),
        ("occurred_at", INSTANT),
        ("action", pa.string()),
        ("channel", pa.string()),
        ("loaded_at", INSTANT),
    ]
)
CRM_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("lead", "at", "activity", "channel", "amount", "entered_at")]
)
ORDER_COLUMNS = ("lead", "at", "entered_at", "activity", "amount")
# By source: the column that is spoiled in a broken row, and its value there.
BROKEN_VALUES: dict[str, tuple[tuple[str, str | None], ...]] = {
    "leads.csv": (
        ("lead_id", None),
        ("created_at", "last Tuesday"),
        ("created_at", "2024-13-45 00:00:00"),
    ),
    "crm.csv": (
        ("lead", None),
        ("at", "soon"),
        ("at", "9999-12-31 00:00:00+00:00"),
        ("amount", "n/a €"),
    ),
    "orders.csv": (
        ("lead", None),
        ("at", "next week"),
        ("amount", "on request"),
    ),
    # Parquet columns are typed, so they cannot hold a time that is none.
    "web": (("lead_id", None),),
}


@dataclass(frozen=True)
class SimulationSummary:
    """Numbers of rows written.

    Attributes:
        leads: True leads.
        events: True events.
        late: True events that became available after they occurred.
        duplicates: Rows written twice, in all sources.
        broken: Broken rows, in all sources.
    """

    leads: int
    events: int
    late: int
    duplicates: int
    broken: int


class CompanyWriter:
    """Writes blocks as untidy source files and counts the rows written."""

    def __init__(self, stage: Path) -> None:
        self.stage, self.part, self.summary = stage, 0, SimulationSummary(0, 0, 0, 0, 0)
        (stage / "web").mkdir()
        self.files: dict[str, pacsv.CSVWriter] = {}

    def __enter__(self) -> CompanyWriter:
        return self

    def __exit__(self, *failure: object) -> None:
        for file in self.files.values():
            file.close()

    def add_block(self, leads: pa.Table, events: pa.Table, rng: np.random.Generator) -> None:
        """Write one block, its rows shuffled together with duplicated and broken ones."""
        web = events.filter(pc.equal(events["log"], "web"))
        crm = events.filter(pc.equal(events["log"], "crm"))
        tables = {
            "leads.csv": _lay_out_leads(leads),
            "web": _lay_out_web(web),
            "crm.csv": _lay_out_crm(crm),
        }
        for name, table in tables.items():
            self._add_rows(name, table, rng)
        self._count_events(events, leads.num_rows)

    def add_orders(self, events: pa.Table, rng: np.random.Generator) -> None:
        """Write the rows of one block's customers likewise."""
        self._add_rows("orders.csv", _lay_out_crm(events).select(ORDER_COLUMNS), rng)
        self._count_events(events)

    def _add_rows(self, name: str, table: pa.Table, rng: np.random.Generator) -> None:
        broken = _draw_broken_rows(table, rng, BROKEN_VALUES[name])
        twice = table.take(np.flatnonzero(rng.random(table.num_rows) < DUPLICATE_SHARE))
        mixed = pa.concat_tables([table, twice, broken])
        self._write(name, mixed.take(rng.permutation(mixed.num_rows)))
        self._count(twice.num_rows, broken.num_rows)

    def _count_events(self, events: pa.Table, leads: int = 0) -> None:
        late = pc.sum(pc.greater(events["available_at"], events["event_time"])).as_py() or 0
        self._count(0, 0, leads, events.num_rows, late)

    def _write(self, name: str, table: pa.Table) -> None:
        if name == "web":
            pq.write_table(
                table, self.stage / "web" / f"part-{self.part:05d}.parquet", compression="zstd"
            )
            self.part += 1
            return
        if name not in self.files:
            self.files[name] = pacsv.CSVWriter(self.stage / name, table.schema)
        self.files[name].write_table(table)

    def _count(
        self, duplicates: int, broken: int, leads: int = 0, events: int = 0, late: int = 0
    ) -> None:
        old = self.summary
        self.summary = SimulationSummary(
            old.leads + leads,
            old.events + events,
            old.late + late,
            old.duplicates + duplicates,
            old.broken + broken,
        )


def _format_instants(instants: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return instants as ISO 8601 text with the offset of UTC."""
    return pc.replace_substring(pc.cast(instants, pa.string()), "Z", "+00:00")


def _lay_out_leads(leads: pa.Table) -> pa.Table:
    """Return leads in the columns of leads.csv: times without an offset, every column text."""
    created = pc.cast(leads["created_at"].cast(pa.timestamp("us")), pa.string())
    columns = {
        "lead_id": leads["entity_id"],
        "account_id": leads["account_id"],
        "created_at": created,
    }
    # Only contacts of committees become known later than they were created.
    if "title" in leads.column_names:
        known = leads["available_at"].cast(pa.timestamp("us"))
        columns["known_at"] = pc.cast(known, pa.string())
    rest = {
        name: pc.cast(leads[name], pa.string())
        for name in leads.column_names
        if name not in LEADS.names
    }
    return pa.table({**columns, **rest})


def _lay_out_web(events: pa.Table) -> pa.Table:
    """Return events in the columns of the web log."""
    columns = [
        events[name]
        for name in ("entity_id", "event_time", "event_type", "channel", "available_at")
    ]
    return pa.Table.from_arrays(columns, schema=WEB_SCHEMA)


def _lay_out_crm(events: pa.Table) -> pa.Table:
    """Return events in the columns of crm.csv; ``entered_at`` is empty unless the row is late."""
    late = pc.greater(events["available_at"], events["event_time"])
    entered = pc.if_else(
        late, _format_instants(events["available_at"]), pa.scalar(None, pa.string())
    )
    amount = pc.cast(events["value"], pa.string())
    columns = [
        events["entity_id"],
        _format_instants(events["event_time"]),
        events["event_type"],
        events["channel"],
        amount,
        entered,
    ]
    return pa.Table.from_arrays(columns, schema=CRM_SCHEMA)


def _draw_broken_rows(
    table: pa.Table, rng: np.random.Generator, ways: tuple[tuple[str, str | None], ...]
) -> pa.Table:
    """Return copies of a few rows, each spoiled in one way (column, value).

    The original rows stay in the table.
    """
    # Rounded up, so that each block has a broken row, even that of a small company.
    number = math.ceil(table.num_rows * BROKEN_SHARE)
    # A small company may have no customer, and so no row to spoil.
    copies = table.take(rng.integers(0, max(table.num_rows, 1), number))
    way = np.arange(copies.num_rows) % len(ways)
    for i, (name, text) in enumerate(ways):
        spoiled = pc.if_else(pa.array(way == i), pa.scalar(text, pa.string()), copies[name])
        copies = copies.set_column(copies.column_names.index(name), name, spoiled)
    return copies
