"""Names are read without blanks around them and in one spelling, in every format."""

import json
import sqlite3

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyarrow import parquet

from configs.errors import ConfigError
from configs.names import BLANKS
from configs.schema import load_project
from features.contracts import EVENTS
from features.sources import read_sources
from tests.features.company import EVENT, LEAD, csv_text, project, write
from tests.pipelines import tiny

ODD = ["buy", " buy", "buy\u00a0", "\ufeffbuy", "buy\u200b", "Buy", "  ", "\u200b", "visit"]
READ = ["buy"] * 5 + ["Buy", None, None, "visit"]


def rows_of(names):
    return [
        {"lead": "1", "at": f"2024-01-02 10:00:{i:02}", "what": name, "via": name}
        for i, name in enumerate(names)
    ]


def write_rows(folder, kind, rows):
    path = folder / f"e.{kind}"
    if kind == "csv":
        return {"path": write(path, csv_text(rows))}
    if kind == "jsonl":
        return {"path": write(path, "\n".join(map(json.dumps, rows)))}
    table = pa.Table.from_pylist(rows)
    if kind == "parquet":
        parquet.write_table(table, path)
        return {"path": str(path)}
    if kind == "coded.parquet":
        coded = {n: table[n].dictionary_encode() for n in table.column_names}
        parquet.write_table(pa.table(coded), path)
        return {"path": str(path)}
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (lead, at, what, via)")
        connection.executemany("INSERT INTO t VALUES (:lead, :at, :what, :via)", rows)
    connection.close()
    return {"database": f"sqlite:///{path}", "query": "SELECT * FROM t"}


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet", "coded.parquet", "sqlite"])
def test_formats_give_the_same_names(tmp_path, kind):
    source = write_rows(tmp_path, kind, rows_of(ODD))
    for names, wanted in (({}, READ), ({"buy": "Buy"}, ["buy"] * 6 + READ[6:])):
        events = {**source, **EVENT, "channel": "via", "names": names}
        found = read_sources(project(events=[events], max_quarantine=1))
        assert found.events["event_type"].to_pylist() == [n for n in wanted if n]
        assert found.events["channel"].to_pylist() == [n for n in wanted if n]
        assert found.events.schema.equals(EVENTS)
        assert found.counts[0].quarantined == {"no event type": 2}
        told = [line for line in found.warnings if "differ only" in line]
        assert len(told) == (0 if names else 2)


@pytest.mark.server
def test_postgresql_gives_the_same_names(postgresql_url):
    rows = ", ".join(f"({i}, '{name}')" for i, name in enumerate(ODD))
    query = (
        "SELECT '1' AS lead, timestamp '2024-01-02' + i * interval '1 s' AS at, what, what AS via "
        f"FROM (VALUES {rows}) AS v(i, what) ORDER BY i"
    )
    events = {"database": postgresql_url, "query": query, **EVENT, "channel": "via"}
    found = read_sources(project(events=[events], max_quarantine=1))
    assert found.events["event_type"].to_pylist() == [name for name in READ if name]
    assert found.events["channel"].to_pylist() == [name for name in READ if name]


def test_categories_are_read_without_blanks_and_in_one_spelling(tmp_path):
    texts = ["DE", "DE ", "\u00a0DE", "de", "FR", "\u200b", ""]
    lead = [{"id": i, "born": "2024-01-01", "land": text} for i, text in enumerate(texts)]
    source = {"path": write(tmp_path / "l.csv", csv_text(lead)), **LEAD, "attributes": ["land"]}
    for names, wanted in (({}, "de"), ({"DE": ["de"]}, "DE")):
        found = read_sources(project({**source, "names": names}))
        assert found.leads["land"].to_pylist() == ["DE"] * 3 + [wanted, "FR", None, None]
        lines = [line for line in found.warnings if '"de" (1 row) and "DE" (3 rows)' in line]
        assert len(lines) == (not names)


def test_histories_are_read_without_blanks_and_in_one_spelling(tmp_path):
    lead = [{"id": "1", "born": "2024-01-01"}]
    rows = [
        {"id": "1", "at": f"2024-01-0{i + 1}", "field": field, "new": new}
        for i, (field, new) in enumerate(
            [("rating", "hot "), ("rating\u00a0", "Hot"), ("Rating", "cold"), (" rating", "hot")]
        )
    ]
    leads = {"path": write(tmp_path / "l.csv", csv_text(lead)), **LEAD}
    history = {"path": write(tmp_path / "h.csv", csv_text(rows)), "entity_id": "id"}
    history |= {"valid_from": "at", "attribute": "field", "value": "new"}
    found = read_sources(project(leads, attributes=[history]))
    assert pc.value_counts(found.values["attribute"]).to_pylist() == [
        {"values": "Rating", "counts": 1},
        {"values": "rating", "counts": 3},
    ]
    text = "\n".join(found.warnings)
    assert '"Rating" (1 row) and "rating" (3 rows)' in text
    assert '"Hot" (1 row) and "hot" (2 rows)' in text
    named = {**history, "names": {"rating": "Rating", "hot": "Hot"}}
    found = read_sources(project(leads, attributes=[named]))
    assert set(found.values["attribute"].to_pylist()) == {"rating"}
    assert not found.warnings


@pytest.mark.parametrize("blank", [*" \t\u00a0\ufeff\u200b", BLANKS])
def test_names_in_the_config_have_no_blanks_around_them(tmp_path, blank):
    padded = dict(tiny.CONFIG)
    padded["targets"] = {"buy": {**tiny.CONFIG["targets"]["buy"], "outcome": f"bought{blank}"}}
    padded["targets"]["buy"]["population"] = {"until": [f"{blank}lost"]}
    padded["features"] = {"stages": [f"met{blank}"]}
    loaded = load_project(tiny.write(tmp_path, leads=2, **padded))
    assert loaded.targets["buy"].outcome == "bought"
    assert loaded.targets["buy"].population.until == ("lost",)
    assert loaded.features.stages == ("met",)
    padded["targets"]["buy"]["outcome"] = blank
    with pytest.raises(ConfigError, match="empty or blank"):
        load_project(tiny.write(tmp_path, leads=2, **padded))


def test_spellings_of_two_names_are_refused():
    with pytest.raises(ValueError, match="'b' is read as 'a' already"):
        project(events=[{"path": "e.csv", **EVENT, "names": {"a": ["b"], "b": []}}])
