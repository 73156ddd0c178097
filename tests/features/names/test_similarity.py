"""The form in which names are compared: what it ignores, and what it keeps."""

import unicodedata

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.names.similarity import LOOK_ALIKES, fold_name, fold_names

NAMES = st.text(st.sampled_from([*"aBé-_ 19\u00a0\u200b\u0301ßоО\uff21ı"]), max_size=6)


@pytest.mark.parametrize(
    "other",
    [
        "Stage 1",
        "stage_1",
        "STAGE1",
        "stage\u00a01",
        "stage\u20111",
        "st\u200bage 1",
        "st\u00adage 1",
        "stage\ufe0f 1",
        "\uff53\uff54\uff41\uff47\uff45 1",
        "ѕtаgе 1",
        "stage \t1",
        "stage\u22121",
    ],
)
def test_near_twins_have_one_form(other):
    assert fold_name(other) == fold_name("stage 1")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("stage 1", "stage 2"),
        ("1-10", "110"),
        ("-1", "1"),
        ("1-10", "11-0"),
        ("kauf", "käuf"),
        ("a.b", "ab"),
        ("stage_l", "stage_1"),
        ("-", "_"),
    ],
)
def test_different_names_keep_different_forms(first, second):
    assert fold_name(first) != fold_name(second)


def test_separators_between_digits_are_alike():
    assert fold_name("2024-01") == fold_name("2024 01") == fold_name("2024_01")


def test_cyrillic_case_does_not_matter():
    assert fold_name("ВОН") == fold_name("вон") == fold_name("Вон")


def test_look_alikes_are_single_lower_case_letters():
    letters = "".join(LOOK_ALIKES.values())
    assert len(set(letters)) == len(letters)
    assert all(letter.casefold() == letter and not letter.isascii() for letter in letters)


@settings(deadline=None, max_examples=200)
@given(NAMES | st.text(max_size=4))
def test_case_and_unicode_form_do_not_matter(name):
    folded = fold_name(name)
    assert {fold_name(unicodedata.normalize(form, name)) for form in ("NFC", "NFD", "NFKC")} == {
        folded
    }
    assert fold_name(name.upper().lower()) == fold_name(name.lower().upper().lower())


@settings(deadline=None, max_examples=100)
@given(st.lists(NAMES | st.text("aZ9", max_size=3), max_size=5))
def test_columns_fold_as_single_names_do(names):
    assert fold_names(pa.array(names, pa.string())) == [fold_name(name) for name in names]
