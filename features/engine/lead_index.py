"""Numbering of the leads by account, and the counting sort that it needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.merges import LeadMerges
from features.tools.id_index import IdIndex
from features.tools.instants import column_to_microseconds
from features.tools.jit import jit_kernel

# Bits of the counting sort's digits: 1,024 streams are written at a time.
DIGIT_BITS = 10


@dataclass(frozen=True)
class LeadIndex:
    """Positions of the leads, numbered so that those of one account are adjacent.

    Within an account they are in the order of their ids.

    Attributes:
        ids: index from lead ids to rows of the leads table.
        position: position of each row of the leads table.
        account: number of the account at each position, ascending.
        known_at: when the lead row at each position became known, in microseconds since 1970.
        ends: when the lead at each position became another one, NEVER_US if it did not.
    """

    ids: IdIndex
    position: np.ndarray
    account: np.ndarray
    known_at: np.ndarray
    ends: np.ndarray

    @classmethod
    def from_leads(cls, leads: pa.Table, ids: IdIndex, merges: LeadMerges) -> Self:
        """Number the leads of ``ids``; a lead without an account is an account of its own."""
        account = _number_accounts(leads)
        # The sort is stable and LEADS are in the order of ids, so ids ascend within an account.
        rows = sort_by_code(account, int(account.max(initial=-1)) + 1)
        position = np.empty_like(rows)
        position[rows] = np.arange(len(rows))
        known_at = column_to_microseconds(leads["available_at"])[rows]
        ends = merges.ends(leads["entity_id"])[rows]
        return cls(ids, position, account[rows], known_at, ends)


def sort_by_code(code: np.ndarray, size: int) -> np.ndarray:
    """Return the stable order that sorts codes between 0 and size - 1.

    A counting sort digit by digit from the lowest: each pass writes to at most 2 ** DIGIT_BITS
    streams, which the caches can follow; one pass over all codes would miss them at every row.
    """
    key, order = code.astype(np.int32), np.arange(len(code), dtype=np.int32)
    shift = 0
    while max(size - 1, 0) >> shift:
        key, order = _sort_by_digit(key, order, shift)
        shift += DIGIT_BITS
    return order.astype(np.int64)


@jit_kernel
def _sort_by_digit(key: np.ndarray, order: np.ndarray, shift: int) -> tuple[np.ndarray, np.ndarray]:
    """Sort by one digit of the key, stably; return the sorted keys and their order."""
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


def _number_accounts(leads: pa.Table) -> np.ndarray:
    """Return the number of each lead's account; a lead without one is an account of its own."""
    encoded = pc.dictionary_encode(leads["account_id"].combine_chunks())
    code = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    is_alone = code < 0
    # Numbered behind the real accounts, so that none of these leads shares a number.
    code[is_alone] = len(encoded.dictionary) + np.arange(is_alone.sum())
    return code
