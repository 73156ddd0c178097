"""The SQL of docs/metabase.md, run on SQLite and PostgreSQL and compared with plain Python."""

import json
import os
import re
import shutil
import sqlite3
import subprocess
from collections import defaultdict
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import jinja2
import psycopg
import pytest

from pipelines.json_output.nightly import RealisedJson
from serve.store.store import Store
from tests.examples.dashboard_answers import (
    EXPECTED,
    expect_calibration,
    expect_list,
    group_rows,
    of_target,
)
from tests.examples.dashboards import (
    HIDDEN,
    LAST,
    LATEST,
    NIGHTS,
    RETURNED,
    SHOWN,
    TARGETS,
    WINS,
    Ledger,
)
from tests.serve.samples import ask, do

PAGE = (Path(__file__).parents[2] / "docs" / "metabase.md").read_text("utf-8")
BLOCKS = dict(re.findall(r"```sql\n-- ([^\n]+)\n(.*?)```", PAGE, re.S))
DATABASES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
OUTCOME_ROWS = [(lead, at) for lead, times in WINS.items() for at in times]
# julianday() counts milliseconds in a fraction with 16 digits.
LOOSE, SECONDS_OFF = ("seconds", "hours_since_published", "hours_since_as_of"), 0.01


class Tool:
    """A BI tool connected to a database, as the page says: ``ask`` returns rows as objects."""

    def __init__(self, backend, connection, folder):
        self.backend, self._connection, self.folder = backend, connection, folder

    def ask(self, sql):
        cursor = self._connection.execute(sql)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, map(to_plain, row), strict=True)) for row in cursor.fetchall()]

    def block(self, name):
        """Return a statement of the page for this database."""
        return BLOCKS.get(name) or BLOCKS[f"{DATABASES[self.backend]}: {name}"]


def to_plain(value):
    """Return a value of either driver as the same Python value."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", value):
        return datetime.fromisoformat(value)
    return value


@contextmanager
def inside(folder):
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def run_script(folder, script):
    """Run a script on bi.db as the shell of SQLite does, in the company's folder."""
    with inside(folder), closing(sqlite3.connect("file:bi.db?mode=rwc", uri=True)) as shell:
        shell.create_function("readfile", 1, lambda name: Path(name).read_bytes())
        shell.executescript(script)


@pytest.fixture(scope="module")
def sqlite_tool(tmp_path_factory):
    """Connect to the file before the last night, and leave the connection open."""
    folder = tmp_path_factory.mktemp("company")
    ledger = Ledger(Store(folder / "workspace" / "scores.db"))
    ledger.publish_early_nights()
    run_script(folder, BLOCKS["SQLite: views"])
    assert b"L005" in (folder / "bi.db").read_bytes()
    with closing(sqlite3.connect(f"file:{folder}/bi.db?mode=ro", uri=True)) as connection:
        tool = Tool("sqlite", connection, folder)
        assert {row["entity_id"] for row in tool.ask("SELECT * FROM latest_scores")} >= {"L005"}
        ledger.publish_last_night()
        run_script(folder, BLOCKS["SQLite: views"])
        table = "CREATE TABLE crm_outcomes (lead_id TEXT, won_at TEXT);"
        rows = "".join(
            f"INSERT INTO crm_outcomes VALUES ('{lead}', '{at:%Y-%m-%d %H:%M:%S}Z');"
            for lead, at in OUTCOME_ROWS
        )
        run_script(folder, table + rows)
        tool.ledger = ledger
        yield tool


@pytest.fixture(scope="module")
def postgresql_tool(tmp_path_factory, postgresql_url):
    """Connect as the role of the page, to a database of this module alone."""
    with psycopg.connect(postgresql_url, autocommit=True) as administrator:
        administrator.execute("CREATE DATABASE bi_page")
        try:
            yield from connect_reader(tmp_path_factory, postgresql_url)
        finally:
            administrator.execute("DROP DATABASE bi_page WITH (FORCE)")
            administrator.execute("DROP ROLE IF EXISTS bi_reader, seller")


def connect_reader(tmp_path_factory, postgresql_url):
    owner_url = postgresql_url.removesuffix("postgres") + "bi_page"
    ledger = Ledger(Store(owner_url))
    ledger.publish_early_nights()
    with psycopg.connect(owner_url, autocommit=True) as owner:
        owner.execute(BLOCKS["PostgreSQL: views"])
        ledger.publish_last_night()
        owner.execute(BLOCKS["PostgreSQL: views"])
        owner.execute("CREATE TABLE bi.crm_outcomes (lead_id text, won_at timestamptz)")
        with owner.cursor() as cursor:
            cursor.executemany("INSERT INTO bi.crm_outcomes VALUES (%s, %s)", OUTCOME_ROWS)
        owner.execute(BLOCKS["PostgreSQL: reader"])
    reader_url = re.sub("//.*@", "//bi_reader:choose-one@", owner_url)
    with psycopg.connect(reader_url, autocommit=True) as reader:
        # A tool may set any zone: no result may depend on it.
        reader.execute("SET timezone = 'America/New_York'")
        tool = Tool("postgresql", reader, tmp_path_factory.mktemp("company"))
        tool.ledger, tool.owner_url, tool.reader_url = ledger, owner_url, reader_url
        yield tool


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.server)])
def tool(request):
    return request.getfixturevalue(f"{request.param}_tool")


def assert_equal(rows, expected):
    """Compare rows and columns in their order; fractions to within rounding."""
    assert [list(row) for row in rows] == [list(row) for row in expected]
    for row, wanted in zip(rows, expected, strict=True):
        for name, value in wanted.items():
            if isinstance(value, float):
                loose = SECONDS_OFF if name in LOOSE else 1e-9
                assert row[name] == pytest.approx(value, abs=loose, rel=1e-9), (name, row)
            else:
                assert row[name] == value, (name, row)


TESTED_ALONE = {
    *("views", "reader", "reader-rights", "rows-by-login", "freshness"),
    *("load-report", "outcomes-by-week"),
}
"""Blocks that fixtures or the tests below run."""


def test_page_has_no_sql_without_test():
    assert PAGE.count("```sql") == len(BLOCKS)
    names = {re.sub(r".*: ", "", name) for name in BLOCKS}
    assert names == EXPECTED.keys() | TESTED_ALONE


@pytest.mark.parametrize("name", EXPECTED)
def test_statement_gives_rows_of_plain_python(tool, name):
    expected = list(EXPECTED[name](tool.ledger))
    assert expected, "a comparison with nothing proves nothing"
    assert_equal(tool.ask(tool.block(name)), expected)


@pytest.mark.parametrize("part", ["grade", "model_version"])
def test_calibration_by_other_parts(tool, part):
    sql = tool.block("calibration").replace("l.month", f"l.{part}")
    assert_equal(tool.ask(sql), list(expect_calibration(part)))


def test_latest_scores_are_current_scores(tool):
    """The product's own view is the standard of what may be shown."""
    url = getattr(tool, "owner_url", f"sqlite:///{tool.folder}/workspace/scores.db")
    query = "SELECT target, entity_id, score, run_id FROM {} ORDER BY target, rank"
    standard = ask(url, query.format("current_scores WHERE project = 'acme'"))
    rows = [tuple(row.values()) for row in tool.ask(query.format("latest_scores"))]
    assert rows == standard and len(rows) > 20
    assert {row["as_of"] for row in tool.ask("SELECT as_of FROM latest_scores")} == {NIGHTS[LAST]}


def test_views_add_dates_and_sentences(tool):
    names = ["target", "as_of", "entity_id", "night", "week", "month"]
    names += ["reason_1", "reason_2", "reason_3", "against_1"]
    rows = tool.ask(f"SELECT {', '.join(names)} FROM shown_scores")
    expected = [{name: row[name] for name in names} for row in SHOWN]
    assert sorted(map(str, rows)) == sorted(map(str, expected))
    assert any(row["reason_3"] for row in rows) and not all(row["reason_1"] for row in rows)


def test_freshness_is_that_of_the_last_published_night(tool):
    published = [row for row in tool.ledger.runs if row["status"] == "published"]
    before = datetime.now(UTC)
    rows = tool.ask(tool.block("freshness"))
    finished_at = max(row["finished_at"] for row in published)
    hours = [(before - at).total_seconds() / 3600 for at in (finished_at, NIGHTS[LAST])]
    expected = {"last_night": "2025-05-28", "hours_since_published": hours[0]}
    expected |= {"hours_since_as_of": hours[1]}
    assert_equal(rows, [{"target": target} | expected for target in TARGETS])


def quote(values):
    return "({})".format(", ".join("'{}'".format(value.replace("'", "''")) for value in values))


def render_metabase(sql, **values):
    """Put variables in their places; leave out optional parts without a value."""
    sql = re.sub(
        r"\[\[(.*?)\]\]",
        lambda part: part[1] if set(re.findall(r"{{(\w+)}}", part[1])) <= set(values) else "",
        sql,
    )
    return re.sub(r"{{(\w+)}}", lambda name: quote([values[name[1]]]), sql)


def render_superset(sql, **filters):
    environment = jinja2.Environment()
    environment.filters["where_in"] = quote
    return environment.from_string(sql).render(filter_values=lambda name: filters.get(name, []))


def test_parameters_give_the_list_of_one_owner_or_all(tool):
    everyone = expect_list(("Anna", "Boris", None))
    metabase, superset = BLOCKS["Metabase: latest-list"], BLOCKS["Superset: latest-list"]
    assert_equal(tool.ask(render_metabase(metabase)), everyone)
    assert_equal(tool.ask(render_metabase(metabase, owner="Boris")), expect_list(("Boris",)))
    assert_equal(tool.ask(render_superset(superset)), everyone)
    both = ("Anna", "Boris")
    assert_equal(tool.ask(render_superset(superset, owner=both)), expect_list(both))
    assert everyone != expect_list(both)


def test_time_range_of_grafana_limits_the_nights(tool):
    begin, end = NIGHTS[3], NIGHTS[7]
    sql = BLOCKS[f"Grafana, {DATABASES[tool.backend]}: grades-by-night"]
    for name, instant in (("$__from", begin), ("$__to", end)):
        sql = sql.replace(name, str(int(instant.timestamp() * 1000)))
    between = f"\\1 BETWEEN '{begin.isoformat()}' AND '{end.isoformat()}'"
    rows = tool.ask(re.sub(r"\$__timeFilter\((\w+)\)", between, sql))
    groups = group_rows(of_target(SHOWN), "as_of", "grade")
    expected = [
        {"time": as_of, "metric": grade, "leads": len(group)}
        for (as_of, grade), group in sorted(groups.items())
        if begin <= as_of <= end
    ]
    if tool.backend == "sqlite":
        expected = [row | {"time": int(row["time"].timestamp())} for row in expected]
    assert_equal(rows, expected)


def test_suppressed_leads_are_in_no_view(tool):
    views = ("shown_scores", "latest_scores", "nights", "checks", "deliveries")
    for view in (*views, "funnel", "stuck", "forecast"):
        rows = tool.ask(f"SELECT * FROM {view}")
        assert rows and not re.search("|".join(HIDDEN), str(rows)), view
    results = str(tool.ask("SELECT * FROM delivery_results"))
    assert "L003" in results and not re.search("L005|L008|L016", results)
    returned = tool.ask(f"SELECT as_of FROM shown_scores WHERE entity_id = '{RETURNED}'")
    assert {row["as_of"] for row in returned} == set(NIGHTS[8:])


def test_file_holds_no_byte_of_a_suppressed_lead(sqlite_tool):
    """The file held L005 before it was suppressed."""
    content = (sqlite_tool.folder / "bi.db").read_bytes()
    assert not any(lead.encode() in content for lead in HIDDEN) and b"L012" in content


def copy_store(company, folder):
    """Copy the store of a company to another folder; return its path."""
    (folder / "workspace").mkdir()
    for path in (company / "workspace").glob("scores.db*"):
        shutil.copy(path, folder / "workspace")
    return folder / "workspace" / "scores.db"


def test_file_is_made_without_a_change_of_the_store(sqlite_tool, tmp_path):
    path = copy_store(sqlite_tool.folder, tmp_path)
    before = path.read_bytes()
    for _ in range(2):
        run_script(tmp_path, BLOCKS["SQLite: views"])
    assert path.read_bytes() == before
    Store(path)
    assert [left.name for left in path.parent.iterdir()] == ["scores.db"]


def test_commands_of_the_page_make_the_file(sqlite_tool, tmp_path):
    """The shell of SQLite runs the same script."""
    if shutil.which("sqlite3") is None:
        pytest.skip("no shell of SQLite installed (sqlite3 is not found)")
    copy_store(sqlite_tool.folder, tmp_path)
    (tmp_path / "bi.sql").write_text(BLOCKS["SQLite: views"], "utf-8")
    (commands,) = re.findall(r"```sh\n(.*?)```", PAGE, re.S)
    for _ in range(2):
        shell = subprocess.run(
            ["sh", "-ec", commands], cwd=tmp_path, capture_output=True, timeout=60
        )
        assert (shell.returncode, shell.stdout, shell.stderr) == (0, b"", b"")
    made = tmp_path / "bi" / "bi.db"
    query = "SELECT * FROM shown_scores ORDER BY as_of, target, rank"
    with closing(sqlite3.connect(made)) as shell:
        assert shell.execute(query).fetchall() == sqlite_tool._connection.execute(query).fetchall()
    assert made.stat().st_mode & 0o007 == 0 and made.parent.stat().st_mode & 0o007 == 0


def part_of_report(used, expected=0.0, actual=0, ratio=None, **more):
    """Return a part of outcomes.json, as its schema has it."""
    part = {"used": used, "immature": 3} if not used else {"used": used, "leads": used}
    if used:
        estimate = {"value": ratio, "low": ratio / 2, "high": None, "n": used}
        part |= {
            "expected": expected,
            "actual": actual,
            "metrics": {"actual_to_expected": estimate},
        }
    RealisedJson.model_validate(part)
    return part


def test_report_of_outcomes_is_read(tool):
    weeks = {
        "2025-W10": part_of_report(40, 5.5, 6, 6 / 5.5),
        "2025-W09": part_of_report(30, 4.0, 1, 0.25),
        "2025-W11": part_of_report(0),
    }
    folder = tool.folder / "workspace" / "reports"
    folder.mkdir(parents=True, exist_ok=True)
    report = {"targets": {"buy": {"weeks": weeks, "warnings": ["it's “off”"]}, "apply": {}}}
    (folder / "outcomes.json").write_text(json.dumps(report, indent=1), "utf-8")
    for _ in range(2):
        load_report(tool)
    names = ("week", "used", "expected", "actual", "ratio", "low", "high")
    expected = [("2025-W09", 30, 4.0, 1, 0.25, 0.125, None)]
    expected.append(("2025-W10", 40, 5.5, 6, 6 / 5.5, 3 / 5.5, None))
    assert_equal(
        tool.ask(tool.block("outcomes-by-week")),
        [dict(zip(names, row, strict=True)) for row in expected],
    )


def load_report(tool):
    if tool.backend == "sqlite":
        run_script(tool.folder, tool.block("load-report"))
        return
    if shutil.which("psql") is None:
        pytest.skip("no psql installed")
    command = ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", tool.owner_url]
    script = tool.block("load-report") + "GRANT SELECT ON bi.outcome_report TO bi_reader;"
    subprocess.run(command, input=script, cwd=tool.folder, text=True, check=True, timeout=60)


@pytest.mark.server
def test_reader_has_no_right_but_to_read_the_views(postgresql_tool):
    rights = postgresql_tool.ask(postgresql_tool.block("reader-rights"))
    assert {row["table_schema"] for row in rights} == {"bi"}
    assert {row["privilege_type"] for row in rights} == {"SELECT"}
    assert {"latest_scores", "shown_scores"} < {row["table_name"] for row in rights}
    attacks = [
        "SELECT * FROM public.scores",
        "SELECT * FROM public.bi_scores",
        "SELECT * FROM public.suppressions",
        "SELECT * FROM public.score_runs",
        "UPDATE bi.nights SET rows = 0",
        "DELETE FROM bi.crm_outcomes",
        "CREATE TABLE bi.mine (x int)",
    ]
    with psycopg.connect(postgresql_tool.reader_url, autocommit=True) as reader:
        # The role's own setting is a guard against accidents, which it may switch off.
        reader.execute("SET default_transaction_read_only = off")
        for attack in attacks:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reader.execute(attack)


LEAK = """
CREATE FUNCTION pg_temp.leak(text) RETURNS boolean LANGUAGE plpgsql COST 0.000001
AS $$ BEGIN RAISE NOTICE '%', $1; RETURN true; END $$
"""


@pytest.mark.server
def test_function_of_a_query_does_not_see_suppressed_rows(postgresql_tool):
    """Without the barrier the same query shows them, so the attack is a real one."""
    do(
        postgresql_tool.owner_url,
        "CREATE VIEW bi.open_scores AS "
        + re.search(r"security_barrier\) AS\n(.*?);", BLOCKS["PostgreSQL: views"], re.S)[1],
        "GRANT SELECT ON bi.open_scores TO bi_reader",
    )
    seen = defaultdict(set)
    with psycopg.connect(postgresql_tool.reader_url, autocommit=True) as reader:
        reader.execute("SET default_transaction_read_only = off")
        reader.execute(LEAK)
        for view in ("open_scores", "shown_scores", "latest_scores"):

            def keep(note, leads=seen[view]):
                leads.add(note.message_primary)

            reader.add_notice_handler(keep)
            reader.execute(f"SELECT count(*) FROM {view} WHERE pg_temp.leak(entity_id)")
            reader.remove_notice_handler(keep)
    do(postgresql_tool.owner_url, "DROP VIEW bi.open_scores")
    assert seen["open_scores"] >= set(HIDDEN)
    for view in ("shown_scores", "latest_scores"):
        assert "L012" in seen[view] and not seen[view] & set(HIDDEN)


@pytest.mark.server
def test_seller_sees_own_leads_alone(postgresql_tool):
    do(
        postgresql_tool.owner_url,
        *BLOCKS["PostgreSQL: rows-by-login"].strip().split(";\n"),
        "INSERT INTO bi.logins VALUES ('seller', 'Anna'), ('other', 'Boris')",
        "CREATE ROLE seller LOGIN PASSWORD 'another'",
        "GRANT USAGE ON SCHEMA bi TO seller",
        "GRANT SELECT ON bi.my_scores TO seller",
    )
    seller = postgresql_tool.reader_url.replace("bi_reader:choose-one", "seller:another")
    rows = ask(seller, "SELECT owner, target, entity_id FROM bi.my_scores")
    expected = {(r["owner"], r["target"], r["entity_id"]) for r in LATEST if r["owner"] == "Anna"}
    assert set(rows) == expected
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        ask(seller, "SELECT * FROM bi.latest_scores")


@pytest.mark.server
def test_views_survive_an_upgrade_that_creates_the_products_views_anew(postgresql_tool):
    before = postgresql_tool.ask("SELECT * FROM latest_scores ORDER BY target, rank")
    do(postgresql_tool.owner_url, "DROP VIEW current_account_scores")
    Store(postgresql_tool.owner_url)
    assert ask(postgresql_tool.owner_url, "SELECT count(*) FROM current_account_scores") == [(0,)]
    assert postgresql_tool.ask("SELECT * FROM latest_scores ORDER BY target, rank") == before


@pytest.mark.server
def test_views_are_made_again_with_a_column_of_a_later_version(postgresql_tool):
    with psycopg.connect(postgresql_tool.owner_url) as owner:
        owner.execute("ALTER TABLE scores ADD COLUMN later text DEFAULT 'new'")
        owner.execute(BLOCKS["PostgreSQL: views"])
        assert owner.execute("SELECT DISTINCT later FROM bi.latest_scores").fetchall() == [("new",)]
        owner.rollback()
