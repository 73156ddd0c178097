"""What every command prints with --json fits its schema, on a small company with a champion."""

import csv
import json
import shutil
import sys
from dataclasses import dataclass
from datetime import datetime, timedelta

import jsonschema
import pytest
import yaml

from configs.schema import load_project
from models.learners import lightgbm
from pipelines import cli, commands
from pipelines.commands import options
from pipelines.json_output.commands import OUTPUTS, build_output_schema
from pipelines.json_output.nightly import ErrorOutput, OracleJson
from pipelines.nightly.night import score_night
from pipelines.results.demo import DemoResult
from pipelines.runner import Runner
from tests.pipelines import tiny
from tests.pipelines.json_output import tables

EARLIER, NIGHT = "2024-11-20", "2024-12-30"


@pytest.fixture(scope="module")
def company(guarded_company, tmp_path_factory):
    """Return the folder of a company with two published nights and a delivery to a CRM."""
    folder = tmp_path_factory.mktemp("json") / "company"
    shutil.copytree(guarded_company, folder)
    config = yaml.safe_load((folder / "company.yaml").read_text())
    crm = {"format": "salesforce", "key": "Id__c", "columns": {"S__c": "buy.score"}}
    config["publish"] = {"exports": {"sales": crm}}
    config["customers"] = {"purchases": ["met", "bought"]}
    config["touches"] = {"types": ["visit"], "replies": ["met"], "min_at_risk": 5}
    config["channels"] = {"touches": ["visit"], "window": "30d", "min_accounts": 1}
    config["sources"]["experiments"] = draw_arms(folder)
    (folder / "company.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("LEADSCORE_WORKSPACE", raising=False)
        for night in (EARLIER, NIGHT):
            score_night(load_project("company.yaml"), night, Runner())
    delivery = (folder / "workspace/exports/sales/current").resolve().name
    results = f"id,status,error,delivery\n{an_entity(folder)},failed,no,{delivery}\n"
    (folder / "results.csv").write_text(results, encoding="utf-8")
    paths = "path,conversions,nulls\nads > mail,2,5\nmail,1,9\n"
    (folder / "paths.csv").write_text(paths, encoding="utf-8")
    return folder


def draw_arms(folder):
    """Draw an arm for each lead ten days after its creation; return the source of these draws."""
    with (folder / "leads.csv").open(encoding="utf-8") as file:
        leads = [row for row in csv.DictReader(file) if row["created"].startswith("2024")]
    lines = ["lead,at,arm\n"]
    for number, row in enumerate(leads):
        at = datetime.fromisoformat(row["created"]) + timedelta(days=10)
        lines.append(f"{row['id']},{at.isoformat()},{('call', 'control')[number % 2]}\n")
    (folder / "draws.csv").write_text("".join(lines), encoding="utf-8")
    return {"path": "draws.csv", "entity_id": "lead", "assigned_at": "at", "arm": "arm"}


@pytest.fixture(scope="module")
def outputs():
    """Return the objects that commands of this module have printed, by command."""
    return {}


@pytest.fixture
def printed(company, outputs, monkeypatch, capsys):
    """Run one command in the company's folder and return its object.

    The result must be plain before it is printed: no conversion may hide an object.
    """
    monkeypatch.chdir(company)
    monkeypatch.delenv("LEADSCORE_WORKSPACE", raising=False)
    monkeypatch.setattr(lightgbm, "ROUNDS", 15)

    def print_plain(value, **named):
        assert json.loads(json.dumps(value, allow_nan=False)) == value
        options.print_json(value, **named)

    for module in (
        commands.training,
        commands.funnel,
        commands.nightly,
        commands.privacy,
        commands.proposal,
        commands.report,
        commands.state,
    ):
        monkeypatch.setattr(module, "print_json", print_plain)

    def call(command, *arguments):
        words = command.split()
        # All but `init` and `channels --paths` begin with the config.
        first = [] if command in ("init", "channels --paths") else ["company.yaml"]
        monkeypatch.setattr(
            sys, "argv", ["leadscore", words[0], *first, *words[1:], *arguments, "--json"]
        )
        with pytest.raises(SystemExit):
            cli.main()
        outputs[command] = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
        return outputs[command]

    return call


def validate(schema, value):
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(value, schema, jsonschema.Draft202012Validator)


def an_entity(company):
    with (company / "workspace/exports/current/scores.csv").open(encoding="utf-8") as file:
        rows = csv.DictReader(file)
        return next(row["entity_id"] for row in rows if row["previous_score"])


COMMANDS = [
    ("init", ["leads.csv", "events.csv", "--out", "proposed.yaml", "--outcome", "bought", "--yes"]),
    ("check", ["--as-of", tiny.END]),
    ("audit", ["--as-of", tiny.END]),
    ("features --out", ["f.csv", "--as-of", tiny.END]),
    ("features --list", ["--as-of", tiny.END]),
    ("features --ablation", ["--as-of", tiny.END]),
    ("backtest", ["--as-of", tiny.END]),
    ("funnel", ["--as-of", tiny.END]),
    ("fit", ["--as-of", tiny.END]),
    ("channels", ["--as-of", tiny.END]),
    ("channels --paths", ["paths.csv"]),
    ("touches", ["--as-of", tiny.END]),
    ("uplift", ["--as-of", tiny.END]),
    ("customers", ["--as-of", tiny.END]),
    ("customers --backtest", ["--as-of", tiny.END, "--days", "60"]),
    ("forecast", ["--as-of", tiny.END]),
    ("forecast --backtest", ["--as-of", tiny.END, "--count", "2"]),
    ("train", ["--as-of", tiny.END, "--direct"]),
    ("train --if-needed", ["--as-of", tiny.END, "--direct"]),
    ("score", ["--as-of", NIGHT, "--direct"]),
    ("score --dry-run", ["--as-of", NIGHT, "--direct"]),
    ("score --until", [NIGHT, "--as-of", "2024-12-29"]),
    ("promote", ["--target", "buy", "--version", "1"]),
    ("export", []),
    ("report", []),
    ("outcomes", ["--as-of", tiny.END, "--direct"]),
    ("export --format", ["sales"]),
    ("export --ack", ["results.csv"]),
    ("export --deliveries", []),
    ("deploy --status", []),
    ("deploy --give-up", ["2024-12-01"]),
    ("verify", []),
]


@pytest.mark.parametrize(("command", "arguments"), COMMANDS, ids=[name for name, _ in COMMANDS])
def test_output_fits_its_schema(printed, command, arguments):
    value = printed(command, *arguments)
    validate(build_output_schema(command.removesuffix(" --if-needed")), value)


def test_explain_and_forget_fit_their_schemas(printed, company):
    entity = an_entity(company)
    found = printed("explain", entity)
    validate(build_output_schema("explain"), found)
    assert found["trace"]["buy"]["replay"] and found["trace"]["buy"]["change"]
    validate(build_output_schema("forget"), printed("forget", entity, "--and-suppress"))


def test_failure_fits_its_schema(printed):
    failure = printed("explain", "nobody")
    validate(ErrorOutput.model_json_schema(), failure)
    assert failure["exit_code"] == 2


@dataclass
class Printed:
    """A result that gives what its command printed."""

    value: dict
    target: str = "buy"

    def to_json(self):
        return json.loads(json.dumps(self.value))


def test_demo_loses_nothing_of_train_and_score(printed, outputs):
    for command, arguments in COMMANDS:
        if command in ("train", "score") and command not in outputs:
            printed(command, *arguments)
    training, night = outputs["train"]["targets"]["buy"], outputs["score"]
    oracle = {name: 0.5 for name in OracleJson.model_fields}
    result = DemoResult([Printed(training)], Printed(night), {"buy": oracle}).to_json()
    validate(build_output_schema("demo"), result)
    assert result == {
        **night,
        "targets": {"buy": {**training, "oracle": oracle, "scored": night["targets"]["buy"]}},
    }
    refused = DemoResult([Printed(training)], None, {"buy": oracle}).to_json()
    validate(build_output_schema("demo"), refused)
    assert refused["targets"]["buy"] == training | {"oracle": oracle}


def test_rollback_fits_its_schema(printed):
    withdrawn = printed("rollback", "--target", "buy", "--to-none")
    validate(build_output_schema("rollback"), withdrawn)
    assert withdrawn == {"target": "buy", "champion": None}
    assert printed("promote", "--target", "buy", "--version", "1")["champion"] == 1


def test_schemas_reject_what_a_script_could_not_read(outputs, printed):
    value = outputs.get("check") or printed("check", "--as-of", tiny.END)
    schema = build_output_schema("check")
    for change in (
        {"as_of": "2025-01-01 00:00:00+00:00"},
        {"counts": [{**value["counts"][0], "arrivals": "Arrivals(quarters=array([1]))"}]},
        {"more": 1},
    ):
        assert not jsonschema.Draft202012Validator(schema).is_valid(value | change)


def test_commands_with_json_have_a_schema():
    tested = {name.removesuffix(" --if-needed") for name, _ in COMMANDS}
    assert tested | {"explain", "forget", "demo", "rollback", "schema --tables"} == set(OUTPUTS)
    printing = {
        name
        for module in (
            commands.training,
            commands.funnel,
            commands.nightly,
            commands.privacy,
            commands.proposal,
            commands.report,
            commands.schema,
            commands.state,
            commands.demo,
        )
        for name, function in vars(module).items()
        if callable(function)
        and not name.startswith("_")
        and "as_json" in getattr(function, "__annotations__", {})
    }
    assert printing == {name.split()[0] for name in OUTPUTS}


def test_page_follows_from_the_models():
    """Write it again with ``python -m tests.pipelines.json_output.tables``."""
    assert tables.PAGE.read_text("utf-8") == tables.render_page()
