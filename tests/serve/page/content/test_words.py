"""Numbers of the page: short amounts, and one minus."""

from zoneinfo import ZoneInfo

import pytest

from serve.page.content.words import PageWords

ENGLISH, RUSSIAN = (PageWords.load(code, ZoneInfo("UTC")) for code in ("en", "ru"))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1_656_354, "1.66 M"),
        (46_343, "46.3 k"),
        (203_363, "203 k"),
        (999_900, "1.00 M"),
        (9_996, "10.0 k"),
        (1_000, "1.00 k"),
        (9_500, "9.50 k"),
        (999.4, "999"),
        (12.7, "13"),
        (5.0, "5"),
        (0.25, "0.25"),
        (0, "0"),
        (0.0001, "0"),
        (-1e-9, "0"),
        (-20_520, "−20.5 k"),
        (2.5e9, "2.50 bn"),
        (1.5e13, "15,000 bn"),
    ],
)
def test_amounts_have_three_digits(value, text):
    assert ENGLISH.amount(value) == text.replace(" ", "\u00a0")


def test_ends_of_a_range_share_their_unit():
    assert ENGLISH.amounts(1_327_000, 2_104_000) == "1.33–2.10\u00a0M"
    assert ENGLISH.amounts(47_000, 1_319_000) == "0.05–1.32\u00a0M"
    assert ENGLISH.amounts(0, 92_400) == "0.0–92.4\u00a0k"
    assert RUSSIAN.amounts(1_327_000, 2_104_000) == "1,33–2,10\u00a0млн"


@pytest.mark.parametrize(
    ("code", "currency", "text"),
    [
        ("en", "EUR", "€1.66 M"),
        ("en", "CHF", "CHF 1.66 M"),
        ("ru", "RUB", "1,66 млн ₽"),
        ("ru", "CHF", "1,66 млн CHF"),
    ],
)
def test_amounts_have_the_currency_of_the_goals(code, currency, text):
    words = PageWords.load(code, ZoneInfo("UTC"), currency)
    assert words.amount(1_656_354) == text.replace(" ", "\u00a0")
    # The script writes as the page does.
    size, unit = next(unit for unit in words.list_units() if unit[0] == 1e6)
    assert unit.replace("{n}", words.number(1_656_354 / size, 2)) == words.amount(1_656_354)
    assert words.number(5) == "5"


def test_minus_is_that_of_charts_and_zero_has_none():
    assert ENGLISH.number(-1234.56, 1) == "−1,234.6"
    assert ENGLISH.number(-0.04, 1) == "0.0"
    assert ENGLISH.percent(-0.005) == "−0.5%"
