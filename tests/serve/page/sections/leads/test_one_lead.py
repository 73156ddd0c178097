"""The cards hold the numbers of the scores table, and the facts that were handed over."""

import dataclasses
import json
import re
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from serve.page.content import page_data
from serve.page.content.hidden_ids import hide_personal_ids
from serve.page.content.page_data import TIMELINE, LeadFacts
from serve.page.sections.leads.one_lead import build_one_lead
from serve.store.store import Store
from tests.serve.page.pages import make_data, make_project
from tests.serve.samples import MONDAY, a_reason, a_run, ask, publish, some_scores

DAY = timedelta(days=1)
NIGHTS = [MONDAY - 3 * DAY, MONDAY - DAY, MONDAY]
# Tonight's rows as the database has them, read without the store.
TONIGHT_SQL = """
    SELECT target, entity_id, probability, probability_low, probability_high, score, grade, rank,
           (SELECT count(*) FROM scores s WHERE s.target = t.target AND s.as_of = t.as_of),
           expected_value, evidence, account_id
    FROM scores t WHERE as_of = (SELECT max(as_of) FROM scores)"""
NIGHTS_SQL = """
    SELECT as_of, probability, probability_low, probability_high, score, grade, model_version
    FROM scores WHERE target = ? AND entity_id = ? ORDER BY as_of"""

CARD_KEYS = {
    *("target", "entity", "subtitle", "figures", "interval", "steps", "nights", "history"),
    *("change", "events", "events_note", "unknown", "listed"),
}


def an_event(entity, days, event_type, channel=None, value=None):
    time = MONDAY - timedelta(days=days)
    values = (entity, time, event_type, channel, value)
    return dict(zip(TIMELINE.names, values, strict=True))


EVENTS = [
    an_event("a", 1, "call", "phone", 12.0),
    an_event("a", 2, "page_view", "web"),
    an_event("b", 3, "proposal", None, 1234.5),
]
FACTS = LeadFacts(
    pa.Table.from_pylist(EVENTS, schema=TIMELINE),
    {"a": 30, "b": 1, "c": 0},
    {"a": [], "b": ["industry"], "c": ["industry", "employee_count"]},
)


@dataclasses.dataclass(frozen=True)
class FakeEvaluation:
    """The part of a stored evaluation that a card needs."""

    base_value: float | None = -2.0


@pytest.fixture
def published(tmp_path):
    """Return a function that publishes three nights and reads the contents of the last page."""
    project = make_project(tmp_path, words={"call": "phone call", "industry": "sector"})

    def publish_nights(language="en", **fields):
        store = Store(tmp_path / "scores.db")
        for number, night in enumerate(NIGHTS):
            targets = tuple(project.targets)
            run = a_run(f"r{number}", night, targets)
            run = dataclasses.replace(run, models=dict.fromkeys(targets, str(1 + number // 2)))
            publish(store, run, some_scores(run, seed=number))
        ids = ["a", "b", "c"]
        given = {"past": store.past_scores(project.project, ids, MONDAY, 60)} | fields
        return make_data(project, store.scores(project.project, MONDAY), run, language, **given)

    return publish_nights


def read_cards(section):
    return {(card["target"], card["entity"]): card for card in section.block.content["cards"]}


def find_figure(card, label):
    return next((figure for figure in card["figures"] if figure[0] == label), None)


def test_figures_equal_the_scores_table(published, tmp_path):
    data = published(facts=FACTS)
    cards, words = read_cards(build_one_lead(data)), data.words
    rows = ask(f"sqlite:///{tmp_path / 'scores.db'}", TONIGHT_SQL)
    assert len(rows) == len(cards) == 6
    for target, entity, p, low, high, score, grade, rank, scored, value, evidence, account in rows:
        card = cards[target, entity]
        assert find_figure(card, "grade")[1] == grade
        assert find_figure(card, "score")[1] == str(score)
        assert f"Place {rank} of {scored} " in find_figure(card, "score")[2]
        assert find_figure(card, "probability")[1] == f"{100 * p:.1f}%"
        assert find_figure(card, "evidence")[1] == evidence
        interval = card["interval"]
        ends = [float(end) for end in re.findall(r"([\d.]+)%", interval["text"])]
        assert ends == pytest.approx([100 * low, 100 * high], abs=0.051)
        assert (interval["value"], interval["low"], interval["high"]) == (p, low, high)
        assert high <= interval["end"]
        figure = find_figure(card, "expected value")
        assert figure is None if value is None else figure[1] == words.amount(value)
        account_line = "It is not known which account it belongs to"
        lines = [line for line in card["unknown"] if line.startswith(account_line)]
        assert bool(lines) == (account is None)


def test_history_equals_the_scores_table(published, tmp_path):
    data = published()
    cards = read_cards(build_one_lead(data))
    address = f"sqlite:///{tmp_path / 'scores.db'}"
    for (target, entity), card in cards.items():
        query = NIGHTS_SQL.replace("?", f"'{target}'", 1).replace("?", f"'{entity}'", 1)
        rows = ask(address, query)
        assert len(card["nights"]) == len(NIGHTS) == len(rows)
        for night, row, as_of in zip(card["nights"], rows, NIGHTS, strict=True):
            assert datetime.fromtimestamp(night[0] / 1000, UTC) - as_of < timedelta(seconds=1)
            assert night[1:4] == tuple(round(share, 5) for share in row[1:4])
            assert night[4:6] == row[4:6]
        # The first night has no night before it; only the last is of another model.
        assert [night[6] for night in card["nights"]] == [None, None, "2"]
        assert card["history"].startswith("3 nights from 2025-07-04 to 2025-07-07")
        assert f"The score went from {rows[1][4]} to {rows[2][4]} " in card["change"][0]
        assert "version 2 instead of 1" in card["change"][1]


def test_first_night_has_no_history(published):
    data = published()
    card = read_cards(build_one_lead(dataclasses.replace(data, past=data.past.slice(0, 0))))
    assert card["close", "a"]["nights"] == []
    assert card["close", "a"]["history"].startswith("This is the first night")
    assert card["close", "a"]["change"] == ["No earlier score of this lead is stored."]


def test_steps_start_at_the_base_value_of_the_model(published):
    data = published(evaluations={"close": FakeEvaluation(), "opportunity": FakeEvaluation(None)})
    section = build_one_lead(data)
    cards = read_cards(section)
    steps = cards["close", "a"]["steps"]
    assert [step["kind"] for step in steps] == ["typical", "for", "against", "rest", "lead"]
    assert steps[0]["label"] == "A typical lead: 11.9%"
    assert steps[1]["sentence"] == "▲ opened a mail: from 11.9% to 18.2%"
    assert steps[-1]["label"] == f"This lead: {find_figure(cards['close', 'a'], 'probability')[1]}"
    assert [step["start"] for step in cards["opportunity", "a"]["steps"]] == [0.0, 0.0]
    assert cards["opportunity", "a"]["steps"][0]["sentence"] == "▲ opened a mail: speaks for it"
    assert [note for note in section.notes if "For target" in note] == [
        "For target opportunity the value of a typical lead is not stored with the model, so "
        "reasons are shown without it. The next training stores it."
    ]


def test_events_are_in_the_words_of_the_project(published):
    cards = read_cards(build_one_lead(published(facts=FACTS)))
    assert cards["close", "a"]["events"] == [
        ["2025-07-06 04:30", "phone call", "phone", "12"],
        ["2025-07-05 04:30", "page view", "web", ""],
    ]
    assert cards["close", "b"]["events"] == [["2025-07-04 04:30", "proposal", "", "1,234.50"]]
    notes = {entity: cards["close", entity]["events_note"] for entity in "abc"}
    assert notes["a"] == "Events known by 2025-07-07 04:30: 30. The newest 2 are shown."
    assert notes["b"].endswith(": 1. All are shown, the newest first.")
    assert notes["c"] == "No event of this lead was known by 2025-07-07 04:30."


def test_unknown_things_are_named(published):
    data = change_scores(published(facts=FACTS), evidence="enough", account_id="acc")
    cards = read_cards(build_one_lead(data))
    assert cards["close", "a"]["unknown"] == ["Every attribute has a value."]
    assert cards["close", "b"]["unknown"] == ["Without a value: sector."]
    assert cards["close", "c"]["unknown"] == [
        "Without a value: sector, employee count.",
        "Nothing that it did is known.",
    ]
    gone = dataclasses.replace(FACTS, events={}, unknown={}, timeline=TIMELINE.empty_table())
    card = read_cards(build_one_lead(dataclasses.replace(data, facts=gone)))["close", "a"]
    assert card["events_note"] == card["unknown"][0]
    assert "did not hold this lead" in card["events_note"]


def change_scores(data, **values):
    """Return the contents with the same values in all scores; a list has one for each row."""
    scores = data.scores
    for name, value in values.items():
        column = value if isinstance(value, list) else [value] * len(scores)
        field = scores.schema.field(name)
        place = scores.column_names.index(name)
        scores = scores.set_column(place, field, pa.array(column, field.type))
    return dataclasses.replace(data, scores=scores)


def test_full_attributes_do_not_hide_that_little_is_known(published):
    accounts = [None, "acc", "acc"] * 2
    data = change_scores(published(facts=FACTS), evidence="too little", account_id=accounts)
    facts = dataclasses.replace(FACTS, unknown={"a": [], "b": [], "c": []})
    cards = {
        row: read_cards(build_one_lead(dataclasses.replace(data, facts=one)))
        for row, one in (("facts", facts), ("none", None))
    }
    ids = data.scores["entity_id"].to_pylist()[:3]
    for entity, account in zip(ids, accounts, strict=False):
        count = FACTS.events[entity]
        lines = cards["facts"]["close", entity]["unknown"]
        assert lines[0] == (
            f"What is known of it (events: {count}) is too little to tell a good lead from a poor "
            "one."
            if count
            else "Nothing that it did is known."
        )
        assert any("which account" in line for line in lines) == (account is None)
        assert lines[-1] == "Apart from that, every attribute has a value."
        unread = cards["none"]["close", entity]["unknown"]
        assert unread[1] == "Too little is known of it to tell a good lead from a poor one."


def test_lead_drawn_at_random_is_to_be_called(published):
    lists = ["explore", "pick", None] * 2
    data = change_scores(published(), listed=lists, grade="D")
    section = build_one_lead(data)
    cards, words = read_cards(section), section.block.content["words"]
    assert words["listed"]["close"]["explore"] == [
        "drawn at random",
        "On this week's list because it was drawn at random; please call it like the others.",
    ]
    for entity, name in zip(data.scores["entity_id"].to_pylist()[:3], lists, strict=False):
        card = cards["close", entity]
        assert card["listed"] == name
        assert ("Not now" in find_figure(card, "grade")[2]) == (name is None)


def test_page_without_facts_says_how_to_get_them(published):
    section = build_one_lead(published())
    card = read_cards(section)["close", "a"]
    assert card["events"] == []
    assert card["events_note"].endswith("leadscore report acme.yaml")
    assert any(note.endswith("leadscore report acme.yaml") for note in section.notes)


def test_leads_beyond_the_limit_are_named_with_the_command(published, monkeypatch):
    data = published()
    assert "details of every lead" in build_one_lead(data).notes[0]
    monkeypatch.setattr(page_data, "choose_detailed_leads", lambda scores: scores.slice(0, 2))
    section = build_one_lead(dataclasses.replace(data))
    assert len(read_cards(section)) == 2
    assert "2 of 6 scores" in section.notes[0]
    assert section.notes[0].endswith("leadscore explain acme.yaml ID")


def test_personal_ids_are_in_no_command(published, tmp_path, monkeypatch):
    data = published()
    monkeypatch.setattr(page_data, "choose_detailed_leads", lambda scores: scores.slice(0, 2))
    hidden = make_project(tmp_path, privacy={"personal": ["id"]})
    section = build_one_lead(hide_personal_ids(dataclasses.replace(data, project=hidden)))
    expected = "leadscore explain acme.yaml ID, with the id that scores.csv has"
    assert expected in section.notes[0]
    assert section.block.content["words"]["explain"].startswith(expected)
    plain = build_one_lead(dataclasses.replace(data))
    assert plain.block.content["words"]["explain"] is None


@pytest.mark.parametrize("language", ["en", "ru"])
def test_cards_hold_no_property_and_no_personal_value(published, language):
    reasons = json.dumps([a_reason(0.5, "opened a mail")])
    data = published(language, facts=FACTS)
    texts = json.dumps(build_one_lead(data).block.content, ensure_ascii=False)
    assert reasons not in texts
    keys = {key for card in build_one_lead(data).block.content["cards"] for key in card}
    assert keys == CARD_KEYS
    # No path of this machine, and no id of the run.
    assert str(data.project.workspace_path.parent) not in texts
    assert data.run.run_id not in texts
