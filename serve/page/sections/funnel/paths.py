"""The ways that leads go: which state followed each stage, how often and how soon."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from features.paths.states import WON
from serve.page.content.page_data import PageData
from serve.page.content.parts import Section, Table
from serve.page.content.words import PageWords
from serve.page.sections.funnel.sankey import Edge, lay_out_sankey
from serve.page.sections.funnel.texts import (
    GROUP,
    Row,
    get_tables,
    list_stages,
    name_state,
    write_amount,
    write_days,
    write_range,
)

NAME = "funnel_paths"
# Bands of the diagram, with that of all other paths.
MAX_EDGES = 15
KINDS = ("forward", "won", "back", "lost", "other")
# The state on both ends of the band of all other paths: no event type is empty.
OTHER_STATE = ""


def build_paths(data: PageData) -> Section | None:
    """Return the section: the most frequent paths as a diagram, and all as a table."""
    tables = get_tables(data)
    if tables is None or not tables.paths.num_rows:
        return None
    words, paths = data.words, tables.paths.to_pylist()
    stages = [row["stage"] for row in list_stages(tables)]
    edges = choose_edges(paths, stages)
    drawn = lay_out_sankey(edges, _order_names(edges, stages))
    kinds = [kind for kind in KINDS if any(edge.kind == kind for edge in edges)]
    names = {name: name_state(words, name) for edge in edges for name in (edge.source, edge.target)}
    names[OTHER_STATE] = words.text(NAME, "other")
    return Section(
        NAME,
        GROUP,
        words.text(NAME, "title"),
        " ".join([words.text(NAME, "sentence"), *_name_way_back(words, paths, stages)]),
        tables=[_list_paths(words, paths)],
        notes=[words.text(NAME, "compete")],
        template="funnel_paths.html.j2",
        values={
            "drawn": drawn,
            "kinds": {kind: words.text(NAME, kind) for kind in kinds},
            "names": names,
            "summary": "; ".join(
                f"{names[e.source]} → {names[e.target]}: {words.number(e.count)}" for e in edges
            ),
        },
    )


def choose_edges(paths: Sequence[Row], stages: Sequence[str]) -> list[Edge]:
    """Return the most frequent of PATHS as edges, and all others as one."""
    ordered = sorted(paths, key=lambda row: (-row["n"], row["from"], row["to"]))
    shown = ordered if len(ordered) <= MAX_EDGES else ordered[: MAX_EDGES - 1]
    edges = [Edge(row["from"], row["to"], row["n"], _name_kind(row, stages)) for row in shown]
    if rest := sum(row["n"] for row in ordered[len(shown) :]):
        edges.append(Edge(OTHER_STATE, OTHER_STATE, rest, "other"))
    return edges


def _name_kind(path: Row, stages: Sequence[str]) -> str:
    if path["to"] == WON:
        return "won"
    if path["to"] not in stages:
        return "lost"
    return "back" if stages.index(path["to"]) < stages.index(path["from"]) else "forward"


def _order_names(edges: Sequence[Edge], stages: Sequence[str]) -> list[str]:
    """Return the states from first to last: stages, the win, losses, and the other paths."""
    ends = [edge.target for edge in edges if edge.kind == "lost"]
    names = [*stages, WON, *ends, *(edge.source for edge in edges if edge.kind == "other")]
    return [*dict.fromkeys(names)]


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
    rows = [
        [
            name_state(words, row["from"]),
            name_state(words, row["to"]),
            words.number(row["n"]),
            write_range(words, row, "p30"),
            write_days(words, row["median_days"]),
            *[write_amount(words, row["value"])] * has_values,
        ]
        for row in sorted(paths, key=lambda row: -row["n"])
    ]
    headings = [words.text(NAME, f"{key}_heading") for key in keys]
    numeric = frozenset(range(2, len(keys)))
    return Table(words.text(NAME, "caption"), headings, rows, numeric, folded=True)
