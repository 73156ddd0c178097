"""The fit of accounts as tables of texts for the terminal.

A table is a list of rows of texts; the first row holds the headers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from features.tools.instants import format_iso
from models.fit.chance import FALSE_ENTRY_RATE
from pipelines.reports.company.funnel_tables import NOTHING, format_amount, format_share

if TYPE_CHECKING:
    from models.fit.result import FitResult

Row = dict[str, Any]
# Accounts that the terminal shows; files and JSON have all.
MAX_ACCOUNTS = 10


def build_profile_rows(rows: list[Row]) -> list[list[str]]:
    """Return the rows of the profile."""
    table = [
        [
            "attribute",
            "value",
            "share",
            "accounts",
            "customers",
            "won",
            "lift (90 %)",
            "per customer",
            "stable",
        ]
    ]
    for row in rows:
        table.append(
            [
                row["attribute"],
                row["value"],
                format_share(row["share"]),
                f"{row['accounts']:,}",
                f"{row['customers']:,}",
                format_share(row["win_rate"]),
                f"{row['lift']:.2f} ({row['lift_low']:.2f}–{row['lift_high']:.2f})",
                format_amount(row["value_per_customer"]),
                f"{row['stability']:.0%}",
            ]
        )
    return table


def build_fit_class_table(rows: list[Row]) -> list[list[str]]:
    """Return what the classes brought, and the accounts that are open."""
    table = [
        ["class", "factor from", "accounts", "share", "customers", "won (90 %)", "per account"]
    ]
    table[0] += ["open", "white space"]
    for row in rows:
        least = row["factor_from"]
        table.append(
            [
                row["fit_class"],
                NOTHING if least is None else f"{least:.2f}",
                f"{row['accounts']:,}",
                format_share(row["share"]),
                f"{row['customers']:,}",
                _format_rate(row),
                format_amount(row["value_per_account"]),
                f"{row['open_accounts']:,}",
                f"{row['white_space']:,}",
            ]
        )
    return table


def build_fit_grid(rows: list[Row]) -> list[list[str]]:
    """Return the cells of fit and engagement."""
    table = [["cell", "accounts", "customers", "won (90 %)", "per account", "open now"]]
    for row in rows:
        table.append(
            [
                row["cell"],
                f"{row['accounts']:,}",
                f"{row['customers']:,}",
                _format_rate(row),
                format_amount(row["value_per_account"]),
                f"{row['open_accounts']:,}",
            ]
        )
    return table


def build_account_table(rows: list[Row]) -> list[list[str]]:
    """Return the first accounts of the white space."""
    table = [["account", "lead", "owner", "silent for", "expected", "matched", "missing"]]
    for row in rows[:MAX_ACCOUNTS]:
        table.append(
            [
                row["account_id"] or NOTHING,
                row["entity_id"],
                row["owner"] or NOTHING,
                f"{row['silent_days']} d",
                format_amount(row["expected_value"])
                if row["expected_value"] is not None
                else f"{row['factor']:.2f} ×",
                row["matched"],
                row["missing"] or NOTHING,
            ]
        )
    return table


def describe_fit(result: FitResult) -> str:
    """Return what the profile was learned on."""
    basis = result.basis
    units, customers = basis["accounts"], basis["customers"]
    days = basis["horizon_days"]
    within = f" within {days:.0f} days of their entry" if days else ""
    value = basis["value_per_account"]
    amount = f", {format_amount(value)} each on average" if value is not None else ""
    young = f"; {basis['young']:,} not followed as long" if basis["young"] else ""
    earlier = basis["customers_before_entry"]
    before = f"; {earlier:,} were customers before" if earlier else ""
    moment = f"as of {format_iso(result.as_of)}: " if result.as_of else ""
    return (
        f"{moment}{units:,} mature {basis['unit']}s, {customers:,} "
        f"({customers / units:.1%}) were won{within}{amount}{young}{before}"
    )


def describe_profile(basis: Row, rows: list[Row]) -> Iterator[str]:
    """Yield how the rows were chosen, and why there are none."""
    if rows:
        measure = "won" if basis["value_per_account"] is None else "amounts won"
        yield (
            f"lift: {measure} per {basis['unit']}, as a multiple of the mean; of "
            f"{basis['compared']:,} values compared, a profile of pure noise has any row in "
            f"{FALSE_ENTRY_RATE:.0%} of cases; stable: share of resamples that have the row"
        )
    yield from basis["limits"].splitlines()


def describe_fit_grid(basis: Row, rows: list[Row]) -> str:
    """Return what the cells are."""
    busy = rows[0]["activities_from"]
    return (
        f"cells: open {basis['unit']}s at earlier cutoffs, won within {basis['horizon_days']:.0f} "
        f"days; classes by profiles of others; 1: {busy} or more activities in 30 days, 2: fewer, "
        "3: none"
    )


def describe_white_space(basis: Row, accounts: list[Row], silent: int) -> str:
    """Return how many accounts fit and are silent."""
    unit, days = basis["unit"], basis["threshold_days"]
    best = sum(row["fit_class"] == "A" for row in accounts)
    head = f"white space: of {len(accounts):,} open {unit}s {best:,} are of class A"
    if basis["horizon_days"] is None:
        return f"{head}; without times nobody is silent"
    if days is None:
        return f"{head}; the data shows no number of days from which on a lead is silent"
    return f"{head}, {silent:,} of them without an activity for {days} days or more"


def list_refusals(result: FitResult) -> Iterator[str]:
    """Yield the attributes that are not used, and those whose time is unknown."""
    for name, evidence in result.refused.items():
        yield f"refused: {name}: {evidence}; `audit.allow` lets it in"
    if undated := result.basis["undated"]:
        yield (
            f"without a history, so with the value of today: {undated}; the leakage audit has not "
            "refused them"
        )


def _format_rate(row: Row) -> str:
    if row["win_rate"] is None:
        return NOTHING
    low, high = row["win_rate_low"], row["win_rate_high"]
    return f"{row['win_rate']:.1%} ({100 * low:.1f}–{100 * high:.1f})"
