"""Reasons: selection of groups and speakers, clashes, and the JSON text."""

import json
from dataclasses import replace
from datetime import timedelta
from math import inf, nan

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.definitions.semantics import Meaning
from features.wording.wording import Wording, load_english
from models.reference.typical_lead import TypicalLead
from serve.reasons.reasons import ReasonWriter, write_reasons
from serve.reasons.selection import (
    MIN_CATEGORY_CONTRIBUTION,
    MIN_CLEAR_EFFECT,
    MIN_CONTRIBUTION,
    SPARE_GROUPS,
)

WEEK = timedelta(days=7)


def fact(name, key="attribute", unit="number", subject=None, **more):
    """Return a meaning, in a group of its own by default."""
    scope = "lead" if key == "attribute" else "entity"
    group = more.pop("group", name)
    return Meaning(
        group, key, unit, more.pop("scope", scope), subject or name, more.pop("span", None), name
    )


def count(subject="any", span=None, group=None, scope="entity"):
    return Meaning(group or f"{scope}.{subject}", "count", "count", scope, subject, span)


def age(subject="any", group=None, scope="entity"):
    return Meaning(group or f"{scope}.{subject}", "age", "days", scope, subject)


def reasons_of(parts, columns, meanings=None, most=3, usual=None, words=None):
    """Return the reasons of one row, from its contributions without the base value."""
    known = {name: fact(name) for name in columns} | (meanings or {})
    matrix = pa.table({name: pa.array([value]) for name, value in columns.items()})
    writer = ReasonWriter(known, words or load_english(), usual or TypicalLead())
    return json.loads(write_reasons(np.array([[*parts, 9.0]]), matrix, writer, most)[0])


def sentences(*arguments, **more):
    return [one["sentence"] for one in reasons_of(*arguments, **more)]


def test_reasons_for_and_against_are_sorted_by_strength():
    columns = dict.fromkeys("abcdefgh", 1.0)
    found = reasons_of([0.1, -0.2, 0.4, -0.5, 0.3, -0.1, 0.2, -0.3], columns)
    assert [one["feature"] for one in found] == ["c", "e", "g", "d", "h", "b"]
    assert [one["contribution"] for one in found] == [0.4, 0.3, 0.2, -0.5, -0.3, -0.2]
    assert found[0] == {"feature": "c", "value": 1.0, "contribution": 0.4, "sentence": "c is 1"}


def test_base_value_is_no_reason():
    assert reasons_of([0.0, 0.0], {"a": 1.0, "b": 2.0}) == []


def test_contribution_below_the_threshold_is_no_reason():
    parts = [MIN_CONTRIBUTION, MIN_CONTRIBUTION - 1e-4, -MIN_CONTRIBUTION, 1e-4 - MIN_CONTRIBUTION]
    assert [one["feature"] for one in reasons_of(parts, dict.fromkeys("abcd", 1.0))] == ["a", "c"]


def test_reason_ties_go_to_the_first_column():
    assert [one["feature"] for one in reasons_of([0.3] * 5, dict.fromkeys("zyxwv", 1.0))] == [
        "z",
        "y",
        "x",
    ]


def test_group_is_one_reason_with_its_total_contribution():
    columns = {"x7": 1.0, "b": 2.0, "x30": 3.0, "x90": 4.0}
    groups = {name: count("type:x", timedelta(days=int(name[1:]))) for name in ("x7", "x30", "x90")}
    assert reasons_of([0.1, 0.25, 0.4, -0.2], columns, groups) == [
        {
            "feature": "x30",
            "value": 3.0,
            "contribution": 0.3,
            "sentence": "3 “x” events in the last 30 days",
        },
        {"feature": "b", "value": 2.0, "contribution": 0.25, "sentence": "b is 2"},
    ]


def test_speaker_has_the_sign_of_its_group():
    groups = {name: count("type:x", timedelta(days=int(name[1:]))) for name in ("x7", "x30", "x90")}
    found = reasons_of([0.5, -0.3, -0.4], {"x7": 1.0, "x30": 2.0, "x90": 3.0}, groups)
    assert [(one["feature"], one["contribution"]) for one in found] == [("x90", -0.2)]


def test_silent_features_never_speak_and_faint_ones_only_alone():
    decay = Meaning("entity.type:x", "decay", "number", subject="type:x", span=WEEK)
    pause = Meaning("entity.type:x", "gap_max", "days", subject="type:x")
    meanings = {"x": count("type:x"), "decay": decay, "pause": pause}
    assert sentences([0.1, 0.9, 0.5], {"x": 2.0, "decay": 1.0, "pause": 3.0}, meanings) == [
        "2 “x” events so far"
    ]
    assert reasons_of([0.0, 0.9, 0.0], {"x": 2.0, "decay": 1.0, "pause": 3.0}, meanings) == []
    usual = TypicalLead({"x": 9.0, "pause": 2.0}, {"x": -0.9, "pause": -0.9})
    cells = {"x": 2.0, "decay": 1.0, "pause": 30.0}
    assert sentences([0.1, -0.3, -0.3], cells, meanings, usual=usual) == [
        "a pause of 30 days between “x” events"
    ]
    assert sentences([-0.1, -0.1, -0.3], cells, meanings, usual=usual) == [
        "only 2 “x” events so far"
    ]


VIEWS = {"n": count("type:x", WEEK, group="x"), "age": age("type:x", group="x")}


@pytest.mark.parametrize(
    ("parts", "columns", "without", "said"),
    [
        # Without any it would add -0.3: what is there is good, and it is little or long ago.
        ([0.2, 0.1], {"n": 3.0, "age": 2.0}, -0.3, ["3 “x” events in the last 7 days"]),
        ([-0.1, 0.0], {"n": 1.0, "age": 2.0}, -0.3, ["only 1 “x” event in the last 7 days"]),
        ([-0.0, -0.1], {"n": 1.0, "age": 40.0}, -0.3, ["no “x” event for 40 days"]),
        ([-0.1, -0.05], {"n": 0.0, "age": 40.0}, -0.3, ["no “x” events in the last 7 days"]),
        # As good as none at all: it is long ago; but how many there were is neither here nor there.
        ([-0.2, -0.1], {"n": 1.0, "age": 40.0}, -0.3, ["no “x” event for 40 days"]),
        ([-0.3, 0.0], {"n": 1.0, "age": 2.0}, -0.3, []),
        # Above the usual count, “only” would be absurd.
        ([-0.1, 0.0], {"n": 9.0, "age": 2.0}, -0.3, []),
        # Without any it would add 0.3: what is there is bad.
        ([-0.2, -0.1], {"n": 3.0, "age": 2.0}, 0.3, ["3 “x” events in the last 7 days"]),
        # A lack is never told as good, even of what is bad.
        ([0.1, 0.0], {"n": 1.0, "age": 2.0}, 0.3, []),
        ([0.3, 0.0], {"n": 0.0, "age": nan}, 0.3, []),
        ([0.0, 0.3], {"n": 0.0, "age": nan}, 0.3, []),
        # Never “no events” as something good where events are what adds.
        ([0.2, 0.0], {"n": 0.0, "age": 9.0}, -0.3, []),
    ],
)
def test_sentence_agrees_with_its_sign(parts, columns, without, said):
    usual = TypicalLead({"n": 2.0, "age": 10.0}, {"n": without, "age": without})
    assert sentences(parts, columns, VIEWS, usual=usual) == said


def test_model_without_typical_lead_states_plain_values():
    assert sentences([0.2, 0.0], {"n": 1.0, "age": 2.0}, VIEWS) == [
        "1 “x” event in the last 7 days"
    ]
    assert sentences([0.0, -0.2], {"n": 1.0, "age": 40.0}, VIEWS) == ["last “x” event 40 days ago"]


def test_groups_of_one_family_are_judged_together():
    """Few events are shown as too few though each adds: having none would cost that too."""
    meanings = {"all": count("any", WEEK, group="a"), "x": count("type:x", group="x")}
    usual = TypicalLead({"all": 5.0, "x": 1.0}, {"all": -0.5, "x": -0.2}, {"a": ["a", "x"]})
    found = sentences([-0.3, 0.4], {"all": 2.0, "x": 3.0}, meanings, usual=usual)
    assert found == ["3 “x” events so far", "only 2 activities in the last 7 days"]
    assert sentences([-0.3, 0.4], {"all": 9.0, "x": 3.0}, meanings, usual=usual) == [
        "3 “x” events so far"
    ]
    alone = TypicalLead(usual.medians, usual.absence_effects)
    assert sentences([-0.6, 0.4], {"all": 9.0, "x": 3.0}, meanings, usual=alone) == [
        "3 “x” events so far"
    ]


@pytest.mark.parametrize(
    "meaning",
    [
        count(),
        count("channel:web", WEEK),
        age(),
        Meaning("g", "active_days", "count", span=WEEK),
        Meaning("g", "people", "count", "account", span=WEEK),
        Meaning("g", "trend", "change", span=WEEK),
    ],
)
def test_activity_is_never_shown_as_bad(meaning):
    for usual in (TypicalLead(), TypicalLead({"a": 5.0}, {"a": 0.4})):
        assert reasons_of([-0.3], {"a": 7.0}, {"a": meaning}, usual=usual) == []
        assert (
            len(reasons_of([0.3], {"a": 7.0}, {"a": meaning}, usual=TypicalLead({"a": 5.0}))) == 1
        )


@pytest.mark.parametrize("key", ["gap_mean", "gap_max"])
def test_pause_is_never_shown_as_good(key):
    meanings = {"a": Meaning("g", key, "days", subject="type:x")}
    for part, without in ((0.3, 0.0), (0.3, 0.6), (0.3, 0.3), (-0.3, 0.0)):
        assert (
            reasons_of([part], {"a": 7.0}, meanings, usual=TypicalLead({"a": 5.0}, {"a": without}))
            == []
        )
    assert (
        len(reasons_of([-0.3], {"a": 7.0}, meanings, usual=TypicalLead({"a": 5.0}, {"a": -0.6})))
        == 1
    )


def test_ending_type_is_never_shown_as_good():
    words = replace(load_english(), ends=frozenset({"lost"}))
    meanings = {
        "n": count("type:lost", group="n", scope="account"),
        "stage": Meaning("s", "stage_days", "days", subject="type:lost", name="lost"),
        "last": Meaning("order", "last_type_1", "category"),
    }
    cells = {"n": 1.0, "stage": 3.0, "last": "lost"}
    assert reasons_of([0.3, 0.2, 0.5], cells, meanings, words=words) == []
    assert len(reasons_of([-0.3, -0.2, -0.5], cells, meanings, words=words)) == 3
    assert len(reasons_of([0.3, 0.2, 0.5], cells, meanings)) == 3
    assert sentences([0.3, 0.2, 0.5], cells | {"last": "call"}, meanings, words=words) == [
        "the last activity: call"
    ]
    gone = cells | {"stage": nan, "last": None}
    assert reasons_of([0.0, 0.2, 0.5], gone, meanings) == []
    none = TypicalLead({"n": 1.0}, {"n": -0.3})
    assert reasons_of([-0.3, 0.0, 0.0], cells | {"n": 0.0}, meanings, words=words, usual=none) == []


def test_category_of_events_needs_a_stronger_contribution():
    meanings = {"last": Meaning("order", "last_type_1", "category")}
    assert reasons_of([MIN_CATEGORY_CONTRIBUTION - 0.01], {"last": "call"}, meanings) == []
    assert sentences([MIN_CATEGORY_CONTRIBUTION], {"last": "call"}, meanings) == [
        "the last activity: call"
    ]


def test_trend_states_more_or_fewer_events():
    meanings = {"t": Meaning("m", "trend", "change", span=WEEK)}
    usual = TypicalLead({"t": 3.0}, {"t": -0.2})
    assert sentences([0.1], {"t": 2.0}, meanings, usual=usual) == [
        "2 more activities in the last 7 days than as long before"
    ]
    assert sentences([0.1], {"t": -2.0}, meanings, usual=usual) == []
    assert sentences([-0.1], {"t": -2.0}, meanings, usual=usual) == [
        "2 fewer activities in the last 7 days than as long before"
    ]
    for part in (0.3, -0.3):
        assert (
            reasons_of([part], {"t": 0.0}, meanings, usual=usual)
            == reasons_of([part], {"t": 0.0}, meanings)
            == []
        )


@pytest.mark.parametrize(
    ("one", "other", "values", "parts", "both"),
    [
        # The same number of events that may be the same.
        (count(), count("type:x"), (3.0, 3.0), (0.3, 0.2), False),
        (count(), count("type:x"), (4.0, 3.0), (0.3, 0.2), True),
        (count("channel:w"), count("type:x"), (3.0, 3.0), (0.3, -0.2), False),
        (count("type:y"), count("type:x"), (3.0, 3.0), (0.3, 0.2), True),
        (count("type:x", scope="account"), count("type:x"), (3.0, 3.0), (0.3, 0.2), False),
        (count("type:x", scope="others"), count("type:x"), (3.0, 3.0), (0.3, 0.2), True),
        # The same time, as it is written.
        (age(), age("type:x"), (2.1, 1.9), (0.3, 0.2), False),
        (age(), age("type:x"), (0.9, 2.1), (0.3, 0.2), True),
        (age(), Meaning("stage", "stage_age", "days"), (5.0, 5.2), (0.3, -0.2), False),
        (age(), count("type:x"), (3.0, 3.0), (0.3, 0.2), True),
        # What is nothing twice.
        (count(span=WEEK), count("type:x", WEEK), (0.0, 0.0), (-0.3, -0.2), False),
        (count(span=WEEK), count("type:x", 2 * WEEK), (0.0, 0.0), (-0.3, -0.2), True),
        (count("type:y"), count("type:x"), (0.0, 0.0), (-0.3, -0.2), True),
        (age(), count("type:x", WEEK), (41.0, 0.0), (-0.3, -0.2), False),
        # The last time says as much.
        (age(), count("type:x", WEEK), (9.0, 0.0), (0.3, -0.2), False),
        (age(), count("type:x", WEEK), (6.0, 0.0), (0.3, -0.2), True),
        (count(span=WEEK), age(), (0.0, 9.0), (-0.3, 0.2), False),
        (age("type:x"), count(span=WEEK), (9.0, 0.0), (0.3, -0.2), True),
        # Silence twice, since other times.
        (age(), age("type:x"), (41.0, 50.0), (-0.3, -0.2), True),
    ],
)
def test_reasons_neither_repeat_nor_contradict_each_other(one, other, values, parts, both):
    meanings = {"one": one, "other": other}
    without = {name: _zero(*pair) for name, *pair in zip(meanings, values, parts, strict=True)}
    usual = TypicalLead({"one": 10.0, "other": 10.0}, without)
    found = reasons_of(parts, {"one": values[0], "other": values[1]}, meanings, usual=usual)
    assert {each["feature"] for each in found} == ({"one", "other"} if both else {"one"})
    alone = reasons_of(
        [0.0, parts[1]], {"one": values[0], "other": values[1]}, meanings, usual=usual
    )
    assert [each["feature"] for each in alone] == ["other"]


def _zero(value, part):
    """Return the effect of having nothing with which these values can be shown."""
    return part + np.sign(part) / 10 if value == 0 or value > 10 else 0.0


def test_next_group_replaces_one_that_clashes():
    meanings = {"a": age(), "b": age("type:x"), "c": age("type:y"), "d": age("type:z")}
    found = reasons_of([0.5, 0.4, 0.3, 0.2], {"a": 2.0, "b": 2.0, "c": 3.0, "d": 4.0}, meanings)
    assert [one["feature"] for one in found] == ["a", "c", "d"]


def test_missing_values_and_texts_of_any_column_type():
    columns = {"a": nan, "b": None, "c": "Ж\n"}
    matrix = pa.table(
        {
            "a": pa.array([nan]),
            "b": pa.array([None], pa.float64()),
            "c": pa.array(["Ж\n"]).dictionary_encode(),
        }
    )
    meanings = {name: fact(name) for name in columns} | {"c": fact("c", unit="category")}
    found = json.loads(
        write_reasons(
            np.array([[0.3, 0.2, 0.1, 0.0]]), matrix, ReasonWriter(meanings, load_english())
        )[0]
    )
    assert [(one["value"], one["sentence"]) for one in found] == [
        (None, "a is not known"),
        (None, "b is not known"),
        ("Ж\n", "c is Ж\n"),
    ]


def test_reason_json_is_stable_to_the_byte():
    """Readers of stored scores may compare texts."""
    matrix = pa.table(
        {
            "views": [3.0, 0.0, None],
            "industry": ['Ж "q"\n', None, "a\\b"],
            "rate": [1e-7, inf, -0.0],
        }
    )
    meanings = {
        "views": count("type:x", WEEK),
        "industry": fact("industry", unit="category"),
        "rate": fact("rate"),
    }
    parts = np.array(
        [
            [0.5, -0.1234567, 0.25, 1.0],
            [-1e-3, 0.05, 30.0, 1.0],
            [-0.1, 0.1, -0.30000000000000004, 1.0],
        ]
    )
    assert write_reasons(
        parts, matrix, ReasonWriter(meanings, load_english(), TypicalLead({}, {"views": -0.2}))
    ) == [
        '[{"feature": "views", "value": 3.0, "contribution": 0.5, '
        '"sentence": "3 “x” events in the last 7 days"}, '
        '{"feature": "rate", "value": 1e-07, "contribution": 0.25, "sentence": "rate is 1e-07"}, '
        '{"feature": "industry", "value": "Ж \\"q\\"\\n", "contribution": -0.123457, '
        '"sentence": "industry is Ж \\"q\\"\\n"}]',
        '[{"feature": "rate", "value": null, "contribution": 30.0, '
        '"sentence": "rate is not known"}, '
        '{"feature": "industry", "value": null, "contribution": 0.05, '
        '"sentence": "industry is not known"}]',
        '[{"feature": "industry", "value": "a\\\\b", "contribution": 0.1, '
        '"sentence": "industry is a\\\\b"}, '
        '{"feature": "rate", "value": -0.0, "contribution": -0.3, "sentence": "rate is -0"}, '
        '{"feature": "views", "value": null, "contribution": -0.1, '
        '"sentence": "no “x” events in the last 7 days"}]',
    ]


def test_language_changes_the_sentences_alone():
    meanings = {"n": count("type:x", WEEK, group="x"), "b": fact("b")}
    columns, parts = {"n": 5.0, "b": 2.0}, [0.4, -0.3]
    russian = reasons_of(parts, columns, meanings, words=Wording.load("ru"))
    assert [one.pop("sentence") for one in russian] == ["5 событий «x» за последние 7 дней", "b: 2"]
    assert russian == [
        {key: one[key] for key in russian[0]} for one in reasons_of(parts, columns, meanings)
    ]


def test_reasons_of_a_row_do_not_depend_on_other_rows():
    matrix = pa.table({"rate": [0.0, -0.0, nan, None], "industry": pa.array(["a", "b", "a", None])})
    writer = ReasonWriter(
        {"rate": fact("rate"), "industry": fact("industry", unit="category")}, load_english()
    )
    parts = np.tile([0.5, -0.5, 0.0], (4, 1))
    alone = [write_reasons(parts[i : i + 1], matrix.slice(i, 1), writer)[0] for i in range(4)]
    assert write_reasons(parts, matrix, writer) == alone


def test_reasons_of_no_rows_and_of_few_groups():
    empty = pa.table({"a": pa.array([], pa.float64())})
    assert (
        write_reasons(np.empty((0, 2)), empty, ReasonWriter({"a": fact("a")}, load_english())) == []
    )
    assert len(reasons_of([0.3], {"a": 1.0})) == 1


@pytest.mark.parametrize(
    ("shape", "meanings", "words"),
    [((2, 1), {"a": fact("a")}, "shape"), ((2, 2), {"b": fact("b")}, "no meaning.*'a'")],
)
def test_reasons_reject_wrong_shapes_and_unknown_features(shape, meanings, words):
    with pytest.raises(ValueError, match=words):
        write_reasons(
            np.zeros(shape), pa.table({"a": [1.0, 2.0]}), ReasonWriter(meanings, load_english())
        )


SUBJECTS = ("any", "type:x", "type:y", "channel:w")


def slow_reach(meaning, value, little):
    """Return for how many days a fact states that nothing happened; None if it does not."""
    if value == 0:
        return meaning.span.days if meaning.span else inf
    return value if meaning.key == "age" else None


def slow_clash(one, other):
    """Return whether two reasons (side, meaning, value, little) clash."""
    (side, a, value, little), (other_side, b, other_value, other_little) = one, other
    if a.group == b.group:
        return True
    a_holds, b_holds = a.subject in ("any", b.subject), b.subject in ("any", a.subject)
    share = a_holds or b_holds or a.subject.split(":")[0] != b.subject.split(":")[0]
    if a.key == b.key and share and value and round(value) == round(other_value):
        return True
    reach, other_reach = slow_reach(a, value, little), slow_reach(b, other_value, other_little)
    if None not in (reach, other_reach) and (
        (a_holds and other_reach <= reach) or (b_holds and reach <= other_reach)
    ):
        return True
    lacks, other_lacks = value == 0 or little, other_value == 0 or other_little
    return side != other_side and lacks and other_lacks and (a_holds or b_holds)


def slow_speaker(members, side, added, without):
    """Return the strongest column that can speak, and whether its value is low."""
    best = None
    for part, i, meaning, value in members:
        nothing, low = value == 0, value > 5 if meaning.key == "age" else value < 5
        if side * added >= MIN_CLEAR_EFFECT:
            fits = not nothing and not (side < 0 and not meaning.subject.startswith("type:"))
        elif side * added <= -MIN_CLEAR_EFFECT:
            fits = side < 0 and (nothing or low)
        else:
            fits = side < 0 and (
                nothing or (meaning.key == "age" and low and side * without >= MIN_CONTRIBUTION)
            )
        if fits and side * part > 0 and (best is None or side * part > best[0]):
            best = (side * part, i, side * added < MIN_CLEAR_EFFECT)
    return best and best[1:]


def slow_reasons(row, values, meanings, without, most):
    """Return the reasons of one row: (column, contribution, whether the value is low)."""
    members = {}
    for i, meaning in enumerate(meanings):
        members.setdefault(meaning.group, []).append((row[i], i, meaning, values[i]))
    total = {group: sum(part for part, *_ in inside) for group, inside in members.items()}
    found, selected = {1: [], -1: []}, []
    candidates = []
    for side in (1, -1):
        ranked = sorted(total, key=lambda group: -side * total[group])[: most + SPARE_GROUPS]
        candidates += [(side, group) for group in ranked]
    for side, group in sorted(candidates, key=lambda each: -abs(total[each[1]])):
        speaker = slow_speaker(members[group], side, total[group] - without[group], without[group])
        if speaker is None or side * total[group] < MIN_CONTRIBUTION or len(found[side]) == most:
            continue
        said = (side, meanings[speaker[0]], values[speaker[0]], speaker[1])
        if not any(slow_clash(said, before) for before in selected):
            selected.append(said)
            found[side].append((speaker[0], total[group], speaker[1]))
    return found[1] + found[-1]


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_vectorized_selection_matches_a_loop_over_rows(data):
    rows, features = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 9))
    # Eighths add up exactly, so that both ways of adding see the same ties.
    eighths = st.integers(-8, 8).map(lambda i: i / 8)
    grid = data.draw(
        st.lists(
            st.lists(eighths, min_size=features, max_size=features), min_size=rows, max_size=rows
        )
    )
    cells = st.integers(0, 9).map(float)
    values = data.draw(
        st.lists(
            st.lists(cells, min_size=features, max_size=features), min_size=rows, max_size=rows
        )
    )
    meanings = []
    for _ in range(features):
        subject, group = data.draw(st.sampled_from(SUBJECTS)), data.draw(st.sampled_from("abcd"))
        span = data.draw(st.sampled_from([WEEK, None]))
        meanings.append(
            data.draw(st.sampled_from([count(subject, span, group), age(subject, group)]))
        )
    without = {group: data.draw(eighths) for group in "abcd"}
    most = data.draw(st.integers(1, 3))
    # An age of 0 days is told as less than an hour: let what is 0 be missing.
    for row in values:
        row[:] = [max(v, 1.0) if m.key == "age" else v for v, m in zip(row, meanings, strict=True)]
    matrix = pa.table({f"f{i}": [row[i] for row in values] for i in range(features)})
    names = [f"f{i}" for i in range(features)]
    usual = TypicalLead(
        dict.fromkeys(names, 5.0),
        {n: without[m.group] for n, m in zip(names, meanings, strict=True)},
    )
    writer = ReasonWriter(
        {f"f{i}": meaning for i, meaning in enumerate(meanings)}, load_english(), usual
    )
    found = write_reasons(
        np.column_stack([np.array(grid), np.full(rows, 5.0)]), matrix, writer, most
    )
    for text, row, value in zip(found, grid, values, strict=True):
        slow = slow_reasons(row, value, meanings, without, most)
        got = [(one["feature"], one["contribution"], one["sentence"]) for one in json.loads(text)]
        assert got == [
            (f"f{i}", total, load_english().sentence(meanings[i], value[i], little))
            for i, total, little in slow
        ]
