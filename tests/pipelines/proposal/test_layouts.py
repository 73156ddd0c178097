"""Proposals for the exports of ten kinds of systems are right, short and ask little."""

import json

import pytest
import yaml
from typer.testing import CliRunner

from pipelines.cli import app
from tests.pipelines.proposal.layouts import WRITERS, simulate_leads

LEADS = 420


@pytest.fixture(scope="module")
def simulated_leads():
    return simulate_leads(LEADS, seed=7)


@pytest.mark.parametrize("system", WRITERS)
def test_layout_gets_a_right_config(system, simulated_leads, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    layout = WRITERS[system](tmp_path, simulated_leads)
    done = CliRunner().invoke(app, ["init", *layout.files, "--yes", "--json", *layout.flags])
    assert done.exit_code == 0, (done.output, done.exception)
    result = json.loads(done.stdout)
    text = (tmp_path / result["config"]).read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 25, text
    assert len(result["questions"]) <= 2
    config = yaml.safe_load(text)
    source = config["sources"].get("leads") or config["sources"]["events"][0]
    assert source["entity_id"] == layout.entity_id
    assert source.get("created_at") == layout.created_at
    if layout.leads:
        assert source["path"] == layout.leads
    (target,) = config["targets"].values()
    outcome = target["outcome"]
    assert (outcome["column"] if isinstance(outcome, dict) else outcome) == layout.outcome
    attributes = list_attributes(config)
    assert not layout.forbidden & attributes, text
    assert layout.wanted <= attributes, text


def list_attributes(config):
    leads = config["sources"].get("leads") or {}
    chosen = leads.get("attributes", [])
    assert isinstance(chosen, list)
    histories = config["sources"].get("attributes", [])
    return {*chosen, *(name for history in histories for name in history.get("columns", ()))}
