import json

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve.crm.delivery import write_delivery
from tests.serve.crm import hostile
from tests.serve.crm.hostile import BITS, COLUMNS, deliverable, differences, expected, scores
from tests.serve.crm.samples import FORMS, a_plan, rows
from tests.serve.samples import LATER, MONDAY, a_reason, a_run, some_scores

hostile_text = st.one_of(
    st.text(max_size=12), st.lists(st.sampled_from(BITS), max_size=3).map("".join)
)


@pytest.mark.parametrize("form", FORMS)
def test_hostile_leads_are_read_back_by_independent_parsers(tmp_path, form):
    table, run = scores(400)
    counts = differences(table, run, tmp_path, form)
    count, left_out = counts.pop("rows"), counts.pop("left out", 0)
    assert count + left_out == table.num_rows and count > 200
    assert left_out > 50 or form in ("jsonl", "parquet")
    assert len(counts) >= 2 and not any(counts.values()), counts


@pytest.mark.skipif(not hostile.SPREADSHEET, reason="no LibreOffice")
def test_spreadsheet_reads_same_cells_and_runs_no_formula(tmp_path):
    table, run = scores(400)
    counts = differences(table, run, tmp_path, "csv", {"LibreOffice": hostile.by_spreadsheet})
    assert counts["rows"] > 200 and counts["LibreOffice"] == 0
    assert hostile.formulas(tmp_path / "exports" / "csv" / "current" / "part-0001.csv") == 0
    (tmp_path / "bare.csv").write_text("a,b\n=1+1,x\n")
    assert hostile.formulas(tmp_path / "bare.csv") == 1


@given(
    st.lists(
        st.tuples(hostile_text, hostile_text), min_size=1, max_size=8, unique_by=lambda two: two[0]
    ),
    st.data(),
)
@settings(max_examples=40, deadline=None)
def test_hostile_text_is_neutralised_and_no_id_is_changed(tmp_path_factory, texts, data):
    form = data.draw(st.sampled_from(["csv", "salesforce", "hubspot", "dynamics"]))
    run = a_run(targets=("buy",), as_of=MONDAY)
    reasons = [
        json.dumps([a_reason(0.5, text), a_reason(-0.5, text)], ensure_ascii=False)
        for _, text in texts
    ]
    values = {
        "account_id": [text for _, text in texts],
        "expected_value": [None] * len(texts),
        "reasons": reasons,
    }
    table = some_scores(run, ids=[key for key, _ in texts], **values)
    plan = a_plan(form, targets=("buy",), columns=COLUMNS)
    done = write_delivery(plan, table, tmp_path_factory.mktemp("hostile"), run, LATER)
    assert {row.pop(plan.key): row for row in rows(done)} == expected(table, form)
    state = pq.read_table(done.folder / "state.parquet")["key"].to_pylist()
    assert state == [key for key, _ in texts if deliverable(key, form)]
