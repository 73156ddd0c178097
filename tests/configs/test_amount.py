"""Amount of a target: a number, an attribute, or the value of the outcome event."""

import jsonschema
import pytest
import yaml

from configs.errors import ConfigError
from configs.schema import build_json_schema, load_project
from configs.targets import OutcomeAmount

COMPANY = """
project: p
workspace: w
sources:
  leads: {path: l.csv, entity_id: id, created_at: at, attributes: [size]}
  events: [{path: e.csv, entity_id: id, event_time: at, event_type: what, VALUE}]
targets: {win: {outcome: won, horizon: 30d, cutoffs: {every: 7d}, amount: AMOUNT}}
"""
UNTIMED = """
project: p
workspace: w
sources:
  leads: {path: l.csv}
  events: [{path: e.csv, entity_id: id, event_time: at, event_type: what, value: worth}]
targets: {win: {outcome: {column: won, equals: 1}, amount: {outcome: value}}}
"""


def read(folder, text):
    (folder / "company.yaml").write_text(text, encoding="utf-8")
    return load_project(folder / "company.yaml")


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        ("500", 500.0),
        ("size", "size"),
        ("{outcome: value}", OutcomeAmount(outcome="value")),
        ("null", None),
    ],
)
def test_amount_accepts_number_attribute_or_outcome_value(tmp_path, amount, expected):
    text = COMPANY.replace("AMOUNT", amount).replace("VALUE", "value: worth")
    target = read(tmp_path, text).target_config("win")
    assert target.amount == expected and target.learns_amount == isinstance(expected, OutcomeAmount)
    jsonschema.validate(yaml.safe_load(text), build_json_schema())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            COMPANY.replace("AMOUNT", "{outcome: value}").replace("VALUE", "channel: via"),
            "targets.win.amount",
        ),
        (
            COMPANY.replace("AMOUNT", "{outcome: revenue}").replace("VALUE", "value: worth"),
            "targets.win.amount",
        ),
        (
            COMPANY.replace("AMOUNT", "{outcomes: value}").replace("VALUE", "value: worth"),
            "or {outcome: value} [",
        ),
        (UNTIMED, "carries no value"),
    ],
)
def test_amount_without_value_column_is_rejected(tmp_path, text, words):
    with pytest.raises(ConfigError) as refused:
        read(tmp_path, text)
    assert words in str(refused.value)
