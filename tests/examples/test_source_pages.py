"""The SQL and the YAML of the pages about vendors' tables, run on small tables of their form."""

import re
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from configs.schema import load_project
from features.intake.visitors.web_visits import read_web_visits
from features.sources import read_sources
from pipelines import cli

PAGES = Path(__file__).parents[2] / "docs" / "sources"
AS_OF = datetime(2024, 4, 1, tzinfo=UTC)
TARGETS = """
targets: {win: {outcome: won, horizon: 7d, cutoffs: {every: 7d}}}
"""
# Person u{i} begins as browser a{i}, is named on the third day, and wins if i is even. All rows
# arrive two hours after they happened.
ROWS = """
CREATE TABLE rows AS
SELECT 'a' || i AS browser, CASE WHEN d >= 3 THEN 'u' || i END AS person,
  TIMESTAMP '2024-01-01 10:00:00' + to_days(CAST(d + i AS INTEGER)) AS happened,
  TIMESTAMP '2024-01-01 12:00:00' + to_days(CAST(d + i AS INTEGER)) AS arrived,
  CASE WHEN d = 3 THEN 'login' WHEN d = 9 AND i % 2 = 0 THEN 'won' ELSE 'visit' END AS what,
  i || '-' || d AS id
FROM range(1, 41) AS people(i), range(0, 12) AS days(d)
"""
TABLES = {
    "segment": [
        "CREATE TABLE tracks AS SELECT id, person AS user_id, browser AS anonymous_id, "
        "happened AS timestamp, arrived AS received_at, what AS event, "
        "'/prices' AS context_page_path FROM rows WHERE what <> 'visit'",
        "CREATE TABLE pages AS SELECT id, person AS user_id, browser AS anonymous_id, "
        "happened AS timestamp, arrived AS received_at, '/prices' AS path FROM rows "
        "WHERE what = 'visit'",
        "CREATE TABLE identifies AS SELECT id, person AS user_id, browser AS anonymous_id, "
        "happened AS timestamp, arrived AS received_at FROM rows WHERE what = 'login'",
    ],
    "snowplow": [
        "CREATE SCHEMA atomic",
        "CREATE TABLE atomic.events AS SELECT id AS event_id, person AS user_id, "
        "browser AS domain_userid, happened AS derived_tstamp, arrived AS collector_tstamp, "
        "what AS event_name, 'cpc' AS mkt_medium, '/prices' AS page_urlpath FROM rows",
        "INSERT INTO atomic.events SELECT * REPLACE (collector_tstamp + INTERVAL 1 DAY AS "
        "collector_tstamp) FROM atomic.events",
    ],
    "posthog": [
        "CREATE MACRO json_value(text, path) AS json_extract_string(text, path)",
        "CREATE TABLE events AS SELECT id AS uuid, coalesce(person, browser) AS distinct_id, "
        "happened AS timestamp, arrived AS created_at, what AS event, "
        '\'{"$pathname": "/prices"}\' AS properties FROM rows',
        "INSERT INTO events SELECT 'i' || id, person, happened, arrived, '$identify', "
        "'{\"$anon_distinct_id\": \"' || browser || '\"}' FROM rows WHERE what = 'login'",
    ],
    "ga4": [
        "CREATE MACRO timestamp_micros(us) AS make_timestamp(us)",
        "CREATE TABLE events AS SELECT epoch_us(happened) AS event_timestamp, person AS user_id, "
        "browser AS user_pseudo_id, what AS event_name, NULL::DOUBLE AS event_value_in_usd, "
        "[{'key': 'medium', 'value': {'string_value': 'cpc', 'int_value': NULL::BIGINT}}, "
        "{'key': 'page_location', 'value': {'string_value': '/prices?utm_source=ad', "
        "'int_value': NULL::BIGINT}}] AS event_params FROM rows",
        "INSERT INTO events SELECT * FROM events LIMIT 50",
    ],
}


def make_company(page: str, folder: Path) -> Path:
    """Make the files of a page by its SQL, and its YAML with targets; return the YAML's path."""
    text = (PAGES / f"{page}.md").read_text("utf-8")
    with duckdb.connect() as database:
        for statement in (ROWS, *TABLES[page]):
            database.execute(statement)
        for name, query in re.findall(r"```sql\n-- (\S+)\n(.*?)```", text, re.S):
            database.execute(f"COPY ({query}) TO '{folder / name}' (FORMAT parquet)")
    (block,) = re.findall(r"```yaml\n(.*?)```", text, re.S)
    head = f"project: {page}\nworkspace: work\ntimezone: UTC\n"
    path = folder / "company.yaml"
    path.write_text(head + block + TARGETS, "utf-8")
    return path


@pytest.mark.parametrize("page", list(TABLES))
def test_page_gives_a_company_that_is_read(page, tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("LEADSCORE_WORKSPACE", raising=False)
    path = make_company(page, tmp_path)
    project = load_project(path)
    dataset = read_sources(project)
    events = dataset.events.to_pandas()
    assert dataset.leads.num_rows == 40
    assert len(events) == 480, "each event once, those of the browser too"
    assert (events["event_type"].astype(str) == "won").sum() == 20
    delay = (events["available_at"] - events["event_time"]).min()
    assert delay.total_seconds() == (3 * 86_400 if page == "ga4" else 7_200)
    # Three days of a browser were anonymous, and are the person's from its login on.
    (count,) = (count for count in dataset.counts if count.source == "events_1")
    assert (count.identified, count.anonymous) == (120, 0)
    for _, rows in events.groupby("entity_id", observed=True):
        login = rows.loc[rows["event_type"] == "login", "available_at"].item()
        assert (rows["available_at"] >= login).all()
        assert (rows.loc[rows["event_time"] < login - delay, "available_at"] == login).all()
    monkeypatch.setattr("sys.argv", ["leadscore", "check", str(path)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 0, capsys.readouterr()
    visits = read_web_visits(project, dataset.cut_at(AS_OF), AS_OF)
    assert visits["landing_page"].to_pylist() == ["/prices"] * 40
