"""Compositions: how many events of each type are behind a feature that covers several types."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import pyarrow as pa

from features.contracts import Dataset
from features.definitions.feature import CHANNEL_PREFIX, GROUP_PREFIX
from features.definitions.semantics import Meaning
from features.definitions.vocabulary import Vocabulary
from features.engine.event_log import EventLog, group_by_account
from features.engine.kernels.composition import (
    MAX_LISTED_TYPES,
    CompositionOutputs,
    CompositionQueries,
    SubjectMasks,
    count_composition,
)
from features.engine.kernels.walk import AsOfLookups, EventHistory
from features.engine.lead_index import LeadIndex
from features.tools.instants import NEVER_US, column_to_microseconds, duration_to_microseconds

# Feature values that a spine row counts as when shards are cut: a shard then has at most 10,000
# rows, so that a batch of the scoring loads few shards that belong to other batches.
CELLS_PER_ROW = 400


@dataclass(frozen=True)
class Compositions:
    """The most frequent event types behind feature values, one row per value.

    Attributes:
        types: (values, MAX_LISTED_TYPES) positions in the vocabulary's types, most frequent first,
            ties by position; -1 where there are fewer types.
        counts: (values, MAX_LISTED_TYPES) events of each.
        rest: (values,) events of all other types, of those that the vocabulary lacks, and of those
            that are not listed.
    """

    types: np.ndarray
    counts: np.ndarray
    rest: np.ndarray

    @classmethod
    def allocate(cls, size: int) -> Self:
        """Return empty compositions of ``size`` values."""
        shape = (size, MAX_LISTED_TYPES)
        return cls(np.full(shape, -1), np.zeros(shape, np.int64), np.zeros(size, np.int64))


@dataclass(frozen=True)
class EventCompositions:
    """The events behind the features of spine rows, ready to be counted by type.

    Attributes:
        vocabulary: event types and channels of the features.
        unlisted: event types that are only counted among the rest.
        index: index of the leads.
        log: events.
        position: position of each spine row's entity in the index.
        cutoff: cutoff of each spine row, int64 microseconds since 1970.
    """

    vocabulary: Vocabulary
    unlisted: frozenset[str]
    index: LeadIndex
    log: EventLog
    position: np.ndarray
    cutoff: np.ndarray

    @classmethod
    def from_dataset(
        cls,
        dataset: Dataset,
        spine: pa.Table,
        vocabulary: Vocabulary,
        unlisted: frozenset[str] = frozenset(),
    ) -> Self:
        """Read the events of a data set for the rows of a spine, whose entities are leads of it."""
        index = LeadIndex.from_leads(dataset.leads, dataset.lead_ids, dataset.merges)
        position = index.position[dataset.find_leads(spine["entity_id"])]
        rows_of_account = np.bincount(index.account[position], minlength=len(index.account))
        # Most leads are closed in most companies: events of accounts without a row are left out.
        is_used = rows_of_account[index.account[index.position]] > 0
        used = replace(index, position=np.where(is_used, index.position, -1))
        cells = CELLS_PER_ROW * np.bincount(position, minlength=len(index.account))
        log = EventLog.from_dataset(dataset, used, vocabulary, cells)
        return cls(
            vocabulary, unlisted, index, log, position, column_to_microseconds(spine["cutoff"])
        )

    def take(self, rows: np.ndarray) -> Self:
        """Return the same events for some of the spine rows, in the order of ``rows``."""
        return replace(self, position=self.position[rows], cutoff=self.cutoff[rows])

    def order_rows(self) -> np.ndarray:
        """Return the spine rows in the order of the log's shards."""
        return np.argsort(self.position, kind="stable")

    def count_types(
        self, rows: np.ndarray, meanings: Sequence[Meaning], meaning_of_row: np.ndarray
    ) -> Compositions:
        """Count by type the events behind the value of one feature in each of some spine rows.

        ``meaning_of_row`` holds for each element of ``rows`` a position in ``meanings``; each of
        these satisfies ``Meaning.has_composition``. The events are those that the feature sees:
        known before the cutoff, of its scope, subject and window ``[cutoff - w, cutoff)``. Of the
        time since the last event it is that event alone, at ties the last one in the log's order.
        """
        result = Compositions.allocate(len(rows))
        if not len(rows):
            return result
        shard = np.searchsorted(self.log.shard_starts, self.position[rows], "right") - 1
        is_own = np.array([meaning.scope == "entity" for meaning in meanings])[meaning_of_row]
        masks, outputs = self._build_masks(meanings), CompositionOutputs(**vars(result))
        for number in np.unique(shard).tolist():
            own = self.log.sorted_shard(number)
            # Events are grouped by account only if a feature reads whole accounts.
            for selected, group_events in (
                (is_own, self._group_by_lead),
                (~is_own, self._group_by_account),
            ):
                places = np.flatnonzero((shard == number) & selected)
                if len(places):
                    history, group = group_events(own, number)
                    queries = self._find_events(
                        history, group, number, rows[places], meanings, meaning_of_row[places]
                    )
                    count_composition(history, queries._replace(output_row=places), masks, outputs)
        return result

    def _build_masks(self, meanings: Sequence[Meaning]) -> SubjectMasks:
        """Return the events that belong to the subject of each meaning."""
        vocabulary = self.vocabulary
        kinds = np.ones((len(meanings), len(vocabulary.types) + 1), bool)
        channels = np.ones((len(meanings), len(vocabulary.channels) + 1), bool)
        for row, meaning in enumerate(meanings):
            if meaning.subject == GROUP_PREFIX + "outbound":
                kinds[row] = _mask_codes(vocabulary.types, vocabulary.outbound)
            elif meaning.subject == GROUP_PREFIX + "offline":
                channels[row] = _mask_codes(vocabulary.channels, vocabulary.offline)
            elif meaning.subject.startswith(CHANNEL_PREFIX):
                channel = meaning.subject.removeprefix(CHANNEL_PREFIX)
                channels[row] = _mask_codes(vocabulary.channels, (channel,))
        listed = [name for name in vocabulary.types if name not in self.unlisted]
        return SubjectMasks(kinds, channels, _mask_codes(vocabulary.types, listed))

    def _group_by_lead(self, own: EventHistory, number: int) -> tuple[EventHistory, np.ndarray]:
        """Return a shard's events, which are grouped by lead, and the group of each lead."""
        first, end = self.log.shard_starts[number : number + 2]
        return own, np.arange(end - first)

    def _group_by_account(self, own: EventHistory, number: int) -> tuple[EventHistory, np.ndarray]:
        """Return a shard's events grouped by account, and the group of each of its leads."""
        first, end = self.log.shard_starts[number : number + 2]
        account = self.index.account[first:end] - self.index.account[first]
        known_at, ends = self.index.known_at[first:end], self.index.ends[first:end]
        return group_by_account(own, account, known_at, ends), account

    def _find_events(
        self,
        history: EventHistory,
        group: np.ndarray,
        number: int,
        rows: np.ndarray,
        meanings: Sequence[Meaning],
        meaning_of_row: np.ndarray,
    ) -> CompositionQueries:
        """Return the queries of some spine rows of a shard, whose outputs are numbered from 0."""
        member = self.position[rows] - self.log.shard_starts[number]
        lookups = AsOfLookups.find(
            history, group[member], self.cutoff[rows], np.arange(len(rows), dtype=np.int64)
        )
        is_peers = np.array([meaning.scope == "others" for meaning in meanings])
        spans = [
            duration_to_microseconds(meaning.span) if meaning.span else NEVER_US
            for meaning in meanings
        ]
        return CompositionQueries(
            lookups.first,
            lookups.end,
            lookups.cutoff,
            np.where(is_peers[meaning_of_row], member, -1),
            np.array(spans, np.int64)[meaning_of_row],
            meaning_of_row,
            np.array([meaning.key == "age" for meaning in meanings])[meaning_of_row],
            lookups.output_row,
        )


def _mask_codes(names: Sequence[str], selected: Sequence[str]) -> np.ndarray:
    """Return a mask over code + 1 of the selected names; code -1 is an unknown name."""
    return np.array([False, *(name in selected for name in names)])
