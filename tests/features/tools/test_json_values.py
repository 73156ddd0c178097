"""Plain JSON values of nested results, and the text that is written of them."""

import json
import math
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.arrivals import Arrivals
from features.tools.instants import format_iso
from features.tools.json_values import format_json, to_json_values

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(st.text(), parts, max_size=3),
    max_leaves=8,
)


@given(plain)
def test_plain_values_stay_and_survive_the_text(value):
    assert to_json_values(value) == value
    assert json.loads(format_json(value)) == value


def test_instants_numbers_paths_and_tuples_become_plain():
    berlin = datetime(2024, 5, 1, 0, 30, tzinfo=timezone(timedelta(hours=2)))
    given_values = {
        "at": berlin,
        "pair": (np.int64(3), np.float32(0.5), np.bool_(True)),
        "array": np.array([1.5, math.nan]),
        "path": Path("a") / "b",
        "never": [math.inf, -math.inf, np.float64("nan")],
    }
    assert to_json_values(given_values) == {
        "at": "2024-04-30T22:30:00+00:00",
        "pair": [3, 0.5, True],
        "array": [1.5, None],
        "path": "a/b",
        "never": [None, None, None],
    }


@pytest.mark.parametrize(
    "value",
    [
        Arrivals(np.array([1]), np.array([1])),
        datetime(2024, 1, 1),  # noqa: DTZ001 - without a zone on purpose
        {1: "a"},
        {"a": {2, 3}},
        b"bytes",
    ],
    ids=["object", "naive instant", "key", "set", "bytes"],
)
def test_values_without_a_plain_form_are_refused(value):
    with pytest.raises(TypeError):
        to_json_values(value)


def test_text_has_neither_nan_nor_objects():
    with pytest.raises(ValueError, match="not JSON compliant"):
        format_json({"a": math.nan})
    with pytest.raises(TypeError):
        format_json({"a": datetime(2024, 1, 1, tzinfo=UTC)})


@given(st.datetimes(timezones=st.timezones()))
def test_instants_are_read_back_as_the_same(instant):
    if instant.astimezone(UTC).year not in (1, 9999):
        written = format_iso(instant)
        assert written[10] == "T" and written.endswith("+00:00")
        assert datetime.fromisoformat(written) == instant.astimezone(UTC)
