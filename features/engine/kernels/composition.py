"""Kernel of compositions: the event types behind the value of a feature that covers several."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from features.engine.kernels.walk import EventHistory, is_visible
from features.tools.jit import jit_kernel

# Types that a composition lists; the events of all others are one number.
MAX_LISTED_TYPES = 4


class CompositionQueries(NamedTuple):
    """Ranges of events to count by type, one element per query.

    Attributes:
        first: position of the group's first event.
        end: position behind the last event before the cutoff.
        cutoff: int64 microseconds since 1970.
        excluded_member: the entity whose events do not count, -1 for none.
        span: length of the window in microseconds, NEVER_US for all of history.
        subject: row of the masks that say which events count.
        newest_only: only the newest event counts.
        output_row: the row of the output.
    """

    first: np.ndarray
    end: np.ndarray
    cutoff: np.ndarray
    excluded_member: np.ndarray
    span: np.ndarray
    subject: np.ndarray
    newest_only: np.ndarray
    output_row: np.ndarray


class SubjectMasks(NamedTuple):
    """Which events belong to each subject; one column per code + 1.

    Attributes:
        kinds: (subjects, event types + 1); an event belongs if its type does
        channels: (subjects, channels + 1); and its channel does too.
        listed: (event types + 1,) whether a type may be listed; column 0 never is.
    """

    kinds: np.ndarray
    channels: np.ndarray
    listed: np.ndarray


class CompositionOutputs(NamedTuple):
    """Arrays that the kernel fills, one row per query.

    Attributes:
        types: (queries, MAX_LISTED_TYPES) codes of the most frequent types, -1 for none.
        counts: (queries, MAX_LISTED_TYPES) events of each.
        rest: (queries,) events of all other types.
    """

    types: np.ndarray
    counts: np.ndarray
    rest: np.ndarray


@jit_kernel
def count_composition(
    history: EventHistory,
    queries: CompositionQueries,
    masks: SubjectMasks,
    outputs: CompositionOutputs,
) -> None:
    """Write the most frequent event types of each query; ties go to the lower code."""
    counts = np.zeros(masks.kinds.shape[1], np.int64)
    for query in range(len(queries.cutoff)):
        counts[:] = 0
        cutoff, subject = queries.cutoff[query], queries.subject[query]
        for event in range(queries.end[query] - 1, queries.first[query] - 1, -1):
            # Events are in the order of their times, so all earlier ones lie outside as well.
            if cutoff - history.time[event] > queries.span[query]:
                break
            if (
                history.member[event] == queries.excluded_member[query]
                or not masks.kinds[subject, history.kind[event] + 1]
                or not masks.channels[subject, history.channel[event] + 1]
                or not is_visible(history, event, cutoff)
            ):
                continue
            counts[history.kind[event] + 1] += 1
            if queries.newest_only[query]:
                break
        row = queries.output_row[query]
        for place in range(outputs.types.shape[1]):
            best = 0
            for kind in range(1, len(counts)):
                if masks.listed[kind] and counts[kind] > (counts[best] if best else 0):
                    best = kind
            outputs.types[row, place] = best - 1
            outputs.counts[row, place] = counts[best] if best else 0
            if best:
                counts[best] = 0
        outputs.rest[row] = counts.sum()
