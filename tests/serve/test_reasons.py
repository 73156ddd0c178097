import json
from math import inf, nan

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.meaning import Meaning
from serve.reasons import THRESHOLD, reasons, sentence

VIEWS = Meaning(
    "views",
    "page views in the last 7 days",
    "count",
    "{value:count} page view{s} in the last 7 days",
    "no page view in the last 7 days",
)
AGE = Meaning("silence", "time since the last page view", "days", "last page view {value} ago", "never viewed a page")
DEAL = Meaning("deal", "size of the deal", "amount", "deal of {value}")
INDUSTRY = Meaning("industry", "industry", "category", "industry {value}")
RATE = Meaning("rate", "rate", "number", "rate {value}")


@pytest.mark.parametrize(
    ("value", "meaning", "words"),
    [
        (3.0, VIEWS, "3 page views in the last 7 days"),
        (1.0, VIEWS, "1 page view in the last 7 days"),
        (12345, VIEWS, "12,345 page views in the last 7 days"),
        (0.0, VIEWS, "no page view in the last 7 days"),
        (None, VIEWS, "no page view in the last 7 days"),
        (2.0, AGE, "last page view 2 days ago"),
        (1.4, AGE, "last page view 1 day ago"),
        (5 / 24, AGE, "last page view 5 hours ago"),
        (1 / 24, AGE, "last page view 1 hour ago"),
        (0.99, AGE, "last page view 1 day ago"),
        (0.001, AGE, "last page view less than an hour ago"),
        (-0.5, AGE, "last page view -12 hours ago"),
        (nan, AGE, "never viewed a page"),
        (inf, AGE, "never viewed a page"),
        (1234567.0, DEAL, "deal of 1,234,567"),
        (12.5, DEAL, "deal of 12.50"),
        (1234.56, DEAL, "deal of 1,235"),
        (None, DEAL, "size of the deal: not known"),
        ("{Ж} 😀", INDUSTRY, "industry {Ж} 😀"),
        (7.0, INDUSTRY, "industry 7"),
        (0.1234, RATE, "rate 0.12"),
        (1234.5, RATE, "rate 1,234.5"),
        (0.0, RATE, "rate 0"),
    ],
)
def test_a_value_is_worded_by_its_unit(value, meaning, words):
    assert sentence(value, meaning) == words


def test_a_template_keeps_what_is_no_field():
    meaning = Meaning("mails", "mails", "share", "100 % {{sure}}: {value} of {value:count} mail{s}, %s %(a)d")
    assert sentence(2.0, meaning) == "100 % {sure}: 200% of 2 mails, %s %(a)d"


def plain(group, speaks=True):
    return Meaning(group, group, "number", group + " is {value}", "", speaks)


def worded(contributions, columns, groups=None, most=3, silent=()):
    """The reasons of one row, its contributions without the base value."""
    meanings = {name: plain((groups or {}).get(name, name), name not in silent) for name in columns}
    matrix = pa.table({name: [value] for name, value in columns.items()})
    found = reasons(np.array([[*contributions, 9.0]]), matrix, meanings, most)
    return json.loads(found[0])


def test_for_and_against_strongest_first():
    columns = dict.fromkeys("abcdefgh", 1.0)
    found = worded([0.1, -0.2, 0.4, -0.5, 0.3, -0.1, 0.2, -0.3], columns)
    assert [one["feature"] for one in found] == ["c", "e", "g", "d", "h", "b"]
    assert [one["contribution"] for one in found] == [0.4, 0.3, 0.2, -0.5, -0.3, -0.2]
    assert found[0] == {"feature": "c", "value": 1.0, "contribution": 0.4, "sentence": "c is 1"}


def test_the_base_value_is_no_reason():
    assert worded([0.0, 0.0], {"a": 1.0, "b": 2.0}) == []


def test_what_is_below_the_threshold_is_no_reason():
    assert [one["feature"] for one in worded([0.02, 0.0199, -0.02, -0.0199], dict.fromkeys("abcd", 1.0))] == ["a", "c"]


def test_a_group_is_one_reason_told_by_its_strongest_member():
    columns = {"a7": 1.0, "b": 2.0, "a30": 3.0, "a90": 4.0}
    groups = {"a7": "a", "a30": "a", "a90": "a"}
    assert worded([0.1, 0.25, 0.4, -0.2], columns, groups) == [
        {"feature": "a30", "value": 3.0, "contribution": 0.3, "sentence": "a is 3"},
        {"feature": "b", "value": 2.0, "contribution": 0.25, "sentence": "b is 2"},
    ]


def test_the_member_that_speaks_pulls_the_way_of_the_sum():
    found = worded([0.5, -0.3, -0.4], {"a7": 1.0, "a30": 2.0, "a90": 3.0}, dict.fromkeys(["a7", "a30", "a90"], "a"))
    assert [(one["feature"], one["contribution"]) for one in found] == [("a90", -0.2)]


@pytest.mark.parametrize(
    ("pulls", "silent", "speaker", "total"),
    [
        ([0.9, 0.1, 0.2], ["a"], "c", 1.2),  # another words what the strongest adds
        ([0.9, -0.1, 0.2], ["a", "c"], "a", 1.0),  # who pulls the other way does not speak for the group
        ([0.9, 0.0, -0.2], ["a"], "a", 0.7),  # nor who does not pull at all
        ([-0.1, -0.2, -0.9], ["c"], "b", -1.2),
        ([0.3, -0.2, -0.9], ["b", "c"], "c", -0.8),
        ([0.4, 0.5, 0.4], ["a", "b", "c"], "b", 1.3),
    ],
)
def test_a_silent_member_counts_and_lets_another_speak(pulls, silent, speaker, total):
    found = worded(pulls, dict.fromkeys("abc", 1.0), dict.fromkeys("abc", "g"), silent=silent)
    assert [(one["feature"], one["contribution"]) for one in found] == [(speaker, total)]


def test_ties_go_to_the_first_column():
    assert [one["feature"] for one in worded([0.3] * 5, dict.fromkeys("zyxwv", 1.0))] == ["z", "y", "x"]


def test_missing_values_and_text_of_any_column_type():
    columns = {"a": nan, "b": None, "c": "Ж\n"}
    matrix = pa.table(
        {"a": pa.array([nan]), "b": pa.array([None], pa.float64()), "c": pa.array(["Ж\n"]).dictionary_encode()}
    )
    meanings = {name: plain(name) for name in columns}
    meanings["c"] = Meaning("c", "c", "category", "c is {value}")
    found = json.loads(reasons(np.array([[0.3, 0.2, 0.1, 0.0]]), matrix, meanings)[0])
    assert [(one["value"], one["sentence"]) for one in found] == [
        (None, "a: not known"),
        (None, "b: not known"),
        ("Ж\n", "c is Ж\n"),
    ]


def test_the_text_to_the_byte():
    """As first published: readers of stored scores may compare texts."""
    matrix = pa.table({"views": [3.0, 0.0, None], "industry": ['Ж "q"\n', None, "a\\b"], "rate": [1e-7, inf, -0.0]})
    meanings = {"views": VIEWS, "industry": INDUSTRY, "rate": RATE}
    parts = np.array([[0.5, -0.1234567, 0.25, 1.0], [-1e-3, 0.02, 30.0, 1.0], [0.1, 0.1, -0.30000000000000004, 1.0]])
    assert reasons(parts, matrix, meanings) == [
        '[{"feature": "views", "value": 3.0, "contribution": 0.5, "sentence": "3 page views in the last 7 days"}, '
        '{"feature": "rate", "value": 1e-07, "contribution": 0.25, "sentence": "rate 1e-07"}, '
        '{"feature": "industry", "value": "Ж \\"q\\"\\n", "contribution": -0.123457, '
        '"sentence": "industry Ж \\"q\\"\\n"}]',
        '[{"feature": "rate", "value": null, "contribution": 30.0, "sentence": "rate: not known"}, '
        '{"feature": "industry", "value": null, "contribution": 0.02, "sentence": "industry: not known"}]',
        '[{"feature": "views", "value": null, "contribution": 0.1, "sentence": "no page view in the last 7 days"}, '
        '{"feature": "industry", "value": "a\\\\b", "contribution": 0.1, "sentence": "industry a\\\\b"}, '
        '{"feature": "rate", "value": -0.0, "contribution": -0.3, "sentence": "rate -0"}]',
    ]


def test_a_row_s_reasons_do_not_depend_on_the_rows_beside():
    matrix = pa.table({"rate": [0.0, -0.0, nan, None], "industry": pa.array(["a", "b", "a", None])})
    meanings, parts = {"rate": RATE, "industry": INDUSTRY}, np.tile([0.5, -0.5, 0.0], (4, 1))
    alone = [reasons(parts[i : i + 1], matrix.slice(i, 1), meanings)[0] for i in range(4)]
    assert reasons(parts, matrix, meanings) == alone


def test_no_rows_and_fewer_groups_than_places():
    empty = pa.table({"a": pa.array([], pa.float64())})
    assert reasons(np.empty((0, 2)), empty, {"a": plain("a")}) == []
    assert len(worded([0.3], {"a": 1.0})) == 1


@pytest.mark.parametrize(
    ("shape", "meanings", "words"), [((2, 1), {"a": VIEWS}, "shape"), ((2, 2), {"b": VIEWS}, "no meaning.*'a'")]
)
def test_what_does_not_fit_is_refused(shape, meanings, words):
    with pytest.raises(ValueError, match=words):
        reasons(np.zeros(shape), pa.table({"a": [1.0, 2.0]}), meanings)


def slow_speaker(members, silent, sign):
    """The feature that pulls hardest, of (contribution, feature) those that may speak, else of all; first of equals."""
    pulling = [member for member in members if sign * member[0] > 0]
    talking = [member for member in pulling if member[1] not in silent]
    hardest, speaker = 0, None
    for contribution, feature in talking or pulling:
        if abs(contribution) > hardest:
            hardest, speaker = abs(contribution), feature
    return speaker


def slow_reasons(row, values, groups, silent, most):
    """The rule, written for one row at a time."""
    sums = {}
    for i, group in enumerate(groups):
        sums.setdefault(group, []).append((row[i], i))
    total = {group: sum(c for c, _ in members) for group, members in sums.items()}
    found = []
    for sign in (1, -1):
        side = sorted((group for group in total if sign * total[group] >= THRESHOLD), key=lambda g: -sign * total[g])
        for group in side[:most]:
            speaker = slow_speaker(sums[group], silent, sign)
            found.append((f"f{speaker}", values[speaker], total[group]))
    return found


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_all_rows_at_once_are_each_row_alone(data):
    rows, features = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 9))
    # Eighths add up exactly, so that both ways of adding see the same ties.
    eighths = st.integers(-8, 8).map(lambda i: i / 8)
    grid = data.draw(st.lists(st.lists(eighths, min_size=features, max_size=features), min_size=rows, max_size=rows))
    groups = data.draw(st.lists(st.sampled_from("abcd"), min_size=features, max_size=features))
    silent = data.draw(st.sets(st.integers(0, features - 1)))
    most = data.draw(st.integers(1, 4))
    values = [[float(10 * r + f) for f in range(features)] for r in range(rows)]
    matrix = pa.table({f"f{i}": [row[i] for row in values] for i in range(features)})
    contributions = np.column_stack([np.array(grid), np.full(rows, 5.0)])
    meanings = {f"f{i}": plain(group, i not in silent) for i, group in enumerate(groups)}
    found = reasons(contributions, matrix, meanings, most)
    for text, row, value in zip(found, grid, values, strict=True):
        got = [(one["feature"], one["value"], one["contribution"]) for one in json.loads(text)]
        assert got == slow_reasons(row, value, groups, silent, most)
        said = [one["sentence"].split(" is ")[0] for one in json.loads(text)]
        assert len(said) == len(set(said)), "two reasons of one group"
