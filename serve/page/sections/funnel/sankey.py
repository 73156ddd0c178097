"""Layout of a flow diagram: from each stage on the left to what followed on the right.

Left and right are separate, so that ways back are bands like any other. Across, a band goes from 0
to WIDTH and is stretched to the place there is; its height is in pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# Pixels of all leads together, and of the gap above a node, where its name stands.
HEIGHT, GAP = 360, 24
WIDTH = 100
MIN_BAND = 1.0


@dataclass(frozen=True)
class Edge:
    """Leads that went from one state to another.

    Attributes:
        source: Name of the state that they left.
        target: Name of the state that followed.
        count: How many.
        kind: What the move was; the name of its colour.
    """

    source: str
    target: str
    count: int
    kind: str


@dataclass(frozen=True)
class Node:
    """A state on one side of the diagram: its upper end and its height, in pixels."""

    name: str
    count: int
    y: float
    height: float


@dataclass(frozen=True)
class Band:
    """A drawn edge, with its outline as an SVG path."""

    edge: Edge
    path: str


@dataclass(frozen=True)
class Sankey:
    """A laid out diagram; ``height`` is in pixels."""

    left: Sequence[Node]
    right: Sequence[Node]
    bands: Sequence[Band]
    height: float


def lay_out_sankey(edges: Sequence[Edge], names: Sequence[str]) -> Sankey:
    """Return the diagram of at least one edge; nodes are in the order of ``names``."""
    scale = HEIGHT / sum(edge.count for edge in edges)
    size = {edge: max(edge.count * scale, MIN_BAND) for edge in edges}
    place = {name: at for at, name in enumerate(names)}
    left = _stack_nodes([(edge.source, edge.count, size[edge]) for edge in edges], names)
    right = _stack_nodes([(edge.target, edge.count, size[edge]) for edge in edges], names)
    # Bands leave and arrive in the order of the other side, so that few of them cross.
    ordered = sorted(edges, key=lambda edge: (place[edge.source], place[edge.target]))
    start = {node.name: node.y for node in left}
    end = {node.name: node.y for node in right}
    bands = []
    for edge in ordered:
        bands.append(Band(edge, _draw_outline(start[edge.source], end[edge.target], size[edge])))
        start[edge.source] += size[edge]
        end[edge.target] += size[edge]
    height = max(node.y + node.height for node in (*left, *right))
    return Sankey(left, right, bands, round(height, 1))


def _stack_nodes(parts: Sequence[tuple[str, int, float]], names: Sequence[str]) -> list[Node]:
    nodes, y = list[Node](), 0.0
    for name in names:
        own = [(count, size) for state, count, size in parts if state == name]
        if own:
            height = sum(size for _, size in own)
            nodes.append(Node(name, sum(count for count, _ in own), y + GAP, height))
            y += GAP + height
    return nodes


def _draw_outline(start: float, end: float, size: float) -> str:
    a, b, c, d = (f"{y:.1f}" for y in (start, end, end + size, start + size))
    half = WIDTH // 2
    return f"M0 {a}C{half} {a} {half} {b} {WIDTH} {b}L{WIDTH} {c}C{half} {c} {half} {d} 0 {d}Z"
