"""Customers as tables of texts for the terminal.

A table is a list of rows of texts; the first row holds the headers.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from features.tools.instants import format_iso
from pipelines.reports.company.funnel_tables import (
    NOTHING,
    format_amount,
    format_share,
    name_amounts,
    replace_hyphens,
)

if TYPE_CHECKING:
    from models.customers.backtest import CustomerBacktest
    from models.customers.result import CustomerResult

Row = dict[str, Any]
# Customers, cohorts and quarters that the terminal shows; files and JSON have all.
MAX_CUSTOMERS = 10
MAX_COHORTS = 8
MAX_QUARTERS = 4
SHOWN_MONTHS = (1, 2, 3, 6, 9, 12, 18, 24)
MODEL_NAMES = {
    "bg_nbd": "BG/NBD",
    "pareto_nbd": "Pareto/NBD",
    "mean": "mean of both",
    "own_rate": "own rate so far",
    "same_for_all": "same rate for all",
    "by_period": "rate by period so far",
    "shifted_beta_geometric": "shifted beta-geometric",
    "recency": "recency",
    "trees": "corrected by trees",
}


def describe_customers(result: CustomerResult) -> str:
    """Return who the customers are and which model is used."""
    basis = result.basis
    model = MODEL_NAMES[basis["model"]] if basis["model"] else None
    if model and basis["model"] == "mean":
        model = "the mean of BG/NBD and Pareto/NBD"
    unpriced = f"; {basis['unpriced']:,} brought nothing" if basis["unpriced"] else ""
    what, events = "purchases", "purchases"
    if basis["contract_days"] is not None:
        what, events = "renewals", f"payments for {basis['contract_days']:,} days each"
    return (
        f"as of {format_iso(result.as_of)}: {basis['customers']:,} customers with "
        f"{basis['purchases']:,} {events}{unpriced}; model of {what}: {model or NOTHING}"
    )


def describe_renewal_rates(basis: Row) -> Iterator[str]:
    """Yield the parameters of the chances of renewal; nothing without contracts."""
    if basis["contract_days"] is None or not basis["model"]:
        return
    parameters = json.loads(basis["parameters"])[basis["model"]]
    shown = ", ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in parameters.items())
    yield f"chances of renewal, {MODEL_NAMES[basis['model']]}: {shown}"


def build_customer_state_table(rows: list[Row], currency: str | None) -> list[list[str]]:
    """Return the states, how they changed in 90 days, and what is expected of each."""
    head = ["state", "customers", "share", "entered, 90 d", "left, 90 d"]
    amounts = ("expected_margin_12m", "clv", "save_value")
    head += [name_amounts(name, currency) for name in ("12 months", "value", "at stake")]
    table = [head]
    for row in rows:
        table.append(
            [
                row["state"].replace("_", " "),
                f"{row['customers']:,}",
                format_share(row["share"]),
                f"{row['entered_90d']:,}",
                f"{row['left_90d']:,}",
                *(format_amount(row[name]) for name in amounts),
            ]
        )
    return table


def describe_customer_values(result: CustomerResult, currency: str | None) -> Iterator[str]:
    """Yield what all customers are expected to bring, or why nothing is expected."""
    basis = result.basis
    yield from basis["limits"].splitlines()
    if not basis["model"]:
        return
    yield from describe_renewal_rates(basis)
    years = basis["horizon_days"] / 365
    unit = f" {currency}" if currency else ""
    what = "purchases" if basis["contract_days"] is None else "renewals"
    totals = [f"expected in 12 months (90 %): {_format_range(basis, 'orders_12m')} {what}"]
    if basis["clv"] is not None:
        totals.append(f"margin {_format_range(basis, 'margin_12m')}{unit}")
        discount = f"{basis['discount_rate']:.0%} a year"
        totals.append(
            f"value of {years:.3g} years, discounted at {discount}: "
            f"{_format_range(basis, 'clv')}{unit}"
        )
    yield ", ".join(totals)


def build_customer_track_table(rows: list[Row]) -> list[list[str]]:
    """Return past forecasts beside what came; the model with a star is used.

    All models are shown at the latest of the past as-ofs, the one that chose.
    """
    head = ["as of", "days", "model", "expected", "came", "off", "error per customer", "deviance"]
    table = [[*head, "ROC AUC"]]
    latest = rows[0]["forecast_as_of"]
    for row in rows:
        if row["forecast_as_of"] != latest and not row["chosen"]:
            continue
        off = row["expected"] / row["actual"] - 1
        auc = row["roc_auc"]
        table.append(
            [
                f"{row['forecast_as_of']:%Y-%m-%d}",
                str(row["days"]),
                MODEL_NAMES[row["model"]] + (" *" if row["chosen"] else ""),
                f"{row['expected']:,.0f}",
                f"{row['actual']:,.0f}",
                replace_hyphens(f"{off:+.1%}"),
                f"{row['absolute_error']:.3f}",
                f"{row['deviance']:.3f}",
                NOTHING if auc is None else f"{auc:.3f}",
            ]
        )
    return table


def describe_customer_backtest(result: CustomerBacktest) -> Iterator[str]:
    """Yield what was forecast, and how far the totals were off."""
    own = result.models[result.used]
    counts = own.counts
    yield (
        f"{counts.customers:,} customers, {counts.days} days ahead, by the model that earlier "
        f"{result.what} chose: {MODEL_NAMES[result.used]}"
    )
    yield _describe_total(result.what, counts.expected, result.orders)
    if result.margin is not None:
        yield _describe_total("margin", own.margin, result.margin)
        yield (
            f"{result.covered:.1%} of the customers brought a margin within their 90 % interval; "
            f"the best tenth brought {result.best_share:.1%} of all"
        )


def build_customer_backtest_table(result: CustomerBacktest) -> list[list[str]]:
    """Return the models and baselines beside what came; the model with a star was chosen."""
    head = [
        "model",
        f"{result.what} off",
        "error per customer",
        "correlation",
        "ROC AUC",
        "deviance",
    ]
    has_margin = result.margin is not None
    head += ["margin off", "error per customer", "rank", "top tenth"] if has_margin else []
    table = [head]
    for name, row in result.models.items():
        counts, star = row.counts, " *" if name == result.used else ""
        cells = [
            MODEL_NAMES[name] + star,
            replace_hyphens(f"{counts.expected / counts.actual - 1:+.1%}"),
            f"{counts.absolute_error:.3f}",
            _format_number(row.correlation),
            _format_number(counts.ranking),
            f"{counts.deviance:.3f}",
        ]
        if result.margin is not None:
            off = row.margin / result.margin[0] - 1
            cells += [
                replace_hyphens(f"{off:+.1%}"),
                f"{row.margin_error:,.2f}",
                _format_number(row.margin_rank),
                f"{row.top_share:.1%}",
            ]
        table.append(cells)
    return table


def build_retention_rows(rows: list[Row]) -> list[list[str]]:
    """Return the share of each cohort that bought in a month after its first purchase."""
    shares = {(row["cohort"], row["month"]): row for row in rows}
    months = [month for month in SHOWN_MONTHS if any(key[1] == month for key in shares)]
    cohorts = sorted({row["cohort"] for row in rows})[-MAX_COHORTS:]
    table = [["first purchase", "customers", *(f"month {month}" for month in months)]]
    for cohort in cohorts:
        own = [shares.get((cohort, month)) for month in months]
        size = max(row["customers"] for row in rows if row["cohort"] == cohort)
        cells = [NOTHING if row is None else format_share(row["share"]) for row in own]
        table.append([cohort, f"{size:,}", *cells])
    return table


def build_revenue_rows(
    rows: list[Row], currency: str | None, contracts: bool = False
) -> list[list[str]]:
    """Return the steps from the margin of each quarter to that of the next."""
    kinds = {row["period"]: row["kind"] for row in rows}
    forecasts = [period for period in sorted(kinds) if kinds[period] == "forecast"]
    periods = [period for period in sorted(kinds) if kinds[period] == "actual"][-MAX_QUARTERS:]
    periods += forecasts
    cells = {(row["period"], row["step"]): row for row in rows}
    steps = list(dict.fromkeys(row["step"] for row in rows))
    what = "recurring margin" if contracts else "margin"
    table = [[name_amounts(what, currency), *(step.replace("_", " ") for step in steps)]]
    if forecasts:
        table[0].append("end (90 %)")
    for period in periods:
        own = [_format_step(step, cells[period, step]["amount"]) for step in steps]
        name = f"{period} forecast" if period in forecasts else period
        end = cells[period, "end"]
        ends = (
            [NOTHING]
            if end["low"] is None
            else [f"{format_amount(end['low'])}–{format_amount(end['high'])}"]
        )
        table.append([name, *own, *ends[: len(forecasts)]])
    return table


def describe_bridge_forecast(basis: Row) -> str:
    """Return how far forecasts of the bridge were off, or why there is none."""
    if basis["bridge_limits"]:
        return str(basis["bridge_limits"])
    return (
        f"forecasts of the last {basis['bridge_quarters']} quarters as of their begin: off by "
        f"{replace_hyphens(format(basis['bridge_bias'], '+.1%'))} together; the interval that the "
        f"others give held {basis['bridge_held']} of {basis['bridge_quarters']}"
    )


def build_save_table(rows: list[Row], currency: str | None) -> list[list[str]]:
    """Return the customers with most margin at stake who have not lapsed; may be empty."""
    open_rows = [row for row in rows if row["state"] != "lapsed" and row["save_value"] is not None]
    open_rows.sort(key=lambda row: (-row["save_value"], row["entity_id"]))
    if not open_rows:
        return []
    amounts = [name_amounts(name, currency) for name in ("at stake", "value (90 %)")]
    table = [["customer", "state", "owner", "still here", *amounts, "look again", "why"]]
    for row in open_rows[:MAX_CUSTOMERS]:
        low, high = format_amount(row["clv_low"]), format_amount(row["clv_high"])
        table.append(
            [
                row["account_id"] or row["entity_id"],
                row["state"].replace("_", " "),
                row["owner"] or NOTHING,
                f"{row['p_alive']:.0%}",
                format_amount(row["save_value"]),
                f"{format_amount(row['clv'])} ({low}–{high})",
                f"{row['next_review']:%Y-%m-%d}",
                row["reasons"],
            ]
        )
    return table


def build_acquisition_rows(rows: list[Row], currency: str | None) -> list[list[str]]:
    """Return what the customers of each quarter's entries cost and bring; may be empty."""
    known = [row for row in rows if row["cost"] is not None][-MAX_COHORTS:]
    if not known:
        return []
    amounts = [name_amounts(name, currency) for name in ("cost", "by customer", "brought", "value")]
    table = [["entered in", "accounts", "customers", *amounts, "value by cost", "paid back after"]]
    for row in known:
        cells = [row["cohort"], f"{row['entered']:,}", f"{row['customers']:,}"]
        cells += [format_amount(row["cost"]), _format_ends(row, "cac", format_amount)]
        cells += [format_amount(row["margin"]), _format_ends(row, "ltv", format_amount)]
        cells += [_format_ends(row, "ltv_to_cac", "{:.1f}".format), _describe_payback(row)]
        table.append(cells)
    return table


def _format_ends(row: Row, name: str, write: Callable[[float], str]) -> str:
    if row[name] is None:
        return NOTHING
    low, high = (write(row[f"{name}_{end}"]) for end in ("low", "high"))
    return f"{write(row[name])} ({low}–{high})"


def _describe_payback(row: Row) -> str:
    if not row["mature"]:
        return "too young"
    if row["cac"] is None:
        return "too few customers"
    if row["payback_months"] is not None:
        months = row["payback_months"]
        return f"{months} {'month' if months == 1 else 'months'}"
    return f"not in {row['followed_months']} months" if row["followed_months"] else NOTHING


def describe_corrections(rows: list[Row]) -> Iterator[str]:
    """Yield what corrects the model, and what decided."""
    names = {"orders": "purchases", "margin": "margins", "chance": "chances to buy"}
    for row in rows:
        what, is_chance = names[row["what"]], row["what"] == "chance"
        verb = "are corrected" if row["used"] else "are not corrected"
        verb += " by a calibration" if is_chance else " by trees"
        if row["used"] and not is_chance:
            verb += ", their total is not" if row["keeps_total"] else ", and so is their total"
        yield (
            f"{what} {verb}: deviance {row['deviance_corrected']:.4g} in place of "
            f"{row['deviance_model']:.4g} in the last {row['days']} days, lower by "
            + replace_hyphens(f"{row['gain_low']:.2g} to {row['gain_high']:.2g}")
        )


def describe_win_backs(result: CustomerResult) -> Iterator[str]:
    """Yield how many have lapsed, and how well returns were expected 90 days before."""
    lapsed = len(result.tables.list_rows("win_backs"))
    track = result.tables.list_rows("win_back_track")
    if not track:
        yield f"customers who have lapsed: {lapsed:,}"
        return
    used = next(row for row in track if row["chosen"])
    figures = [
        f"{row['method']} expected {row['expected']:,.0f} (log loss {row['log_loss']:.4f})"
        for row in track
    ]
    choice = f"; used: {used['method']}" if len(track) > 1 else ""
    yield (
        f"customers who have lapsed: {lapsed:,}; of {used['customers']:,} who had 90 days ago, "
        f"{used['returned']:,} came back: {', '.join(figures)}{choice}"
    )


def build_win_back_rows(rows: list[Row], currency: str | None) -> list[list[str]]:
    """Return the customers whose return is expected to bring most; may be empty."""
    known = [row for row in rows if row["p_return_90d"] is not None]
    if not known:
        return []
    amounts = [name_amounts(name, currency) for name in ("year if back", "expected")]
    table = [["customer", "owner", "lapsed", "days", "back in 90 d", *amounts]]
    for row in known[:MAX_CUSTOMERS]:
        chance = f"{row['p_return_90d']:.1%}"
        if row["p_return_90d_low"] is not None:
            chance += f" ({row['p_return_90d_low']:.1%}–{row['p_return_90d_high']:.1%})"
        table.append(
            [
                row["account_id"] or row["entity_id"],
                row["owner"] or NOTHING,
                f"{row['lapsed_at']:%Y-%m-%d}",
                f"{row['lapsed_days']:,}",
                chance,
                *(format_amount(row[name]) for name in ("margin_if_back", "expected_margin")),
            ]
        )
    return table


def _describe_total(name: str, expected: float, came: tuple[float, float, float]) -> str:
    actual, low, high = came
    held = "holds" if low <= actual <= high else "does not hold"
    off = replace_hyphens(f"{expected / actual - 1:+.1%}")
    ends = f"{format_amount(low)}–{format_amount(high)}"
    return (
        f"{name}: expected {format_amount(expected)} (90 % {ends}), came {format_amount(actual)}: "
        f"off by {off}, the interval {held} it"
    )


def _format_range(basis: Row, name: str) -> str:
    ends = (basis[f"{name}_low"], basis[f"{name}_high"])
    low, high = (format_amount(end) for end in ends)
    return f"{format_amount(basis[name])} ({low}–{high})"


def _format_number(value: float) -> str:
    """Return a number with three digits, without a negative zero; a dash for NaN."""
    return NOTHING if math.isnan(value) else replace_hyphens(f"{round(value, 3) + 0.0:.3f}")


def _format_step(step: str, amount: float) -> str:
    if step in ("start", "end"):
        return format_amount(amount)
    sign = "−" if step in ("contraction", "lost") else "+"
    return f"{sign}{format_amount(amount)}"
