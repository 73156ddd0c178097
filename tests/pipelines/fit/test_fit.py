"""The fit of a company: every count beside SQL over the files, and nothing later than the as-of."""

from datetime import datetime

import duckdb
import pytest

from configs.errors import ConfigError, DataError
from configs.schema import load_project
from pipelines.fit.fit import compute_account_fit
from tests.pipelines.fit import company

AS_OF = datetime.fromisoformat(f"{company.AS_OF}T00:00:00+00:00")
# Accounts, or leads without one, with their first lead, as known before the as-of.
UNITS = """
    CREATE TABLE leads AS SELECT *, greatest(born, loaded) AS known,
        coalesce(firm, id) AS unit
        FROM read_csv('leads.csv', nullstr='') WHERE greatest(born, loaded) < $as_of;
    CREATE TABLE events AS SELECT e.lead, e."at" AS happened, e.what, e.amount, l.unit,
        greatest(e."at", e.loaded) AS known
        FROM read_csv('events.csv', nullstr='') e JOIN leads l ON l.id = e.lead
        WHERE greatest(e."at", e.loaded) < $as_of;
    CREATE TABLE units AS
        SELECT unit, arg_min(id, (known, id)) AS lead, min(known) AS entry FROM leads GROUP BY unit;
    CREATE TABLE wins AS
        SELECT unit, lead, happened, amount FROM (
            SELECT *, row_number() OVER (PARTITION BY lead ORDER BY happened) AS place
            FROM events JOIN (SELECT id, born FROM leads) ON id = lead
            WHERE what IN ('won', 'lost') AND happened >= born
        ) WHERE place = 1 AND what = 'won';
    CREATE TABLE mature AS
        SELECT u.*, l.industry, l.size, l.color,
            count(w.happened) > 0 AS customer, coalesce(sum(w.amount), 0) AS value
        FROM units u JOIN leads l ON l.id = u.lead
        LEFT JOIN wins w ON w.unit = u.unit
            AND w.happened > u.entry AND w.happened <= u.entry + INTERVAL 90 DAY
        WHERE u.entry + INTERVAL 90 DAY < $as_of
        GROUP BY ALL;
    """
# Accounts open at cutoffs 30 days apart, with their activities and what became of them.
PAST = """
    WITH cutoffs AS (
        SELECT $as_of - INTERVAL 90 DAY - INTERVAL 30 DAY * n AS cutoff
        FROM range(0, 24) t(n)
    ), ends AS (
        SELECT l.unit, l.id, l.born, min(e.happened) AS ended FROM leads l
        LEFT JOIN events e ON e.lead = l.id AND e.what IN ('won', 'lost') AND e.happened >= l.born
        GROUP BY ALL
    ), opened AS (
        SELECT DISTINCT m.unit, m.value, c.cutoff
        FROM cutoffs c JOIN mature m ON m.entry < c.cutoff
        JOIN ends s ON s.unit = m.unit AND s.born < c.cutoff
            AND (s.ended IS NULL OR s.ended >= c.cutoff)
        WHERE NOT EXISTS (FROM wins w WHERE w.unit = m.unit AND w.happened < c.cutoff)
    ) SELECT o.unit, o.cutoff,
        (SELECT count(*) FROM events e WHERE e.unit = o.unit AND e.what <> 'call'
            AND e.happened < o.cutoff AND e.happened >= o.cutoff - INTERVAL 30 DAY
            AND e.known < o.cutoff
        ) AS activities,
        (SELECT count(*) FROM wins w WHERE w.unit = o.unit AND w.happened >= o.cutoff
            AND w.happened < o.cutoff + INTERVAL 90 DAY) > 0 AS customer
    FROM opened o"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mills")
    company.write(folder)
    return folder


@pytest.fixture
def compute(folder, monkeypatch):
    """Return a function that computes the fit of the company in a folder."""
    monkeypatch.delenv("LEADSCORE_WORKSPACE", raising=False)

    def call(where=folder, as_of=company.AS_OF):
        monkeypatch.chdir(where)
        return compute_account_fit(load_project("mills.yaml"), as_of)

    return call


@pytest.fixture
def database(folder, monkeypatch):
    """Return the company as SQL sees it."""
    monkeypatch.chdir(folder)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for statement in filter(str.strip, UNITS.split(";")):
            uses = {"as_of": AS_OF} if "$as_of" in statement else None
            connection.execute(statement, uses)
        yield connection


def ask(database, query):
    uses = {"as_of": AS_OF} if "$as_of" in query else None
    cursor = database.execute(query, uses)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def test_basis_and_profile_are_those_of_sql(compute, database):
    result = compute()
    basis, profile = result.basis, result.tables.fit_profile.to_pylist()
    (every,) = ask(
        database,
        "SELECT count(*) n, count(*) FILTER (customer) c, sum(value) / count(*) v FROM mature",
    )
    assert (basis["accounts"], basis["customers"]) == (every["n"], every["c"])
    assert basis["value_per_account"] == pytest.approx(every["v"])
    (young,) = ask(database, "SELECT (SELECT count(*) FROM units) - count(*) n FROM mature")
    assert basis["young"] == young["n"]
    assert profile[0]["value"] == "mill"
    for row in profile:
        assert row["attribute"] == "industry"
        (own,) = ask(
            database,
            "SELECT count(*) n, count(*) FILTER (customer) c, "
            "avg(value) FILTER (customer) v, avg(customer::int) r "
            f"FROM mature WHERE industry = '{row['value']}'",
        )
        assert (row["accounts"], row["customers"]) == (own["n"], own["c"])
        assert row["share"] == pytest.approx(own["n"] / every["n"])
        assert row["win_rate"] == pytest.approx(own["r"])
        assert row["value_per_customer"] == pytest.approx(own["v"])


def test_grid_is_that_of_sql(compute, database):
    grid = compute().tables.fit_grid.to_pylist()
    rows = ask(database, PAST)
    busy = grid[0]["activities_from"]
    for level, (low, high) in {1: (busy, 10**9), 2: (1, busy), 3: (0, 1)}.items():
        own = [row for row in rows if low <= row["activities"] < high]
        cells = [cell for cell in grid if cell["engagement"] == level]
        assert sum(cell["accounts"] for cell in cells) == len(own) > 50
        assert sum(cell["customers"] for cell in cells) == sum(row["customer"] for row in own)
    active = sorted(row["activities"] for row in rows if row["activities"])
    middle = (active[(len(active) - 1) // 2] + active[len(active) // 2]) / 2
    assert busy == max(int(middle) + 1, 2)


def test_open_accounts_and_their_silence_are_those_of_sql(compute, database):
    result = compute()
    accounts = result.tables.fit_accounts.to_pylist()
    rows = ask(
        database,
        """
        WITH ends AS (
            SELECT l.unit, l.id, l.born, l.industry, min(e.happened) AS ended FROM leads l
            LEFT JOIN events e
                ON e.lead = l.id AND e.what IN ('won', 'lost') AND e.happened >= l.born
            GROUP BY ALL
        ), active AS (
            SELECT unit, max(happened) AS last FROM events WHERE what <> 'call' GROUP BY unit
        )
        SELECT s.unit, count(*) AS leads,
            floor(date_diff('us', greatest(max(a.last), max(s.born)), $as_of) / 86400e6) AS silent
        FROM ends s LEFT JOIN active a USING (unit) WHERE s.ended IS NULL
        AND s.unit NOT IN (SELECT unit FROM wins) GROUP BY s.unit""",
    )
    known = {row["unit"]: row for row in rows}
    threshold = result.basis["threshold_days"]
    assert len(accounts) == len(known) > 100
    for row in accounts:
        own = known[row["account_id"] or row["entity_id"]]
        assert row["open_leads"] == own["leads"]
        assert row["silent_days"] == own["silent"]
        assert row["state"] == ("silent" if own["silent"] >= threshold else "active")
    white = [row for row in accounts if row["fit_class"] == "A" and row["state"] == "silent"]
    assert result.to_json()["white_space"] == white == accounts[: len(white)]
    assert {row["matched"] for row in white} == {"industry: mill"}
    classes = {row["fit_class"]: row for row in result.tables.fit_classes.to_pylist()}
    assert classes["A"]["white_space"] == len(white) > 10
    assert sum(row["open_accounts"] for row in classes.values()) == len(accounts)
    assert all(row["missing"].startswith("industry: ") for row in accounts if not row["matched"])


def test_value_that_a_win_sets_is_refused_or_taken_as_of_the_entry(compute, folder, tmp_path):
    result = compute()
    assert set(result.refused) == {"segment"}
    assert "segment: " in result.basis["refused"]
    assert {row["attribute"] for row in result.tables.fit_profile.to_pylist()} == {"industry"}
    assert "tier" not in result.basis["undated"] and "color" in result.basis["undated"]
    # Allowed, the column that only customers have would make the profile.
    company.write(tmp_path, audit={"allow": ["segment"]})
    allowed = compute(tmp_path)
    assert not allowed.refused
    assert "segment" in {row["attribute"] for row in allowed.tables.fit_profile.to_pylist()}
    # As a column without a history, the same tiers of today show the wins.
    people, log, tiers = company.write(tmp_path)
    today = {lead: tier for lead, tier, _ in tiers}
    rows = [[*row[:7], today[row[0]], row[8]] for row in people]
    company.write_company(tmp_path, rows, log, tiers)
    assert "segment" in compute(tmp_path).refused


def test_nothing_later_than_the_as_of_changes_the_fit(compute, tmp_path):
    people, log, tiers = company.write(tmp_path)
    # A field that a later win fills would have been empty; the other columns have no history.
    people = [[*row[:7], "", row[8]] for row in people]
    company.write_company(tmp_path, people, log, tiers)
    before = compute(tmp_path)
    company.garble(tmp_path, people, log, tiers)
    after = compute(tmp_path)
    assert after.to_json() == before.to_json()
    assert len(before.tables.fit_profile) and len(before.tables.fit_accounts)


def test_later_accounts_are_young_and_not_failed(compute):
    """An account that has not been followed for the horizon is in no rate."""
    whole, before = compute(), compute(as_of="2024-08-01")
    assert before.basis["accounts"] < whole.basis["accounts"]
    # At the end of July only those of April and earlier have been followed for 90 days.
    assert before.basis["young"] > before.basis["accounts"] / 4


def test_chosen_horizon_is_the_longest_that_half_of_the_accounts_were_followed(compute, tmp_path):
    company.write(tmp_path, fit={})
    assert compute(tmp_path).basis["horizon_days"] == 180.0


def test_attributes_of_the_config_are_the_only_ones(compute, tmp_path):
    company.write(tmp_path, fit={"attributes": ["color"], "horizon": "90d"})
    result = compute(tmp_path)
    assert result.basis["undated"] == "color"
    assert result.basis["limits"].endswith(
        "no profile: none of 3 values sets customers apart beyond chance"
    )
    assert {row["fit_class"] for row in result.tables.fit_accounts.to_pylist()} == {"B"}
    company.write(tmp_path, fit={"attributes": ["colour"]})
    with pytest.raises(ConfigError, match="no attribute of the leads") as error:
        compute(tmp_path)
    assert "color" in error.value.fix


def test_young_company_has_no_fit(compute):
    with pytest.raises(DataError, match="followed for the whole horizon"):
        compute(as_of="2024-03-01")


def test_outcome_column_without_times_gives_classes_but_no_grid(compute, tmp_path):
    people, _, _ = company.write(tmp_path)
    sources = {
        "leads": {
            "path": "leads.csv",
            "entity_id": "id",
            "attributes": ["industry", "color"],
        }
    }
    header = [*company.LEADS_HEADER, "result"]
    rows = []
    for number, row in enumerate(people):
        won = (number * 7919) % 100 < (40 if row[4] == "mill" else 10)
        rows.append([*row, "" if number % 9 == 0 else "yes" if won else "no"])
    target = {"outcome": {"column": "result", "equals": "yes"}}
    changes = {"sources": sources, "targets": {"win": target}, "features": {}, "capacity": 5}
    company.write(tmp_path, fit={}, **changes)
    company.write_rows(tmp_path / "leads.csv", header, rows)
    result = compute(tmp_path, None)
    decided = [row for row in rows if row[-1]]
    assert result.basis["accounts"] == len(decided)
    assert result.basis["customers"] == sum(row[-1] == "yes" for row in decided)
    assert result.basis["horizon_days"] is result.basis["threshold_days"] is None
    (mill,) = [row for row in result.tables.fit_profile.to_pylist() if row["value"] == "mill"]
    own = [row for row in decided if row[4] == "mill"]
    assert (mill["accounts"], mill["customers"]) == (len(own), sum(r[-1] == "yes" for r in own))
    assert result.tables.fit_grid.num_rows == 0
    accounts = result.tables.fit_accounts.to_pylist()
    assert {row["entity_id"] for row in accounts} == {row[0] for row in rows if not row[-1]}
    assert {row["state"] for row in accounts} == {"unknown"}
