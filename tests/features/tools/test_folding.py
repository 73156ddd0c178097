"""Texts without case and outer blanks."""

import unicodedata

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.names import BLANKS
from features.tools.folding import fold_text, fold_texts, is_ascii

LETTERS = st.text(st.sampled_from([*"aAsSkKé\u0301ßſЖжİi̇Ωώ. \u00a0\ufeff\t9"]), max_size=6)


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(st.lists(st.none() | LETTERS | st.text(max_size=4), max_size=6))
def test_columns_fold_as_single_texts_do(texts):
    wanted = [None if text is None else fold_text(text) for text in texts]
    column = pa.array(texts, pa.string())
    assert fold_texts(column).to_pylist() == wanted
    assert fold_texts(pa.chunked_array([column, column])).to_pylist() == wanted * 2
    assert fold_texts(column.dictionary_encode()).to_pylist() == wanted
    assert is_ascii(column) == all(text is None or text.isascii() for text in texts)


@settings(deadline=None)
@given(LETTERS | st.text(max_size=5), st.sampled_from(["", " ", "\u00a0", "\ufeff\t"]))
def test_case_blanks_and_normal_form_do_not_matter(text, blank):
    folded = fold_text(text)
    assert (
        fold_text(blank + text + blank)
        == fold_text(text.upper().lower())
        == fold_text(text.lower().upper())
    )
    for form in ("NFC", "NFD"):
        assert fold_text(unicodedata.normalize(form, text)) == folded
    assert folded == folded.strip(BLANKS)
