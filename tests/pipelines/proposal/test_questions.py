"""What only a person knows is asked once, with a proposal and an option for scripts."""

import json
import sys

import jsonschema
import pytest
import yaml

from configs.errors import ConfigError
from pipelines import cli
from pipelines.json_output.commands import build_output_schema
from pipelines.proposal.questions import Interview, Question
from tests.pipelines.proposal.layouts import simulate_leads, write_pipedrive

ORDER = Question(
    "--order", "Are the rows in the order of time?", "by month", "rows", ("rows", "no")
)


@pytest.fixture
def deals(tmp_path, monkeypatch):
    """Return the folder of an export whose time zone is unknown."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LEADSCORE_WORKSPACE", raising=False)
    write_pipedrive(tmp_path, simulate_leads(150, 3))
    return tmp_path


def run(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["leadscore", "init", "deals-12345-1.csv", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return end.value.code, capsys.readouterr()


def test_questions_are_printed_without_a_terminal(deals, monkeypatch, capsys):
    code, printed = run(monkeypatch, capsys)
    assert code == 2
    assert "In which time zone" in printed.err
    assert "--timezone UTC" in printed.err and "--yes" in printed.err
    assert not (deals / "company.yaml").exists()


def test_questions_are_json_for_a_script(deals, monkeypatch, capsys):
    code, printed = run(monkeypatch, capsys, "--json")
    value = json.loads(printed.out)
    jsonschema.validate(value, build_output_schema("init"))
    assert (code, value["config"]) == (2, None)
    assert [question["flag"] for question in value["questions"]] == ["--timezone"]


def test_answers_of_options_need_no_question(deals, monkeypatch, capsys):
    options = ("--timezone", "Europe/Berlin", "--horizon", "30d", "--project", "pipe")
    code, printed = run(monkeypatch, capsys, *options, "--out", "sub/mine.yaml")
    assert code == 0, printed.err
    config = yaml.safe_load((deals / "sub" / "mine.yaml").read_text(encoding="utf-8"))
    assert (config["project"], config["timezone"]) == ("pipe", "Europe/Berlin")
    assert config["targets"]["won"]["horizon"] == "30d"
    assert config["sources"]["leads"]["path"] == "../deals-12345-1.csv"
    assert (deals / "sub" / "leadscore.schema.json").exists()
    assert "leadscore train sub/mine.yaml" in printed.out


def test_person_is_asked_twice_at_most():
    asked = []
    interview = Interview(lambda question: asked.append(question) or question.proposal)
    for _ in range(4):
        assert interview.answer(ORDER, None) == "rows"
    assert len(asked) == len(interview.asked) == 2
    assert len(interview.notes) == 2 and "--order" in interview.notes[0]


def test_given_answer_is_checked_and_not_asked():
    interview = Interview(lambda _: pytest.fail("asked"))
    assert interview.answer(ORDER, "no") == "no"
    with pytest.raises(ConfigError, match="--order"):
        interview.answer(ORDER, "row")
    assert interview.asked == []


def test_question_without_a_proposal_is_an_error_for_scripts():
    question = Question("--outcome", "Which event?", "two events", "", ("visit", "call"))
    with pytest.raises(ConfigError, match="visit, call"):
        Interview(None).answer(question, None)
    assert Interview(lambda _: "call").answer(question, None) == "call"
