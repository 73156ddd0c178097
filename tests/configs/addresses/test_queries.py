"""Queries of a source: one reading statement, whatever stands in comments and quotes."""

import pytest

from configs.addresses.queries import check_query
from configs.addresses.sources import TITLES


@pytest.mark.parametrize("scheme", TITLES)
@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM t;",
        "with a as (select 1) select * from a",
        "(SELECT 1) UNION (SELECT 2)",
        "/* all; of it */ select 'a; drop table t' as x -- ; delete",
        "select t.update, 'it''s; into' from t",
        'select "into" from t ; ;',
    ],
)
def test_reading_query_is_accepted(scheme, query):
    check_query(query, scheme)


@pytest.mark.parametrize("scheme", TITLES)
@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("SELECT 1; DROP TABLE t", "several statements"),
        ("SELECT ';'; SELECT 2", "several statements"),
        ("SELECT 1 /* x */ ; /* y */ SELECT 2", "several statements"),
        ("DELETE FROM t", "does not begin"),
        ("drop table t", "does not begin"),
        ("CALL f()", "does not begin"),
        ("PRAGMA writable_schema = 1", "does not begin"),
        ("-- nothing", "is empty"),
        (" ; ", "is empty"),
    ],
)
def test_other_query_is_refused(scheme, query, reason):
    with pytest.raises(ValueError, match=reason):
        check_query(query, scheme)


@pytest.mark.parametrize(
    ("scheme", "query"),
    [
        ("mysql", "select * from t into outfile '/tmp/x'"),
        ("mysql", "select 1--1 into outfile '/tmp/x'"),
        ("mysql", "select 'a\\'', 1 into dumpfile '/tmp/x' -- '"),
        ("mysql", 'select "a\\"", 1 into dumpfile \'/tmp/x\' -- "'),
        ("mysql", "select a$$, 1 into outfile '/tmp/x' from t where $$b"),
        ("mysql", "select [1, 2 into outfile '/tmp/x']"),
        ("mysql", "select * from t for update"),
        ("mysql", "select 1 /*!50000 into outfile '/tmp/x' */"),
        ("mysql", "select 1 /*M! into outfile '/tmp/x' */"),
        ("mssql", "select 1 drop table t"),
        ("mssql", "select * into copy from t"),
        ("mssql", "select 1 exec('drop table t')"),
        ("mssql", "with a as (select 1 x) delete from a"),
        ("snowflake", "with a as (select 1) insert into t select * from a"),
        ("oracle", "select * from t for update"),
    ],
)
def test_writing_inside_a_query_is_refused(scheme, query):
    with pytest.raises(ValueError, match=r"would write|MySQL runs"):
        check_query(query, scheme)


@pytest.mark.parametrize(
    ("scheme", "query"),
    [
        ("mysql", "select truncate(x, 2), insert('abc', 1, 1, 'x'), `delete` from t # ; drop"),
        ("mysql", "select 'it\\'s; drop' from t"),
        ("mssql", "select [drop; create] from t"),
        ("postgresql", "select $a$; drop$a$, E'\\'; drop' from t"),
        ("duckdb", "from t select x[1:2]"),
        ("bigquery", "select `a;b` from `p.d.t`"),
    ],
)
def test_words_of_an_engines_own_grammar_are_accepted(scheme, query):
    check_query(query, scheme)
