"""The command `funnel`: its tables on a company, at as-ofs in the past, and in files."""

import csv
import json
import sys
from collections import Counter
from datetime import datetime, timedelta

import jsonschema
import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from configs.schema import load_project
from features.paths.states import list_funnel_states
from features.tools.instants import US_PER_DAY
from models.funnel.result import FUNNEL_SCHEMAS
from models.funnel.win_times import estimate_win_times
from pipelines import cli
from pipelines.funnel.funnel import build_history, compute_funnel
from pipelines.funnel.segments import segment_leads
from pipelines.json_output.commands import build_output_schema
from pipelines.runner import read_clock
from pipelines.training_data import load_snapshot
from tests.pipelines.funnel import company

AS_OF = "2024-09-01"
COUNTS = ("advanced", "skipped", "lost", "returned", "open")


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Run `funnel` in tmp_path; return its exit code, standard output and standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LEADSCORE_WORKSPACE", raising=False)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["leadscore", "funnel", "steps.yaml", *arguments])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        printed = capsys.readouterr()
        return stop.value.code or 0, printed.out, printed.err

    return call


@pytest.fixture
def people_and_log(tmp_path):
    return company.write(tmp_path)


@pytest.mark.usefixtures("people_and_log")
def test_json_fits_its_schema_and_adds_up(run):
    code, out, _ = run("--json", "--by", "country", "--as-of", AS_OF)
    assert code == 0
    result = json.loads(out)
    jsonschema.validate(result, build_output_schema("funnel"), jsonschema.Draft202012Validator)
    assert list(result) == [*FUNNEL_SCHEMAS, "web_funnel", "order"]
    assert list(FUNNEL_SCHEMAS)[:4] == ["funnel", "paths", "cycle", "stuck"]
    for name, schema in FUNNEL_SCHEMAS.items():
        rows = result[name]
        assert rows or name == "leaks"
        assert all(list(row) == schema.names for row in rows)
    for row in result["funnel"]:
        assert row["entered"] == sum(row[name] for name in COUNTS)
        assert row["open"] >= row["stuck"]
    segments = {row["segment"] for row in result["funnel"]}
    assert segments == {"all", "DE", "FR", "missing"}
    cycle = [(row["segment_by"], row["segment"]) for row in result["cycle"]]
    assert cycle[:5] == [("all", "all"), *(("stage", s) for s in ("created", *company.STAGES))]
    assert {segment for _, segment in cycle[5:]} == segments - {"all"}
    for stage in ("created", *company.STAGES):
        own = [row for row in result["funnel"] if row["stage"] == stage]
        for name in ("entered", *COUNTS):
            assert own[0][name] == sum(row[name] for row in own[1:])
    # Each way that a stage was left is a path.
    left = Counter()
    for row in result["paths"]:
        left[row["from"]] += row["n"]
    for row in result["funnel"][:4]:
        assert left[row["stage"]] == row["entered"] - row["open"]
    # The open ones have an age each.
    ages = Counter()
    for row in result["aging"]:
        ages[row["stage"]] += row["open"]
    assert ages == {row["stage"]: row["open"] for row in result["funnel"][:4]}
    by_stage = Counter(row["stage"] for row in result["stuck"])
    assert by_stage == {row["stage"]: row["stuck"] for row in result["funnel"][:4] if row["stuck"]}
    assert {row["owner"] for row in result["stuck"]} == {"Ann", "Bo"}
    # Each spell begins in a stage.
    assert sum(row["share"] for row in result["entries"]) == pytest.approx(1)
    open_visits = sum(row["open"] for row in result["funnel"][:4])
    assert 0 < result["silence"][0]["open_silent"] <= open_visits
    assert result["order"]["visits"] > 0


def test_counts_equal_a_plain_loop(run, people_and_log):
    people, log = people_and_log
    _, out, _ = run("--json")
    rows = {row["stage"]: row for row in json.loads(out)["funnel"]}
    steps = [row for row in log if row[3] not in ("call", "page")]
    # A lead that was lost before any stage comes back to where it was.
    again = sum(row[3] == "back" and reached_no_stage(steps, row) for row in steps)
    assert rows["created"]["entered"] == len(people) + again
    # A win that was revoked was none; a lead that came back is open again.
    wins = sum(row["n"] for row in json.loads(out)["paths"] if row["to"] == "won")
    revoked = sum(row[3] == "undone" for row in log)
    assert wins == sum(row[3] == "won" for row in log) - revoked > 0
    assert revoked > 0
    returned = sum(row["n"] for row in json.loads(out)["paths"] if row["to"] == "lost")
    assert returned == sum(row[3] == "lost" for row in log)


def test_stuck_leads_say_for_how_long_they_are_silent(run, people_and_log):
    """Their last event counts, but no call, which is a touch of ours."""
    people, log = people_and_log
    _, out, _ = run("--json", "--as-of", AS_OF)
    last = {row[0]: row[1] for row in people}
    for lead, at, known, kind, _ in log:
        if max(at, known) < f"{AS_OF}T00:00:00+00:00" and kind != "call":
            last[lead] = max(last[lead], at)
    stuck = json.loads(out)["stuck"]
    assert len({row["silent_days"] for row in stuck}) > len(stuck) / 2 > 0
    for row in stuck:
        since = datetime.fromisoformat(AS_OF + "T00:00:00+00:00") - datetime.fromisoformat(
            last[row["entity_id"]]
        )
        assert row["silent_days"] == pytest.approx(since / timedelta(days=1))


@pytest.mark.usefixtures("people_and_log")
def test_stuck_leads_of_the_largest_expected_value_come_first(run):
    _, out, _ = run("--json", "--as-of", AS_OF)
    stuck = json.loads(out)["stuck"]
    assert len(stuck) > 10
    for row in stuck:
        assert 0 <= row["probability"] <= 1
        assert row["expected_value"] == pytest.approx(row["probability"] * row["value"])
    keys = [(-row["expected_value"], -row["age_days"], row["entity_id"]) for row in stuck]
    assert keys == sorted(keys)
    assert [row["value"] for row in stuck] != sorted((row["value"] for row in stuck), reverse=True)
    # The chance is that of the stage and the age alone.
    project = load_project("steps.yaml")
    states = list_funnel_states(project)
    times = estimate_win_times(build_history(load_snapshot(project, AS_OF, read_clock()), states))
    stage = np.array([states.stages.index(row["stage"]) for row in stuck])
    age = np.rint(np.array([row["age_days"] for row in stuck]) * US_PER_DAY).astype(np.int64)
    chances = times.chance_within(stage, age, 10_000 * US_PER_DAY)
    assert chances.tolist() == pytest.approx([row["probability"] for row in stuck], abs=1e-6)
    assert len(set(chances)) > 5


def reached_no_stage(steps, row):
    return not any(
        step[0] == row[0] and step[1] < row[1] and step[3] in company.STAGES for step in steps
    )


@pytest.mark.parametrize("as_of", ["2024-05-01", AS_OF])
def test_past_as_of_says_what_it_said_then(run, people_and_log, tmp_path, as_of):
    """All rows that were known later are changed, deleted or added; every byte stays the same."""
    people, log = people_and_log
    before = run("--json", "--by", "country", "--as-of", as_of, "--out", "one")
    company.garble(tmp_path, people, log, as_of)
    after = run("--json", "--by", "country", "--as-of", as_of, "--out", "two")
    assert before[:2] == after[:2]
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes()


@pytest.mark.usefixtures("people_and_log")
def test_files_hold_what_is_printed(run, tmp_path):
    _, out, err = run("--json", "--as-of", AS_OF, "--out", "tables/now")
    result, folder = json.loads(out), tmp_path / "tables" / "now"
    assert sorted(file.name for file in folder.iterdir()) == sorted(
        f"{name}.{ending}" for name in FUNNEL_SCHEMAS for ending in ("csv", "parquet")
    )
    assert "wrote tables/now/funnel.csv" in err
    for name in FUNNEL_SCHEMAS:
        rows = result[name]
        table = pq.read_table(folder / f"{name}.parquet").to_pylist()
        assert [list(row) for row in table] == [list(row) for row in rows]
        with (folder / f"{name}.csv").open(encoding="utf-8") as file:
            written = list(csv.DictReader(file))
        assert len(written) == len(rows)
        texts = {
            "paths": "from",
            "cycle": "segment",
            "stuck": "entity_id",
            "silence": "silent_days",
        }
        key = texts.get(name, "stage")
        assert [row[key] for row in written] == [str(row[key]) for row in rows]


@pytest.mark.usefixtures("people_and_log")
def test_terminal_shows_every_part(run):
    code, out, _ = run("--as-of", AS_OF, "--by", "owner")
    assert code == 0
    for text in ("owner: Ann", "biggest leak", "half in", "stuck:", "won so far took", "from mql"):
        assert text in out
    for text in ("order: ", "leads begin in", "silent for", "all but call"):
        assert text in out


@pytest.mark.parametrize(
    ("column", "problem", "fix"),
    [
        ("amount", "a number", "name one of country, seller, channel, owner"),
        ("contry", "no category of the leads", "country"),
        ("firm", "no category of the leads", "name one of country"),
        ("stage", "stands for the stages of the funnel", "rename the attribute"),
    ],
)
@pytest.mark.usefixtures("people_and_log")
def test_other_columns_cannot_divide(run, column, problem, fix):
    code, out, err = run("--by", column)
    assert (code, out) == (2, "")
    assert f"--by {column}" in err
    assert problem in err
    assert fix in err


@pytest.mark.usefixtures("people_and_log")
def test_output_must_be_a_folder(run):
    code, _, err = run("--out", "leads.csv")
    assert code == 2
    assert "not a folder" in err


def test_suppressed_people_are_on_no_list(run, tmp_path):
    company.write(tmp_path)
    _, out, _ = run("--json")
    shown = json.loads(out)["stuck"][0]["entity_id"]
    (tmp_path / "no.csv").write_text(f"id\n{shown}\n", encoding="utf-8")
    suppress = {"path": "no.csv", "entity_id": "id"}
    for learn in (False, True):
        company.write(tmp_path, privacy={"suppress": suppress, "learn": learn})
        code, out, _ = run("--json")
        assert code == 0
        assert shown not in {row["entity_id"] for row in json.loads(out)["stuck"]}


def test_company_without_any_stage_event_is_no_error(run, tmp_path):
    """Tables of a company without any event of the funnel are whole, not an error."""
    company.write(tmp_path)
    company.write_rows(
        tmp_path / "events.csv",
        ["lead", "at", "loaded", "what", "via"],
        [["L0001", "2024-10-01T00:00:00+00:00", "", "page", "web"]],
    )
    code, out, _ = run("--json")
    assert code == 0
    result = json.loads(out)
    (row,) = result["funnel"]
    assert (row["entered"], row["open"], row["advanced_30d"]) == (400, 400, 0.0)
    assert (result["paths"], result["stuck"]) == ([], [])
    assert run()[0] == 0


def test_channel_is_that_of_the_first_event(tmp_path, monkeypatch, people_and_log):
    monkeypatch.chdir(tmp_path)
    people, log = people_and_log
    snapshot = load_snapshot(load_project("steps.yaml"), AS_OF, read_clock())
    segments = segment_leads(snapshot, "channel")
    firsts = {}
    for lead, at, loaded, _, via in log:
        if max(at, loaded) < f"{AS_OF}T00:00:00+00:00":
            firsts[lead] = min(firsts.get(lead, ("9", "")), (at, via))
    born = {row[0] for row in people if row[1] < f"{AS_OF}T00:00:00+00:00"}
    expected = Counter(firsts[lead][1] if lead in firsts else "missing" for lead in born)
    assert Counter(segments.names[code] for code in segments.codes) == expected
    assert expected["missing"] > 0


def test_many_categories_are_one(tmp_path, monkeypatch):
    people, _ = company.write(tmp_path)
    for place, row in enumerate(people):
        row[3] = ["all", "other", "missing"][place % 3] if place < 30 else f"C{place % 40:02}"
    header = ["id", "born", "firm", "country", "amount", "seller"]
    company.write_rows(tmp_path / "leads.csv", header, people)
    monkeypatch.chdir(tmp_path)
    result = compute_funnel(load_project("steps.yaml"), None, ["country"])
    cycle = result.tables.cycle.filter(pc.not_equal(result.tables.cycle["segment_by"], "stage"))
    segments = cycle["segment"].to_pylist()
    assert len(segments) == 1 + 19 + 1
    assert segments[0] == "all"
    assert segments[-1] == "other"
    # Values of the data never pass for the other meaning of these words.
    assert {'"all"', '"other"', '"missing"'} <= set(segments)
