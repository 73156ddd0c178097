"""Duplicate rows against plain Python, for any partition of the hashes."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.tools import duplicates
from features.tools.duplicates import HASHES, find_duplicate_rows, sum_hashes
from features.tools.row_hash import hash_rows, hash_texts

halves = st.sampled_from([0, 1, 2**63, 2**63 + 1, 2**64 - 1])


def table(pairs, cuts=()):
    whole = pa.table(list(zip(*pairs, strict=True)) or [[], []], schema=HASHES)
    edges = [0, *sorted(min(cut, len(pairs)) for cut in cuts), len(pairs)]
    return pa.concat_tables([whole.slice(a, b - a) for a, b in pairwise(edges)])


@given(
    st.lists(st.tuples(halves, halves), max_size=30),
    st.lists(st.integers(0, 30), max_size=3),
    st.integers(1, 9),
)
def test_duplicates_are_all_but_the_first_of_equal_hashes(pairs, cuts, at_once):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duplicates, "MAX_SORTED_ROWS", at_once)
        found = find_duplicate_rows(table(pairs, cuts))
    assert found.tolist() == [i for i, pair in enumerate(pairs) if pair in pairs[:i]]


@given(st.lists(st.tuples(halves, halves), max_size=30), st.randoms())
def test_hash_sum_excludes_rows_in_any_order(pairs, chance):
    hashes = table(pairs)
    again = find_duplicate_rows(hashes)
    mixed = list(dict.fromkeys(pairs))
    chance.shuffle(mixed)
    assert sum_hashes(hashes, again) == sum_hashes(table(mixed), np.empty(0, np.int64))
    expected = [sum(pair[half] for pair in mixed) % 2**64 for half in (0, 1)]
    assert sum_hashes(hashes, again) == b"".join(each.to_bytes(8, "little") for each in expected)


def test_row_hash_depends_on_every_bit():
    rows = np.array([0, *(1 << bit for bit in range(64))], np.uint64)
    zero = np.zeros(len(rows), np.uint64)
    for words in (
        [rows, zero],
        [zero, rows],
        [np.stack([rows, zero], 1)],
        [np.stack([zero, rows], 1)],
    ):
        found = hash_rows(words)
        assert len({tuple(row) for row in found.tolist()}) == len(rows)
        flipped = np.unpackbits((found[1:] ^ found[:1]).view(np.uint8), axis=1).mean()
        assert 0.45 < flipped < 0.55  # of a good hash, half the bits


@given(st.lists(st.none() | st.text(max_size=40), max_size=20), st.integers(0, 3))
def test_text_hash_is_independent_of_storage(values, skip):
    plain = pa.chunked_array(
        [pa.array(values, pa.string()).slice(skip), pa.array(values, pa.string())]
    )
    found = [tuple(row) for row in hash_texts(plain).tolist()]
    assert found == [tuple(row) for row in hash_texts(plain.dictionary_encode()).tolist()]
    by_text = dict(zip(plain.to_pylist(), found, strict=True))
    assert [by_text[text] for text in plain.to_pylist()] == found
    assert len(set(found)) == len(by_text)
    assert by_text.get(None, (0, 0)) == (0, 0)


def test_text_hash_depends_on_length_and_every_byte():
    texts = [b"\0" * n for n in range(40)] + [b"a" * n + b"b" + b"a" * (33 - n) for n in range(34)]
    found = hash_texts(pa.chunked_array([pa.array([text.decode() for text in texts])]))
    assert len({tuple(row) for row in found.tolist()}) == len(texts)
    assert len(set(found[:, 0].tolist())) == len(set(found[:, 1].tolist())) == len(texts)
