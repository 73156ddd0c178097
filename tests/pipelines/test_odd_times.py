"""Odd times in files: what each command uses, counts, names and refuses."""

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from configs.errors import ConfigError, DataError
from configs.schema import load_project
from pipelines.as_of import require_as_of_reached
from pipelines.check import examine_data
from pipelines.cli import app
from pipelines.training.feature_matrix import build_feature_matrix, load_catalog
from pipelines.training_data import build_training_rows, count_training_rows, load_snapshot
from serve.monitoring.expectations import recommend_retraining

START, DAY, HOUR = datetime(2024, 1, 1, tzinfo=UTC), timedelta(days=1), timedelta(hours=1)
CLOCK = datetime(2026, 11, 29, 12, tzinfo=UTC)
CONFIG = """project: p
timezone: Europe/Berlin
workspace: ws
sources:
  leads: {path: leads.csv, entity_id: id, created_at: created, known_at: known}
  events: [{path: events.csv, entity_id: id, event_time: at, event_type: type, known_at: known}]
  attributes:
    - {path: history.csv, entity_id: id, valid_from: since, columns: [plan]}
  KEYS
targets:
  buy: {outcome: won, horizon: 14d, cutoffs: {every: 7d}}
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Return a function that writes a clean company with further rows, and returns its project."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LEADSCORE_WORKSPACE", raising=False)

    def write_company(leads=(), events=(), keys="", history=()):
        born = [[f"L{day:02}", START + day * DAY, ""] for day in range(90)]
        seen = [
            [row[0], row[1] + hours * HOUR, "won" if hours == 50 else "visit", ""]
            for row in born
            for hours in (1, 1.5, 50)
            # No day after the last lead with a single row.
            if row[1] + hours * HOUR < START + 90 * DAY
        ]
        write_csv("leads.csv", "id,created,known", [*born, *leads])
        write_csv("events.csv", "id,at,type,known", [*events, *seen])
        write_csv("history.csv", "id,since,plan", [["L00", "1900-01-01", "free"], *history])
        (tmp_path / "c.yaml").write_text(CONFIG.replace("KEYS", keys))
        return load_project("c.yaml")

    return write_company


def write_csv(name, header, rows):
    with Path(name).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header.split(","), *rows])


def measure(project, as_of=None):
    """Return as-of, observation date, and the counts of the target's rows."""
    snapshot = load_snapshot(project, as_of, CLOCK)
    counts = count_training_rows(build_training_rows(snapshot, "buy"))
    return snapshot.as_of, snapshot.observed, counts, snapshot.dataset.counts, snapshot.warnings


@pytest.mark.parametrize(
    ("row", "reason", "named"),
    [
        (["L10", "2099-12-31", "visit", ""], "skipped", "events.csv, row 2: at 2099-12-31"),
        (["L10", "2024-02-01", "visit", "2099-01-01"], "skipped", "row 2: known 2099-01-01"),
        (["L10", "1970-01-01", "visit", ""], "implausible time", "row 2: at 1970-01-01"),
        (["L10", "1970-01-01", "visit", "2024-02-01"], "implausible time", "at 1970-01-01"),
        (["L10", "2024-02-01", "visit", "2026-01-01"], "implausible time", "known 2026-01-01"),
        (["L10", "2026-03-01", "visit", ""], "implausible time", "row 2: at 2026-03-01"),
        # Within reach: used, but neither the as-of nor a maturity follows it.
        (["L10", "2024-04-20", "visit", ""], None, "row 2: at 2024-04-20"),
    ],
)
def test_odd_event_is_named_and_changes_no_count(write, row, reason, named):
    clean = measure(write())
    found = measure(write(events=[row]))
    assert found[:3] == clean[:3]
    (line,) = found[4]
    assert named in line and "1 of" in line
    count = found[3][1]
    odd = count.skipped if reason == "skipped" else sum(count.quarantined.values())
    assert odd == (reason is not None)
    assert count.rows_in == count.used + odd
    assert clean[4] == []


@pytest.mark.parametrize("as_of", ["2024-04-29", "2024-05-03T12:00"])
def test_odd_row_is_no_reason_for_maturity_under_a_later_as_of(write, as_of):
    keys = "max_staleness: 60d"
    clean = measure(write(keys=keys), as_of)
    assert (
        measure(write(events=[["L10", "2024-04-25", "visit", ""]], keys=keys), as_of)[:3]
        == (clean[:3])
    )


@pytest.mark.parametrize("created", ["1970-01-01", "1900-01-01", "2099-12-31", "2026-06-01"])
def test_odd_lead_is_left_out_with_its_events(write, created):
    clean = measure(write())
    events = [["Z", START + day * DAY, "visit", ""] for day in range(60)]
    found = measure(write(leads=[["Z", created, ""]], events=events))
    assert found[:3] == clean[:3]
    assert len(found[4]) == 1 and f"leads.csv, row 92: created {created}" in found[4][0]
    leads, log, _ = found[3]
    assert leads.rows_in - leads.used == 1 and log.rows_in - log.used == 60
    assert set(leads.quarantined) | set(log.quarantined) <= {"implausible time", "lead set aside"}


def test_few_odd_rows_at_both_ends_are_named_together(write):
    odd = [["L10", date, "visit", ""] for date in ("1970-01-01", "1900-01-01", "2026-06-01")]
    clean, found = measure(write()), measure(write(events=odd))
    assert found[:3] == clean[:3]
    (line,) = found[4]
    assert all(f"at {row[1]}" in line for row in odd) and "3 of 271 rows" in line


def test_many_odd_rows_are_refused(write):
    odd = [["L10", "1970-01-01", f"visit {n}", ""] for n in range(20)]
    with pytest.raises(DataError, match=r"(?s)20 of 288 .*implausible time.*sources\.earliest"):
        measure(write(events=odd))
    assert measure(write(events=odd, keys="earliest: 1960-01-01"))[3][1].used == 288


def test_keys_set_times_aside_and_replace_the_bulk(write):
    odd = [["L10", "2023-12-30", "visit", ""], ["L10", "2024-04-20", "visit", ""]]
    keys = "earliest: 2024-01-01\n  latest: 2024-04-10T12:00:00+02:00"
    found = measure(write(events=odd, keys=keys))
    assert found[3][1].quarantined == {"after sources.latest": 1, "before sources.earliest": 1}
    assert found[:3] == measure(write())[:3] and found[4] == []
    # Many of them are named.
    found = measure(write(keys="latest: 2024-03-01"))
    assert sum("after sources.latest" in line for line in found[4]) == 2


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("earliest: 2024\n", "not the number 2024"),
        ("earliest: 2024-02-01\n  latest: 2024-02-01", "must be later"),
        ("latest: soon", "latest"),
    ],
)
def test_bad_keys_are_refused(write, keys, message):
    with pytest.raises(ConfigError, match=message):
        write(keys=keys)


def test_history_may_begin_at_any_time(write):
    snapshot = load_snapshot(write(history=[["L01", "1970-01-01", "paid"]]), None, CLOCK)
    assert snapshot.warnings == [] and snapshot.dataset.values.num_rows == 2
    planned = load_snapshot(write(history=[["L01", "2099-01-01", "paid"]]), None, CLOCK)
    assert planned.dataset.values.num_rows == 1
    assert "history.csv, row 3: since 2099-01-01" in planned.warnings[0]


def test_order_and_number_of_rows_of_a_file_change_nothing(write):
    odd = [["L10", "1970-01-01", "visit", ""], ["L10", "2099-12-31", "visit", ""]]
    first = measure(write(events=odd))
    header, *rows = Path("events.csv").read_text(encoding="utf-8").splitlines()
    text = "\n".join([header, *reversed(rows)]) + "\n"
    Path("events.csv").write_text(text, encoding="utf-8")
    again = measure(load_project("c.yaml"))
    assert again[:3] == first[:3]
    assert [count.quarantined for count in again[3]] == [count.quarantined for count in first[3]]


COMMANDS = ("check", "train", "score", "backtest", "audit", "features", "outcomes", "export")


@pytest.mark.parametrize("command", COMMANDS)
def test_command_refuses_an_as_of_in_the_future(write, command):
    write()
    extra = {"features": ["--out", "f.csv"]}.get(command, [])
    extra += ["--direct"] if command in ("train", "score", "outcomes") else []
    result = CliRunner().invoke(app, [command, "c.yaml", "--as-of", "2199-01-01", *extra])
    assert isinstance(result.exception, ConfigError)
    assert "this as-of is in the future" in str(result.exception)


def test_other_ways_to_give_an_as_of_refuse_the_future(write):
    write()
    for arguments in (
        ["explain", "c.yaml", "L00"],
        ["features", "c.yaml", "--list"],
        ["features", "c.yaml", "--ablation"],
        ["train", "c.yaml", "--if-needed", "--direct"],
    ):
        result = CliRunner().invoke(app, [*arguments, "--as-of", "2199-01-01"])
        assert "this as-of is in the future" in str(result.exception)


def test_as_of_may_be_the_midnight_that_ends_today(write):
    project = write()
    midnight = datetime(2026, 11, 29, 23, tzinfo=UTC)
    require_as_of_reached(project, midnight, CLOCK)
    with pytest.raises(ConfigError, match="use an as-of up to 2026-11-29T23:00"):
        require_as_of_reached(project, midnight + timedelta(seconds=1), CLOCK)


def test_features_and_check_show_the_warning(write):
    project, lines = write(events=[["L10", "2099-12-31", "visit", ""]]), []
    build_feature_matrix(project, None, None, lines.append)
    load_catalog(project, None, lines.append)
    assert [line.startswith("warning: events.csv, row 2: at 2099") for line in lines] == [True] * 2
    assert any("at 2099-12-31" in line for line in examine_data(project, None).warnings)


def test_champion_of_the_future_is_said_to_be_wrong():
    advice = recommend_retraining("3", [], [], None, datetime(2100, 1, 1, tzinfo=UTC))
    assert advice.retrain
    assert "version 3 was trained as of 2100-01-01, which lies in the future" in advice.reasons[0]
