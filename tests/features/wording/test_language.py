"""Languages: forms, numbers, durations, and the same keys in each."""

import re
from datetime import timedelta

import pytest

from configs.errors import ConfigError
from features.wording.language import Language, humanize_name, list_languages

ENGLISH, RUSSIAN = Language.load("en"), Language.load("ru")
FIELDS = {"n", "one", "many", "counted", "when", "every", "whose", "among", "beside", "name"}


def russian_form(number):
    """Return the form by the rule of grammar books."""
    tens, ones = number % 100, number % 10
    if 11 <= tens <= 14:
        return 2
    return 0 if ones == 1 else 1 if ones in (2, 3, 4) else 2


def test_form_follows_number():
    for number in range(1200):
        assert RUSSIAN.form_of(float(number)) == russian_form(number)
        assert ENGLISH.form_of(float(number)) == (number != 1)
    assert (RUSSIAN.form_of(2.5), ENGLISH.form_of(0.5)) == (1, 1)  # 2,5 раза, 0.5 times


@pytest.mark.parametrize(
    ("days", "english", "russian"),
    [
        (2.0, "2 days", "2 дня"),
        (1.4, "1 day", "1 день"),
        (5 / 24, "5 hours", "5 часов"),
        (1 / 24, "1 hour", "1 час"),
        (0.99, "1 day", "1 день"),
        (0.001, "less than an hour", "менее часа"),
        (-0.5, "-12 hours", "-12 часов"),
        (41.2, "41 days", "41 день"),
        (1234.0, "1,234 days", "1\u00a0234 дня"),
    ],
)
def test_days_are_written_in_whole_days_or_hours(days, english, russian):
    assert (ENGLISH.days(days), RUSSIAN.days(days)) == (english, russian)


@pytest.mark.parametrize(
    ("span", "english", "russian"),
    [
        ({"days": 1}, "in the last day", "за последний день"),
        ({"days": 2}, "in the last 2 days", "за последние 2 дня"),
        ({"days": 7}, "in the last 7 days", "за последние 7 дней"),
        ({"days": 21}, "in the last 21 days", "за последний 21 день"),
        ({"hours": 1}, "in the last hour", "за последний час"),
        ({"hours": 12}, "in the last 12 hours", "за последние 12 часов"),
        ({"minutes": 90}, "in the last 90 minutes", "за последние 90 минут"),
        ({"seconds": 1}, "in the last second", "за последнюю секунду"),
        (None, "so far", "за всё время"),
    ],
)
def test_window_phrase_follows_number(span, english, russian):
    length = timedelta(**span) if span else None
    assert (ENGLISH.window(length), RUSSIAN.window(length)) == (english, russian)


def test_numbers_follow_the_language():
    assert (ENGLISH.number(1234567.5, ",.1f"), RUSSIAN.number(1234567.5, ",.1f")) == (
        "1,234,567.5",
        "1\u00a0234\u00a0567,5",
    )
    assert (ENGLISH.percent(0.256), RUSSIAN.percent(0.256)) == ("26%", "26\u00a0%")
    assert [ENGLISH.percent(share) for share in (0.0, 0.004, 0.997, 1.0)] == [
        "0%",
        "1%",
        "99%",
        "100%",
    ]


@pytest.mark.parametrize("code", list_languages())
def test_language_has_all_keys_of_english(code):
    other = Language.load(code)
    assert {key: set(texts) for key, texts in other.sentences.items()} == {
        key: set(texts) for key, texts in ENGLISH.sentences.items()
    }
    for part in ("lengths", "within", "whose", "among", "nouns", "values", "numbers"):
        assert set(getattr(other, part)) == set(getattr(ENGLISH, part)), part
    assert {len(forms) for forms in other.nouns.values()} == {other.form_count}
    assert max(other.form_of(n) for n in range(1000)) == other.form_count - 1
    units = ("day", "hour", "minute", "second")
    assert {len(other.lengths[unit]) for unit in units} == {other.form_count}
    assert {len(other.within[unit]) for unit in units} == {
        other.form_count + 1
    }  # one unit alone stands first


@pytest.mark.parametrize("code", list_languages())
def test_template_fields_are_known(code):
    other = Language.load(code)
    for key, texts in other.sentences.items():
        for form, text in texts.items():
            for field in re.findall(r"\{([^{}]*)\}", text):
                assert field in FIELDS or len(field.split("|")) == other.form_count, (
                    code,
                    key,
                    form,
                    field,
                )
            assert form in ("some", "little") or not {"n", "counted"} & set(
                re.findall(r"\{(\w+)\}", text)
            ), (key, form)


def test_unknown_language_is_rejected():
    with pytest.raises(ConfigError, match="'tlh', there are en, ru"):
        Language.load("tlh")
    with pytest.raises(ConfigError):
        Language.load("../words/en")


@pytest.mark.parametrize(
    ("name", "words"),
    [("page_view", "page view"), ("O_SENT_BACK", "O SENT BACK"), ("__", "__"), ("a b", "a b")],
)
def test_name_is_humanized(name, words):
    assert humanize_name(name) == words
