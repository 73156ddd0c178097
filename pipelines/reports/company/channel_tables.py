"""Channels as tables of texts for the terminal.

A table is a list of rows of texts; the first row holds the headers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from features.tools.instants import format_iso
from models.channels.credits import METHODS
from models.channels.path_result import PATH_METHODS
from pipelines.reports.company.funnel_tables import (
    NOTHING,
    format_amount,
    name_amounts,
    replace_hyphens,
)

if TYPE_CHECKING:
    from models.channels.path_result import PathResult
    from models.channels.result import ChannelResult

Row = dict[str, Any]
ALL = "all"
SCOPES = {"total": "all channels", "refused": "too few accounts"}
NOT_EFFECT = (
    "Credit splits what happened; it is not effect. What a channel causes takes an experiment, and "
    "none is recorded: incremental is not tested."
)
PATHS_NOT_EFFECT = (
    "Credit splits what happened; it is not effect. There are no intervals, since a table of paths "
    "names no accounts, and no time decay, since it has no times."
)
# Periods that the terminal shows; files and JSON have all.
MAX_PERIODS = 6


def describe_channels(result: ChannelResult) -> Iterator[str]:
    """Yield what the tables rest on."""
    basis = result.basis
    unit = f"{basis['unit']}s"
    yield (
        f"as of {format_iso(result.as_of)}: {basis['accounts']:,} {unit} with a touch, "
        f"{basis['immature']:,} of them in periods that are not mature; "
        f"{basis['conversions']:,} of {basis['journeys']:,} journeys ended in "
        f"{basis['conversion_types']} within {basis['window_days']:g} days"
    )
    if basis["without_touch"]:
        yield f"{basis['without_touch']:,} customers without a touch that may get credit"
    yield from basis["limits"].splitlines()


def build_cost_table(rows: Sequence[Row], currency: str | None) -> list[list[str]]:
    """Return cost and customers of each channel over all mature periods; may be empty."""
    amounts = ("cost", "CAC (90 %)", "value")
    head = ["channel", "touches", "accounts", "after opp.", "leads", "customers"]
    head += [*(name_amounts(name, currency) for name in amounts), "ROI", "payback", "incremental"]
    table = [
        [
            _name_channel(row),
            *(f"{row[name]:,}" for name in ("touches", "accounts", "touches_after_opportunity")),
            f"{row['leads']:,}",
            _format_count(row["customers"]),
            format_amount(row["cost"]),
            _format_cac(row),
            format_amount(row["expected_value"]),
            _format_return(row["roi"]),
            NOTHING if row["payback_months"] is None else f"{row['payback_months']:,} mo",
            row["incremental"],
        ]
        for row in rows
        if row["period"] == ALL
    ]
    return [head, *table] if table else []


def build_credit_table(rows: Sequence[Row]) -> list[list[str]]:
    """Return the credit of each channel by each method over all mature periods; may be empty."""
    table = [
        [_name_channel(row), *(_format_credit(row, name) for name in METHODS)]
        for row in rows
        if row["period"] == ALL and row["first_credit"] is not None
    ]
    names = [name.replace("_", " ") for name in METHODS]
    return [["credit (90 %)", *names], *table] if table else []


def build_period_table(rows: Sequence[Row], currency: str | None) -> list[list[str]]:
    """Return cost and customers of all channels by period, the latest first."""
    head = ["first touch", "accounts", name_amounts("cost", currency), "customers"]
    table = [[*head, name_amounts("CAC (90 %)", currency), "mature"]]
    totals = [row for row in rows if row["scope"] == "total" and row["period"] != ALL]
    for row in totals[:MAX_PERIODS]:
        mature = "yes" if row["mature"] else f"from {row['mature_at']:%Y-%m-%d}"
        cells = [row["period"], f"{row['accounts']:,}", format_amount(row["cost"])]
        table.append([*cells, _format_count(row["customers"]), _format_cac(row), mature])
    return table


def describe_paths(result: PathResult) -> Iterator[str]:
    """Yield what the credits of a table of paths rest on."""
    basis = result.basis
    journeys = basis["conversions"] + basis["nulls"]
    yield (
        f"{basis['paths']:,} paths: {basis['conversions']:,} of {journeys:,} journeys ended in a "
        f"conversion, {basis['probability']:.2%} in the Markov chain"
    )


def build_path_credit_rows(rows: Sequence[Row]) -> list[list[str]]:
    """Return the credit of each channel of a table of paths by each method."""
    head = ["channel", "touches", "journeys", *(name.replace("_", " ") for name in PATH_METHODS)]
    return [
        head,
        *(
            [
                row["channel"],
                *(f"{row[name]:,}" for name in ("touches", "journeys")),
                *(f"{row[f'{name}_credit']:,.1f}" for name in PATH_METHODS),
            ]
            for row in rows
        ),
    ]


def list_channel_notes(rows: Sequence[Row]) -> Iterator[str]:
    """Yield why channels lack figures over all mature periods."""
    for row in rows:
        if row["period"] == ALL and row["note"]:
            yield f"{_name_channel(row)}: {row['note']}"


def _name_channel(row: Row) -> str:
    return SCOPES.get(row["scope"]) or str(row["channel"])


def _format_count(value: int | None) -> str:
    return NOTHING if value is None else f"{value:,}"


def _format_cac(row: Row) -> str:
    if row["cac"] is None:
        return NOTHING
    low, high = format_amount(row["cac_low"]), format_amount(row["cac_high"])
    return f"{format_amount(row['cac'])} ({low}–{high})"


def _format_return(value: float | None) -> str:
    return NOTHING if value is None else replace_hyphens(f"{value:+,.0%}")


def _format_credit(row: Row, name: str) -> str:
    value, low = row[f"{name}_credit"], row[f"{name}_credit_low"]
    if value is None:
        return NOTHING
    if low is None:
        return f"{value:,.0f}"
    return f"{value:,.0f} ({low:,.0f}–{row[f'{name}_credit_high']:,.0f})"
