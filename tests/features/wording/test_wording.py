"""Sentences for values in each language, with custom nouns."""

from collections import Counter
from datetime import timedelta
from math import inf, nan

import pytest

from configs.errors import ConfigError
from features.definitions.catalog import Catalog
from features.definitions.semantics import Meaning
from features.wording.language import list_languages
from features.wording.wording import SENTENCE_FORMS, Wording, load_english
from tests.features import logs

CATALOG = Catalog(
    types=("call", "page_view"),
    channels=("web",),
    valued=("call",),
    stages=("call",),
    attributes=(("company_size", "number"), ("source", "category")),
    windows=(timedelta(hours=1), timedelta(days=1), timedelta(days=7)),
    half_lives=(timedelta(days=3),),
    outbound=("call",),
    ends=("call",),
    accounts=True,
)
MEANINGS = {feature.name: feature.meaning for feature in CATALOG.features}
RUSSIAN = Wording.load(
    "ru", {"page_view": ["просмотр страницы", "просмотра страницы", "просмотров страниц"]}
)
NBSP = "\u00a0"


def sentence_for(name, value, little=False, words=None):
    return (words or load_english()).sentence(MEANINGS[name], value, little)


@pytest.mark.parametrize(
    ("name", "value", "some", "little"),
    [
        (
            "any_count_7d",
            1.0,
            "1 activity in the last 7 days",
            "only 1 activity in the last 7 days",
        ),
        (
            "any_count_7d",
            12345.0,
            "12,345 activities in the last 7 days",
            "only 12,345 activities in the last 7 days",
        ),
        ("any_count_1h", 0.0, "no activities in the last hour", "no activities in the last hour"),
        ("page_view_count_7d", 2.0, "2 “page view” events in the last 7 days", None),
        (
            "web_channel_count_all",
            1.0,
            "1 activity by “web” so far",
            "only 1 activity by “web” so far",
        ),
        ("call_age", 2.0, "last “call” event 2 days ago", "no “call” event for 2 days"),
        ("any_age", nan, "no activity yet", "no activity yet"),
        ("any_age", inf, "no activity yet", "no activity yet"),
        ("any_trend_7d", 3.0, "3 more activities in the last 7 days than as long before", None),
        ("any_trend_7d", -1.0, "1 fewer activity in the last 7 days than as long before", None),
        (
            "any_trend_7d",
            0.0,
            "no more and no fewer activities in the last 7 days than as long before",
            None,
        ),
        (
            "call_sum_value_1d",
            1234567.0,
            "total value of “call” events in the last day: 1,234,567",
            None,
        ),
        ("call_mean_value_all", 12.5, "average value of “call” events so far: 12.50", None),
        ("call_mean_value_all", 1234.56, "average value of “call” events so far: 1,235", None),
        ("any_silence", 2.345, "time since the last activity: 2.3 times the usual pause", None),
        ("any_silence", 88.87, None, "silent for 89 times the usual pause between activities"),
        (
            "any_silence",
            11584.2,
            None,
            "silent for 100 or more times the usual pause between activities",
        ),
        ("any_silence", 1.0, None, "silent for 1 time the usual pause between activities"),
        (
            "call_max_value_all",
            9331.0,
            *(f"largest value of “call” events so far: {few}9,331" for few in ("", "only ")),
        ),
        ("call_min_value_all", 20.0, *["smallest value of “call” events so far: 20"] * 2),
        (
            "outbound_share_7d",
            0.25,
            "25% of all activities in the last 7 days are contacts from us",
            None,
        ),
        ("account_any_people_7d", 5.0, "5 people at the account active in the last 7 days", None),
        (
            "account_any_people_7d",
            1.0,
            None,
            "only 1 person at the account active in the last 7 days",
        ),
        (
            "others_any_people_7d",
            0.0,
            "nobody among the others at the account active in the last 7 days",
            None,
        ),
        ("others_call_count_all", 2.0, "2 “call” events of others at the account so far", None),
        ("touches_unanswered", 1.0, "1 contact from us since they last did something", None),
        ("spells", 0.0, "never taken up", None),
        ("stage_age", 0.5, "12 hours in this stage", "12 hours in this stage already"),
        ("stage_now", "call", "stage: call", None),
        ("last_type_1", "page_view", "the last activity: page view", None),
        ("origin", "cold", "first step: we spoke first", None),
        ("company_size", 7.0, "company size is 7", None),
        ("company_size", 0.1234, "company size is 0.12", None),
        ("company_size", None, "company size is not known", None),
        ("source", "bought_{list}", "source is bought_{list}", None),
    ],
)
def test_sentence_in_english(name, value, some, little):
    assert some is None or sentence_for(name, value) == some
    assert little is None or sentence_for(name, value, little=True) == little


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("any_count_7d", 1.0, "1 событие за последние 7 дней"),
        ("any_count_7d", 2.0, "2 события за последние 7 дней"),
        ("any_count_7d", 5.0, "5 событий за последние 7 дней"),
        ("any_count_7d", 21.0, "21 событие за последние 7 дней"),
        ("any_count_7d", 0.0, "нет событий за последние 7 дней"),
        ("page_view_count_1d", 3.0, "3 просмотра страницы за последний день"),
        ("page_view_count_1d", 11.0, "11 просмотров страниц за последний день"),
        ("page_view_count_1d", 0.0, "нет просмотров страниц за последний день"),
        ("call_count_1d", 5.0, "5 событий «call» за последний день"),
        ("page_view_age", 2.0, "просмотр страницы: последний раз 2 дня назад"),
        ("account_any_people_7d", 2.0, "2 активных человека из компании за последние 7 дней"),
        (
            "any_trend_7d",
            -3.0,
            "на 3 события меньше за последние 7 дней, чем за такой же срок до того",
        ),
        (
            "others_any_people_7d",
            0.0,
            "никто из коллег по компании не был активен за последние 7 дней",
        ),
        ("call_sum_value_1d", 1234.5, f"общая сумма событий «call» за последний день: 1{NBSP}234"),
        ("call_sum_value_1d", 12.5, "общая сумма событий «call» за последний день: 12,50"),
        ("call_min_value_all", 20.0, "наименьшая сумма событий «call» за всё время: 20"),
        ("call_max_value_all", 9331.0, f"наибольшая сумма событий «call» за всё время: 9{NBSP}331"),
        ("any_days_active_7d", 3.0, "3 дня с событиями за последние 7 дней"),
        ("any_days_active_7d", 0.0, "нет событий за последние 7 дней"),
        ("call_days_active_all", 5.0, "5 дней с событиями «call» за всё время"),
        ("web_channel_days_active_all", 1.0, "1 день с событиями в канале «web» за всё время"),
        ("page_view_days_active_all", 5.0, "5 дней с событиями «просмотр страницы» за всё время"),
        ("outbound_days_active_all", 2.0, "2 дня с нашими обращениями за всё время"),
        ("any_silence", 2.5, "событие: с последнего раза прошло 2,5 обычных перерыва"),
        ("any_silence", 25.26, "событие: с последнего раза прошло 25 обычных перерывов"),
        ("last_type_1", "page_view", "последнее событие: просмотр страницы"),
        ("company_size", 7.0, "company size: 7"),
    ],
)
def test_sentence_in_russian(name, value, words):
    assert sentence_for(name, value, words=RUSSIAN) == words


def test_sentence_of_long_time_in_russian():
    assert (
        sentence_for("page_view_age", 41.0, True, RUSSIAN) == "нет просмотров страниц уже 41 день"
    )


def test_custom_words_replace_names():
    own = Wording.load(
        "en",
        {
            "page_view": ("page view", "page views"),
            "any": ("touch", "touches"),
            "company_size": "number of people",
            "bought": "a {bought} list",
            "channel:web": ("visit", "visits"),
            "web": ("spider", "spiders"),
        },
    )
    assert sentence_for("page_view_count_7d", 1.0, words=own) == "1 page view in the last 7 days"
    assert sentence_for("page_view_count_7d", 0.0, words=own) == "no page views in the last 7 days"
    assert sentence_for("any_age", 3.0, words=own) == "last touch 3 days ago"
    assert sentence_for("company_size", 3.0, words=own) == "number of people is 3"
    assert sentence_for("source", "bought", words=own) == "source is a {bought} list"
    assert sentence_for("web_channel_count_7d", 2.0, words=own) == "2 visits in the last 7 days"
    assert sentence_for("last_channel", "web", words=own) == "the last touch came by visit"


def test_custom_word_needs_all_forms():
    with pytest.raises(ConfigError, match=r"\[words.call\]: 2: звонок, звонка"):
        Wording.load("ru", {"call": ("звонок", "звонка")})
    assert Wording.load("ru", {"call": "звонок"}).noun("type:call") == ("звонок",) * 3


def test_names_with_braces_are_not_templates():
    odd = Catalog(
        types=("a{n}",), windows=(timedelta(days=7),), attributes=(("{one}|x", "number"),)
    )
    words = {feature.name: feature.meaning for feature in odd.features}
    assert (
        load_english().sentence(words["a_n_count_7d"], 2.0) == "2 “a{n}” events in the last 7 days"
    )
    assert load_english().sentence(words["{one}|x"], 2.0) == "{one}|x is 2"


@pytest.mark.parametrize("code", list_languages())
def test_sentences_exist_for_all_features(code):
    words = Wording.load(code)
    for feature in logs.CATALOG.features:
        for value in ("call", None) if feature.is_category else (0.0, 1.0, 2.5, -2.0, None):
            for little in (False, True):
                text = words.sentence(feature.meaning, value, little)
                assert text and "{" not in text and "}" not in text, (feature.name, text)
        assert words.noun_phrase(feature.meaning), feature.name


def test_language_keys_are_used_by_features():
    used = {feature.meaning.key for feature in logs.CATALOG.features} | {"dated"}
    assert used == set(load_english().language.sentences)
    assert {"what", *SENTENCE_FORMS} >= {
        form for texts in load_english().language.sentences.values() for form in texts
    }


def test_noun_phrases_are_unique_within_group():
    phrases = Counter(
        (f.meaning.group, load_english().noun_phrase(f.meaning)) for f in logs.CATALOG.features
    )
    assert [words for words, times in phrases.items() if times > 1] == []


def test_groups_have_worded_member():
    worded_groups = {meaning.group for meaning in MEANINGS.values() if meaning.is_worded}
    assert {meaning.group for meaning in MEANINGS.values()} - worded_groups == {
        "entity.value",
        "account.value",
        "hours",
    }


def test_mixed_amounts_and_channel_counts_are_not_worded():
    amounts = ("total", "mean", "least", "most")
    phrases = {
        meaning.subject
        for meaning in MEANINGS.values()
        if meaning.key in amounts and meaning.is_worded
    }
    assert phrases == {"type:call"}
    assert not any(meaning.is_worded for meaning in MEANINGS.values() if meaning.key == "ways")


def test_groups_join_features_of_one_reason():
    groups = {name: meaning.group for name, meaning in MEANINGS.items()}
    assert (
        groups["call_count_7d"]
        == groups["call_age"]
        == groups["stage_call_visits"]
        == "entity.type:call"
    )
    assert groups["any_age"] == groups["any_silence"] == "entity.recency"
    assert groups["any_count_7d"] == groups["any_days_active_7d"] == "entity.activity"
    assert groups["any_trend_7d"] == "entity.momentum"
    assert groups["account_any_people_7d"] == "account.people" != groups["account_any_count_7d"]
    assert groups["any_first_age"] == groups["created_age"] == "entity.beginning"
    assert groups["web_channel_count_7d"] == "entity.channel:web"
    assert groups["company_size"] == "attribute.company_size" != groups["source"]


def test_sentence_without_custom_word_uses_name():
    meaning = Meaning("g", "count", "count", subject="type:x y")
    assert load_english().sentence(meaning, 1.0) == "1 “x y” event so far"
