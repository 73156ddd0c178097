"""The SQL and the YAML of the pages about vendors' tables, run on small tables of their form."""

import re
from pathlib import Path

import duckdb
import pytest

from configs.schema import load_project
from features.sources import read_sources
from pipelines import cli

PAGES = Path(__file__).parents[2] / "docs" / "sources"
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
        "happened AS timestamp, arrived AS received_at, what AS event FROM rows "
        "WHERE what <> 'visit'",
        "CREATE TABLE pages AS SELECT id, person AS user_id, browser AS anonymous_id, "
        "happened AS timestamp, arrived AS received_at FROM rows WHERE what = 'visit'",
        "CREATE TABLE identifies AS SELECT id, person AS user_id, browser AS anonymous_id, "
        "happened AS timestamp, arrived AS received_at FROM rows WHERE what = 'login'",
    ],
    "snowplow": [
        "CREATE SCHEMA atomic",
        "CREATE TABLE atomic.events AS SELECT id AS event_id, person AS user_id, "
        "browser AS domain_userid, happened AS derived_tstamp, arrived AS collector_tstamp, "
        "what AS event_name, 'cpc' AS mkt_medium FROM rows",
        "INSERT INTO atomic.events SELECT * REPLACE (collector_tstamp + INTERVAL 1 DAY AS "
        "collector_tstamp) FROM atomic.events",
    ],
    "posthog": [
        "CREATE TABLE events AS SELECT id AS uuid, coalesce(person, browser) AS distinct_id, "
        "happened AS timestamp, arrived AS created_at, what AS event FROM rows",
        "CREATE TABLE persons AS SELECT DISTINCT browser AS distinct_id, "
        "'p' || browser AS person_id, "
        "0 AS person_distinct_id_version, TIMESTAMP '2024-01-01' AS created_at FROM rows",
        "INSERT INTO persons SELECT DISTINCT browser, 'p' || person, 1, TIMESTAMP '2024-01-02' "
        "FROM rows WHERE person IS NOT NULL",
        "INSERT INTO persons SELECT DISTINCT person, 'p' || person, 0, TIMESTAMP '2024-01-02' "
        "FROM rows WHERE person IS NOT NULL",
    ],
    "ga4": [
        "CREATE MACRO timestamp_micros(us) AS make_timestamp(us)",
        "CREATE TABLE events AS SELECT epoch_us(happened) AS event_timestamp, person AS user_id, "
        "browser AS user_pseudo_id, what AS event_name, NULL::DOUBLE AS event_value_in_usd, "
        "[{'key': 'medium', 'value': {'string_value': 'cpc', 'int_value': NULL::BIGINT}}] "
        "AS event_params FROM rows",
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
    dataset = read_sources(load_project(path))
    events = dataset.events.to_pandas()
    assert dataset.leads.num_rows >= 40
    assert len(events) == 480, "each event once, those of the browser too"
    assert (events["event_type"].astype(str) == "won").sum() == 20
    delay = (events["available_at"] - events["event_time"]).min()
    assert delay.total_seconds() == (3 * 86_400 if page == "ga4" else 7_200)
    monkeypatch.setattr("sys.argv", ["leadscore", "check", str(path)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 0, capsys.readouterr()
