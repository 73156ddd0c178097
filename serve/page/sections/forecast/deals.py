"""The open leads that add most to the forecast."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from serve.page.content.page_data import PageData
from serve.page.content.parts import LeadCell, Table
from serve.page.sections.forecast.texts import NAME, name_last_day, write_chance
from serve.page.sections.funnel.lead_cells import find_targets, name_lead
from serve.page.sections.funnel.texts import Row, name_state

# Leads that are listed, and those that are seen without a press; the file of the deals has all.
MAX_DEALS, FIRST_DEALS = 100, 15


def tabulate_deals(data: PageData, deals: pa.Table, headline: Row) -> Iterator[Table]:
    """Yield the leads that add most, and the next ones as a table that is opened."""
    words = data.words
    for key, start, end in (("deals", 0, FIRST_DEALS), ("next", FIRST_DEALS, MAX_DEALS)):
        part = deals.slice(start, end - start)
        if part.num_rows:
            caption = words.text(NAME, key, shown=words.number(part.num_rows))
            yield list_deals(data, part, headline, caption, folded=start > 0)


def list_deals(
    data: PageData,
    deals: pa.Table,
    headline: Row,
    caption: str,
    folded: bool = False,
    short: bool = False,
) -> Table:
    """Return a table of rows of DEALS; ``headline`` is the row of their period.

    A ``short`` table leaves out the stage and what a lead adds.
    """
    words = data.words
    has_owner, has_amount = (
        deals[name].null_count < deals.num_rows for name in ("owner", "amount")
    )
    keys = ["lead", *["stage"] * (not short), *["owner"] * has_owner, "age_days", "probability"]
    keys += ["amount_column", *["contribution"] * (not short)] * has_amount
    day = name_last_day(words, headline)
    names = {"probability": words.text(NAME, "probability", day=day)}
    headings = [names.get(key) or words.text(NAME, key) for key in keys]
    numeric = frozenset(range(keys.index("age_days"), len(keys)))
    cells = [[cells[key] for key in keys] for cells in _describe_deals(data, deals)]
    return Table(caption, headings, cells, numeric, folded=folded, compact=True)


def _describe_deals(data: PageData, deals: pa.Table) -> Iterator[dict[str, str | LeadCell]]:
    words, stuck = data.words, find_stuck(data, deals)
    targets = find_targets(data, deals)
    for row, target, is_stuck in zip(deals.to_pylist(), targets, stuck, strict=True):
        # In days alone, so that they are easy to compare.
        age = words.number(row["age_days"], 0 if row["age_days"] >= 1 else 1)
        yield {
            "lead": name_lead(words, row["entity_id"], target),
            "stage": name_state(words, row["stage"]),
            "owner": row["owner"] or words.text(NAME, "nobody"),
            "age_days": words.text(NAME, "age_stuck" if is_stuck else "age", n=age),
            "probability": write_chance(words, row["probability"]),
            "amount_column": words.amount(row["amount"] or 0.0),
            "contribution": words.amount(row["contribution"]),
        }


def find_stuck(data: PageData, deals: pa.Table) -> list[bool]:
    """Return for each row of DEALS whether the funnel has it among the stuck leads."""
    if data.funnel is None:
        return [False] * deals.num_rows
    stuck = data.funnel.stuck["entity_id"].combine_chunks()
    is_stuck: list[bool] = pc.is_in(deals["entity_id"], value_set=stuck.drop_null()).to_pylist()
    return is_stuck


def count_unscored(data: PageData, deals: pa.Table) -> int:
    """Return how many of the listed leads have no score, and so no details to open."""
    return find_targets(data, deals.slice(0, MAX_DEALS)).count(None)
