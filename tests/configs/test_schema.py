"""Loading of a project's config, and the errors of invalid ones."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from configs.durations import format_duration, parse_duration
from configs.errors import ConfigError
from configs.learning import Learning, Search
from configs.night import Capacity
from configs.schema import Project, build_json_schema, load_project
from configs.targets import ColumnOutcome

SHIPPED = sorted(Path(__file__).parents[2].joinpath("configs").glob("*.yaml"))

GOOD = """
project: p
timezone: Europe/Berlin
workspace: workspace/p
sources:
  leads: {path: "${DATA_FOR_TEST}/l.csv", entity_id: id, created_at: born, attributes: [size]}
  events:
    - {path: e.csv, entity_id: id, event_time: at, event_type: what}
targets:
  close: {outcome: won, horizon: 30d, cutoffs: {every: 7d}, observed_from: 2024-07-01}
"""


def load_text(tmp_path, text, monkeypatch=None):
    path = tmp_path / "c.yaml"
    path.write_text(text, encoding="utf-8")
    return load_project(path)


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.setenv("DATA_FOR_TEST", "/data")
    monkeypatch.setenv("LEADSCORE_DATA", "/nowhere")
    monkeypatch.delenv("LEADSCORE_WORKSPACE", raising=False)


def test_config_loads_as_written(tmp_path):
    found = load_text(tmp_path, GOOD)
    assert found.sources.leads.path == "/data/l.csv"
    assert found.targets["close"].horizon == timedelta(days=30)
    assert found.targets["close"].outcome_types == ("won",)
    assert found.targets["close"].observed_from == datetime(2024, 6, 30, 22, tzinfo=UTC)
    assert (found.timed, found.workspace_path, found.path) == (
        True,
        tmp_path / "workspace/p",
        str(tmp_path / "c.yaml"),
    )


@pytest.mark.parametrize("wrong", ["0.9", "5%", "-1", "[1]"])
@pytest.mark.parametrize("others", ["per_week: 7, ", ""])
def test_capacity_error_names_value_and_bounds(tmp_path, wrong, others):
    with pytest.raises(ConfigError) as refused:
        load_text(tmp_path, f"{GOOD}capacity: {{{others}explore: {wrong}}}")
    assert refused.value.where == f"{tmp_path / 'c.yaml'}: capacity.explore"
    assert (
        f"not {yaml.safe_load(wrong)!r}" in refused.value.what
        and "between 0 and 0.5" in refused.value.what
    )


def test_capacity_error_names_the_yaml_key(tmp_path):
    for text, key in (("{owner: x}", "capacity.per_week"), ("x", "capacity"), ("0", "capacity")):
        with pytest.raises(ConfigError) as refused:
            load_text(tmp_path, f"{GOOD}capacity: {text}")
        assert refused.value.where == f"{tmp_path / 'c.yaml'}: {key}"


def test_capacity_accepts_number_or_mapping(tmp_path):
    assert load_text(tmp_path, GOOD).capacity_config is None
    assert load_text(tmp_path, GOOD + "capacity: 7").capacity_config == Capacity(per_week=7)
    whole = load_text(
        tmp_path, GOOD + "capacity: {per_week: 7, owner: who, explore: 0.05}"
    ).capacity_config
    assert whole == Capacity(per_week=7, owner="who", explore=0.05)
    for wrong in (
        "0",
        "{owner: who}",
        "{per_week: 7, explore: 0.6}",
        "{per_week: 0}",
        "{per_week: 7, whose: x}",
        "x",
    ):
        with pytest.raises(ConfigError, match="capacity"):
            load_text(tmp_path, f"{GOOD}capacity: {wrong}")
    short = GOOD.replace("horizon: 30d", "horizon: 1d") + "publish: {keep: 5d}\n"
    assert load_text(tmp_path, short).publish.keep
    with pytest.raises(ConfigError, match="week"):
        load_text(tmp_path, short + "capacity: 7")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            ("attributes: [size]", "atributes: [size]"),
            ["unknown key", "sources.leads.atributes", "did you mean attributes"],
        ),
        (("horizon: 30d", "horizn: 30d"), ["did you mean horizon"]),
        (("timezone:", "zzz: 1\ntimezone:"), ["unknown key", "zzz", "leadscore schema"]),
        (
            ("horizon: 30d", "horizon: 30 days"),
            ["targets.close.horizon", "'30 days'", "30d or 12h"],
        ),
        (("every: 7d", "every: 0d"), ["targets.close.cutoffs", "longer than zero"]),
        (("every: 7d", "every: 7d, delay: 1d"), ["either every"]),
        (("every: 7d", "delay: -1d"), ["is not a duration"]),
        ((", cutoffs: {every: 7d}", ""), ["needs horizon and cutoffs", "{every: 7d}"]),
        (
            ("outcome: won", "outcome: {event: won}"),
            ["targets.close.outcome", "give an event type"],
        ),
        (("Europe/Berlin", "Europe/Berlni"), ["timezone", "'Europe/Berlni'"]),
        (
            ("${DATA_FOR_TEST}", "${NOT_SET_FOR_TEST}"),
            ["variable is not set", "NOT_SET_FOR_TEST", "export"],
        ),
        (("project: p", "project: a b"), ["project"]),
        (("path: e.csv", "path: e.csv, database: 'sqlite:///x', query: y"), ["either path"]),
        (("path: e.csv", "database: 'sqlite:///x'"), ["database and query must be given together"]),
        ((", created_at: born", ""), ["outcome event requires times"]),
        (("created_at: born", "created_at: born, order: n"), ["order is for data without times"]),
        (
            ("timezone:", "learning: {one_vot: true}\ntimezone:"),
            ["learning.one_vot", "did you mean one_vote"],
        ),
        (
            ("timezone:", "learning: {recency_half_life: 2}\ntimezone:"),
            ["learning.recency_half_life", "such as 180d", "0.1"],
        ),
        (
            ("timezone:", "learning: {recency_half_life: yes}\ntimezone:"),
            ["learning.recency_half_life", "such as 180d", "0.1"],
        ),
        (
            ("timezone:", "learning: {recency_half_life: 0d}\ntimezone:"),
            ["a duration above 0", "0.1"],
        ),
        (("timezone:", "learning: {search: {trials: 0}}\ntimezone:"), ["learning.search"]),
        (("timezone:", "learning: {search: 5}\ntimezone:"), ["learning.search"]),
        (
            ("outcome: won", "outcome: {column: y, equals: 1}"),
            ["remove population, horizon and cutoffs"],
        ),
    ],
)
def test_config_error_names_file_key_and_fix(tmp_path, change, words):
    assert change[0] in GOOD
    with pytest.raises(ConfigError) as caught:
        load_text(tmp_path, GOOD.replace(*change))
    for word in ["c.yaml", "fix:", *words]:
        assert word in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [1", "invalid YAML"),
        ("", "not a mapping"),
        ("- 1\n", "not a mapping"),
        ("a: \0", "invalid YAML"),
        ("a: 1\nb: {}\nc: 2\na: 3\n", "line 4.*duplicate key 'a'"),
    ],
)
def test_yaml_that_is_no_mapping_is_rejected(tmp_path, text, words):
    with pytest.raises(ConfigError, match=words):
        load_text(tmp_path, text)


def test_missing_or_binary_file_is_rejected(tmp_path):
    with pytest.raises(ConfigError, match="config file not found"):
        load_project(tmp_path / "none.yaml")
    (tmp_path / "x.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="cannot read"):
        load_project(tmp_path / "x.yaml")


def test_environment_expands_variables_and_overrides_workspace(tmp_path, monkeypatch):
    text = GOOD.replace("path: e.csv", 'path: "${workspace}/e.csv"')
    assert load_text(tmp_path, text).sources.events[0].path == str(tmp_path / "workspace/p/e.csv")
    monkeypatch.setenv("LEADSCORE_WORKSPACE", "/elsewhere")
    found = load_text(tmp_path, text)
    assert (found.workspace_path, found.sources.events[0].path) == (
        Path("/elsewhere"),
        "/elsewhere/e.csv",
    )


def test_config_hash_ignores_locations(tmp_path, monkeypatch):
    once = load_text(tmp_path, GOOD).config_hash
    monkeypatch.setenv("DATA_FOR_TEST", "/other")
    assert load_text(tmp_path, GOOD.replace("workspace/p", "w")).config_hash == once
    assert load_text(tmp_path, GOOD.replace("30d", "31d")).config_hash != once


def test_config_hash_ignores_costs(tmp_path):
    costs = "sources:\n  costs: {path: c.csv, date: day, channel: via, cost: spent}\n"
    assert GOOD.count("sources:\n") == 1
    with_costs = load_text(tmp_path, GOOD.replace("sources:\n", costs))
    assert len(with_costs.sources.costs) == 1
    assert with_costs.config_hash == load_text(tmp_path, GOOD).config_hash


def test_unknown_target_suggests_nearest_name(tmp_path):
    found = load_text(tmp_path, GOOD)
    assert found.target_config("close") is found.targets["close"]
    with pytest.raises(ConfigError, match="did you mean close"):
        found.target_config("clsoe")


def test_naive_instant_is_read_in_config_zone(tmp_path):
    found = load_text(tmp_path, GOOD)
    assert found.parse_instant("2024-01-01") == datetime(2023, 12, 31, 23, tzinfo=UTC)
    assert found.parse_instant("2024-01-01T00:00:00Z") == datetime(2024, 1, 1, tzinfo=UTC)
    with pytest.raises(ConfigError, match="not a date or instant"):
        found.parse_instant("soon")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", Learning()),
        (
            "{one_vote: true, recency_half_life: 180d}",
            Learning(one_vote=True, recency_half_life=timedelta(days=180)),
        ),
        ("{recency_half_life: 0.1}", Learning(recency_half_life=0.1)),
        ("{search: 60s}", Learning(search=Search(trials=30, limit=timedelta(minutes=1)))),
        ("{search: {trials: 5}}", Learning(search=Search(trials=5))),
        ("{search: null, recency_half_life: null}", Learning()),
    ],
)
def test_learning_settings_load_and_match_json_schema(tmp_path, text, expected):
    whole = f"{GOOD}learning: {text}\n"
    assert load_text(tmp_path, whole).learning == expected
    typed = yaml.safe_load(whole)
    del typed["targets"]["close"]["observed_from"]
    jsonschema.validate(typed, build_json_schema())


@pytest.mark.parametrize(
    ("order", "half_life", "words"),
    [
        ("", "0.1", "or order"),
        ("order: rows, ", "30d", "such as 0.1"),
        ("order: rows, ", "0.1", ""),
    ],
)
def test_half_life_requires_times_or_order(tmp_path, order, half_life, words):
    text = f"""
project: p
workspace: w
sources: {{leads: {{path: l.csv, {order}attributes: [size]}}}}
targets: {{buy: {{outcome: {{column: y, equals: 1}}}}}}
learning: {{recency_half_life: {half_life}}}
"""
    if not words:
        assert load_text(tmp_path, text).learning.recency_half_life == 0.1
        return
    with pytest.raises(ConfigError, match=words):
        load_text(tmp_path, text)


def test_learning_defaults_to_no_weights_and_no_search(tmp_path):
    assert load_text(tmp_path, GOOD).learning == Learning(
        one_vote=False, activity=False, recency_half_life=None, search=None
    )


def test_config_is_immutable(tmp_path):
    with pytest.raises(ValidationError):
        load_text(tmp_path, GOOD).capacity = 3


@given(st.timedeltas(timedelta(0), timedelta(days=4000)))
def test_duration_round_trips_through_format(length):
    assert parse_duration(format_duration(length)) == length


@given(st.text(max_size=8))
def test_duration_parse_error_shows_the_text(text):
    fits = re.fullmatch(r"\s*\d+(\.\d+)?[wdhms]\s*", text)
    try:
        assert isinstance(parse_duration(text), timedelta) and fits
    except ValueError as error:
        assert not fits and repr(text) in str(error)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_configs_load_and_match_json_schema(path):
    found = load_project(path)
    assert found.project == path.stem
    # A date in YAML is a text in JSON.
    raw = yaml.load(path.read_text(encoding="utf-8"), yaml.BaseLoader)
    typed = yaml.safe_load(path.read_text(encoding="utf-8"))
    for name, target in typed["targets"].items():
        if "observed_from" in target:
            target["observed_from"] = raw["targets"][name]["observed_from"] + "T00:00:00Z"
    jsonschema.Draft202012Validator(build_json_schema()).validate(typed)


def test_json_schema_rejects_unknown_key():
    with pytest.raises(jsonschema.ValidationError, match="nonsense"):
        jsonschema.validate(
            yaml.safe_load(GOOD.replace("project: p", "project: p\nnonsense: 1")),
            build_json_schema(),
        )


def test_untimed_shipped_configs_use_outcome_columns():
    """Check that untimed sets use outcome columns, with or without row order."""
    shipped = {path.stem: load_project(path) for path in SHIPPED}
    untimed = {name for name, each in shipped.items() if not each.timed}
    assert {
        "xeducation",
        "ibm_win_loss",
        "bank_marketing",
        "online_shoppers",
        "crm_maven",
    } <= untimed
    for name in untimed:
        assert all(
            isinstance(target.outcome, ColumnOutcome) for target in shipped[name].targets.values()
        )
    assert {"olist", "bpi2012"} <= set(shipped) - untimed
    assert isinstance(shipped["olist"], Project)


def test_score_retention_must_exceed_horizon(tmp_path):
    path = tmp_path / "company.yaml"
    text = Path(__file__).parents[2].joinpath("configs", "demo.yaml").read_text(encoding="utf-8")
    path.write_text(text + "\npublish: {keep: 31d}\n", encoding="utf-8")
    assert load_project(path).publish.keep == timedelta(days=31)
    path.write_text(text + "\npublish: {keep: 30d}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="longer than every horizon"):
        load_project(path)


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("words: {Page_view: 3}", "words.Page_view"),
        ("targets: {Win: {horizon: 30d}}", "targets.Win.outcome"),
        (
            "publish: {exports: {Sales: {format: csv, columns: {A: buy.score}, Nonsense: 1}}}",
            "publish.exports.Sales.Nonsense",
        ),
        ("publish: {reasons: {}}", "publish.reasons"),
    ],
)
def test_config_error_names_key_as_written(tmp_path, line, key):
    path = tmp_path / "company.yaml"
    name = line.partition(":")[0]
    text = yaml.safe_load(GOOD)
    path.write_text(
        yaml.safe_dump({each: text[each] for each in text if each != name}) + line, encoding="utf-8"
    )
    with pytest.raises(ConfigError) as caught:
        load_project(path)
    assert caught.value.where == f"{path}: {key}"
