"""True rows as a real company's systems would have left them: late, shuffled, some twice, and broken ones between."""

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

DUPLICATES, BROKEN = 0.01, 0.002
"""Shares of rows written twice, and of broken rows put between the true ones."""
WEB = pa.schema(
    [
        ("lead_id", pa.string()),
        ("occurred_at", INSTANT),
        ("action", pa.string()),
        ("channel", pa.string()),
        ("loaded_at", INSTANT),
    ]
)
CRM = pa.schema(
    [(name, pa.string()) for name in ("lead", "at", "activity", "channel", "amount", "entered_at")]
)
WAYS_TO_BREAK: dict[str, tuple[tuple[str, str | None], ...]] = {
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
    "web": (("lead_id", None),),
}
"""Source: the column that is spoiled, and what stands there then."""


@dataclass(frozen=True)
class Summary:
    """What was written: true leads and events, and the duplicated and broken rows added to them."""

    leads: int
    events: int
    late: int
    duplicates: int
    broken: int


class Writer:
    """Writes blocks as a real company's systems would have left them, and counts what it wrote."""

    def __init__(self, stage: Path) -> None:
        self.stage, self.part, self.summary = stage, 0, Summary(0, 0, 0, 0, 0)
        (stage / "web").mkdir()
        self.files: dict[str, pacsv.CSVWriter] = {}

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *failure: object) -> None:
        for file in self.files.values():
            file.close()

    def add(self, leads: pa.Table, events: pa.Table, rng: np.random.Generator) -> None:
        """Write one block, its rows shuffled with duplicated and broken ones between them."""
        web = events.filter(pc.equal(events["log"], "web"))
        crm = events.filter(pc.equal(events["log"], "crm"))
        tables = {"leads.csv": _as_leads(leads), "web": _as_web(web), "crm.csv": _as_crm(crm)}
        for name, table in tables.items():
            broken = _broken(table, rng, WAYS_TO_BREAK[name])
            twice = table.take(np.flatnonzero(rng.random(table.num_rows) < DUPLICATES))
            mixed = pa.concat_tables([table, twice, broken])
            self._write(name, mixed.take(rng.permutation(mixed.num_rows)))
            self._count(twice.num_rows, broken.num_rows)
        late = pc.sum(pc.greater(events["available_at"], events["event_time"])).as_py() or 0
        self._count(0, 0, leads.num_rows, events.num_rows, late)

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
        self.summary = Summary(
            old.leads + leads,
            old.events + events,
            old.late + late,
            old.duplicates + duplicates,
            old.broken + broken,
        )


def _text(instants: pa.ChunkedArray) -> pa.ChunkedArray:
    """Write instants as ISO text with UTC's offset."""
    return pc.replace_substring(pc.cast(instants, pa.string()), "Z", "+00:00")


def _as_leads(leads: pa.Table) -> pa.Table:
    """Lay out leads as leads.csv has them: naive local times, every column text."""
    created = pc.cast(leads["created_at"].cast(pa.timestamp("us")), pa.string())
    columns = {
        "lead_id": leads["entity_id"],
        "account_id": leads["account_id"],
        "created_at": created,
    }
    rest = {
        name: pc.cast(leads[name], pa.string())
        for name in leads.column_names
        if name not in LEADS.names
    }
    return pa.table({**columns, **rest})


def _as_web(events: pa.Table) -> pa.Table:
    """Lay out events as the web log has them."""
    columns = [
        events[name]
        for name in ("entity_id", "event_time", "event_type", "channel", "available_at")
    ]
    return pa.Table.from_arrays(columns, schema=WEB)


def _as_crm(events: pa.Table) -> pa.Table:
    """Lay out events as crm.csv has them: ``entered_at`` only where the entry came later."""
    late = pc.greater(events["available_at"], events["event_time"])
    entered = pc.if_else(late, _text(events["available_at"]), pa.scalar(None, pa.string()))
    amount = pc.cast(events["value"], pa.string())
    columns = [
        events["entity_id"],
        _text(events["event_time"]),
        events["event_type"],
        events["channel"],
        amount,
        entered,
    ]
    return pa.Table.from_arrays(columns, schema=CRM)


def _broken(
    table: pa.Table, rng: np.random.Generator, ways: tuple[tuple[str, str | None], ...]
) -> pa.Table:
    """Copy a few rows and spoil each in one way (column, what is written there); the rows stay whole as well."""
    copies = table.take(rng.integers(0, table.num_rows, math.ceil(table.num_rows * BROKEN)))
    way = np.arange(copies.num_rows) % len(ways)
    for i, (name, text) in enumerate(ways):
        spoiled = pc.if_else(pa.array(way == i), pa.scalar(text, pa.string()), copies[name])
        copies = copies.set_column(copies.column_names.index(name), name, spoiled)
    return copies
