"""Bins see values that few rows have, and keep equal values together."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.leakage.bins import MIN_BIN_ROWS, bin_categories, bin_numbers


@pytest.mark.parametrize("rare", [20, 200, 1_000])
def test_rare_nonzero_values_are_apart_from_zero(rare):
    values = np.zeros(20_000)
    values[:rare] = np.random.default_rng(0).lognormal(8, 1, rare)
    bins = bin_numbers(values)
    assert not set(bins[:rare]) & set(bins[rare:])
    assert np.bincount(bins[:rare])[np.unique(bins[:rare])].min() >= MIN_BIN_ROWS


def test_frequent_value_among_amounts_has_its_own_bin():
    values = np.random.default_rng(1).normal(size=20_000)
    values[:100] = 0.5
    bins = bin_numbers(values)
    assert set(np.flatnonzero(bins == bins[0])) == set(range(100))


def test_code_values_have_their_own_bins():
    values = np.repeat(np.arange(6.0), [5_000, 4_000, 9_000, 20, 4_000, 2_000])
    assert len({(v, b) for v, b in zip(values, bin_numbers(values), strict=True)}) == 6
    assert len(set(bin_numbers(values))) == 6


def test_tails_are_cut_finer_than_the_middle():
    values = np.arange(20_000.0)
    counts = np.bincount(bin_numbers(values))
    assert counts.max() == 625  # one 32nd
    assert MIN_BIN_ROWS <= counts[0] == counts[-1] < 25


def test_rare_categories_share_a_bin():
    codes = np.concatenate([np.zeros(500, int), np.arange(1, 60)])
    bins = bin_categories(codes)
    assert len(set(bins[:500])) == 1 == len(set(bins[500:]))
    assert bins[0] != bins[-1]


@given(st.lists(st.integers(-3, 400), max_size=300))
def test_equal_values_share_a_bin_and_order_is_irrelevant(values):
    numbers = np.array(values, float)
    bins = bin_numbers(numbers)
    assert len(set(zip(values, bins.tolist(), strict=True))) == len(set(values))
    order = np.random.default_rng(0).permutation(len(values))
    assert (bin_numbers(numbers[order]) == bins[order]).all()
