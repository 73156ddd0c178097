"""Layout of a flow diagram: from each stage on the left to what followed on the right.

Left and right are separate, so that ways back are bands like any other. Across, a band goes from 0
to WIDTH and is stretched to the place there is; its height is in pixels. Names stand beside the
diagram, each at the middle of its node.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import wrap

# Pixels of the larger side together, of the least distance of two nodes, and of a line of text.
HEIGHT, GAP, LINE = 360, 12, 17
WIDTH = 100
MIN_BAND = 1.0
# A name has at most so many lines, of so many characters.
MAX_LINES, LINE_LENGTH = 2, 14


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
    """A state on one side of the diagram.

    Attributes:
        name: Name of the state.
        lines: Its label in lines.
        count: All leads that came to it, drawn or not.
        y: Upper end in pixels.
        height: Height in pixels, that of all its leads.
        label_y: Base line of the first line of the label, in pixels.
    """

    name: str
    lines: tuple[str, ...]
    count: int
    y: float
    height: float
    label_y: float


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


def lay_out_sankey(
    edges: Sequence[Edge],
    left: Mapping[str, int],
    right: Mapping[str, int],
    labels: Mapping[str, str],
) -> Sankey:
    """Return the diagram of edges; ``left`` and ``right`` are all leads of each node, in order.

    A node is as high as all its leads, so that what is left free of bands is not drawn.
    """
    scale = HEIGHT / max(sum(left.values()), sum(right.values()), 1)
    size = {edge: max(edge.count * scale, MIN_BAND) for edge in edges}
    place = {name: at for at, name in enumerate([*left, *right])}
    leaving, arriving = dict.fromkeys(left, 0.0), dict.fromkeys(right, 0.0)
    for edge in edges:
        leaving[edge.source] += size[edge]
        arriving[edge.target] += size[edge]
    starts = _stack_nodes(left, leaving, scale, labels)
    ends = _stack_nodes(right, arriving, scale, labels)
    # Bands leave and arrive in the order of the other side, so that few of them cross.
    ordered = sorted(edges, key=lambda edge: (place[edge.source], place[edge.target]))
    start, end = ({node.name: node.y for node in side} for side in (starts, ends))
    bands = []
    for edge in ordered:
        bands.append(Band(edge, _draw_outline(start[edge.source], end[edge.target], size[edge])))
        start[edge.source] += size[edge]
        end[edge.target] += size[edge]
    # The thin ones are drawn last, over the thick ones.
    bands.sort(key=lambda band: -band.edge.count)
    height = max(_find_end(node) for node in (*starts, *ends))
    return Sankey(starts, ends, bands, round(height, 1))


def _stack_nodes(
    counts: Mapping[str, int],
    needed: Mapping[str, float],
    scale: float,
    labels: Mapping[str, str],
) -> list[Node]:
    """Return nodes from above; each has the place that its bar or its label needs."""
    nodes, y = list[Node](), 0.0
    for name, count in counts.items():
        lines = tuple(wrap(labels[name], LINE_LENGTH, max_lines=MAX_LINES, placeholder="…"))
        height, text = max(count * scale, needed[name], MIN_BAND), LINE * (len(lines) + 1)
        slot = max(height, text)
        top = y + (slot - height) / 2
        label_y = y + (slot - text) / 2 + 0.75 * LINE
        nodes.append(Node(name, lines, count, top, height, round(label_y, 1)))
        y += slot + GAP
    return nodes


def _find_end(node: Node) -> float:
    """Return the lower end of a node with its label."""
    return max(node.y + node.height, node.label_y + LINE * len(node.lines) + 0.25 * LINE)


def _draw_outline(start: float, end: float, size: float) -> str:
    a, b, c, d = (f"{y:.1f}" for y in (start, end, end + size, start + size))
    half = WIDTH // 2
    return f"M0 {a}C{half} {a} {half} {b} {WIDTH} {b}L{WIDTH} {c}C{half} {c} {half} {d} 0 {d}Z"
