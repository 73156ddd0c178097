"""The funnel as tables of texts for the terminal.

A table is a list of rows of texts; the first row holds the headers.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Any

from configs.goals.goals import ALL, STAGE
from features.tools.instants import format_iso

if TYPE_CHECKING:
    from models.funnel.result import FunnelResult, OrderTest

# Stuck leads and transitions that the terminal shows; files and JSON have all.
MAX_STUCK, MAX_PATHS = 10, 15
NOTHING = "–"
COUNTS = ("entered", "advanced", "skipped", "lost", "returned", "open", "stuck")


def build_stage_table(rows: list[dict[str, Any]], currency: str | None = None) -> list[list[str]]:
    """Return the funnel of one segment: counts, the share that moves on, and how long it takes."""
    header = ["stage", *COUNTS, "in 30 d", "ever", "half in", "80 % in", "change (pp)"]
    has_value = any(row["value_open"] is not None for row in rows)
    table = [[*header, *([name_amounts("value", currency)] if has_value else [])]]
    for row in rows:
        table.append(
            [
                row["stage"],
                *(f"{row[name]:,}" for name in COUNTS),
                _format_interval(row, "advanced_30d"),
                format_share(row["advanced_eventually"]),
                format_days(row["median_days"]),
                format_days(row["p80_days"]),
                _format_change(row),
                *([format_amount(row["value_open"])] if has_value else []),
            ]
        )
    return table


def build_paths_table(rows: list[dict[str, Any]]) -> list[list[str]]:
    """Return the most frequent transitions."""
    table = [["from", "to", "n", "in 30 d", "half in"]]
    for row in sorted(rows, key=lambda row: -row["n"])[:MAX_PATHS]:
        share, days = _format_interval(row, "p30"), format_days(row["median_days"])
        table.append([row["from"], row["to"], f"{row['n']:,}", share, days])
    return table


def build_cycle_rows(rows: list[dict[str, Any]]) -> list[list[str]]:
    """Return how long a win takes, and which share is won and lost by when."""
    header = ["segment", "25 % in", "half in", "80 % in", "won in 30 d", "60 d", "90 d"]
    table = [[*header, "lost in 30 d", "90 d", "naive median"]]
    for row in rows:
        low, high = format_days(row["p50_low"]), format_days(row["p50_high"])
        bias = row["bias_of_naive"]
        table.append(
            [
                f"from {row['segment']}" if row["segment_by"] == STAGE else row["segment"],
                format_days(row["p25"]),
                f"{format_days(row['p50'])} ({low}–{high})",
                format_days(row["p80"]),
                _format_interval(row, "win_by_30"),
                format_share(row["win_by_60"]),
                format_share(row["win_by_90"]),
                format_share(row["lost_by_30"]),
                format_share(row["lost_by_90"]),
                NOTHING if bias is None else replace_hyphens(f"{bias:+.0%}"),
            ]
        )
    return table


def build_stuck_rows(rows: list[dict[str, Any]], currency: str | None = None) -> list[list[str]]:
    """Return the first stuck leads: those of the largest expected value."""
    head = ["lead", "stage", "owner", "for", "80 % in", "silent for", "chance"]
    has_value = any(row["value"] is not None for row in rows)
    names = ("amount", "expected value") if has_value else ()
    table = [[*head, *(name_amounts(name, currency) for name in names)]]
    for row in rows[:MAX_STUCK]:
        table.append(
            [
                row["entity_id"],
                row["stage"],
                row["owner"] or NOTHING,
                format_days(row["age_days"]),
                format_days(row["p80_days"]),
                format_days(row["silent_days"]),
                format_share(row["probability"]),
                *(format_amount(row[key]) for key in ("value", "expected_value")[: len(names)]),
            ]
        )
    return table


def build_entry_rows(rows: list[dict[str, Any]]) -> list[list[str]]:
    """Return where leads begin, and what becomes of those that begin there."""
    table = [["leads begin in", "n", "share", "won in 30 d", "won ever", "half in"]]
    for row in rows:
        table.append(
            [
                row["stage"],
                f"{row['n']:,}",
                format_share(row["share"]),
                _format_interval(row, "win_by_30"),
                _format_interval(row, "win_eventually"),
                format_days(row["median_days"]),
            ]
        )
    return table


def build_silence_rows(rows: list[dict[str, Any]]) -> list[list[str]]:
    """Return how likely an open lead is to return after some days of silence."""
    table = [["silent for", "return in 30 d", "of silences", "open leads"]]
    for row in rows:
        table.append(
            [
                f"{row['silent_days']} d",
                _format_interval(row, "p_return_30d"),
                f"{row['at_risk']:,}",
                f"{row['open_silent']:,}",
            ]
        )
    return table


def describe_silence(rows: list[dict[str, Any]], outbound: tuple[str, ...]) -> str:
    """Return the days after which a lead counts as silent, with the reason."""
    touches = f"all but {', '.join(outbound)}" if outbound else "of any type"
    row = next((row for row in rows if row["silent_days"] == row["threshold_days"]), None)
    if row is None:
        return (
            f"silent: no open lead; no number of days without an event ({touches}) halves the "
            "chance of one within 30 days, as far as enough leads were silent"
        )
    return (
        f"silent: {row['open_silent']:,} open leads, for {row['silent_days']} days or more without "
        f"an event ({touches}): from then on fewer than {rows[0]['p_return_30d'] / 2:.1%} have one "
        "within 30 days, which is half the share after one day of silence"
    )


def describe_order(order: OrderTest | None) -> str:
    """Return whether the next state depends on the stage before."""
    if order is None:
        return "order: too few visits to see whether the stage before matters"
    verdict = (
        "what follows depends on the stage before as well"
        if order.needed
        else "the stage alone is enough to say what follows"
    )
    return (
        f"order: {verdict}: the log loss of {order.visits:,} later visits is {order.first:.4f} by "
        f"the stage, {order.second:.4f} with the one before: {order.difference:+.4f} better "
        f"({order.low:+.4f} to {order.high:+.4f})"
    )


def describe_funnel(result: FunnelResult) -> str:
    """Return the funnel in a sentence."""
    wins = " or ".join(result.states.wins)
    again = result.won + result.lost + result.open - result.leads
    reopened = f"; {again:,} reopened" if again else ""
    return (
        f"as of {format_iso(result.as_of)}: {result.leads:,} leads: {result.won:,} won ({wins}), "
        f"{result.lost:,} lost, {result.open:,} open{reopened}"
    )


def describe_leak(result: FunnelResult) -> str:
    """Return the biggest leak in a sentence."""
    leaks = result.tables.leaks.to_pylist()
    if not leaks:
        return "biggest leak: none; no stage has moved on more of its visits before"
    # As on the page: one beyond chance goes before a bigger one that may be chance.
    sure = [row for row in leaks if row["added_wins_low"] > 0]
    leak = (sure or leaks)[0]
    now, best, since = leak["now_30d"], leak["best_30d"], leak["best_from"].date()
    added, low, high = (leak[f"added_wins{end}"] for end in ("", "_low", "_high"))
    return (
        f"biggest leak: {leak['stage']}: {now:.1%} of the visits of the last 90 days move on in "
        f"30 days, {best:.1%} of those from {since} on did: reaching that again "
        f"would add {added:,.1f} wins ({low:,.1f} to {high:,.1f})"
        + ("" if sure else "; this may be chance")
    )


def describe_naive_cycle(result: FunnelResult) -> str:
    """Return what the estimate of the cycle refers to, and how far the plain figure is off."""
    median = result.tables.cycle.column("p50")[0].as_py()
    if median is None:
        return "cycle: nothing has been won yet"
    return (
        f"those won so far took {result.naive_median_days:.1f} days (median): they are the fast "
        f"ones; of all who win within the time observed half take {median:.1f} days or less"
    )


def iter_segments(rows: list[dict[str, Any]]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield the title of each segment with its rows, in their order; that of all leads is empty."""
    for by, own in groupby(rows, lambda row: (row["segment_by"], row["segment"])):
        yield "" if by == (ALL, ALL) else f"{by[0]}: {by[1]}", list(own)


def format_share(value: float | None) -> str:
    """Return a share as per cent."""
    return NOTHING if value is None else f"{value:.1%}"


def format_days(value: float | None) -> str:
    """Return a number of days in the unit that suits it, such as ``7.8 d`` or ``45 min``."""
    if value is None:
        return NOTHING
    for unit, size in (("d", 1.0), ("h", 24.0), ("min", 1440.0)):
        if value * size >= 1:
            return f"{value * size:.1f} {unit}"
    return f"{value * 86400:.1f} s"


def format_amount(value: float | None) -> str:
    """Return an amount without decimals, a large one in thousands or millions."""
    if value is None:
        return NOTHING
    text = f"{value:,.0f}"
    if abs(value) >= 1e6:
        text = f"{value / 1e6:,.1f} M"
    elif abs(value) >= 1e4:
        text = f"{value / 1e3:,.0f} k"
    return replace_hyphens(text)


def name_amounts(heading: str, currency: str | None) -> str:
    """Return the heading of a column of amounts, with their currency if it is known."""
    return f"{heading} ({currency})" if currency else heading


def replace_hyphens(number: str) -> str:
    """Return a number with a minus that is as wide as a plus."""
    return number.replace("-", "\N{MINUS SIGN}")


def _format_interval(row: dict[str, Any], name: str) -> str:
    value, low, high = (row[key] for key in (name, f"{name}_low", f"{name}_high"))
    if value is None or low is None:
        return format_share(value)
    return f"{value:.1%} ({100 * low:.1f}–{100 * high:.1f})"


def _format_change(row: dict[str, Any]) -> str:
    name = "change_vs_previous_cohort"
    value, low, high = (row[key] for key in (name, f"{name}_low", f"{name}_high"))
    if value is None or low is None:
        return NOTHING
    # Without a negative zero.
    value, low, high = (round(100 * end, 1) + 0.0 for end in (value, low, high))
    return replace_hyphens(f"{value:+.1f} ({low:+.1f} to {high:+.1f})")
