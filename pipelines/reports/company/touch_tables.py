"""Touches as tables of texts for the terminal.

A table is a list of rows of texts; the first row holds the headers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from features.tools.instants import format_iso
from pipelines.reports.company.funnel_tables import NOTHING, format_amount, name_amounts

if TYPE_CHECKING:
    from models.touches.result import TouchResult

Row = dict[str, Any]
# Leads that the terminal shows; files and JSON have all.
MAX_LEADS = 10
NAIVE = (
    "naive: the same share among leads that replied in the end. It leaves out the touches of all "
    "others, so it is a trap and no chance"
)


def describe_touches(result: TouchResult) -> Iterator[str]:
    """Yield what the tables rest on."""
    basis = result.basis
    yield (
        f"as of {format_iso(result.as_of)}: {basis['touches']:,} touches, {basis['at_risk']:,} of "
        f"them of leads still silent and reachable and followed for {basis['horizon_days']:g} "
        f"days; {basis['replies']:,} brought a reply, {basis['opt_outs']:,} an opt-out; "
        f"{basis['immature']:,} are too recent, {basis['not_at_risk']:,} were not at risk"
    )
    yield (
        f"of {basis['leads']:,} leads {basis['due']:,} are due, {basis['waiting']:,} wait for the "
        f"gap of {basis['min_gap_days']:g} days, {basis['replied']:,} have replied, "
        f"{basis['stopped']:,} are stopped, {basis['opted_out']:,} have opted out"
    )
    yield from basis["limits"].splitlines()


def build_hazard_rows(rows: Sequence[Row]) -> list[list[str]]:
    """Return the chance of a reply by touch number, of all channels, beside the naive figure."""
    head = ["touch", "at risk", "replies", "chance of a reply (90 %)", "naive", "opt-outs"]
    own = [row for row in rows if row["cut"] == "all" and row["touch_no"]]
    return [head, *([f"{row['touch_no']}", *_format_cell(row)] for row in own)]


def build_cut_rows(rows: Sequence[Row]) -> list[list[str]]:
    """Return the chance of a reply of each channel, and after each gap, over all numbers."""
    head = ["touches", "at risk", "replies", "chance of a reply (90 %)", "naive", "opt-outs"]
    own = [row for row in rows if row["cut"] != "all" and not row["touch_no"]]
    return [head, *([_name_cut(row), *_format_cell(row)] for row in own)]


def build_next_rows(rows: Sequence[Row], currency: str | None) -> list[list[str]]:
    """Return the leads to touch first; may be empty."""
    head = ["lead", "due", "channel", "touch", "chance of a reply (90 %)"]
    table = [[*head, name_amounts("net value", currency), "why"]]
    for row in [row for row in rows if row["due"] is not None][:MAX_LEADS]:
        net = NOTHING if row["net_value"] is None else format_amount(row["net_value"])
        chance = _format_chance(row, "p_reply_14d", "p_reply")
        cells = [row["entity_id"], f"{row['due']:%Y-%m-%d}", row["channel"] or NOTHING]
        table.append([*cells, f"{row['touch_no']}", chance, net, row["why"]])
    return table if len(table) > 1 else []


def _name_cut(row: Row) -> str:
    return f"by {row['value']}" if row["cut"] == "channel" else f"after {row['value']}"


def _format_cell(row: Row) -> list[str]:
    opt_outs = NOTHING if row["opt_out_rate"] is None else f"{row['opt_out_rate']:.1%}"
    naive = NOTHING if row["naive"] is None else f"{row['naive']:.1%}"
    chance = _format_chance(row, "hazard", "hazard")
    return [f"{row['at_risk']:,}", f"{row['replies']:,}", chance, naive, opt_outs]


def _format_chance(row: Row, name: str, ends: str) -> str:
    if row[name] is None:
        return NOTHING
    return f"{row[name]:.1%} ({row[f'{ends}_low']:.1%}–{row[f'{ends}_high']:.1%})"
