"""Which figures a kernel computes of which subjects, and which column each goes to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

import numpy as np

from features.definitions.feature import AGGREGATES, CHANNEL_PREFIX, GROUP_PREFIX, TYPE_PREFIX, Feature
from features.definitions.vocabulary import Vocabulary
from features.tools.instants import NEVER_US, duration_to_microseconds
from features.tools.jit import jit_kernel

CODES = 128
"""Room for every code and one more for -1, the unknown."""


@dataclass(frozen=True)
class Plan:
    """What one kernel is asked for in one scope.

    A kernel gathers an array (``subjects``, ``slots``) a row; the element ``figure`` of it, laid flat, goes to the
    column ``column``, one a wanted feature; ``aggregate`` is its place among the kernel's aggregates. ``routes``
    has one table for each way in which an event is counted: (axis, subject of each code + 1 or -1), the axis being
    “any”, “kind” or “channel”. ``edges`` are the windows in microseconds, ascending, the last one all of history;
    ``near`` and ``far`` the places among them of each window and of its double, where trends are asked for.
    ``offsets`` is where an aggregate's slots begin.
    """

    subjects: int
    slots: int
    routes: tuple[tuple[str, np.ndarray], ...]
    figure: np.ndarray
    column: np.ndarray
    aggregate: np.ndarray
    edges: np.ndarray
    half_lives: np.ndarray
    near: np.ndarray
    far: np.ndarray
    offsets: dict[str, int]

    @classmethod
    def of(
        cls, offer: Vocabulary, features: Sequence[tuple[int, Feature]], aggregates: tuple[str, ...]
    ) -> Self | None:
        """Plan the features, each with its column, that are among a kernel's aggregates; None if there are none."""
        wanted = [
            (column, feature) for column, feature in features if feature.aggregate in aggregates
        ]
        if not wanted:
            return None
        used = {feature.subject for _, feature in wanted}
        if any(feature.aggregate == "share" for _, feature in wanted):
            used.add("any")  # what a share is of; it stands first
        names = [subject for subject in offer.subjects if subject in used]
        trends = any(feature.aggregate == "trend" for _, feature in wanted)
        spans = _spans(offer, trends)
        asked = {feature.aggregate for _, feature in wanted}
        offsets, slots = _layout(offer, aggregates, asked, len(spans))
        lengths: dict[str, list[timedelta | None]] = {
            "span": spans,
            "window": [*offer.windows],
            "half_life": [*offer.half_lives],
            "once": [None],
        }
        figure = [
            names.index(f.subject) * slots
            + offsets[f.aggregate]
            + lengths[AGGREGATES[f.aggregate].per].index(f.span)
            for _, f in wanted
        ]
        windows = offer.windows if trends else ()
        return cls(
            len(names),
            slots,
            tuple(_routes(offer, names)),
            np.array(figure),
            np.array([column for column, _ in wanted]),
            np.array([aggregates.index(feature.aggregate) for _, feature in wanted]),
            np.array([_window_edge(span) for span in spans]),
            np.array([duration_to_microseconds(length) for length in offer.half_lives], np.int64),
            np.array([spans.index(window) for window in windows], np.int64),
            np.array([spans.index(2 * window) for window in windows], np.int64),
            offsets,
        )

    @property
    def wanted(self) -> tuple[np.ndarray, np.ndarray]:
        """The figures that are wanted, and their columns."""
        return self.figure, self.column

    def state(self) -> np.ndarray:
        """Return an empty array for a kernel to gather in."""
        return np.zeros((self.subjects, self.slots))

    def slot(self, aggregate: str) -> int:
        """Return where an aggregate's slots begin, -1 if a kernel need not compute it."""
        return self.offsets[aggregate]

    def subjects_of(self, kind: np.ndarray, channel: np.ndarray) -> np.ndarray:
        """Return (events, ways of being counted) int8: as which subjects each event counts, -1 for none."""
        found = np.empty((len(kind), len(self.routes)), np.int8)
        for part, (axis, table) in enumerate(self.routes):
            if axis == "any":
                found[:, part] = table[0]
            else:
                _mark(kind if axis == "kind" else channel, table, found[:, part])
        return found


@jit_kernel
def _mark(code: np.ndarray, table: np.ndarray, found: np.ndarray) -> None:
    for event in range(len(code)):
        found[event] = table[code[event] + 1]


def _spans(offer: Vocabulary, doubled: bool) -> list[timedelta | None]:
    windows = {*offer.windows, *(2 * window for window in offer.windows if doubled)}
    return [*sorted(windows), None]


def _window_edge(span: timedelta | None) -> int:
    """Return the length of a window in microseconds; all of history (None) has no end."""
    return NEVER_US if span is None else duration_to_microseconds(span)


def _layout(
    offer: Vocabulary, aggregates: tuple[str, ...], asked: set[str], spans: int
) -> tuple[dict[str, int], int]:
    """Return where each aggregate's slots begin, and how many there are; a kernel's “once” slots always exist."""
    sizes = {
        "span": spans,
        "window": len(offer.windows),
        "half_life": len(offer.half_lives),
        "once": 1,
    }
    offsets, total = {}, 0
    for place, aggregate in enumerate(aggregates):
        per = AGGREGATES[aggregate].per
        needed = place == 0 or per == "once" or aggregate in asked
        offsets[aggregate] = total if needed else -1
        total += sizes[per] if needed else 0
    return offsets, total


def _routes(offer: Vocabulary, names: list[str]) -> list[tuple[str, np.ndarray]]:
    """Return a table for each way of being counted in which some wanted subject takes part."""
    tables = [
        ("any", {0: "any"}),
        ("kind", {code + 1: TYPE_PREFIX + name for code, name in enumerate(offer.types)}),
        ("channel", {code + 1: CHANNEL_PREFIX + name for code, name in enumerate(offer.channels)}),
        ("kind", {offer.types.index(name) + 1: GROUP_PREFIX + "outbound" for name in offer.outbound}),
        ("channel", {offer.channels.index(name) + 1: GROUP_PREFIX + "offline" for name in offer.offline}),
    ]
    found = []
    for axis, subjects in tables:
        table = np.full(CODES, -1, np.int8)
        for code, subject in subjects.items():
            table[code] = names.index(subject) if subject in names else -1
        if axis == "any":
            table[:] = table[0]
        if (table >= 0).any():
            found.append((axis, table))
    return found
