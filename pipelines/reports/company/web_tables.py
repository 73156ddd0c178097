"""Web visitors on the terminal."""

from __future__ import annotations

from typing import Any

from models.visitors.schemas import CONTACT_DAYS, CUSTOMER_DAYS
from pipelines.reports.company.funnel_tables import NOTHING, format_days, name_amounts

# Segments of a column that are shown, those of most visitors; files and JSON have all.
MAX_SHOWN = 8


def build_web_rows(rows: list[dict[str, Any]], currency: str | None = None) -> list[list[str]]:
    """Return the segments of web visitors with most of them, by column."""
    shown = f"contacts in {CONTACT_DAYS} d"
    heading = ["web visitors", "visitors", shown, "days to contact", "never identified"]
    table = [[*heading, f"customers in {CUSTOMER_DAYS} d", name_amounts("value", currency)]]
    for column in dict.fromkeys(row["segment_by"] for row in rows):
        part = [row for row in rows if row["segment_by"] == column]
        table += [_build_web_row(row) for row in part[:MAX_SHOWN]]
    return table


def _build_web_row(row: dict[str, Any]) -> list[str]:
    share = NOTHING
    if row["contacts_30d"] is not None:
        low, high = (100 * row[f"contacts_30d_{end}"] for end in ("low", "high"))
        share = f"{row['contacts_30d']:.1%} ({low:.1f}–{high:.1f})"
    name = row["segment_by"].replace("_", " ")
    value = NOTHING if row["value"] is None else f"{row['value']:,.0f}"
    return [
        name if name == "all" else f"{name}: {row['segment']}",
        f"{row['visitors']:,}",
        share,
        format_days(row["days_to_contact"]),
        f"{row['never_identified']:.1%}",
        f"{row['customers_mature']:,} of {row['followed']:,}",
        value,
    ]


def describe_web(rows: list[dict[str, Any]]) -> str:
    """Return what the figures of web visitors say, and what they do not."""
    everyone = rows[0]
    return (
        f"web visitors: {everyone['visitors']:,}, {everyone['contacts']:,} of them identified by "
        f"now; shares are of those first seen at least {CONTACT_DAYS} days ago. What a page or a "
        "call to action precedes is credit, not its effect, unless visitors got it at random"
    )
