"""Stored models: what this version and earlier ones wrote is accepted."""

import pytest
from pydantic import TypeAdapter, ValidationError

from models.stored_json import Reading

READING = TypeAdapter(Reading, config={"strict": True})


@pytest.mark.parametrize(
    "stored",
    [
        ["born", "date", ".", "", "day_first"],
        ["size", "number", ",", ".", "iso"],
        ["cost", "number", ",", ".", "iso", "€"],
        ["x", "y", "", ""],
    ],
)
def test_reading_of_this_version_and_of_earlier_ones_is_accepted(stored):
    assert list(READING.validate_python(stored)) == stored


@pytest.mark.parametrize(
    "stored", [["x", "k", ""], ["x", "k", "", "", "iso", "", ""], ["x", "k", "", 1]]
)
def test_reading_of_another_shape_is_refused(stored):
    with pytest.raises(ValidationError):
        READING.validate_python(stored)
