"""The words of the features."""

from datetime import timedelta

import pytest

from features.catalog import Catalog, spelled
from serve.reasons import sentence

CATALOG = Catalog(
    types=("call",),
    channels=("web",),
    valued=("call",),
    windows=(timedelta(hours=1), timedelta(days=1), timedelta(days=7)),
    half_lives=(timedelta(days=1), timedelta(days=3)),
    accounts=True,
)
MEANINGS = {feature.name: feature.meaning for feature in CATALOG.features}


@pytest.mark.parametrize(
    ("length", "words"),
    [
        ({"days": 1}, "day"),
        ({"hours": 1}, "hour"),
        ({"minutes": 1}, "minute"),
        ({"seconds": 1}, "second"),
        ({"days": 7}, "7 days"),
        ({"days": 11}, "11 days"),
        ({"hours": 12}, "12 hours"),
        ({"minutes": 90}, "90 minutes"),
    ],
)
def test_a_length_is_spelled_as_it_follows_last_or_every(length, words):
    assert spelled(timedelta(**length)) == words


@pytest.mark.parametrize(
    ("name", "present", "absent"),
    [
        ("any_count_1h", "{value} event{s} in the last hour", "no events in the last hour"),
        ("any_count_1d", "{value} event{s} in the last day", "no events in the last day"),
        ("call_count_7d", "{value} “call” event{s} in the last 7 days", "no “call” events in the last 7 days"),
        ("web_channel_count_all", "{value} web event{s} so far", "no web events so far"),
        ("any_decay_1d", "{value} events lately (older ones fade, by half every day)", "no recent events"),
        ("any_decay_3d", "{value} events lately (older ones fade, by half every 3 days)", "no recent events"),
    ],
)
def test_a_feature_speaks_plainly(name, present, absent):
    assert (MEANINGS[name].present, MEANINGS[name].absent) == (present, absent)


def test_fading_counts_and_no_others_are_silent():
    silent = {feature.name for feature in CATALOG.features if not feature.meaning.speaks}
    assert silent == {name for name in MEANINGS if "_decay_" in name} and len(silent) == 6


def test_whoever_is_silent_has_a_member_of_its_group_to_speak():
    talking = {meaning.group for meaning in MEANINGS.values() if meaning.speaks}
    assert {meaning.group for meaning in MEANINGS.values()} == talking


def test_sentences_count_right_and_show_a_type_as_it_is_written():
    odd = Catalog(types=("a{b}",), windows=(timedelta(days=7),), accounts=True)
    words = {feature.name: feature.meaning for feature in odd.features}
    assert sentence(1.0, words["any_count_7d"]) == "1 event in the last 7 days"
    assert sentence(2.0, words["any_count_7d"]) == "2 events in the last 7 days"
    assert sentence(2.0, words["a_b_count_7d"]) == "2 “a{b}” events in the last 7 days"
    assert sentence(0.0, words["a_b_count_7d"]) == "no “a{b}” events in the last 7 days"
    assert sentence(3.0, words["a_b_age"]) == "last “a{b}” event 3 days ago"
    assert sentence(1.0, words["account_any_count_all"]) == "1 event of the account so far"
