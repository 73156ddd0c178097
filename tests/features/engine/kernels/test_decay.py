"""Half-lives of instants against NumPy's division."""

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from features.engine.kernels.decay import _split_half_lives
from features.tools.instants import US_PER_DAY

YEARS = 400 * 366 * US_PER_DAY


@given(
    st.lists(st.integers(-YEARS, YEARS), max_size=20),
    st.lists(st.integers(1, 1_000 * US_PER_DAY), min_size=1, max_size=3),
    st.integers(-3, 3),
)
@settings(max_examples=1000)
@example([], [11836], -1)
def test_half_lives_are_split_exactly(instants, lives, beside):
    """A rounded product errs a few microseconds from a whole number of half-lives."""
    edges = [lives[0] * (YEARS // lives[0]) + beside, -lives[0] * (YEARS // lives[0]) + beside]
    instant, half_lives = np.array([*instants, *edges], np.int64), np.array(lives, np.int64)
    whole, factor = _split_half_lives(instant, half_lives)
    expected, rest = np.divmod(instant[:, None], half_lives[None, :])
    assert (whole == expected).all()
    assert (factor == np.exp2(rest / half_lives)).all()
