"""The event log as arrays in the order in which it is walked, cut into shards of whole accounts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numba as nb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.catalog import Catalog
from features.contracts import Dataset
from features.spine import entity_codes, instants
from features.windows import History

DIGIT_BITS = 10
"""Of the counting sort: 1,024 streams at a time."""


@dataclass(frozen=True)
class Log:
    """All events by seat and time. Seats number the leads so that those of one account sit together.

    ``seat`` is one element a lead: its seat. ``account`` and ``joined`` are one element a seat: the number of its
    account, ascending, and when the lead row became known, in microseconds. ``events`` has the seats as its groups.
    """

    seat: np.ndarray
    account: np.ndarray
    joined: np.ndarray
    events: History

    @classmethod
    def of(cls, dataset: Dataset, catalog: Catalog) -> Self:
        """Order a data set's events; those of entities without a lead row are left out.

        Costs a counting sort by seat, since a log in EVENTS order or in the order of time needs no comparison.
        """
        account = _account_codes(dataset.leads)
        seated = grouped(account, int(account.max(initial=-1)) + 1)
        seat = np.empty_like(seated)
        seat[seated] = np.arange(len(seated))
        log = dataset.events
        lead = entity_codes(log["entity_id"], dataset.leads)
        where = np.where(lead >= 0, seat[lead] if len(seat) else lead, len(seat))
        order = grouped(where, len(seat) + 1)[: int((lead >= 0).sum())]
        order = _in_time(order, where, instants(log["event_time"]))
        columns = [instants(log["event_time"]), instants(log["available_at"])]
        columns += [codes(log["event_type"], catalog.types), codes(log["channel"], catalog.channels)]
        columns.append(pc.fill_null(log["value"], np.nan).to_numpy())
        group = where[order]
        events = History(group, group, *(column[order] for column in columns))
        return cls(seat, account[seated], instants(dataset.leads["available_at"])[seated], events)

    def by_entity(self, first: int, end: int) -> History:
        """Return the events of the seats ``[first, end)``, grouped by seat."""
        low, high = np.searchsorted(self.events.group, [first, end])
        group = self.events.group[low:high]
        rest = (self.events.time, self.events.available, self.events.kind, self.events.channel, self.events.value)
        return History(group, group - first, *(column[low:high] for column in rest))

    def by_account(self, first: int, end: int) -> History:
        """Return the events of the seats ``[first, end)``, grouped by account.

        Who belongs to an account is known from the lead row, so its events say nothing of the account before that.
        """
        own = self.by_entity(first, end)
        account = self.account[own.group]
        order = np.lexsort((own.time, account))
        available = np.maximum(own.available, self.joined[own.group])
        rest = (own.member, own.time, available, own.kind, own.channel, own.value)
        return History(account[order], *(column[order] for column in rest))


def codes(column: pa.ChunkedArray, known: tuple[str, ...]) -> np.ndarray:
    """Return each text's place among the known ones, -1 where it is none of them."""
    found = pc.index_in(column, value_set=pa.array(known, pa.string()))
    return pc.fill_null(found, -1).to_numpy().astype(np.int64)


def grouped(code: np.ndarray, size: int) -> np.ndarray:
    """Return the order that puts equal codes (0 … size - 1) together, ascending, and keeps the order within each.

    A counting sort digit by digit from the lowest: each pass writes to at most 2 ** DIGIT_BITS streams, which the
    caches can follow, where one pass over all codes would miss them at every row.
    """
    key, order = code.astype(np.int32), np.arange(len(code), dtype=np.int32)
    shift = 0
    while max(size - 1, 0) >> shift:
        key, order = _pass(key, order, shift)
        shift += DIGIT_BITS
    return order.astype(np.int64)


@nb.njit(cache=True, nogil=True)
def _pass(key: np.ndarray, order: np.ndarray, shift: int) -> tuple[np.ndarray, np.ndarray]:
    """Sort by one digit of the key, keeping the order of equal ones."""
    begin = np.zeros((1 << DIGIT_BITS) + 1, np.int64)
    mask = (1 << DIGIT_BITS) - 1
    for index in range(len(key)):
        begin[((key[index] >> shift) & mask) + 1] += 1
    for digit in range(mask + 1):
        begin[digit + 1] += begin[digit]
    keys, orders = np.empty_like(key), np.empty_like(order)
    for index in range(len(key)):
        digit = (key[index] >> shift) & mask
        keys[begin[digit]], orders[begin[digit]] = key[index], order[index]
        begin[digit] += 1
    return keys, orders


def _in_time(order: np.ndarray, group: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Sort by time within each group where the log was in neither order that needs no sorting."""
    ranked, at = group[order], time[order]
    if np.all((np.diff(at) >= 0) | (np.diff(ranked) > 0)):
        return order
    return order[np.lexsort((at, ranked))]


def _account_codes(leads: pa.Table) -> np.ndarray:
    """Return a number for each lead's account; a lead without one is an account of its own."""
    known = pc.dictionary_encode(leads["account_id"].combine_chunks())
    code = pc.fill_null(known.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    alone = code < 0
    code[alone] = len(known.dictionary) + np.arange(alone.sum())
    return code
