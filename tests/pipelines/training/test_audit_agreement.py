"""`audit` and `train` say the same of every column: one function decides."""

import csv
from datetime import datetime, timedelta

import numpy as np
import pytest
import yaml

from configs.schema import load_project
from pipelines.results.audit import ALLOWED, LEFT_OUT, OFFERED
from pipelines.runner import read_clock
from pipelines.training.audit import audit_rows, audit_targets, drop_suspects
from pipelines.training.train import load_audited_rows
from pipelines.training_data import build_training_rows, load_snapshot
from tests.pipelines import tiny

LATER = ("billed", "source now", "bill sent", "closed on", "visit")
"""Columns that are written after the outcome."""
FEATURES = {"windows": ["7d"], "families": ["counts", "lead"]}
ATTRIBUTES = ["country", "size", "source", *LATER]


def write_leads(folder):
    """Write the tiny company with an honest source and columns that are written later."""
    path = tiny.write(folder, leads=1_500)
    random = np.random.default_rng(3)
    with (folder / "events.csv").open(encoding="utf-8") as file:
        bought = {row["lead"]: row["at"] for row in csv.DictReader(file) if row["what"] == "bought"}
    with (folder / "leads.csv").open(encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    sources = [f"page {k}" for k in range(6)]
    written = []
    for row in rows:
        at = bought.get(row[0])
        source = random.choice(sources)
        billed = "Ann" if at and random.random() < 0.97 else ""
        closed = (datetime.fromisoformat(at) + timedelta(days=2)).date().isoformat() if at else ""
        written.append(
            [
                *row,
                source,
                billed,
                "page 0" if at and random.random() < 0.8 else source,
                "yes" if billed and random.random() < 0.5 else "",
                closed,
                "4" if at else "2",
            ]
        )
    with (folder / "leads.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([[*header, "source", *LATER], *written])
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("company")
    write_leads(folder)
    return folder


@pytest.fixture
def configure(folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.delenv("LEADSCORE_WORKSPACE", raising=False)

    def load(attributes, **changes):
        leads = tiny.CONFIG["sources"]["leads"] | {"attributes": attributes}
        config = tiny.CONFIG | {"sources": tiny.CONFIG["sources"] | {"leads": leads}} | changes
        # Few features: the audit is what is tested.
        config["features"] = FEATURES | changes.get("features", {})
        path = folder / "company.yaml"
        path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
        return load_project(path)

    return load


@pytest.mark.parametrize(
    ("attributes", "changes"),
    [
        (ATTRIBUTES, {}),
        (["country", "size", "source"], {}),
        ({"all_except": ["source now", "billed"]}, {}),
        (ATTRIBUTES, {"features": {"exclude": ["billed", "source now"]}}),
        (ATTRIBUTES, {"audit": {"allow": ["billed"]}}),
    ],
)
def test_audit_says_left_out_of_what_training_leaves_out(configure, attributes, changes):
    project = configure(attributes, **changes)
    (audit,) = audit_targets(project, None, ["buy"], lambda line: None)
    states = {finding.suspect.column: finding.state for finding in audit.findings}
    snapshot, lines = load_snapshot(project, None, read_clock()), []
    rows = build_training_rows(snapshot, "buy")
    trained = load_audited_rows(snapshot, "buy", lines.append)
    gone = set(rows.matrix.column_names) - set(trained.rows.matrix.column_names)
    assert gone == {column for column, state in states.items() if state == OFFERED}
    logged = {line.split(": ")[1] for line in lines if line.startswith("left out: ")}
    assert logged == gone
    kept = {f.subject for f in trained.rows.catalog.features if f.aggregate == "attribute"}
    assert not kept & {c for c, state in states.items() if state in (OFFERED, LEFT_OUT)}
    assert {s.column for s in trained.suspects if s.allowed} == {
        column for column, state in states.items() if state == ALLOWED
    }
    # The honest columns are kept, the others named, whatever the config offers.
    assert set(states) == set(LATER)
    assert "visit_count_7d" in trained.rows.matrix.column_names


def test_honest_twin_of_overwritten_column_is_kept(configure):
    project = configure({"all_except": [*LATER]})
    snapshot = load_snapshot(project, None, read_clock())
    rows = build_training_rows(snapshot, "buy")
    kept, audit = drop_suspects(snapshot, "buy", rows)
    assert kept is rows
    assert "source" in rows.matrix.column_names
    states = {f.suspect.column: f.state for f in audit.findings}
    assert states["source now"] == LEFT_OUT and "source" not in states


def test_column_is_named_by_one_that_the_config_leaves_out(configure):
    project = configure(["country", "bill sent"])
    snapshot = load_snapshot(project, None, read_clock())
    rows = build_training_rows(snapshot, "buy")
    states = {f.suspect.column: f.state for f in audit_rows(snapshot, "buy", rows).findings}
    assert states["billed"] == LEFT_OUT and states["bill sent"] == OFFERED
