"""What a sales lead looks at first: grades and scores that changed, and work by owner."""

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
from serve.page.content.reason_changes import KINDS, compare_reasons, pair_reasons
from serve.page.content.shown_leads import (
    MAX_LEADS,
    find_at_risk,
    find_fallen,
    find_lost,
    find_new_best,
    list_unselective,
    order_losses,
)
from serve.page.content.target_names import name_outcomes
from serve.page.sections.leads.best_leads import tabulate_owners

NAME = "night_changes"
# Texts of changed reasons, which the list of leads shows too.
CHANGE_WORDS = "lead_list_script"
MAX_OWNERS = 100
TABLES = ("new_best", "fallen", "lost", "explored")
# Leads of these groups are understood by what changed.
LOSSES = ("fallen", "lost")
QUOTED = ("new_best", "fallen", "at_risk", "listed", "explored")
# Nobody looks for leads drawn at random; they are worked with the list.
FOLDED = "explored"


def build_night_changes(data: PageData) -> Section:
    """Return the section: what is new since the night before, and the week's work."""
    words, groups = data.words, _find_groups(data)
    listed = groups | {"lost": find_lost(data.scores)}
    counts = {name: pc.sum(group).as_py() or 0 for name, group in listed.items()}
    tables = [*tabulate_owners(data)]
    if counts["listed"]:
        tables.insert(0, _count_by_owner(data, groups))
    tables += [
        _list_leads(data, listed[name], name, counts[name]) for name in TABLES if counts[name]
    ]
    return Section(
        NAME,
        "leads",
        words.text(NAME, "title"),
        " ".join([words.text(NAME, _find_start(counts)), *_name_unselective(data)]),
        [
            Quote(words.text(NAME, f"{name}_label"), words.number(counts[name]))
            for name in QUOTED
            if counts[name]
        ],
        tables=tables,
        notes=[*_explain_numbers(data, counts)],
    )


def _find_start(counts: dict[str, int]) -> str:
    """Return the text that says where to start."""
    if counts["new_best"]:
        return "sentence" if counts["listed"] else "sentence_new"
    return "sentence_list" if counts["listed"] else "sentence_best"


def _name_unselective(data: PageData) -> Iterator[str]:
    """Yield the targets whose list has nearly all open leads, and what that means."""
    words, outcomes = data.words, name_outcomes(data)
    unselective = list_unselective(data.scores)
    for target in data.targets:
        if target in unselective:
            listed, count = (words.number(number) for number in unselective[target])
            values = {"target": outcomes[target], "listed": listed, "count": count}
            yield words.text(NAME, "unselective", **values)


def _find_groups(data: PageData) -> dict[str, pa.ChunkedArray]:
    """Return which rows of the scores belong to each group that is counted by owner."""
    scores, zone = data.scores, data.words.zone
    tomorrow = data.as_of.astimezone(zone).date() + timedelta(days=1)
    midnight = pa.scalar(datetime.combine(tomorrow, time(), zone), INSTANT)
    return {
        "listed": pc.is_valid(scores["listed"]),
        "explored": pc.fill_null(pc.equal(scores["listed"], "explore"), False),
        "new_best": find_new_best(scores),
        "fallen": find_fallen(scores),
        "at_risk": find_at_risk(scores),
        # A review is due on its day, until its end.
        "due": pc.fill_null(pc.less(scores["review_at"], midnight), False),
    }


def _explain_numbers(data: PageData, counts: dict[str, int]) -> Iterator[str]:
    """Yield a sentence for each number that needs one, and for what this night does not have."""
    words, previous = data.words, data.scores["previous_grade"]
    compared = set(pc.unique(data.scores["target"].filter(pc.is_valid(previous))).to_pylist())
    first = [target for target in data.targets if target not in compared]
    if first:
        outcomes = name_outcomes(data)
        names = ", ".join(outcomes[target] for target in first)
        yield words.text(NAME, "first_night", targets=names)
    if counts["at_risk"]:
        settle = words.language.duration(data.project.publish.settle)
        yield words.text(NAME, "at_risk_note", settle=settle)
    if data.project.capacity_config is None:
        yield words.text(NAME, "no_capacity")
    elif counts["explored"]:
        yield words.text(NAME, "explore_note")


def _list_leads(data: PageData, group: pa.ChunkedArray, name: str, count: int) -> Table:
    """Return a table of the best leads of a group, or of those that lost most."""
    words, outcomes = data.words, name_outcomes(data)
    # Places first: a group may be half of all leads, and their reasons are long.
    places = np.flatnonzero(np.asarray(group))
    ordered = _order_leads(data.scores.select(["rank", "trend"]).take(pa.array(places)), name)
    rows = data.scores.take(pa.array(places[ordered[:MAX_LEADS]]))
    is_loss = name in LOSSES
    reasons = _describe_changes(data, rows) if is_loss else _get_first_reasons(rows)
    why = "changed" if is_loss else "reason_1"
    has_owners = _has_owners(rows)
    headings = ["lead", "target", *["owner"] * has_owners, "grade", "score", "probability", why]
    caption = words.text(NAME, name, count=words.number(count))
    if count > MAX_LEADS:
        caption += " " + words.text(NAME, f"{name}_first", shown=words.number(MAX_LEADS))
    return Table(
        caption,
        [words.text(NAME, key) for key in headings],
        [
            [
                LeadCell(row["target"], row["entity_id"]),
                outcomes[row["target"]],
                *[row["owner"] or words.text(NAME, "nobody")] * has_owners,
                _write_change(row["grade"], row["previous_grade"], words.text(NAME, "was")),
                _write_change(row["score"], row["previous_score"], words.text(NAME, "was")),
                words.percent(row["probability"]),
                reason or "–",
            ]
            for row, reason in zip(rows.to_pylist(), reasons, strict=True)
        ],
        frozenset({3 + has_owners, 4 + has_owners}),
        folded=name == FOLDED,
        compact=True,
    )


def _order_leads(rows: pa.Table, name: str) -> np.ndarray:
    """Return the places of a group's leads: the best first, or those that fell furthest."""
    if name in LOSSES:
        return order_losses(rows)
    return np.argsort(rows["rank"].to_numpy(), kind="stable")


def _get_first_reasons(rows: pa.Table) -> list[str | None]:
    """Return what speaks most for each lead."""
    reasons: list[str | None] = reason_columns(rows["reasons"])["reason_1"].to_pylist()
    return reasons


def _describe_changes(data: PageData, rows: pa.Table) -> list[str]:
    """Return the changed reasons of each lead in one text, as the list of leads has them."""
    words = data.words
    texts: list[list[str]] = [[] for _ in range(rows.num_rows)]
    for change in compare_reasons(pair_reasons(data.previous, rows)).to_pylist():
        text = words.text(CHANGE_WORDS, KINDS[change["kind"]], reason=change["sentence"])
        texts[change["row"]].append(text)
    return ["; ".join(lines) for lines in texts]


def _has_owners(rows: pa.Table) -> bool:
    return rows["owner"].null_count < rows.num_rows


def _write_change(value: object, previous: object, was: str) -> str:
    """Return a value, with the one of the night before where it was another."""
    changed = previous is not None and previous != value
    return f"{value} ({was} {previous})" if changed else str(value)


def _count_by_owner(data: PageData, groups: dict[str, pa.ChunkedArray]) -> Table:
    """Return a table of what each sales person has to do."""
    words, outcomes = data.words, name_outcomes(data)
    rows = pa.table({"target": data.scores["target"], "owner": data.scores["owner"]} | groups)
    sums = rows.group_by(["target", "owner"]).aggregate([(name, "sum") for name in groups])
    work = sorted(
        (row for row in sums.to_pylist() if any(row[f"{name}_sum"] for name in groups)),
        # Leads without an owner come last.
        key=lambda row: (
            data.targets.index(row["target"]),
            row["owner"] is None,
            row["owner"] or "",
        ),
    )
    caption = words.text(NAME, "by_owner", count=words.number(sum(r["listed_sum"] for r in work)))
    if len(work) > MAX_OWNERS:
        caption += " " + words.text(NAME, "first_shown", shown=words.number(MAX_OWNERS))
    first: Sequence[str] = ["owner", "target"] if _has_owners(rows) else ["target"]
    # A column of zeros says nothing.
    used = [name for name in groups if any(row[f"{name}_sum"] for row in work)]
    names = {"owner": words.text(NAME, "nobody")}
    cells = [
        [
            *(outcomes[row[key]] if key == "target" else row[key] or names[key] for key in first),
            *(words.number(row[f"{name}_sum"]) for name in used),
        ]
        for row in work[:MAX_OWNERS]
    ]
    headings = [words.text(NAME, key) for key in (*first, *(f"{name}_count" for name in used))]
    numeric = frozenset(range(len(first), len(headings)))
    return Table(caption, headings, cells, numeric, compact=True)
