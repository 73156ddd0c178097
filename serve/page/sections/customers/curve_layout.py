"""Layout of the curve from stranger to advocate, in two halves: before and after the win.

Each half is an SVG with WIDTH × HEIGHT units, so that a phone shows one below the other. States lie
on a logistic curve that begins at the first stage and ends at the advocates; those at risk and
those who have lapsed lie below it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import wrap

WIDTH, HEIGHT, LINE = 480, 340, 16
# Upper and lower end of the curve, and where those lie who fell off it.
TOP, BOTTOM, BELOW = 86, 270, 276
STEEPNESS = 4.0
# Places of states in a half, from its inner end at 0 to its outer one at 1.
INNER, OUTER = 0.11, 0.9
ON_CURVE = ("onboarding", "active", "returned", "advocate")
OFF_CURVE = {"at_risk": 0.3, "lapsed": 0.66}
MIN_RADIUS, MAX_RADIUS = 6.0, 26.0
MIN_STROKE, MAX_STROKE = 1.5, 11.0
# Flows that are drawn: the largest; a table has all.
MAX_FLOWS = 9
# How far a flow bends aside, as a share of its length, so that two ways between states differ.
BEND = 0.16
ARROW = 9.0
MAX_LINES, LINE_LENGTH = 2, 13


@dataclass(frozen=True)
class CurveNode:
    """A state on the curve or below it; places are in the units of the SVG.

    Attributes:
        name: Name of the state.
        lines: Its label in lines.
        count: Leads or customers in it.
        x: Centre of its circle.
        y: Centre of its circle.
        radius: Radius of its circle, whose area grows with the count.
        label_y: Base line of the first line of the label.
    """

    name: str
    lines: tuple[str, ...]
    count: int
    x: float
    y: float
    radius: float
    label_y: float


@dataclass(frozen=True)
class CurveFlow:
    """Customers who went from one state to another.

    Attributes:
        source: Name of the state of before.
        target: Name of the state of now.
        count: How many.
        kind: ``along``, ``down`` or ``back``; the name of its colour.
        path: The way as an SVG path, to the base of the arrow's head.
        head: Corners of the arrow's head.
        width: Width of the line.
        x: Place of its count.
        y: Place of its count.
    """

    source: str
    target: str
    count: int
    kind: str
    path: str
    head: str
    width: float
    x: float
    y: float


@dataclass(frozen=True)
class CurveHalf:
    """A half of the curve: ``line`` is its path."""

    line: str
    nodes: Sequence[CurveNode]
    flows: Sequence[CurveFlow]


def lay_out_halves(
    stages: Mapping[str, int],
    states: Mapping[str, int],
    flows: Mapping[tuple[str, str], int],
    labels: Mapping[str, str],
) -> list[CurveHalf]:
    """Return the half of the leads, where ``stages`` are given, and that of the customers.

    ``stages`` and ``states`` count leads and customers; ``flows`` count customers by the states of
    before and of now.
    """
    largest = max([*stages.values(), *states.values()], default=0)
    halves = []
    if stages:
        nodes = [
            _place_node(name, stages[name], labels, largest, _spread_places(place, len(stages)) - 1)
            for place, name in enumerate(stages)
        ]
        halves.append(CurveHalf(_draw_line(-1, 0), nodes, ()))
    nodes = [
        _place_node(name, states[name], labels, largest, _spread_places(place, len(ON_CURVE)))
        for place, name in enumerate(ON_CURVE)
    ]
    nodes += [
        _place_node(name, states[name], labels, largest, share, BELOW)
        for name, share in OFF_CURVE.items()
    ]
    halves.append(CurveHalf(_draw_line(0, 1), nodes, _draw_flows(nodes, flows)))
    return halves


def _spread_places(place: int, size: int) -> float:
    return INNER + (OUTER - INNER) * place / max(size - 1, 1)


def _find_height(share: float) -> float:
    """Return the y of the curve at −1 (the first stage) to 1 (the advocates)."""
    return BOTTOM - (BOTTOM - TOP) / (1 + math.exp(-STEEPNESS * share))


def _draw_line(start: float, end: float) -> str:
    steps = [start + (end - start) * step / 24 for step in range(25)]
    points = [f"{(share - start) * WIDTH:.1f} {_find_height(share):.1f}" for share in steps]
    return "M" + "L".join(points)


def _place_node(
    name: str,
    count: int,
    labels: Mapping[str, str],
    largest: int,
    share: float,
    below: float | None = None,
) -> CurveNode:
    """Return a node at a share of the curve, or of the width on the line ``below``."""
    lines = tuple(wrap(labels[name], LINE_LENGTH, max_lines=MAX_LINES, placeholder="…"))
    size = math.sqrt(count / largest) if largest else 0.0
    radius = MIN_RADIUS + (MAX_RADIUS - MIN_RADIUS) * size if count else 0.0
    x, y = share % 1 * WIDTH, _find_height(share) if below is None else below
    # The count stands below the lines of the name; names above the curve, and below it.
    label_y = y - radius - 8 - LINE * len(lines) if below is None else y + radius + LINE
    return CurveNode(
        name, lines, count, round(x, 1), round(y, 1), round(radius, 1), round(label_y, 1)
    )


def _draw_flows(
    nodes: Sequence[CurveNode], flows: Mapping[tuple[str, str], int]
) -> Sequence[CurveFlow]:
    """Return the largest flows, the thin ones last, over the thick ones."""
    places = {node.name: node for node in nodes}
    moves = [
        (source, target, count)
        for (source, target), count in flows.items()
        if source != target and source in places and target in places and count
    ]
    moves.sort(key=lambda move: (-move[2], move[:2]))
    largest = moves[0][2] if moves else 1
    return [
        _draw_flow(places[source], places[target], count, largest)
        for source, target, count in moves[:MAX_FLOWS]
    ]


def _draw_flow(source: CurveNode, target: CurveNode, count: int, largest: int) -> CurveFlow:
    length = math.hypot(target.x - source.x, target.y - source.y)
    dx, dy = (target.x - source.x) / length, (target.y - source.y) / length
    width = max(MAX_STROKE * count / largest, MIN_STROKE)
    # From edge to edge of the circles; the head is as long as ARROW, and wider than the line.
    start, end = source.radius + 2, length - target.radius - 2
    base = end - ARROW

    def find_point(along: float, aside: float) -> tuple[float, float]:
        return source.x + dx * along - dy * aside, source.y + dy * along + dx * aside

    bend = BEND * length
    middle = find_point((start + base) / 2, 2 * bend)
    (x0, y0), (x1, y1) = find_point(start, 0), find_point(base, 0)
    half = max(width / 2 + 3, 4.5)
    corners = [find_point(end, 0), find_point(base, half), find_point(base, -half)]
    x, y = find_point((start + base) / 2, bend)
    return CurveFlow(
        source.name,
        target.name,
        count,
        name_kind(source.name, target.name),
        f"M{x0:.1f} {y0:.1f}Q{middle[0]:.1f} {middle[1]:.1f} {x1:.1f} {y1:.1f}",
        " ".join(f"{a:.1f},{b:.1f}" for a, b in corners),
        round(width, 1),
        round(x, 1),
        round(y, 1),
    )


def name_kind(source: str, target: str) -> str:
    """Return whether customers fell off the curve, came back to it, or went along it."""
    if target in OFF_CURVE:
        return "down"
    return "back" if source in OFF_CURVE else "along"
