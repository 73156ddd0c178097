"""Signs in written numbers: right values or a refusal, never wrong values."""

from collections import Counter
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.intake.formats.number_signs import (
    ALL_SIGNS,
    PLAIN_SIGNS,
    SignedNumbers,
    choose_signs,
    parse_signed_numbers,
)
from features.readings.columns import NumberSigns

LIMIT = 0.05


def write_number(value: Decimal, signs: NumberSigns, grouped: bool) -> str:
    text = f"{value:,f}" if grouped else f"{value:f}"
    return text.replace(",", "G").replace(".", signs.decimal).replace("G", signs.thousands)


def decide(texts, signs=ALL_SIGNS):
    numbers = SignedNumbers.from_texts(pa.array(texts, pa.string()), signs)
    choice = choose_signs(numbers.count(), signs, LIMIT)
    return numbers.resolve(choice).tolist(), choice


decimals = st.decimals(-(10**9), 10**9, places=2) | st.decimals(-(10**6), 10**6, places=3)
numbers = st.lists(decimals | st.integers(-5000, 5000).map(Decimal), min_size=1, max_size=8)


@pytest.mark.slow
@settings(max_examples=1000)
@given(numbers, st.sampled_from(ALL_SIGNS), st.booleans())
def test_numbers_in_any_signs_are_read_back_with_the_keys(values, signs, grouped):
    texts = pa.array([write_number(value, signs, grouped) for value in values])
    assert parse_signed_numbers(texts, signs).tolist() == [float(value) for value in values]
    assert decide(texts, (signs,))[0] == [float(value) for value in values]


@pytest.mark.slow
@settings(max_examples=1000)
@given(numbers, st.sampled_from(ALL_SIGNS), st.booleans())
def test_numbers_without_keys_are_right_or_ambiguous(values, signs, grouped):
    texts = [write_number(value, signs, grouped) for value in values]
    read, choice = decide(texts)
    if choice.ambiguous:
        # The true reading is one of the two that the refusal names.
        assert signs.decimal in (choice.signs.decimal, choice.other.decimal)
    for value, number in zip(values, read, strict=True):
        assert np.isnan(number) or number == float(value)


@pytest.mark.slow
@settings(max_examples=1000)
@given(numbers, st.sampled_from(ALL_SIGNS), st.lists(st.sampled_from(["1,5", "x", "1.5"])))
def test_signs_do_not_depend_on_pieces_or_order(values, signs, more):
    texts = [write_number(value, signs, True) for value in values] + more
    whole = choose_signs(
        SignedNumbers.from_texts(pa.array(texts), ALL_SIGNS).count(), ALL_SIGNS, LIMIT
    )
    counts = Counter()
    for piece in (texts[::2][::-1], texts[1::2]):
        counts += SignedNumbers.from_texts(pa.array(piece, pa.string()), ALL_SIGNS).count()
    assert choose_signs(counts, ALL_SIGNS, LIMIT) == whole


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["1", "2.5", "-1e3", " 7 ", "+4", ".5", "5."], [1, 2.5, -1000, 7, 4, 0.5, 5]),
        (["1.000", "1.5"], [1, 1.5]),
        (["0.125", "0.500"], [0.125, 0.5]),
        (["12.3456", "1.200"], [12.3456, 1.2]),
        (["1234.567", "1.200"], [1234.567, 1.2]),
        (["1,200.50", "1,200"], [1200.5, 1200]),
        (["1.200,50", "1.200"], [1200.5, 1200]),
        (["1 100,00", "7"], [1100, 7]),
        (["1\u00a0100", "1\u202f100.5"], [1100, 1100.5]),
        (["1'200", "1’200.5"], [1200, 1200.5]),
        (["12,5", "1,200"], [12.5, 1.2]),
        (["1.234.567", "1.234"], [1234567, 1234]),
    ],
)
def test_other_values_settle_the_signs(texts, expected):
    assert decide(texts)[0] == expected and decide(texts[::-1])[0] == expected[::-1]


@pytest.mark.parametrize("texts", [["1.000", "2.500"], ["1,200"], ["5", "-12.345"], ["1,200", "7"]])
def test_numbers_that_can_be_read_two_ways_are_missing(texts):
    read, choice = decide(texts)
    assert choice.other.decimal != choice.signs.decimal
    assert [np.isnan(value) for value in read] == ["," in t or "." in t for t in texts]
    assert choice.ambiguous_cells == sum(np.isnan(value) for value in read)


@pytest.mark.parametrize(
    "text", ["1,20", "1.20.300", "1,2345", "12,00,000", "1 1", "€", "5 kg", ""]
)
def test_text_that_no_signs_fit_is_no_number(text):
    fitting = [
        pair for pair in ALL_SIGNS if not np.isnan(parse_signed_numbers(pa.array([text]), pair))
    ]
    assert all(pair.decimal == "," for pair in fitting) and (not fitting or text.count(",") == 1)


def test_single_text_does_not_decide_the_signs():
    """One typing error 1.5 does not make decimals of hundreds of grouped numbers."""
    texts = [f"{n}.{n:03}" for n in range(100, 400)]
    read, choice = decide([*texts, "1.5"])
    assert choice.ambiguous_cells == 300 and np.isnan(read[:300]).all()


def test_signs_of_a_mixture_give_no_contradicted_number():
    read, _ = decide(["1.5", "2,5"] * 10 + ["1.200"])
    assert np.isnan(read[-1])


def test_typed_numbers_have_a_decimal_point():
    assert decide(["1.000", "2.500"], (PLAIN_SIGNS,))[0] == [1, 2.5]


@pytest.mark.parametrize(
    ("texts", "evident"),
    [
        (["1", "20"], NumberSigns("")),
        (["1", "2.5"], NumberSigns(".")),
        (["1 100"], NumberSigns("", " ")),
        (["1,200,300"], NumberSigns(".", ",")),
        (["12,5"], NumberSigns(",")),
        (["1.200,5"], NumberSigns(",", ".")),
        (["5"] * 40 + ["1,200"], NumberSigns("")),
    ],
)
def test_evident_signs_are_those_that_texts_show(texts, evident):
    """A model of whole numbers does not settle what 1,200 means tonight."""
    assert decide(texts)[1].evident == evident
    read = parse_signed_numbers(pa.array(texts), evident).tolist()
    assert str(read) == str(decide(texts)[0])
