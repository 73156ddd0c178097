"""Names are cut into words, and phrases are found in them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.proposal.reading.words import (
    NO_RANK,
    load_phrases,
    matches_words,
    rank_words,
    split_words,
)


@pytest.mark.parametrize(
    "name, words",
    [
        ("wonDate", "won date"),
        ("IsWon", "is won"),
        ("HTTPCode", "http code"),
        ("Deal - Won time", "deal won time"),
        ("event_timestamp", "event timestamp"),
        ("Created (UTC)", "created utc"),
        ("Дата создания сделки", "дата создания сделки"),
        ("ОтветственныйЗаЗвонок", "ответственный за звонок"),
        ("Straße", "strasse"),
        ("geändert", "geandert"),
        ("Ёмкость", "емкость"),
    ],
)
def test_name_is_cut_into_words(name, words):
    assert " ".join(split_words(name)) == words


@given(st.lists(st.sampled_from(["won", "date", "deal", "lost", "первый", "größe"]), min_size=1))
def test_words_do_not_depend_on_their_separators(words):
    forms = {split_words(sign.join(words)) for sign in (" ", "_", "-", " - ", ".", "/")}
    forms.add(split_words("".join(word.capitalize() for word in words)))
    assert len(forms) == 1


@pytest.mark.parametrize("name", ["E-Mail", "Рабочий email", "Vorname", "full_name", "Телефон"])
def test_personal_name_is_known_in_three_languages(name):
    assert matches_words(name, "personal")


def test_surest_word_comes_first():
    assert rank_words(split_words("Closed Won"), "values.won") == 0
    assert rank_words(split_words("visited"), "values.won") == NO_RANK


def test_words_of_yes_and_no_stay_texts():
    # To YAML 1.1 they are true and false.
    assert ("yes",) in load_phrases("values.true")
    assert ("no",) in load_phrases("values.false")
