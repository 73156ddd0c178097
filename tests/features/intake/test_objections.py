"""Suppressed entities by list, column and the workspace's own list; personal columns."""

import csv
import json
import unicodedata
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from configs.errors import ConfigError, DataError, LeadscoreError
from configs.privacy import Privacy
from configs.targets import Cutoffs, Population, Target
from features.intake.objections import (
    COLUMN_REASON,
    FORGET_REASON,
    LIST_REASON,
    WORKSPACE_LIST,
    find_nearest_pair,
)
from features.sources import read_sources
from features.spine import build_scoring_spine
from serve.export.suppress import drop_suppressed
from tests.features.company import EVENT, LEAD, project, write

LEADS = (
    "id,born,out,mail,size\n"
    "1,2024-01-01,no,CANARY-1,3\n"
    "2,2024-01-02,YES,CANARY-2,4\n"
    "3,2024-01-03,,CANARY-3,5\n"
)
EVENTS = (
    "lead,at,what,mail\n"
    "1,2024-01-05,visit,CANARY-1\n"
    "2,2024-01-05,visit,CANARY-2\n"
    "3,2024-01-06,visit,CANARY-3\n"
)
WHERE = {"suppress_where": {"column": "out", "equals": "yes"}}
AS_OF = datetime(2024, 2, 1, tzinfo=UTC)
VISITED = Target(
    outcome="won",
    horizon=timedelta(days=7),
    cutoffs=Cutoffs(every=timedelta(days=1)),
    population=Population(),
)


def company(folder, privacy, leads=LEADS, events=EVENTS, chosen=("size",), **sources):
    found = project(
        {"path": write(folder / "l.csv", leads), **LEAD, "attributes": chosen} if leads else None,
        events=[{"path": write(folder / "e.csv", events), **EVENT}],
        **sources,
    )
    return found.model_copy(
        update={"privacy": Privacy.model_validate(privacy), "workspace": str(folder / "w")}
    )


def listed(folder, text="who\n1\n9\n"):
    return {"suppress": {"path": write(folder / "out.csv", text), "entity_id": "who"}}


def ids(table):
    return table["entity_id"].to_pylist()


def test_listed_lead_is_left_out_with_its_events(tmp_path):
    found = read_sources(company(tmp_path, listed(tmp_path)), tmp_path / "q")
    assert ids(found.leads) == ["2", "3"] and set(ids(found.events)) == {"2", "3"}
    assert found.suppressed.rows.to_pylist() == [{"entity_id": "1", "reason": LIST_REASON}]
    assert found.suppressed.listed_counts == {
        LIST_REASON: 2
    } and found.suppressed.unknown_counts == {LIST_REASON: 1}
    for count in found.counts:
        assert (count.rows_in, count.used, count.suppressed, count.quarantined) == (3, 2, 1, {})
    assert (
        "1 left out (privacy.suppress 1); listed and not in the data: 1"
        in found.suppressed.describe()
    )


def test_opt_out_column_suppresses_and_is_no_attribute(tmp_path):
    chosen = company(tmp_path, WHERE, chosen={"all_except": ["mail"]})
    found = read_sources(chosen)
    assert ids(found.leads) == ["1", "3"] and found.attributes == ["size"]
    assert found.suppressed.rows.to_pylist() == [{"entity_id": "2", "reason": COLUMN_REASON}]


def test_null_suppresses_leads_without_consent(tmp_path):
    found = read_sources(
        company(tmp_path, {"suppress_where": {"column": "out", "equals": [True, None]}})
    )
    assert ids(found.leads) == ["1"] and found.suppressed.entity_ids.to_pylist() == ["2", "3"]


@pytest.mark.parametrize("kind", [pa.bool_(), pa.int64(), pa.float64(), pa.string()])
def test_true_matches_in_any_column_type(tmp_path, kind):
    flags = pa.array([True, False, None]).cast(pa.int8() if kind != pa.bool_() else kind).cast(kind)
    pq.write_table(
        pa.table({"id": ["1", "2", "3"], "born": ["2024-01-01"] * 3, "out": flags}),
        tmp_path / "l.parquet",
    )
    chosen = company(tmp_path, {"suppress_where": {"column": "out", "equals": True}})
    leads = chosen.sources.leads.model_copy(
        update={"path": str(tmp_path / "l.parquet"), "attributes": ()}
    )
    chosen = chosen.model_copy(
        update={"sources": chosen.sources.model_copy(update={"leads": leads})}
    )
    assert read_sources(chosen).suppressed.entity_ids.to_pylist() == ["1"]


def test_opt_out_in_duplicate_or_invalid_row_is_enough(
    tmp_path,
):
    twice = LEADS + "3,2024-01-04,yes,x,5\n1,soon,yes,x,5\n4,2024-01-04,no,x,5\n"
    found = read_sources(company(tmp_path, WHERE, leads=twice), tmp_path / "q")
    assert found.suppressed.entity_ids.to_pylist() == ["1", "2", "3"] and ids(found.leads) == ["4"]
    assert found.counts[0].suppressed == 5 and found.counts[0].quarantined == {}


def test_suppression_without_leads_source_uses_the_log(tmp_path):
    found = read_sources(company(tmp_path, listed(tmp_path), leads=None))
    assert ids(found.leads) == ["2", "3"] and found.suppressed.entity_ids.to_pylist() == ["1"]
    assert found.counts[0].suppressed == 1


def test_suppressed_leads_may_train_but_are_not_scored(
    tmp_path,
):
    found = read_sources(company(tmp_path, listed(tmp_path) | {"learn": True}))
    assert ids(found.leads) == ["1", "2", "3"] and found.counts[0].suppressed == 0
    assert found.suppressed.entity_ids.to_pylist() == ["1"]
    assert ids(build_scoring_spine(found, VISITED, AS_OF)) == ["2", "3"]


def test_data_equals_data_without_suppressed_rows(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    found = read_sources(company(tmp_path / "a", listed(tmp_path)))
    leads, events = (
        "\n".join(line for line in text.splitlines() if line[:2] != "1,") + "\n"
        for text in (LEADS, EVENTS)
    )
    bare = read_sources(company(tmp_path / "b", {}, leads=leads, events=events))
    assert found.leads.equals(bare.leads) and found.fingerprint == bare.fingerprint


def test_workspace_list_suppresses(tmp_path):
    (tmp_path / "w").mkdir()
    write(tmp_path / "w" / WORKSPACE_LIST, "entity_id\n3\n")
    found = read_sources(company(tmp_path, listed(tmp_path)))
    assert found.suppressed.suppressed_counts == {LIST_REASON: 1, FORGET_REASON: 1} and ids(
        found.leads
    ) == ["2"]


def test_list_may_be_parquet_or_json_lines(tmp_path):
    pq.write_table(pa.table({"who": [1.0, 3.0]}), tmp_path / "out.parquet")
    privacy = {"suppress": {"path": str(tmp_path / "out.parquet"), "entity_id": "who"}}
    assert read_sources(company(tmp_path, privacy)).suppressed.entity_ids.to_pylist() == ["1", "3"]
    write(tmp_path / "out.jsonl", '{"who": 2}\n{"who": "3"}\n')
    privacy = {"suppress": {"path": str(tmp_path / "out.jsonl"), "entity_id": "who"}}
    assert read_sources(company(tmp_path, privacy)).suppressed.entity_ids.to_pylist() == ["2", "3"]


@pytest.mark.parametrize(
    "text", ["", "other\n1\n", 'who\n1\n""\n', 'who,x\n1,2\n"2\n', "who\n1\n \n\0\n"]
)
def test_list_with_invalid_rows_raises(tmp_path, text):
    with pytest.raises(DataError) as refused:
        read_sources(company(tmp_path, listed(tmp_path, text)))
    assert refused.value.exit_code == 3 and "privacy.suppress" in str(refused.value)


def test_missing_list_raises(tmp_path):
    privacy = listed(tmp_path)
    (tmp_path / "out.csv").unlink()
    with pytest.raises(DataError, match="file not found") as refused:
        read_sources(company(tmp_path, privacy))
    assert refused.value.where == f"privacy.suppress: {tmp_path / 'out.csv'}"
    assert (
        refused.value.fix
        == "put the list back, or fix privacy.suppress.path; no lead is scored until it can be read"
    )


def test_missing_opt_out_column_raises(tmp_path):
    with pytest.raises(DataError, match=r"privacy\.suppress_where\.column"):
        read_sources(company(tmp_path, {"suppress_where": {"column": "gone", "equals": True}}))


def test_empty_list_suppresses_no_lead(tmp_path):
    found = read_sources(company(tmp_path, listed(tmp_path, "who\n")))
    assert found.suppressed.listed_counts == {LIST_REASON: 0} and len(found.leads) == 3


@pytest.mark.parametrize("chosen", [("size", "mail"), {"all_except": ["out"]}])
def test_personal_column_is_never_an_attribute(tmp_path, chosen):
    found = read_sources(company(tmp_path, {"personal": ["mail"]}, chosen=chosen))
    assert found.attributes == ["size"]


def test_personal_attribute_of_history_is_left_out(tmp_path):
    write(tmp_path / "h.csv", "id,at,field,new\n1,2024-01-02,mail,CANARY\n1,2024-01-02,staff,3\n")
    write(tmp_path / "w.csv", "id,at,mail,rank\n1,2024-01-02,CANARY,7\n")
    histories = [
        {
            "path": str(tmp_path / "h.csv"),
            "entity_id": "id",
            "valid_from": "at",
            "attribute": "field",
            "value": "new",
        },
        {
            "path": str(tmp_path / "w.csv"),
            "entity_id": "id",
            "valid_from": "at",
            "columns": ["mail", "rank"],
        },
    ]
    found = read_sources(company(tmp_path, {"personal": ["mail"]}, chosen=(), attributes=histories))
    assert set(found.values["attribute"].to_pylist()) == {"staff", "rank"}


def test_misspelled_personal_column_raises(tmp_path):
    with pytest.raises(ConfigError, match="'mial', similar to the attribute 'mail'"):
        read_sources(company(tmp_path, {"personal": ["mial"]}, chosen=("size", "mail")))


def test_quarantine_masks_personal_columns_and_broken_lines(tmp_path):
    leads = LEADS + "4,soon,no,CANARY-4,1\n5,CANARY-5\n"
    events = EVENTS + "1,never,visit,CANARY-6\n"
    privacy, q = {"personal": ["mail"]}, tmp_path / "q"
    with pytest.raises(LeadscoreError) as refused:
        read_sources(company(tmp_path, privacy, leads=leads, events=events, max_quarantine=0.1), q)
    assert "too many bad rows" in str(refused.value) and "CANARY" not in str(refused.value)
    read_sources(company(tmp_path, privacy, leads=leads, events=events, max_quarantine=1), q)
    for path in q.iterdir():
        assert "CANARY" not in path.read_text()
    with (q / "leads.csv").open() as file:
        rows = [(row["reason"], json.loads(row["original"])) for row in csv.DictReader(file)]
    bad = {"id": "4", "born": "soon", "out": "no", "mail": "***", "size": "1"}
    # The last row lacks cells, perhaps in the middle: the address may stand in any of them.
    short = dict.fromkeys(bad, "***")
    assert rows == [("unreadable time", bad), ("unreadable time", short)]


# ---- ids without case and blanks -----------------------------------------------------------------

MAILS = (
    "id,born,out,size\n"
    "ann@example.com,2024-01-01,no,3\n"
    "Яна@пример.рф,2024-01-02,no,4\n"
    "bob@example.com,2024-01-03,no,5\n"
)
BOB_VISITS = "lead,at,what\nbob@example.com,2024-01-06,visit\n"
VISITS = f"{BOB_VISITS}ANN@example.com,2024-01-05,visit\nann@example.com,2024-01-06,visit\n"


@pytest.mark.parametrize(
    "listed_id", ["Ann@Example.com", " ann@example.com\u00a0", "ANN@EXAMPLE.COM"]
)
def test_list_suppresses_without_case_and_blanks(tmp_path, listed_id):
    chosen = company(
        tmp_path, listed(tmp_path, f'who\n"{listed_id}"\n'), leads=MAILS, events=VISITS
    )
    found = read_sources(chosen, tmp_path / "q")
    assert ids(found.leads) == ["bob@example.com", "Яна@пример.рф"]
    assert set(ids(found.events)) == {"bob@example.com"}
    assert found.counts[1].quarantined == {} and found.counts[1].suppressed == 2
    assert found.suppressed.rows["entity_id"].to_pylist() == ["ann@example.com"]
    assert found.suppressed.unknown_counts == {LIST_REASON: 0} and not found.suppressed.warnings


def test_list_suppresses_letters_of_any_alphabet_and_both_normal_forms(tmp_path):
    text = "who\nЯНА@ПРИМЕР.РФ\n" + unicodedata.normalize("NFD", "JÖRG") + "\n"
    leads = MAILS + "jörg,2024-01-03,no,6\n"
    found = read_sources(company(tmp_path, listed(tmp_path, text), leads=leads, events=BOB_VISITS))
    assert ids(found.leads) == ["ann@example.com", "bob@example.com"]


def test_own_list_and_column_suppress_without_case(tmp_path):
    chosen = company(
        tmp_path, {"suppress_where": {"column": "out", "equals": "x"}}, MAILS, BOB_VISITS
    )
    (tmp_path / "w").mkdir()
    write(tmp_path / "w" / WORKSPACE_LIST, '"entity_id"\n"BOB@example.com"\n"nobody"\n')
    found = read_sources(chosen)
    assert ids(found.leads) == ["ann@example.com", "Яна@пример.рф"]
    assert found.suppressed.unknown_counts == {FORGET_REASON: 1, COLUMN_REASON: 0}
    # Forgotten leads are meant to be absent.
    assert found.suppressed.warnings == ()


def test_leads_that_differ_by_case_are_both_suppressed(tmp_path):
    leads = MAILS + "Ann@Example.com,2024-01-03,no,6\n"
    found = read_sources(
        company(
            tmp_path, listed(tmp_path, "who\nann@example.com\n"), leads=leads, events=BOB_VISITS
        )
    )
    assert ids(found.suppressed.rows) == ["Ann@Example.com", "ann@example.com"]
    assert found.suppressed.unknown_counts == {LIST_REASON: 0}


def test_unmet_id_is_a_warning_with_the_nearest_lead(tmp_path):
    text = "who\nANN@example.com\nbob@exampel.com\nzzz\n"
    chosen = company(tmp_path, listed(tmp_path, text), leads=MAILS, events=BOB_VISITS)
    (line,) = read_sources(chosen).warnings
    assert line.startswith("privacy.suppress: 2 of 3 listed ids are not in the data")
    assert "'bob@exampel.com' is not, the most similar lead is 'bob@example.com'" in line
    personal = chosen.privacy.model_copy(update={"personal": ("id",)})
    (line,) = read_sources(chosen.model_copy(update={"privacy": personal})).warnings
    assert "2 of 3" in line and "@" not in line and "zzz" not in line


def test_scores_of_earlier_nights_lose_suppressed_leads_without_case(tmp_path):
    chosen = company(tmp_path, listed(tmp_path, "who\n ANN@example.com\n"))
    scores = pa.table({"entity_id": ["Ann@Example.com", "bob"]})
    assert drop_suppressed(chosen, scores)["entity_id"].to_pylist() == ["bob"]


def test_nearest_pair_is_found_among_a_million(tmp_path):
    known = pa.chunked_array([[f"L-{i:07d}" for i in range(1_000_000)]])
    assert find_nearest_pair(pa.array(["l-0123456"]), known) == ("l-0123456", "L-0123456")
    assert find_nearest_pair(pa.array(["unrelated text"]), known) is None
