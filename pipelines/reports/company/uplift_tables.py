"""Uplift as lines and tables of texts for the terminal.

A table is a list of rows of texts; the first row holds the headers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from features.tools.instants import format_iso
from pipelines.reports.company.funnel_tables import NOTHING, replace_hyphens

if TYPE_CHECKING:
    from models.evaluation.gate import GateVerdict
    from models.uplift.result import UpliftResult

Row = dict[str, Any]
# Leads that the terminal shows; files and JSON have all.
MAX_LEADS = 10


def describe_uplift(result: UpliftResult) -> Iterator[str]:
    """Yield what the tables rest on, and the mean effect."""
    basis = result.basis
    within = f" within {basis['horizon_days']:g} days" if basis["horizon_days"] else ""
    through = f" ({basis['channels']})" if basis["channels"] else ""
    # Without times there is no as-of: all rows count.
    as_of = f"as of {format_iso(result.as_of)}: " if basis["first_assigned"] else ""
    yield (
        f"{as_of}{basis['treated']:,} leads with outreach{through} and "
        f"{basis['control']:,} without, drawn at random; outcome: {basis['outcome']}{within}"
    )
    for name, words in (
        ("immature", "are not followed for the whole horizon and do not count"),
        ("not_eligible", "were outside the target's population when they were drawn"),
    ):
        if basis[name]:
            yield f"{basis[name]:,} draws {words}"
    if basis["effect"] is not None:
        yield (
            f"effect of outreach: {_format_points(basis, 'effect')}, on "
            f"{basis['rate_without']:.1%} without"
        )


def build_ranking_table(basis: Row) -> list[list[str]]:
    """Return the quality of both rankings; may be empty."""
    if basis["qini"] is None:
        return []
    head = ["ranking (5 × 2-fold)", "Qini per treated lead", "effect in the top 30 %"]
    ends = f"({_sign_number(basis['qini_low'], 4)} – {_sign_number(basis['qini_high'], 4)})"
    uplift = [f"{_sign_number(basis['qini'], 4)} {ends}", _format_points(basis, "uplift_at_30")]
    response = [_sign_number(basis["qini_response"], 4), _format_share(basis["response_at_30"])]
    random = [_sign_number(0.0, 4), _format_share(basis["effect"])]
    return [head, ["by uplift", *uplift], ["by response", *response], ["at random", *random]]


def describe_gate(verdict: GateVerdict) -> Iterator[str]:
    """Yield each test of the gate."""
    for test in verdict.tests:
        yield f"{'passed' if test.passed else 'FAILED'}: {test.sentence}"


def build_policy_table(rows: Sequence[Row]) -> list[list[str]]:
    """Return what outreach to the best leads adds, by uplift and by score; may be empty."""
    head = ["top", "share", "added by uplift (90 %)", "added by score (90 %)", "uplift − score"]
    table = [
        [
            f"{row['leads']:,}",
            f"{row['share']:.0%}",
            *(_format_outcomes(row, name) for name in ("by_uplift", "by_score", "gain")),
        ]
        for row in rows
    ]
    return [head, *table] if table else []


def build_uplift_table(rows: Sequence[Row]) -> list[list[str]]:
    """Return the leads with the highest uplift; may be empty."""
    head = ["rank", "lead", "uplift (90 %)", "without", "class", "randomised", "evidence"]
    table = [
        [
            f"{row['rank']:,}",
            row["entity_id"],
            _format_points(row, "uplift"),
            NOTHING if row["p_without"] is None else f"{row['p_without']:.1%}",
            row["persuade_class"].replace("_", " "),
            f"{row['randomised_n']:,}",
            row["evidence"],
        ]
        for row in rows[:MAX_LEADS]
    ]
    return [head, *table] if table else []


def _format_points(row: Row, name: str) -> str:
    low, high = _format_share(row[f"{name}_low"]), _format_share(row[f"{name}_high"])
    return f"{_format_share(row[name])} ({low} – {high})"


def _format_share(value: float) -> str:
    return replace_hyphens(f"{value:+.1%}")


def _format_outcomes(row: Row, name: str) -> str:
    low, high = _sign_number(row[f"{name}_low"]), _sign_number(row[f"{name}_high"])
    return f"{_sign_number(row[name])} ({low} – {high})"


def _sign_number(value: float, digits: int = 1) -> str:
    # A zero that was rounded has no sign.
    return replace_hyphens(f"{round(value, digits) + 0.0:+,.{digits}f}")
