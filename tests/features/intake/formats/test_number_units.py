"""Units of written numbers and forms of negative amounts: right values, or no number at all."""

import math
import re
from collections import Counter
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.intake.formats.number_signs import ALL_SIGNS, SignedNumbers, choose_signs
from features.intake.formats.number_units import SPELLINGS, UNITS, WORDS, UnitTexts

LIMIT = 0.05
# Number and unit as `n` and `u`; the sign of a negative amount stands in one of these places.
POSITIVE = ("u n", "un", "n u", "nu", "u\u00a0n", "n\u202fu")
NEGATIVE = ("-u n", "u -n", "-n u", "u n-", "n- u", "n u-", "(u n)", "u (n)", "(n u)", "(n) u")
BARE = {False: ("n",), True: ("-n", "n-", "(n)", "\u2212n")}


def decide(texts, signs=ALL_SIGNS, unit=None):
    numbers = SignedNumbers.from_texts(pa.array(texts, pa.string()), signs)
    choice = choose_signs(numbers.count(), signs, LIMIT, unit)
    return [None if math.isnan(v) else v for v in numbers.resolve(choice).tolist()], choice


def write(value: Decimal, signs, spelling: str, style: int) -> str:
    text = f"{abs(value):,.2f}" if signs.thousands else f"{abs(value):.2f}"
    text = text.replace(",", "G").replace(".", signs.decimal).replace("G", signs.thousands)
    forms = (NEGATIVE if value < 0 else POSITIVE) if spelling else BARE[value < 0]
    form = forms[style % len(forms)]
    return "".join({"n": text, "u": spelling}.get(sign, sign) for sign in form)


amounts = st.lists(
    st.tuples(st.decimals(-(10**9), 10**9, places=2), st.integers(0, 60)), min_size=1, max_size=8
)


@settings(max_examples=200)
@given(amounts, st.sampled_from(ALL_SIGNS), st.sampled_from(["", *SPELLINGS]))
def test_numbers_in_any_signs_and_unit_are_read_back(values, signs, spelling):
    texts = [write(value, signs, spelling, style) for value, style in values]
    for possible in ((signs,), ALL_SIGNS):
        read, choice = decide(texts, possible)
        assert read == [float(value) for value, _ in values]
        assert choice.units.unit == SPELLINGS.get(spelling, "")


def peel(text: str) -> tuple[str, str] | None:
    """Return number and unit of a text, found with one look at each of its parts."""
    rest, marks, units, gaps = text.strip(), "", [], []
    for _ in range(2):
        if rest[:1] in {"-", "+", "(", "\u2212"}:
            marks, rest = marks + rest[0], rest[1:]
        if not units and not gaps:
            spelling = max((s for s in SPELLINGS if rest.startswith(s)), key=len, default="")
            units, rest = [spelling], rest[len(spelling) :]
            gaps, rest = [rest[: len(rest) - len(rest.lstrip())]], rest.lstrip()
    end = ""
    if rest[-1:] in {"-", ")", "\u2212"} and not re.search("[.,][-–—]{1,2}$", rest):
        end, rest = rest[-1], rest[:-1]
    spelling = max((s for s in SPELLINGS if rest.endswith(s)), key=len, default="")
    rest = rest[: len(rest) - len(spelling)]
    gaps, rest = [*gaps, rest[len(rest.rstrip()) :]], rest.rstrip()
    whole = rest
    if found := re.search("[.,][-–—]{1,2}$", rest):
        rest = rest[: found.start() + 1]
    elif rest[-1:] in {"-", ")", "\u2212"}:
        end, rest = rest[-1] + end, rest[:-1]
    units.append(spelling)
    marks = (marks + end).replace("\u2212", "-")
    if marks not in ("", "+", "-", "()") or all(units) or not re.fullmatch("[0-9., ']+", rest):
        return None
    if any(gap and not unit for gap, unit in zip(gaps, units, strict=True)):
        return None
    unit, gap = (units[0], gaps[0]) if units[0] else (units[1], gaps[1])
    if unit in WORDS and not gap and whole.rstrip("-)\u2212").isdigit():
        return None
    return ("-" if marks in ("-", "()") else "") + rest, SPELLINGS.get(unit, "")


def read_by_hand(text: str, signs) -> tuple[float, str] | None:
    """Return the number and unit of a text in some signs."""
    parts = peel(text)
    if parts is None:
        return None
    number, _, decimals = parts[0].removeprefix("-").partition(signs.decimal)
    groups = number.split(signs.thousands)
    grouped = len(groups) > 1
    if grouped and not (
        re.fullmatch("[1-9][0-9]{0,2}", groups[0])
        and all(re.fullmatch("[0-9]{3}", group) for group in groups[1:])
    ):
        return None
    digits = "".join(groups)
    if not re.fullmatch("[0-9]*", digits + decimals) or not digits + decimals:
        return None
    value = float(f"{digits or '0'}.{decimals or '0'}")
    return (-value if parts[0].startswith("-") else value) + 0.0, parts[1]


tokens = ["1", "20", "300", ".", ",", " ", "'", "-", "(", ")", "+", "\u2212", "–"]
tokens += ["$", "€", "EUR", "kr", "kr.", "USD", "%", "R$", "x"]


@settings(max_examples=100)
@given(st.lists(st.lists(st.sampled_from(tokens), max_size=6).map("".join), min_size=9, max_size=9))
def test_texts_of_all_kinds_are_read_as_by_hand(texts):
    for signs in ALL_SIGNS:
        numbers = SignedNumbers.from_texts(pa.array(texts), (signs,))
        read = [
            (value, UNITS[UnitTexts.from_texts(pa.array([text])).places[0]]) if code else None
            for text, value, code in zip(
                texts, numbers.values[0].tolist(), numbers.signatures.tolist(), strict=True
            )
        ]
        assert read == [read_by_hand(text, signs) for text in texts]


@settings(max_examples=100)
@given(
    amounts,
    st.sampled_from(ALL_SIGNS),
    st.lists(st.sampled_from(["$", "€", "EUR", "%", "kr", ""]), min_size=1, max_size=3),
    st.randoms(),
)
def test_unit_and_signs_depend_neither_on_pieces_nor_on_order(values, signs, spellings, order):
    texts = [
        write(value, signs, spelling, style) for value, style in values for spelling in spellings
    ]
    whole = decide(texts)[1]
    order.shuffle(texts)
    cut, counts = len(texts) // 3, Counter()
    for piece in (texts[cut:], texts[:cut]):
        counts += SignedNumbers.from_texts(pa.array(piece, pa.string()), ALL_SIGNS).count()
    assert choose_signs(counts, ALL_SIGNS, LIMIT) == whole


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [
        ("$1,234.50", 1234.5, "$"),
        ("CHF 29'600.50", 29600.5, "CHF"),
        ("29.600,50 €", 29600.5, "€"),
        ("29.600,50 EUR", 29600.5, "€"),
        ("29 600,00 ₽", 29600, "₽"),
        ("29'600.–", 29600, ""),
        ("CHF 29'600.--", 29600, "CHF"),
        ("1.234,-", 1234, ""),
        ("12 %", 12, "%"),
        ("(1,234.50)", -1234.5, ""),
        ("($1,234.50)", -1234.5, "$"),
        ("1,234.50-", -1234.5, ""),
        ("USD 5", 5, "USD"),
        ("US$ 5", 5, "USD"),
        ("USD5.50", 5.5, "USD"),
        ("R$ 5", 5, "R$"),
        ("500 руб.", 500, "₽"),
        ("5 kr.", 5, "kr"),
    ],
)
def test_numbers_with_units(text, value, unit):
    read, choice = decide([text])
    assert (read, choice.units.unit) == ([value], unit)


@pytest.mark.parametrize(
    "text",
    [
        "A12",
        "12 kg",
        "EUR",
        "$",
        "%",
        "1-2",
        "US12345",
        "USD2024",
        "kr5",
        "5Ft",
        "$5 USD",
        "€$5",
        "5 -",
        "- 5",
        "( 5)",
        "(5",
        "5)",
        "(5)-",
        "--5",
        "+5-",
        "(555) 123-4567",
        "555-1234",
        "2024-01-05",
        "TOP 10",
        "ALL 5",
        "usd 5",
        "$.",
        "().",
        "CHF -.–",
        "$1,23,4",
        "5.–6",
        "5$5",
        "$five",
    ],
)
def test_text_that_only_looks_like_an_amount_stays_a_text(text):
    read, choice = decide([text])
    assert (read, choice.units.cells) == ([None], {})


def test_equal_currencies_are_one_unit_and_numbers_without_one_are_amounts():
    read, choice = decide(["5 €", "EUR 6", "7"])
    assert (read, choice.units.unit, choice.units.other_cells) == ([5, 6, 7], "€", 0)


@pytest.mark.parametrize(
    ("texts", "unit", "read", "words"),
    [
        (["$5", "6 €", "7 €"], "€", [None, 6, 7], "2 with '€', 1 with '$'"),
        (["12 %", "13 %", "0.5"], "%", [12, 13, None], "2 with '%', 1 without a unit"),
        (["12 %", "0.5", "0.7"], "", [None, 0.5, 0.7], "2 without a unit, 1 with '%'"),
        (["$5", "5 kr", "1"], "$", [5, None, 1], "1 with '$', 1 with 'kr', 1 without a unit"),
    ],
)
def test_different_units_are_never_mixed(texts, unit, read, words):
    for order in (1, -1):
        found, choice = decide(texts[::order])
        assert (found, choice.units.unit, choice.units.other_cells) == (read[::order], unit, 1)
    # Equal counts are named in the order of the units.
    assert Counter(str(choice.units).split(", ")) == Counter(words.split(", "))


def test_other_unit_says_nothing_about_the_signs():
    texts = ["1.234,50 €"] * 3 + ["$1,234.50"]
    assert decide(texts)[0] == [1234.5] * 3 + [None]
    assert decide(texts, unit="$")[0] == [None] * 3 + [1234.5]
