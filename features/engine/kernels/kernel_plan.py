"""Plan of a kernel: which aggregates of which subjects it computes, and their columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple, Self

import numpy as np

from features.definitions.feature import (
    AGGREGATES,
    CHANNEL_PREFIX,
    GROUP_PREFIX,
    TYPE_PREFIX,
    Feature,
)
from features.definitions.vocabulary import Vocabulary
from features.tools.instants import NEVER_US, duration_to_microseconds
from features.tools.jit import jit_kernel

# Room for every code: they are int8, at least -1, and shifted by one as an index.
ROUTE_TABLE_SIZE = 128


class Outputs(NamedTuple):
    """Where a kernel's state goes, one element per requested feature.

    Attributes:
        state_index: position in the state, laid flat.
        column: the column of the output.
    """

    state_index: np.ndarray
    column: np.ndarray


@dataclass(frozen=True)
class KernelPlan:
    """What one kernel computes in one scope.

    A kernel fills a state (``subjects``, ``slots``) for each row.

    Attributes:
        subjects: number of subjects.
        slots: number of slots of each subject.
        routes: one table for each way in which an event is counted: (axis, subject of each code + 1
            or -1), the axis being "any", "kind" or "channel".
        state_index: position in the flat state, one element per requested feature.
        column: column of the output, one element per requested feature.
        aggregate: position among the kernel's aggregates, one element per requested feature.
        window_edges: lengths of the windows in microseconds, ascending, the last one all of
            history.
        half_lives: half-lives in microseconds.
        near: where trends are requested, the position of each window among the edges.
        far: the position of the window twice as long as that in ``near``.
        offsets: the slot where each aggregate begins, -1 if it is not computed.
    """

    subjects: int
    slots: int
    routes: tuple[tuple[str, np.ndarray], ...]
    state_index: np.ndarray
    column: np.ndarray
    aggregate: np.ndarray
    window_edges: np.ndarray
    half_lives: np.ndarray
    near: np.ndarray
    far: np.ndarray
    offsets: dict[str, int]

    @classmethod
    def from_features(
        cls,
        vocabulary: Vocabulary,
        features: Sequence[tuple[int, Feature]],
        aggregates: tuple[str, ...],
    ) -> Self | None:
        """Plan the features, each with its column, that are among a kernel's aggregates.

        Returns None if there are none.
        """
        requested = [(column, f) for column, f in features if f.aggregate in aggregates]
        # A kernel without a plan is not run, so that its walk over the events costs nothing.
        if not requested:
            return None
        asked = {feature.aggregate for _, feature in requested}
        subjects = _list_subjects(vocabulary, [feature for _, feature in requested])
        spans = _list_spans(vocabulary, doubled="trend" in asked)
        offsets, slots = _lay_out_slots(vocabulary, aggregates, asked, len(spans))
        lengths: dict[str, list[timedelta | None]] = {
            "span": spans,
            "window": [*vocabulary.windows],
            "half_life": [*vocabulary.half_lives],
            "once": [None],
        }
        state_index = [
            subjects.index(f.subject) * slots
            + offsets[f.aggregate]
            + lengths[AGGREGATES[f.aggregate].per].index(f.span)
            for _, f in requested
        ]
        windows = vocabulary.windows if "trend" in asked else ()
        return cls(
            len(subjects),
            slots,
            tuple(_build_routes(vocabulary, subjects)),
            np.array(state_index),
            np.array([column for column, _ in requested]),
            np.array([aggregates.index(feature.aggregate) for _, feature in requested]),
            list_window_edges(spans),
            np.array([duration_to_microseconds(h) for h in vocabulary.half_lives], np.int64),
            np.array([spans.index(window) for window in windows], np.int64),
            np.array([spans.index(2 * window) for window in windows], np.int64),
            offsets,
        )

    @property
    def outputs(self) -> Outputs:
        """Return where the requested elements of the state go."""
        return Outputs(self.state_index, self.column)

    def new_state(self) -> np.ndarray:
        """Return an empty state for a kernel to fill."""
        return np.zeros((self.subjects, self.slots))

    def slot(self, aggregate: str) -> int:
        """Return the slot where an aggregate begins, -1 if it is not computed."""
        return self.offsets[aggregate]

    def find_subjects(self, kind: np.ndarray, channel: np.ndarray) -> np.ndarray:
        """Return the subjects as which each event counts, -1 for none; int8 (events, routes)."""
        # int8 is enough for two lists of 60 names (MAX_TYPES), "any" and two groups.
        subjects = np.empty((len(kind), len(self.routes)), np.int8)
        for route, (axis, table) in enumerate(self.routes):
            if axis == "any":
                subjects[:, route] = table[0]
            else:
                _look_up_subjects(kind if axis == "kind" else channel, table, subjects[:, route])
        return subjects


@jit_kernel
def _look_up_subjects(code: np.ndarray, table: np.ndarray, subjects: np.ndarray) -> None:
    for event in range(len(code)):
        subjects[event] = table[code[event] + 1]


def _list_subjects(vocabulary: Vocabulary, features: list[Feature]) -> list[str]:
    """Return the subjects to count, in the vocabulary's order."""
    used = {feature.subject for feature in features}
    if any(feature.aggregate == "share" for feature in features):
        used.add("any")  # the denominator of shares; it stands first
    return [subject for subject in vocabulary.subjects if subject in used]


def _list_spans(vocabulary: Vocabulary, doubled: bool) -> list[timedelta | None]:
    """Return the windows, with ``doubled`` those twice as long too, and None for all of history."""
    # A trend needs them: the count of the window before is the double's less the window's own.
    doubles = {2 * window for window in vocabulary.windows if doubled}
    return [*sorted({*vocabulary.windows, *doubles}), None]


def list_window_edges(spans: Sequence[timedelta | None]) -> np.ndarray:
    """Return lengths of windows in microseconds, int64; all of history (None) has no end."""
    edges = [NEVER_US if span is None else duration_to_microseconds(span) for span in spans]
    return np.array(edges, np.int64)


def _lay_out_slots(
    vocabulary: Vocabulary, aggregates: tuple[str, ...], asked: set[str], spans: int
) -> tuple[dict[str, int], int]:
    """Return the slot where each aggregate begins, and the number of slots.

    The slots of a kernel's first aggregate and of those computed "once" always exist.
    """
    sizes = {
        "span": spans,
        "window": len(vocabulary.windows),
        "half_life": len(vocabulary.half_lives),
        "once": 1,
    }
    # Kernels write to these slots without a check, and to any other only if it is requested.
    offsets, total = {}, 0
    for place, aggregate in enumerate(aggregates):
        per = AGGREGATES[aggregate].per
        is_needed = place == 0 or per == "once" or aggregate in asked
        offsets[aggregate] = total if is_needed else -1
        total += sizes[per] if is_needed else 0
    return offsets, total


def _build_routes(vocabulary: Vocabulary, subjects: list[str]) -> list[tuple[str, np.ndarray]]:
    """Return a table for each way of being counted that leads to any of the subjects."""
    types, channels = vocabulary.types, vocabulary.channels
    outbound, offline = GROUP_PREFIX + "outbound", GROUP_PREFIX + "offline"
    candidates = [
        ("any", {0: "any"}),
        ("kind", {code + 1: TYPE_PREFIX + name for code, name in enumerate(types)}),
        ("channel", {code + 1: CHANNEL_PREFIX + name for code, name in enumerate(channels)}),
        ("kind", {types.index(name) + 1: outbound for name in vocabulary.outbound}),
        ("channel", {channels.index(name) + 1: offline for name in vocabulary.offline}),
    ]
    routes = []
    for axis, subject_of in candidates:
        table = np.full(ROUTE_TABLE_SIZE, -1, np.int8)
        for code, subject in subject_of.items():
            table[code] = subjects.index(subject) if subject in subjects else -1
        if axis == "any":
            table[:] = table[0]
        if (table >= 0).any():
            routes.append((axis, table))
    return routes
