"""Costs of channels as one table, without invalid rows and duplicates.

Amounts are read as the values of events are: signs and unit are those that all rows prove. Several
currencies are refused, since a sum of them would have no meaning and no rate is known.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.channels.cost_rows import CostRows
from configs.contract import SourceContract
from configs.errors import DataError, join_names
from configs.schema import Project
from features.contracts import COSTS, INSTANT, SourceCount
from features.intake.event_values import EventValues
from features.intake.ids import read_ids
from features.intake.names import read_names
from features.intake.quarantine import (
    NO_CHANNEL,
    NO_COST,
    Flaw,
    Rejections,
    find_common_flaws,
    make_row_reader,
    mark_duplicates,
    mask_columns,
    pick_first_reason,
    quarantine_rows,
)
from features.intake.reading import RawRows, read_rows
from features.intake.time_columns import TimeColumns
from features.intake.time_limits import TimeLimits, describe_excluded_rows
from features.intake.values import read_times
from features.names.twins import describe_twins, find_text_twins
from features.tools.distinct_texts import DistinctTexts

KEYS = ("date", "channel", "cost", "known_at", "cost_id", "currency")


@dataclass(frozen=True)
class CostSource:
    """The used rows of a source of costs, its row counts, and its currency.

    Attributes:
        costs: COSTS, in no order.
        count: Row counts.
        currency: What the source says of its currency: the name in its column, or the sign beside
            its amounts; "" for nothing.
        column: Whether a column names the currency.
    """

    costs: pa.Table
    count: SourceCount
    currency: str
    column: bool


def read_costs(
    project: Project, quarantine: Path | None, limits: TimeLimits
) -> tuple[pa.Table, list[SourceCount]]:
    """Read all sources of ``sources.costs`` as COSTS, with the row counts of each source.

    Bad rows go to ``quarantine/costs_1.csv`` … as for other sources; of equal rows, or of those
    with one ``cost_id``, the one known first is used. Raises the errors of reading a source, and
    DataError for several currencies.
    """
    sources = [
        _read_source(project, source, i, quarantine, limits)
        for i, source in enumerate(project.sources.costs)
    ]
    for column in (True, False):
        _refuse_currencies(
            {source.currency for source in sources if source.column is column and source.currency},
            f"{project.path}: sources.costs",
        )
    costs = pa.concat_tables([COSTS.empty_table(), *(source.costs for source in sources)])
    costs = costs.sort_by([(name, "ascending") for name in COSTS.names])
    return costs, [source.count for source in sources]


def _read_source(
    project: Project, source: CostRows, i: int, quarantine: Path | None, limits: TimeLimits
) -> CostSource:
    key = f"sources.costs[{i}]"
    mapped = {f"{key}.{name}": getattr(source, name) for name in KEYS}
    raw = read_rows(source, {k: name for k, name in mapped.items() if isinstance(name, str)})
    times = TimeColumns.from_source(project, source, key, SourceContract(), {})
    raw = times.settle_rows(raw)
    values = EventValues.from_source(project, source, key, "cost")
    columns = _read_columns(project, source, raw, values)
    flaws = [*find_common_flaws(columns, source.missing_time == "skip")]
    flaws += [*limits.find_flaws(columns), *_find_cost_flaws(columns)]
    reasons = pick_first_reason(flaws, len(raw.table))
    again, conflicts = _find_duplicates(columns, reasons)
    reasons = mark_duplicates(reasons, raw.table["nr"], raw.table["nr"].take(again))
    rejected, reader = Rejections.from_reasons(reasons), make_row_reader(raw)
    count = quarantine_rows(
        f"costs_{i + 1}",
        rejected,
        mask_columns(reader, project.privacy.personal),
        quarantine,
        project.sources,
        conflicts,
    )
    good = pa.table(columns).filter(reasons.is_null())
    warnings = (*count.warnings, *raw.warnings, *times.list_warnings(), *values.list_warnings())
    warnings += describe_excluded_rows(project, source, rejected, reader, limits)
    warnings += tuple(_describe_source(project, source, key, good, conflicts))
    form = (*raw.form, *values.list_form())
    count = replace(count, warnings=warnings, form=form)
    currency = values.choice.units.unit
    if source.currency is not None:
        currency = _read_currency(source, key, good)
    return CostSource(_to_costs(good), count, currency, source.currency is not None)


def _read_columns(
    project: Project, source: CostRows, raw: RawRows, values: EventValues
) -> dict[str, pa.ChunkedArray]:
    """Read the mapped columns in their types, with the reason where a cost is invalid."""
    cost, problem = values.parse_piece(raw)
    if values.settle_signs():
        values.reset_counts()
        cost, problem = values.parse_piece(raw)
    return {
        "unreadable": raw.unreadable_rows(),
        **read_times(raw, source.date, source.known_at, source, project.zone),
        "channel": read_names(raw, source.channel, source).cast(pa.string()),
        "cost": cost,
        "cost_problem": problem,
        "cost_id": read_ids(raw, source.cost_id, source),
        "currency": read_ids(raw, source.currency, source),
    }


def _find_cost_flaws(columns: dict[str, pa.ChunkedArray]) -> Iterator[Flaw]:
    yield pc.is_null(columns["channel"]), NO_CHANNEL
    yield pc.is_valid(columns["cost_problem"]), columns["cost_problem"]
    yield pc.is_null(columns["cost"]), NO_COST


def _find_duplicates(
    columns: dict[str, pa.ChunkedArray], reasons: pa.Array
) -> tuple[pa.Array, int]:
    """Return the places of used rows that repeat another, and how many of them differ from it.

    Rows with one id of their own are one cost, others if all of them is equal. The first known is
    used, of those the one with the smallest content, so that the order of rows decides nothing.
    """
    names = ["available", "time", "channel", "cost", "currency"]
    used = pa.array(np.flatnonzero(reasons.is_null().to_numpy(zero_copy_only=False)))
    rows = pa.table({name: columns[name] for name in ("cost_id", *names)}).take(used)
    rows = rows.append_column("place", used)
    rows = rows.sort_by([(name, "ascending") for name in (*names, "place")])
    whole = pc.binary_join_element_wise(
        *(pc.fill_null(rows[name].cast(pa.string()), "") for name in names), "\x1f"
    )
    # A prefix, so that no id is equal to the content of a row without one.
    own = pc.binary_join_element_wise("id", rows["cost_id"], "\x1f")
    keys = pc.coalesce(own, whole).combine_chunks().dictionary_encode()
    codes = keys.indices.to_numpy()
    _, first = np.unique(codes, return_index=True)
    again = np.ones(len(codes), bool)
    again[first] = False
    texts = whole.combine_chunks().dictionary_encode().indices.to_numpy()
    differs = texts != texts[first][codes] if len(codes) else again
    return rows["place"].filter(pa.array(again)).combine_chunks(), int((differs & again).sum())


def _read_currency(source: CostRows, key: str, good: pa.Table) -> str:
    """Return the currency of the used rows; raise DataError if they have several."""
    names = pc.unique(good["currency"]).drop_null().to_pylist()
    _refuse_currencies(set(names), f"{source.label}: {key}.currency: {source.currency}")
    return names[0] if names else ""


def _refuse_currencies(names: set[str], where: str) -> None:
    if len(names) > 1:
        raise DataError(
            "costs are in several currencies",
            where=where,
            found=join_names(sorted(names), 5),
            fix="convert them to one currency before they are read, such as in the query",
        )


def _describe_source(
    project: Project, source: CostRows, key: str, good: pa.Table, conflicts: int
) -> Iterator[str]:
    """Yield the warnings about costs below zero, ids with several contents, and similar names."""
    credits = pc.sum(pc.less(good["cost"], 0)).as_py() or 0
    if credits:
        yield (
            f"{source.label}: {key}.cost: {credits:,} of {good.num_rows:,} costs are below zero; "
            "they are subtracted, as credit notes are"
        )
    if conflicts:
        yield (
            f"{source.label}: {key}.cost_id: {conflicts:,} rows have the id of another row and "
            "other content; the row known first is used"
        )
    if isinstance(source.channel, str):
        twins = find_text_twins(DistinctTexts.from_column(good["channel"]), {*source.names})
        hidden = source.channel in project.privacy.personal
        yield from describe_twins(twins, f"{source.label}: {key}.channel", key, hidden)


def _to_costs(good: pa.Table) -> pa.Table:
    columns = [good["time"].cast(INSTANT), good["channel"], good["cost"]]
    return pa.Table.from_arrays([*columns, good["available"].cast(INSTANT)], schema=COSTS)
