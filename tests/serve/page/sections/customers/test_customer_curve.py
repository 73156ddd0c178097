"""The curve from stranger to advocate: its counts, and where states and ways lie."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.customers.result import CustomerTables
from models.customers.states import STATES
from serve.page.content.page_data import PageData
from serve.page.sections.customers.curve import build_customer_curve
from serve.page.sections.customers.curve_layout import (
    HEIGHT,
    LINE,
    MAX_FLOWS,
    MAX_RADIUS,
    OFF_CURVE,
    ON_CURVE,
    WIDTH,
    lay_out_halves,
    name_kind,
)
from tests.serve.page.sections.customers.test_customer_sections import customers, make

__all__ = ["customers", "make"]
Make = Callable[..., PageData]
STAGES = ("created", "mql", "sales_accepted", "opportunity", "proposal")
LABELS = {name: name.replace("_", " ") for name in (*STAGES, *STATES)}


@pytest.mark.parametrize("language", ["en", "ru"])
def test_curve_counts_states_and_moves(
    make: Make, customers: CustomerTables, language: str
) -> None:
    data = make(customers, language)
    section = build_customer_curve(data)
    assert section is not None
    rows = customers.list_rows("customer_states")
    nodes = {node.name: node.count for node in section.values["halves"][-1].nodes}
    assert nodes == {row["state"]: row["customers"] for row in rows}
    assert len(section.values["captions"]) == len(section.values["halves"])
    flows = customers.list_rows("customer_flows")
    won = sum(row["customers"] for row in flows if row["from"] == "stranger")
    assert data.words.number(won) in section.sentence
    drawn = {(f.source, f.target): f.count for f in section.values["halves"][-1].flows}
    counts = {(row["from"], row["to"]): row["customers"] for row in flows}
    assert drawn and all(counts[way] == count for way, count in drawn.items())
    assert "{" not in section.title + section.sentence + "".join(section.notes)


def test_curve_is_absent_without_customers(make: Make) -> None:
    assert build_customer_curve(make(None)) is None


@given(
    st.lists(st.integers(0, 5_000), min_size=5, max_size=5),
    st.lists(st.integers(0, 5_000), min_size=6, max_size=6),
    st.dictionaries(
        st.tuples(st.sampled_from(STATES), st.sampled_from(STATES)), st.integers(0, 900)
    ),
)
def test_nodes_and_ways_lie_within_the_drawing(
    leads: list[int], held: list[int], flows: dict[tuple[str, str], int]
) -> None:
    stages, states = (dict(zip(*pair, strict=True)) for pair in ((STAGES, leads), (STATES, held)))
    before, after = lay_out_halves(stages, states, flows, LABELS)
    for half in (before, after):
        for node in half.nodes:
            assert node.radius <= node.x <= WIDTH - node.radius
            assert node.label_y >= LINE / 2
            assert node.label_y + LINE * len(node.lines) <= HEIGHT
            assert node.radius <= MAX_RADIUS and (node.radius > 0) == (node.count > 0)
        for left, right in pairwise(half.nodes[: len(ON_CURVE)]):
            # To the right and up: y grows downwards.
            assert left.x < right.x and left.y > right.y
    curve = [*before.nodes, *after.nodes[: len(ON_CURVE)]]
    assert [node.name for node in curve] == [*STAGES, *ON_CURVE]
    real = {way: n for way, n in flows.items() if n and way[0] != way[1]}
    assert len(after.flows) == min(len(real), MAX_FLOWS)
    least = min((flow.count for flow in after.flows), default=0)
    assert all(n <= least for way, n in real.items() if way not in {
        (flow.source, flow.target) for flow in after.flows
    })  # fmt: skip
    places = {node.name: node for node in after.nodes}
    for flow in after.flows:
        tip = [float(value) for value in flow.head.split()[0].split(",")]
        target = places[flow.target]
        away = math.dist(tip, (target.x, target.y))
        assert away == pytest.approx(target.radius + 2, abs=0.2)


def test_kinds_of_ways_follow_the_curve() -> None:
    for source in STATES:
        for target in STATES:
            kind = "down" if target in OFF_CURVE else "back" if source in OFF_CURVE else "along"
            assert name_kind(source, target) == kind
    assert {*ON_CURVE, *OFF_CURVE} == {*STATES}
