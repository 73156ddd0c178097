"""What a sales lead looks at first: new and fallen leads, explored ones, and work by owner."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, time, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.contracts import INSTANT
from serve.export.export import reason_columns
from serve.page.content.page_data import PageData
from serve.page.content.parts import LeadCell, Quote, Section, Table
from serve.page.content.shown_leads import find_fallen, find_new_best

NAME = "night_changes"
# A table is a summary; the list of leads has all.
MAX_LEADS = 10
MAX_OWNERS = 100
COUNTS = ("listed", "explored", "new_best", "fallen", "due")


def build_night_changes(data: PageData) -> Section:
    """Return the section: what is new since the night before, and the week's work."""
    words, groups = data.words, _find_groups(data)
    counts = {name: pc.sum(group).as_py() or 0 for name, group in groups.items()}
    tables = [
        _list_leads(data, groups[name], name, counts[name])
        for name in ("new_best", "fallen", "explored")
        if counts[name]
    ]
    if counts["listed"]:
        tables.append(_count_by_owner(data, groups))
    return Section(
        NAME,
        "leads",
        words.text(NAME, "title"),
        words.text(NAME, "sentence"),
        [
            Quote(words.text(NAME, f"{name}_label"), words.number(counts[name]))
            for name in ("new_best", "fallen", "listed", "explored")
        ],
        tables=tables,
        notes=[*_explain_gaps(data, counts["explored"])],
    )


def _find_groups(data: PageData) -> dict[str, pa.ChunkedArray]:
    """Return which rows of the scores belong to each of COUNTS."""
    scores, zone = data.scores, data.words.zone
    tomorrow = data.as_of.astimezone(zone).date() + timedelta(days=1)
    midnight = pa.scalar(datetime.combine(tomorrow, time(), zone), INSTANT)
    groups = {
        "listed": pc.is_valid(scores["listed"]),
        "explored": pc.fill_null(pc.equal(scores["listed"], "explore"), False),
        "new_best": find_new_best(scores),
        "fallen": find_fallen(scores),
        # A review is due on its day, until its end.
        "due": pc.fill_null(pc.less(scores["review_at"], midnight), False),
    }
    assert tuple(groups) == COUNTS
    return groups


def _explain_gaps(data: PageData, explored: int) -> Iterator[str]:
    """Yield a sentence for each thing that this night has nothing to say about."""
    words, previous = data.words, data.scores["previous_grade"]
    compared = set(pc.unique(data.scores["target"].filter(pc.is_valid(previous))).to_pylist())
    first = [target for target in data.targets if target not in compared]
    if first:
        yield words.text(NAME, "first_night", targets=", ".join(first))
    if data.project.capacity_config is None:
        yield words.text(NAME, "no_capacity")
    elif explored:
        yield words.text(NAME, "explore_note")


def _list_leads(data: PageData, group: pa.ChunkedArray, name: str, count: int) -> Table:
    """Return a table of the best leads of a group."""
    words = data.words
    rows = data.scores.filter(group)
    rows = rows.take(pa.array(_order_leads(rows, name)[:MAX_LEADS]))
    # A fallen lead is understood by what speaks against it.
    side = "against_1" if name == "fallen" else "reason_1"
    reasons = reason_columns(rows["reasons"])[side].to_pylist()
    has_owners = _has_owners(rows)
    headings = ["lead", "target", *["owner"] * has_owners, "grade", "score", "probability", side]
    caption = words.text(NAME, name, count=words.number(count))
    if count > MAX_LEADS:
        caption += " " + words.text(NAME, f"{name}_first", shown=words.number(MAX_LEADS))
    return Table(
        caption,
        [words.text(NAME, key) for key in headings],
        [
            [
                LeadCell(row["target"], row["entity_id"]),
                row["target"],
                *[row["owner"] or words.text(NAME, "nobody")] * has_owners,
                _write_change(row["grade"], row["previous_grade"], words.text(NAME, "was")),
                _write_change(row["score"], row["previous_score"], words.text(NAME, "was")),
                words.percent(row["probability"]),
                reason or "–",
            ]
            for row, reason in zip(rows.to_pylist(), reasons, strict=True)
        ],
        frozenset({3 + has_owners, 4 + has_owners}),
    )


def _order_leads(rows: pa.Table, name: str) -> np.ndarray:
    """Return the places of a group's leads: the best first, or those that fell furthest."""
    rank = rows["rank"].to_numpy()
    if name != "fallen":
        return np.argsort(rank, kind="stable")
    return np.lexsort((rank, pc.fill_null(rows["trend"], 0).to_numpy()))


def _has_owners(rows: pa.Table) -> bool:
    return rows["owner"].null_count < rows.num_rows


def _write_change(value: object, previous: object, was: str) -> str:
    """Return a value, with the one of the night before where it was another."""
    changed = previous is not None and previous != value
    return f"{value} ({was} {previous})" if changed else str(value)


def _count_by_owner(data: PageData, groups: dict[str, pa.ChunkedArray]) -> Table:
    """Return a table of what each sales person has to do."""
    words = data.words
    rows = pa.table({"target": data.scores["target"], "owner": data.scores["owner"]} | groups)
    sums = rows.group_by(["target", "owner"]).aggregate([(name, "sum") for name in COUNTS])
    work = sorted(
        (row for row in sums.to_pylist() if any(row[f"{name}_sum"] for name in COUNTS)),
        # Leads without an owner come last.
        key=lambda row: (
            data.targets.index(row["target"]),
            row["owner"] is None,
            row["owner"] or "",
        ),
    )
    has_owners = _has_owners(rows)
    caption = words.text(NAME, "by_owner", count=words.number(sum(r["listed_sum"] for r in work)))
    if len(work) > MAX_OWNERS:
        caption += " " + words.text(NAME, "first_shown", shown=words.number(MAX_OWNERS))
    first: Sequence[str] = ["owner", "target"] if has_owners else ["target"]
    no_owner = words.text(NAME, "nobody")
    return Table(
        caption,
        [words.text(NAME, key) for key in (*first, *(f"{name}_count" for name in COUNTS))],
        [
            [
                *(row[key] or no_owner for key in first),
                *(words.number(row[f"{name}_sum"]) for name in COUNTS),
            ]
            for row in work[:MAX_OWNERS]
        ],
        frozenset(range(len(first), len(first) + len(COUNTS))),
    )
