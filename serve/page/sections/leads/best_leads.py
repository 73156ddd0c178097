"""The leads to call first: the most probable ones of each target, without those drawn at random."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from serve.export.export import reason_columns
from serve.page.content.page_data import PageData
from serve.page.content.parts import LeadCell, Table
from serve.page.content.target_names import name_outcomes

NAME = "best_leads"
# Leads of the summary, and of each sales person.
MAX_LEADS, LEADS_PER_OWNER = 10, 3
# A table of more owners is no help.
MAX_OWNERS = 50
EXPLORE = "explore"


def order_targets(data: PageData) -> list[str]:
    """Return the scored targets, that of the forecast first: it is the nearest to a win."""
    first = data.forecast.target if data.forecast else None
    return sorted(data.targets, key=lambda target: target != first)


def find_best_leads(data: PageData) -> dict[str, pa.Table]:
    """Return by target the rows of SCORES of the leads to call first, as many of each.

    A lead stands once, under the first target that has it. A target without a lead is left out.
    """
    targets = order_targets(data)
    ranked = {target: _list_ranked(data.scores, target) for target in targets}
    # Where a target has few leads the others have its places.
    chosen, seen = dict[str, list[int]](), set[str]()
    left = MAX_LEADS
    for number, target in enumerate(targets):
        share = -(-left // (len(targets) - number))
        chosen[target] = []
        for place, entity in ranked[target]:
            if len(chosen[target]) == share:
                break
            if entity not in seen:
                seen.add(entity)
                chosen[target].append(place)
        left -= len(chosen[target])
    return {
        target: data.scores.take(pa.array(places, pa.int64()))
        for target, places in chosen.items()
        if places
    }


def _list_ranked(scores: pa.Table, target: str) -> list[tuple[int, str]]:
    """Return the places and ids of a target's best leads, more than any table shows."""
    is_drawn = pc.fill_null(pc.equal(scores["listed"], EXPLORE), False)
    is_own = pc.and_(pc.equal(scores["target"], target), pc.invert(is_drawn))
    places = np.flatnonzero(np.asarray(is_own))
    rank = scores["rank"].to_numpy()[places]
    places = places[np.argsort(rank, kind="stable")][: 2 * MAX_LEADS]
    entities = scores["entity_id"].take(pa.array(places)).to_pylist()
    return [*zip(places.tolist(), entities, strict=True)]


def tabulate_leads(data: PageData, rows: pa.Table, caption: str, folded: bool = False) -> Table:
    """Return a table of rows of SCORES: whose they are, their chance, their amount, and why."""
    words, outcomes = data.words, name_outcomes(data)
    amounts = find_amounts(data, rows)
    has_owner = rows["owner"].null_count < rows.num_rows
    has_amount = any(amount is not None for amount in amounts)
    keys = ["lead", *["owner"] * has_owner, *["amount"] * has_amount, "probability"]
    numeric = frozenset(range(1 + has_owner, len(keys)))
    keys += [*["target"] * (len(pc.unique(rows["target"])) > 1), "reason"]
    reasons = reason_columns(rows["reasons"])["reason_1"].to_pylist()
    cells = [
        {
            "lead": LeadCell(row["target"], row["entity_id"]),
            "owner": row["owner"] or words.text(NAME, "nobody"),
            "amount": "–" if amount is None else words.amount(amount),
            "probability": words.percent(row["probability"], 0),
            "target": outcomes[row["target"]],
            "reason": reason or "–",
        }
        for row, amount, reason in zip(rows.to_pylist(), amounts, reasons, strict=True)
    ]
    lines = [[cell[key] for key in keys] for cell in cells]
    headings = [words.text(NAME, key) for key in keys]
    # The reasons stand in the lead's details.
    extra = frozenset({len(keys) - 1})
    return Table(caption, headings, lines, numeric, folded=folded, compact=True, extra=extra)


def find_amounts(data: PageData, rows: pa.Table) -> list[float | None]:
    """Return what a win of each lead is worth: that of the forecast, else that of its score."""
    known = dict[str, float]()
    if data.forecast is not None:
        deals = data.forecast.deals
        own = deals.filter(
            pc.is_in(deals["entity_id"], value_set=rows["entity_id"].combine_chunks())
        )
        known = dict(zip(own["entity_id"].to_pylist(), own["amount"].to_pylist(), strict=True))
    return [
        known.get(entity, amount)
        for entity, amount in zip(
            rows["entity_id"].to_pylist(), rows["amount"].to_pylist(), strict=True
        )
    ]


def tabulate_owners(data: PageData) -> Iterator[Table]:
    """Yield the best leads of each sales person and target, if leads have a sales person."""
    scores = data.scores
    if scores["owner"].null_count == scores.num_rows:
        return
    is_drawn = pc.fill_null(pc.equal(scores["listed"], EXPLORE), False)
    is_own = pc.and_(pc.is_valid(scores["owner"]), pc.invert(is_drawn))
    places = np.flatnonzero(np.asarray(is_own))
    columns = scores.select(["owner", "target", "rank"]).take(pa.array(places))
    names = pa.array(sorted(pc.unique(columns["owner"]).to_pylist())[:MAX_OWNERS], pa.string())
    owner = pc.fill_null(pc.index_in(columns["owner"], value_set=names), len(names)).to_numpy()
    targets = pa.array(order_targets(data), pa.string())
    target = pc.index_in(columns["target"], value_set=targets).to_numpy()
    order = np.lexsort((columns["rank"].to_numpy(), target, owner))
    group = (owner * len(targets) + target)[order]
    number = np.arange(len(group)) - np.searchsorted(group, group)
    chosen = places[order[(number < LEADS_PER_OWNER) & (owner[order] < len(names))]]
    caption = data.words.text(NAME, "by_owner", count=data.words.number(LEADS_PER_OWNER))
    yield tabulate_leads(data, scores.take(pa.array(chosen)), caption, folded=True)
