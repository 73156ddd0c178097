"""Which instants of rows are used: not after the clock, within the config's limits, and plausible.

The rows that are left out are counted by reason and named in a warning.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from configs.channels.cost_rows import CostRows
from configs.schema import Project
from configs.source_rows import AttributeRows, EventRows, LeadRows
from configs.uplift.experiment_rows import ExperimentRows
from features.intake.formats.texts import to_plain_text, to_text
from features.intake.quarantine import (
    AFTER_LATEST,
    BEFORE_EARLIEST,
    IMPLAUSIBLE_TIME,
    LEAD_NOT_YET,
    LEAD_SET_ASIDE,
    NOT_YET,
    REASONS,
    Flaw,
    Rejections,
    RowReader,
)
from features.intake.reading import RawRows, describe_place
from features.intake.values import read_times
from features.times.plausible_times import PlausibleSpan
from features.tools.instants import from_microseconds, to_microseconds

TimedSource = LeadRows | EventRows | AttributeRows | CostRows | ExperimentRows
# Rows that a warning names; the others are counted.
MAX_EXAMPLES = 3


def _make_no_ids() -> pa.Array:
    return pa.array([], pa.string())


@dataclass(frozen=True)
class TimeLimits:
    """Instants that rows may have, in microseconds since 1970; None is no limit.

    Attributes:
        clock: Time of the run; a row that becomes available later is not used yet.
        earliest: First instant by ``sources.earliest``.
        latest: Last instant by ``sources.latest``.
        plausible: Instants that do not lie far from all others.
    """

    clock: int | None = None
    earliest: int | None = None
    latest: int | None = None
    plausible: PlausibleSpan = field(default_factory=PlausibleSpan)

    @classmethod
    def from_project(cls, project: Project, clock: datetime | None) -> Self:
        """Return the limits of the config; those of data without times are empty."""
        if not project.timed:
            return cls()
        sources = project.sources
        clock_us, earliest, latest = (
            None if instant is None else to_microseconds(instant)
            for instant in (clock, sources.earliest, sources.latest)
        )
        return cls(clock_us, earliest, latest)

    def find_flaws(self, columns: Mapping[str, pa.Array]) -> list[Flaw]:
        """Return the rows at excluded instants, by their columns ``time`` and ``available``."""
        time, available = columns["time"], columns["available"]
        limits = [
            (time, self.earliest, pc.less, BEFORE_EARLIEST),
            (available, self.latest, pc.greater, AFTER_LATEST),
            (available, self.clock, pc.greater, NOT_YET),
            (time, self.plausible.first, pc.less, IMPLAUSIBLE_TIME),
            (available, self.plausible.last, pc.greater, IMPLAUSIBLE_TIME),
        ]
        return [
            (pc.fill_null(compare(column, limit), False), reason)
            for column, limit, compare, reason in limits
            if limit is not None
        ]

    def find_later_rows(self, columns: Mapping[str, pa.Array]) -> list[Flaw]:
        """Return the rows after the clock; a history may begin at any time before it."""
        return type(self)(clock=self.clock).find_flaws(columns)

    def narrow(self, plausible: PlausibleSpan) -> Self:
        """Return the limits with those of the bulk at each end where the config has none."""
        bounds = PlausibleSpan(
            None if self.earliest is not None else plausible.first,
            None if self.latest is not None else plausible.last,
        )
        return type(self)(self.clock, self.earliest, self.latest, bounds)


@dataclass(frozen=True)
class ExcludedLeads:
    """Ids of the leads without a usable row because of its time.

    Attributes:
        not_yet: Leads whose row becomes available after the clock.
        set_aside: Leads whose row has an implausible or excluded time.
    """

    not_yet: pa.Array = field(default_factory=_make_no_ids)
    set_aside: pa.Array = field(default_factory=_make_no_ids)

    @classmethod
    def from_reasons(cls, ids: pa.ChunkedArray, reasons: pa.Array) -> Self:
        """Take the id and the rejection reason of every row of the leads; null for a used one."""
        used = ids.filter(reasons.is_null())

        def select(*names: str) -> pa.Array:
            rows = ids.filter(pc.is_in(reasons, value_set=pa.array(names)))
            unused = rows.filter(pc.invert(pc.is_in(rows, value_set=used.combine_chunks())))
            return pc.unique(unused)

        if reasons.null_count == len(reasons):
            return cls()
        return cls(select(NOT_YET), select(IMPLAUSIBLE_TIME, BEFORE_EARLIEST, AFTER_LATEST))

    def find_flaws(self, ids: pa.ChunkedArray) -> list[Flaw]:
        """Return the rows of these leads in another source."""
        reasons = ((self.not_yet, LEAD_NOT_YET), (self.set_aside, LEAD_SET_ASIDE))
        return [(pc.is_in(ids, value_set=known), name) for known, name in reasons if len(known)]


def describe_excluded_rows(
    project: Project,
    source: TimedSource,
    rejections: Rejections,
    again: RowReader,
    limits: TimeLimits,
) -> tuple[str, ...]:
    """Return a warning for each reason of time that excludes rows of a source, with examples.

    Rows outside ``sources.earliest`` and ``sources.latest`` are declared, so they are named only
    where they are more than ``sources.max_quarantine``.
    """
    lines = list[str]()
    for reason in (NOT_YET, IMPLAUSIBLE_TIME, BEFORE_EARLIEST, AFTER_LATEST):
        numbers = rejections.row_numbers[rejections.reason_codes == REASONS.index(reason)]
        declared = reason in (BEFORE_EARLIEST, AFTER_LATEST)
        few = project.sources.max_quarantine * rejections.rows if declared else 0
        if len(numbers) > few:
            examples = _list_examples(source, again(numbers[:MAX_EXAMPLES]), limits, project.zone)
            lines.append(_word_warning(reason, examples, len(numbers), rejections.rows, limits))
    return tuple(lines)


def _word_warning(
    reason: str, examples: Iterable[str], count: int, rows: int, limits: TimeLimits
) -> str:
    shown = "; ".join(examples)
    of_all = f"{count:,} of {rows:,} rows"
    if reason == NOT_YET:
        clock = from_microseconds(limits.clock or 0).isoformat(timespec="seconds")
        return (
            f"{shown}: in the future ({of_all}); not used before then, the clock shows {clock}; "
            "correct the date if it is none"
        )
    if reason == IMPLAUSIBLE_TIME:
        return (
            f"{shown}: an old or odd date, far from all others ({of_all}); set aside as "
            f"{IMPLAUSIBLE_TIME!r}; correct it, or set sources.earliest and sources.latest"
        )
    return f"{shown}: {reason} ({of_all}); set aside; correct the key if they are needed"


def _list_examples(
    source: TimedSource,
    pieces: Iterator[RawRows],
    limits: TimeLimits,
    zone: ZoneInfo,
) -> Iterator[str]:
    """Yield file, row, column and value of each row, of the column that excludes it."""
    time, known = time_columns(source)
    for raw in pieces:
        times = read_times(raw, time, None, source, zone)["time"].to_numpy()
        bounds = (limits.latest, limits.clock, limits.plausible.last)
        last = min((bound for bound in bounds if bound is not None), default=None)
        late = known is not None and last is not None
        for place in range(len(raw.table)):
            # Where the event's own time is fine, its availability is what is too late.
            first = max(limits.earliest or times[place], limits.plausible.first or times[place])
            name = known if late and first <= times[place] <= last else time
            yield format_time(raw, place, str(name))


def format_time(raw: RawRows, place: int, name: str) -> str:
    """Return file, row, column and value of a raw row, for a warning."""
    column = to_plain_text(to_text(raw.column(name, "").slice(place, 1)))
    return f"{describe_place(raw.table, place)}: {name} {column[0].as_py()}"


def time_columns(source: TimedSource) -> tuple[str, str | None]:
    """Return the columns with the time of a source's rows, and with its time of arrival."""
    if isinstance(source, LeadRows):
        return str(source.created_at), source.known_at
    if isinstance(source, CostRows):
        return source.date, source.known_at
    if isinstance(source, ExperimentRows):
        return str(source.assigned_at), source.known_at
    return (
        source.event_time if isinstance(source, EventRows) else source.valid_from,
        source.known_at,
    )
