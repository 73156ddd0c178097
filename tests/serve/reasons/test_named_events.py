"""Events that reasons name, against a count of each lead's events one by one."""

import json
import re
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.build import build_features
from features.contracts import SPINE
from features.definitions.semantics import Meaning
from features.engine.kernels.composition import MAX_LISTED_TYPES
from features.wording.composition import MAX_PARTS
from features.wording.wording import Wording
from models.reference.typical_lead import TypicalLead
from serve.reasons.reasons import (
    ReasonWriter,
    prepare_compositions,
    write_feature_sentences,
    write_reasons,
)
from serve.reasons.selection import SPARE_GROUPS
from tests.features import logs
from tests.features.logs import CATALOG, spine_of
from tests.features.oracle import Row, World, instant, micros
from tests.serve.reasons.test_reasons import fact, reasons_of

NOUN = {name: (f"{name}-1", f"{name}-n") for name in CATALOG.types}
WORDS = Wording.load("en", NOUN)
FEATURES = {feature.name: feature for feature in CATALOG.features}
PART = re.compile(r"(\d+) (?:(\w+)-[1n]|others?)\b")


def write(data, cutoff, contributions, words=WORDS, catalog=CATALOG):
    """Return spine and the reasons of each row; ``contributions`` are drawn for each cell."""
    spine = spine_of([(name, cutoff) for name in data.leads["entity_id"].to_pylist()])
    matrix = build_features(data, spine, catalog)
    used = matrix.drop_columns(SPINE.names)
    scorer = SimpleNamespace(catalog=catalog, encoding=SimpleNamespace(names=used.column_names))
    meanings = {feature.name: feature.meaning for feature in catalog.features}
    # Having nothing would cost a point, so that values are stated as good, or as too low.
    usual = TypicalLead(dict.fromkeys(meanings, 3.0), dict.fromkeys(meanings, -0.5))
    writer = ReasonWriter(meanings, words, usual)
    compositions = prepare_compositions(data, spine, scorer, words)
    values = contributions(spine.num_rows, used.num_columns + 1)
    texts = write_reasons(values, used, writer, 9, compositions)
    return spine, [json.loads(text) for text in texts], (used, writer, compositions)


def find_events(row, feature):
    events = sorted(row.of(feature), key=lambda event: event.time)
    if feature.aggregate == "age":
        return events[-1:]
    limit = None if feature.span is None else micros(feature.span)
    return [event for event in events if limit is None or row.back(event.time) <= limit]


def check_parts(events, sentence):
    """Check a sentence with parts against the events behind it."""
    counts = Counter(event.type for event in events if event.type in NOUN)
    named = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    rest = len(events) - counts.total()
    room = MAX_PARTS if len(named) + bool(rest) <= MAX_PARTS else MAX_PARTS - 1
    rest += sum(count for _, count in named[room:])
    wanted = [(str(count), name) for name, count in named[:room]]
    wanted += [(str(rest), "")] if rest else []
    assert PART.findall(sentence.split(": ")[-1].split(" (")[-1]) == wanted


@given(logs.crowds, logs.moments, st.integers(0, 9))
@logs.examples(25)
def test_reason_names_the_own_events_of_the_lead(data, cutoff, seed):
    random = np.random.default_rng(seed)
    spine, found, _ = write(data, cutoff, lambda *shape: random.normal(0, 1, shape))
    world = World(data, CATALOG)
    for entity, reasons in zip(spine["entity_id"].to_pylist(), found, strict=True):
        row = Row(world, entity, instant(cutoff))
        for reason in reasons:
            feature, sentence = FEATURES[reason["feature"]], reason["sentence"]
            if not feature.meaning.has_composition or not reason["value"]:
                assert ": " not in sentence or feature.is_category or "value" in sentence
                continue
            events = find_events(row, feature)
            types = {event.type for event in events}
            if feature.aggregate == "count":
                assert reason["value"] == len(events)
            if sentence.startswith("no "):
                continue
            if feature.aggregate == "age":
                ties = {e.type for e in row.of(feature) if e.time == events[-1].time}
                assert any(f"{name}-1" in sentence for name in ties) or ties - set(NOUN)
            elif ": " in sentence or "(" in sentence:
                check_parts(events, sentence)
            elif types & set(NOUN):
                (only,) = types
                assert f"{only}-" in sentence


def test_scopes_and_aggregates_are_named():
    """The check above is of all that can be named; a seed with all of it shows that."""
    random, seen = np.random.default_rng(5), set()
    for seed in range(6):
        data = logs.crowd(seed)
        _, found, _ = write(
            data, logs.START + timedelta(days=12), lambda *shape: random.normal(0, 1, shape)
        )
        seen |= {
            (FEATURES[reason["feature"]].scope, FEATURES[reason["feature"]].aggregate)
            for reasons in found
            for reason in reasons
            if re.search(r"[:(] ?\d+ ", reason["sentence"])
        }
    assert seen >= {
        ("entity", "count"), ("account", "count"), ("others", "count"),
        ("entity", "active_days"), ("account", "active_days"),
    }  # fmt: skip


def test_events_that_give_a_lead_up_are_not_named():
    words = replace(WORDS, ends=frozenset({"won", "mail"}))
    for seed in range(4):
        data = logs.crowd(seed)
        ones = np.random.default_rng(seed)
        _, found, _ = write(
            data, logs.START + timedelta(days=12), lambda *s, r=ones: r.normal(0, 1, s), words
        )
        for reason in (reason for reasons in found for reason in reasons):
            if FEATURES[reason["feature"]].meaning.has_composition:
                assert not re.search(r"\b(won|mail)-[1n]", reason["sentence"])


def test_features_of_one_lead_name_their_events():
    """`explain` lists every feature: their sentences agree with those of the reasons."""
    data, cutoff = logs.crowd(3), logs.START + timedelta(days=12)
    random = np.random.default_rng(0)
    _, found, (used, writer, compositions) = write(
        data, cutoff, lambda *shape: random.normal(0, 1, shape)
    )
    said = 0
    for row, reasons in enumerate(found):
        one = compositions.take(np.array([row]))
        sentences = dict(
            zip(
                used.column_names,
                write_feature_sentences(used.slice(row, 1), writer, one),
                strict=True,
            )
        )
        for reason in reasons:
            if reason["contribution"] > 0:
                assert reason["sentence"] == sentences[reason["feature"]]
                said += ": " in reason["sentence"]
    assert said > 5


def test_sentences_without_compositions_stay_as_they_are():
    data, cutoff = logs.crowd(3), logs.START + timedelta(days=12)
    random = np.random.default_rng(0)
    spine, found, (used, writer, _) = write(data, cutoff, lambda *shape: random.normal(0, 1, shape))
    values = np.random.default_rng(0).normal(0, 1, (spine.num_rows, used.num_columns + 1))
    bare = [json.loads(text) for text in write_reasons(values, used, writer, 9)]
    keys = ("feature", "value", "contribution")
    for before, after in zip(bare, found, strict=True):
        assert [[one[key] for key in keys] for one in before] == [
            [one[key] for key in keys] for one in after
        ]
    assert bare != found


@pytest.mark.parametrize(
    ("key", "unit"),
    [
        ("office_hours", "share"),
        ("weekend", "share"),
        ("last_hour", "number"),
        ("created_hour", "number"),
        ("share", "share"),
        ("silence", "number"),
        ("gap_std", "days"),
        ("last_gap_1", "days"),
        ("last_gap_2", "days"),
        ("decay", "number"),
    ],
)
def test_technical_feature_never_speaks(key, unit):
    meanings = {"x": Meaning("x", key, unit)}
    for part in (3.0, -3.0):
        assert reasons_of([part], {"x": 0.9}, meanings) == []
        usual = TypicalLead({"x": 0.5}, {"x": -part})
        assert reasons_of([part], {"x": 0.9}, meanings, usual=usual) == []


def test_slots_of_silent_groups_go_to_the_next_that_can_speak():
    silent = {f"s{i}": Meaning(f"s{i}", "weekend", "share") for i in range(SPARE_GROUPS + 9)}
    heard = {f"a{i}": fact(f"a{i}") for i in range(4)}
    columns = dict.fromkeys([*silent, *heard], 1.0)
    for sign in (1, -1):
        parts = [sign * 2.0] * len(silent) + [sign * part for part in (0.4, 0.3, 0.2, 0.1)]
        found = reasons_of(parts, columns, silent | heard)
        assert [one["feature"] for one in found] == ["a0", "a1", "a2"]


def test_listed_types_are_as_many_as_are_written():
    assert MAX_LISTED_TYPES == MAX_PARTS
