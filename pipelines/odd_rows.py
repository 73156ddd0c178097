"""Rows after the end of the data: too few to move it, so that a warning names them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.schema import Project
from configs.source_rows import EventRows, LeadRows
from features.contracts import INSTANT, Dataset
from features.intake.reading import SourceReader
from features.intake.time_columns import restore_formats
from features.intake.time_limits import format_time, time_columns
from features.intake.values import read_times
from features.times.data_end import find_midnight_after
from features.tools.instants import to_microseconds


def warn_about_odd_rows(
    project: Project, dataset: Dataset, known: Dataset, end: datetime
) -> Dataset:
    """Return ``known`` with a warning of the rows of ``dataset`` on days after the day of ``end``.

    The warning belongs to the source of the latest of them.
    """
    limit = pa.scalar(find_midnight_after(end, project.zone), INSTANT)
    tables = (dataset.events,) if dataset.leads_from_events else (dataset.leads, dataset.events)
    later = [_select_from(table["available_at"], limit) for table in tables]
    count = sum(map(len, later))
    if not count:
        return known
    latest = max(pc.max(column).as_py() for column in later if len(column))
    source, row = _locate_row(project, known, to_microseconds(latest))
    rows = sum(table.num_rows for table in tables)
    line = (
        f"{row}: later than all days with more rows, so the data ends at {end.isoformat()} "
        f"({count:,} of {rows:,} rows are later); neither the as-of nor the maturity of rows "
        "follows it; correct the date, or give --as-of"
    )
    counts = tuple(
        replace(item, warnings=(*item.warnings, line)) if item.source == source else item
        for item in known.counts
    )
    return replace(known, counts=counts)


def _select_from(column: pa.ChunkedArray, limit: pa.Scalar) -> pa.ChunkedArray:
    """Return the instants at or after ``limit``."""
    # Most logs have none, and a maximum is cheaper than a filter.
    if not len(column) or pc.less(pc.max(column), limit).as_py():
        return column.slice(0, 0)
    return column.filter(pc.greater_equal(column, limit))


def _locate_row(project: Project, dataset: Dataset, available: int) -> tuple[str, str]:
    """Return source, and file, row and value, of the first row that became available at an instant.

    The sources are read until it is found: rows of tables do not keep their place in a file.
    """
    forms = {count.source: restore_formats(count.form) for count in dataset.counts}
    for name, source in _iter_sources(project):
        time, known = time_columns(source)
        needed = {"time": time, **({"known_at": known} if known else {})}
        reader = SourceReader.open(source)
        reader.time_formats.update(forms.get(name, {}))
        for raw in reader.iter_pieces(needed):
            times = read_times(raw, time, known, source, project.zone)
            matches = np.flatnonzero(pc.fill_null(pc.equal(times["available"], available), False))
            if len(matches):
                own_time = times["time"][int(matches[0])].as_py() == available
                column = time if own_time or known is None else known
                return name, format_time(raw, int(matches[0]), column)
    return "", "a row"


def _iter_sources(project: Project) -> Iterator[tuple[str, LeadRows | EventRows]]:
    """Yield the name and config of each source of leads and events."""
    if project.sources.leads is not None:
        yield "leads", project.sources.leads
    for i, source in enumerate(project.sources.events):
        yield f"events_{i + 1}", source
