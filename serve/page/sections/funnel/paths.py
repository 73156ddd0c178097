"""The ways that leads go: which state followed each stage, how often and how soon."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from features.paths.states import WON
from serve.page.content.page_data import PageData
from serve.page.content.parts import Section, Table
from serve.page.content.words import PageWords
from serve.page.sections.funnel.sankey import Edge, Sankey, lay_out_sankey
from serve.page.sections.funnel.texts import (
    GROUP,
    Row,
    choose_time_unit,
    get_tables,
    list_stages,
    name_state,
    write_amount,
    write_days,
    write_range,
)

NAME = "funnel_paths"
# Bands of the diagram; it would not be read with more.
MAX_EDGES = 20
KINDS = ("forward", "won", "back", "lost", "open")
# The node of those who are still in their stage: no event type is empty.
STILL_THERE = ""


def build_paths(data: PageData) -> Section | None:
    """Return the section: the most frequent paths as a diagram, and all as a table."""
    tables = get_tables(data)
    if tables is None or not tables.paths.num_rows:
        return None
    words, paths, stages = data.words, tables.paths.to_pylist(), list_stages(tables)
    names = [row["stage"] for row in stages]
    edges = choose_edges(paths, stages)
    labels = {
        state: name_state(words, state) for row in paths for state in (row["from"], row["to"])
    }
    labels |= {name: name_state(words, name) for name in names}
    labels[STILL_THERE] = words.text(NAME, "still_there")
    return Section(
        NAME,
        GROUP,
        words.text(NAME, "title"),
        " ".join([words.text(NAME, "sentence"), *_name_way_back(words, paths, names)]),
        tables=[_list_paths(words, paths)],
        notes=[*_count_rest(words, paths, edges), words.text(NAME, "compete")],
        template="funnel_paths.html.j2",
        values={
            "drawn": _lay_out(paths, stages, edges, labels),
            "kinds": {
                kind: words.text(NAME, "still_there" if kind == "open" else kind)
                for kind in KINDS
                if any(edge.kind == kind for edge in edges)
            },
            "names": labels,
            "summary": "; ".join(
                f"{labels[e.source]} → {labels[e.target]}: {words.number(e.count)}" for e in edges
            ),
        },
    )


def choose_edges(paths: Sequence[Row], stages: Sequence[Row]) -> list[Edge]:
    """Return the bands: those who are still in a stage, and the most frequent of PATHS.

    Each state that leads came to has its largest band, as far as there is place for all.
    """
    names = [row["stage"] for row in stages]
    ordered = sorted(paths, key=lambda row: (-row["n"], row["from"], row["to"]))
    largest = {row["to"]: row["from"] for row in reversed(ordered)}
    ordered.sort(key=lambda row: largest[row["to"]] != row["from"])
    open_ones = [
        Edge(row["stage"], STILL_THERE, row["open"], "open") for row in stages if row["open"]
    ]
    moves = [
        Edge(row["from"], row["to"], row["n"], _name_kind(row, names))
        for row in ordered[:MAX_EDGES]
    ]
    return [*moves, *open_ones]


def _lay_out(
    paths: Sequence[Row], stages: Sequence[Row], edges: Sequence[Edge], labels: Mapping[str, str]
) -> Sankey:
    """Return the diagram; its nodes count all leads, as the tables do."""
    came: dict[str, int] = {}
    for row in paths:
        came[row["to"]] = came.get(row["to"], 0) + row["n"]
    names = [row["stage"] for row in stages]
    drawn = {edge.target for edge in edges}
    losses = sorted((name for name in drawn if name not in (*names, WON, STILL_THERE)),
                    key=lambda name: -came[name])  # fmt: skip
    still = sum(edge.count for edge in edges if edge.target == STILL_THERE)
    right = {name: came[name] for name in (*names, WON, *losses) if name in drawn}
    if still:
        right[STILL_THERE] = still
    return lay_out_sankey(edges, {row["stage"]: row["entered"] for row in stages}, right, labels)


def _count_rest(words: PageWords, paths: Sequence[Row], edges: Sequence[Edge]) -> Iterator[str]:
    """Yield a sentence on the paths that are not drawn, if there are any."""
    drawn = {(edge.source, edge.target) for edge in edges}
    rest = [row["n"] for row in paths if (row["from"], row["to"]) not in drawn]
    if rest:
        ways, leads = words.number(len(rest)), words.number(sum(rest))
        yield words.text(NAME, "rest", ways=ways, n=leads)


def _name_kind(path: Row, stages: Sequence[str]) -> str:
    if path["to"] == WON:
        return "won"
    if path["to"] not in stages:
        return "lost"
    return "back" if stages.index(path["to"]) < stages.index(path["from"]) else "forward"


def _name_way_back(words: PageWords, paths: Sequence[Row], stages: Sequence[str]) -> Iterator[str]:
    """Yield a sentence on the most frequent way back, if there is one."""
    back = [row for row in paths if _name_kind(row, stages) == "back"]
    if back:
        most = max(back, key=lambda row: row["n"])
        values = {key: name_state(words, most[key]) for key in ("from", "to")}
        share = words.percent(most["p30"])
        yield words.text(NAME, "way_back", n=words.number(most["n"]), share=share, **values)


def _list_paths(words: PageWords, paths: Sequence[Row]) -> Table:
    has_values = any(row["value"] is not None for row in paths)
    keys = ["from", "to", "n", "p30", "median_days", *["value"] * has_values]
    unit = choose_time_unit(row["median_days"] for row in paths)
    rows = [
        [
            name_state(words, row["from"]),
            name_state(words, row["to"]),
            words.number(row["n"]),
            write_range(words, row, "p30"),
            write_days(words, row["median_days"], unit),
            *[write_amount(words, row["value"])] * has_values,
        ]
        for row in sorted(paths, key=lambda row: -row["n"])
    ]
    headings = [words.text(NAME, f"{key}_heading") for key in keys]
    numeric = frozenset(range(2, len(keys)))
    return Table(words.text(NAME, "caption"), headings, rows, numeric, folded=True)
