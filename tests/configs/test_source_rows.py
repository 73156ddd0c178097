"""Attribute histories in the config, and the errors of invalid ones."""

import pytest

from configs.errors import ConfigError
from configs.schema import load_project
from configs.source_rows import find_duplicate_claim

HISTORIES = """
project: p
workspace: w
sources:
  leads: {path: l.csv, entity_id: id, created_at: born, attributes: [country]}
  attributes:
    - {path: w.csv, entity_id: id, valid_from: since, columns: [segment, size], missing: ["-"]}
    - {path: f.csv, entity_id: id, valid_from: at, known_at: seen,
       attribute: field, value: new, only: [stage]}
targets:
  close: {outcome: won, horizon: 30d, cutoffs: {every: 7d}}
"""


def load_text(tmp_path, text):
    path = tmp_path / "c.yaml"
    path.write_text(text, encoding="utf-8")
    return load_project(path)


def test_wide_and_long_histories_load_as_written(tmp_path):
    wide, long = load_text(tmp_path, HISTORIES).sources.attributes
    assert (wide.columns, wide.declared_attributes, wide.attribute, wide.known_at) == (
        ("segment", "size"),
        ("segment", "size"),
        None,
        None,
    )
    assert (long.attribute, long.value, long.declared_attributes, long.known_at) == (
        "field",
        "new",
        ("stage",),
        "seen",
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("value: new", "value: new, columns: [x]"), ["sources.attributes.1", "either columns"]),
        ((", columns: [segment, size]", ""), ["sources.attributes.0", "either columns"]),
        (("columns: [segment, size]", "columns: []"), ["either columns"]),
        ((", value: new", ""), ["attribute and value must be given together"]),
        (
            ("columns: [segment, size]", "columns: [segment], value: x"),
            ["attribute and value must be given together"],
        ),
        (
            ("columns: [segment, size]", "columns: [segment], only: [segment]"),
            ["list just the columns you want"],
        ),
        (
            ("only: [stage]", "only: [size]"),
            ["'size' of attributes[1] is already defined in attributes[0]"],
        ),
        (
            ("[segment, size]", "[segment, segment]"),
            ["'segment' of attributes[0] is already defined in attributes[0]"],
        ),
        (
            ("only: [stage]", "only: [country]"),
            ["'country' of attributes[1] is already defined in leads.attributes"],
        ),
        (("valid_from: at", "valid_form: at"), ["unknown key", "did you mean valid_from"]),
        ((", valid_from: since", ""), ["sources.attributes.0.valid_from"]),
    ],
)
def test_history_error_names_key_and_fix(tmp_path, change, words):
    assert change[0] in HISTORIES
    with pytest.raises(ConfigError) as caught:
        load_text(tmp_path, HISTORIES.replace(*change))
    for word in ["c.yaml: sources", "fix:", *words]:
        assert word in str(caught.value)


def test_untimed_data_rejects_histories(tmp_path):
    untimed = HISTORIES.replace(", created_at: born", "")
    outcome = "outcome: {column: y, equals: 1}}"
    with pytest.raises(ConfigError, match="an attribute history requires times"):
        load_text(
            tmp_path, untimed.replace("outcome: won, horizon: 30d, cutoffs: {every: 7d}}", outcome)
        )


def test_duplicate_claim_is_found():
    assert find_duplicate_claim([("a", ["x", "y"]), ("b", ["z"])]) is None
    assert find_duplicate_claim([("a", ["x", "y"]), ("b", ["z", "y"]), ("c", ["x"])]) == (
        "y",
        "a",
        "b",
    )
