"""Sentences that name the events behind a value: sums, plurals, lengths and single types."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.definitions.catalog import Catalog
from features.definitions.semantics import Meaning
from features.wording.composition import (
    MAX_PARTS,
    MAX_SENTENCE_LENGTH,
    EventParts,
    name_only_type,
    write_with_parts,
)
from features.wording.language import list_languages
from features.wording.wording import Wording, load_english
from tests.features.logs import of

WEEK = timedelta(days=7)
AT = datetime(2024, 5, 1, tzinfo=UTC)
ENGLISH = Wording.load(
    "en", {"view": ["pricing view", "pricing views"], "call": ["call", "calls"], "ad": "ad"}
)
RUSSIAN = Wording.load(
    "ru",
    {
        "view": ["просмотр цен", "просмотра цен", "просмотров цен"],
        "call": ["звонок", "звонка", "звонков"],
    },
)


def meaning(key="count", scope="entity", subject="any", span=WEEK, unit="count"):
    return Meaning("g", key, unit, scope, subject, span)


def age(subject="any"):
    return Meaning("g", "age", "days", subject=subject)


def write(value, types, rest=0, about=None, words=ENGLISH, little=False):
    parts = EventParts(tuple(types.items()), rest)
    return write_with_parts(words, about or meaning(), little)(value, parts)


@pytest.mark.parametrize(
    ("value", "types", "rest", "about", "english", "russian"),
    [
        (
            7.0,
            {"view": 3, "call": 2},
            2,
            meaning(),
            "7 activities in the last 7 days: 3 pricing views, 2 calls and 2 others",
            "7 событий за последние 7 дней: 3 просмотра цен, 2 звонка и ещё 2",
        ),
        (
            22.0,
            {"view": 21, "call": 1},
            0,
            meaning(),
            "22 activities in the last 7 days: 21 pricing views and 1 call",
            "22 события за последние 7 дней: 21 просмотр цен и 1 звонок",
        ),
        (
            1012.0,
            {"view": 1000, "call": 11},
            1,
            meaning(),
            "1,012 activities in the last 7 days: 1,000 pricing views, 11 calls and 1 other",
            "1\u00a0012 событий за последние 7 дней: 1\u00a0000 просмотров цен, 11 звонков и ещё 1",
        ),
        # Without own words a name has no plural.
        (
            3.0,
            {"page_view": 2, "call": 1},
            0,
            meaning(),
            "3 activities in the last 7 days: 2 × page view and 1 call",
            "3 события за последние 7 дней: 2 × page view и 1 звонок",
        ),
        (
            5.0,
            {"view": 5},
            0,
            meaning(scope="account"),
            "5 pricing views of the account in the last 7 days",
            "5 просмотров цен у компании за последние 7 дней",
        ),
        (
            5.0,
            {"view": 4, "call": 1},
            0,
            meaning(scope="others"),
            "5 activities of others at the account in the last 7 days: 4 pricing views and 1 call",
            "5 событий у коллег по компании за последние 7 дней: 4 просмотра цен и 1 звонок",
        ),
        # A channel and a direction stay, since they say more than the type.
        (
            2.0,
            {"call": 2},
            0,
            meaning(subject="group:outbound"),
            "2 contacts from us in the last 7 days: 2 calls",
            "2 наших обращения за последние 7 дней: 2 звонка",
        ),
        (
            3.0,
            {"view": 4, "call": 1},
            1,
            meaning("active_days"),
            "3 days with activities in the last 7 days (4 pricing views, 1 call and 1 other)",
            "3 дня с событиями за последние 7 дней (4 просмотра цен, 1 звонок и ещё 1)",
        ),
        (
            2.0,
            {"view": 4, "call": 1},
            0,
            meaning("kinds"),
            "2 different kinds of activities in the last 7 days (4 pricing views and 1 call)",
            "2 разных вида событий за последние 7 дней (4 просмотра цен и 1 звонок)",
        ),
        (
            4.0,
            {"view": 1},
            0,
            age(),
            "last pricing view 4 days ago",
            "просмотр цен: последний раз 4 дня назад",
        ),
        (
            4.0,
            {"view": 1},
            0,
            age("channel:web"),
            "last activity by “web” 4 days ago: pricing view",
            "событие в канале «web»: последний раз 4 дня назад (просмотр цен)",
        ),
        # Nothing that may be named, and nothing at all.
        (2.0, {}, 2, meaning(), "2 activities in the last 7 days", "2 события за последние 7 дней"),
        (
            0.0,
            {},
            0,
            meaning(),
            "no activities in the last 7 days",
            "нет событий за последние 7 дней",
        ),
        (None, {}, 0, age(), "no activity yet", "ещё нет событий"),
    ],
)
def test_parts_are_named(value, types, rest, about, english, russian):
    assert write(value, types, rest, about) == english
    assert write(value, types, rest, about, RUSSIAN) == russian


def test_low_value_keeps_its_total():
    """“Only 2 pricing views” would say that there may have been other activities."""
    assert write(2.0, {"view": 2}, little=True) == (
        "only 2 activities in the last 7 days: 2 pricing views"
    )
    assert write(41.0, {"view": 1}, about=age(), little=True) == "no activity for 41 days"


def test_types_beyond_the_limit_are_one_part():
    four = {"view": 4, "call": 3, "ad": 2, "mail": 1}
    assert write(10.0, four).endswith(": 4 pricing views, 3 calls, 2 ad and 1 × mail")
    assert write(17.0, four, 7).endswith(": 4 pricing views, 3 calls, 2 ad and 8 others")
    assert MAX_PARTS == 4


def russian_form(number):
    """Return the form by the rule of grammar books."""
    if 11 <= number % 100 <= 14:
        return 2
    return 0 if number % 10 == 1 else 1 if number % 10 in (2, 3, 4) else 2


def test_russian_parts_agree_with_their_numbers():
    forms = RUSSIAN.custom_words["view"]
    for number in range(1, 130):
        said = write(number + 1.0, {"view": number, "call": 1}, words=RUSSIAN)
        assert f": {number} {forms[russian_form(number)]} и 1 звонок" in said


counts = st.dictionaries(
    st.text("abc {}n|×_=", min_size=1, max_size=90), st.integers(1, 9999), min_size=1, max_size=4
)


@given(counts, st.integers(0, 999), st.sampled_from(list_languages()), st.booleans())
def test_parts_add_up_and_fit_a_text_field(types, rest, code, is_own):
    words = Wording.load(code, {name: "word" for name in types} if is_own else {})
    total = sum(types.values()) + rest
    about = meaning("active_days")
    said = write(3.0, types, rest, about, words)
    plain = words.sentence(about, 3.0)
    if len(types) == 1 and not rest:
        assert said == words.sentence(replace(about, subject=f"type:{next(iter(types))}"), 3.0)
        return
    assert said.startswith(plain) and len(said) <= max(MAX_SENTENCE_LENGTH, len(plain))
    if is_own and said != plain:
        parts = re.sub(r"(?<=\d)[,\u00a0](?=\d{3})", "", said.removeprefix(plain))
        numbers = re.findall(r"\d+(?= word| other)|(?<=ещё )\d+", parts)
        assert sum(map(int, numbers)) == total


def test_long_names_leave_room_for_the_total():
    long = {f"{'very ' * 30}{place}": 2 for place in range(4)}
    said = write(8.0, long)
    assert len(said) <= MAX_SENTENCE_LENGTH and said.endswith(" and 6 others")
    assert write(8.0, {"x" * 300: 4, "y" * 300: 4}) == "8 activities in the last 7 days"


def log(*types):
    lead = {"entity_id": "a", "account_id": None, "created_at": AT, "available_at": AT}
    rows = [
        {"entity_id": "a", "event_time": AT, "available_at": AT, "event_type": name,
         "channel": None, "value": None}
        for name in types
    ]  # fmt: skip
    return of([lead], rows)


def test_log_of_one_type_speaks_of_its_noun():
    own = Wording.load("en", {"buy": ["purchase", "purchases"]})
    catalog = Catalog(types=("buy",), windows=(WEEK,), accounts=True)
    words = name_only_type(own, catalog, log("buy", "buy"))
    names = {feature.name: feature.meaning for feature in catalog.features}
    said = {
        "any_count_7d": "12 purchases in the last 7 days",
        "account_any_count_7d": "12 purchases of the account in the last 7 days",
        "any_age": "last purchase 12 days ago",
        "any_days_active_7d": "12 days with purchases in the last 7 days",
        "any_trend_7d": "12 more purchases in the last 7 days than as long before",
    }
    assert {name: words.sentence(names[name], 12.0) for name in said} == said
    assert words.sentence(names["any_count_7d"], 0.0) == "no purchases in the last 7 days"
    assert words.noun_phrase(names["any_count_7d"]) == "purchases in the last 7 days"
    # The vocabulary leaves out an excluded type, and does not know a new one.
    other = name_only_type(own, catalog, log("buy", "return"))
    assert other.sentence(names["any_count_7d"], 12.0) == "12 activities in the last 7 days"
    two = name_only_type(own, replace(catalog, types=("buy", "call")), log("buy"))
    assert two.only_type == "" and name_only_type(own, Catalog(), log()).only_type == ""


def test_log_of_one_type_in_russian():
    own = Wording.load("ru", {"buy": ["покупка", "покупки", "покупок"]})
    words = replace(own, only_type="buy")
    assert words.sentence(meaning(), 12.0) == "12 покупок за последние 7 дней"
    assert words.sentence(meaning(), 1.0) == "1 покупка за последние 7 дней"
    about = meaning("active_days")
    assert words.sentence(about, 2.0) == "2 дня с событиями «покупка» за последние 7 дней"


def test_names_are_no_templates():
    said = write(3.0, {"{n}{parts}": 2, "{sentence}|x": 1}, words=load_english())
    assert said == "3 activities in the last 7 days: 2 × {n}{parts} and 1 × {sentence}|x"
