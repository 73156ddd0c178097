"""Near-twins: which names are one, which one is right, and what the message says."""

import pyarrow as pa
import yaml

from features.names.twins import describe_twins, find_text_twins, find_twins, quote_name
from features.tools.distinct_texts import DistinctTexts


def pairs(counts, known=()):
    return [(twin.written, twin.name, twin.settled) for twin in find_twins(counts, known)]


def test_names_of_the_config_are_right_and_others_are_their_twins():
    counts = {"buy": 2, "Buy": 90, "BUY": 1, "met": 5}
    assert pairs(counts, {"buy"}) == [("Buy", "buy", True), ("BUY", "buy", True)]
    assert pairs(counts) == [("buy", "Buy", False), ("BUY", "Buy", False)]


def test_known_names_that_never_occur_have_twins_too():
    assert pairs({"Lost": 4}, {"lost"}) == [("Lost", "lost", True)]


def test_listed_names_are_no_twins_of_each_other():
    assert pairs({"A": 3, "a": 2}, {"A", "a"}) == []
    # A third spelling that nobody listed is one again.
    assert pairs({"A": 3, "a": 2, "a_": 1}, {"A", "a"}) == [("a_", "A", True)]


def test_few_rows_are_an_accident():
    def frequent(rows, of):
        return find_twins({"buy": of, "Buy": rows}, {"buy"})[0].is_frequent

    assert [frequent(rows, 100) for rows in (3, 4)] == [False, True]
    assert [frequent(rows, 10_000) for rows in (10, 11)] == [False, True]


def test_suggestions_are_yaml_that_settles_the_twin():
    for written in ("Buy", "b\u200buy", "\uff42uy", "b\u0443y", 'b"uy', "\U0001d41buy"):
        counts = {"buy": 9, 'b"uy': 0, written: 5}
        for twin in find_twins(counts, {"buy"}):
            lines = twin.suggest("s").split(" if ")
            same, apart = (line.partition(".names: ")[2] for line in lines)
            same = yaml.safe_load(same)
            assert same == {"buy": [written]}
            apart = yaml.safe_load(apart)
            assert find_twins(counts, {"buy", *apart}) == []


def test_letters_of_other_alphabets_are_shown_as_such_only_among_latin_ones():
    assert quote_name("в\u043en", True) == '"\\u0432\\u043en"'
    assert quote_name("вон", False) == '"вон"'


def test_hidden_columns_show_no_name():
    (line,) = describe_twins(find_twins({"ab": 2, "Ab": 1}, ()), "attribute x", "k", hidden=True)
    assert "1 row" in line and "ab" not in line.replace("attribute", "").lower().split(":")[1][:20]


def test_free_text_is_not_compared():
    def count(size):
        texts = pa.chunked_array([pa.array(["T0", *(f"t {i}" for i in range(size - 1))])])
        return len(find_text_twins(DistinctTexts.from_column(texts), ()))

    assert [count(20_000), count(20_001)] == [1, 0]
