import hashlib
import json
import os
import sys
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.errors import ConfigError, LeadscoreError
from serve.crm import delivery, parts, stored_deliveries
from serve.crm.delivery import DeliveryOptions, write_delivery
from serve.crm.formats import FORMATS
from serve.crm.stored_deliveries import KEPT_FOLDERS, list_stored_deliveries
from serve.export import atomic_folders
from tests.serve.crm.samples import CLEARS, FORMS, a_night, a_plan, rows, some_customers
from tests.serve.crm.validators import RULES, problems
from tests.serve.export.test_export import failing_at, in_a_fork
from tests.serve.samples import LATER, MONDAY

COLUMNS = {
    "S": "buy.score",
    "G": "buy.grade",
    "R": "buy.reason_1",
    "C": "close.score",
    "At": "as_of",
    "St": "status",
}


def night(day):
    return MONDAY + timedelta(days=day)


def whole(root, name="crm"):
    """Return the current manifest after checking its parts against it."""
    folder = (root / "exports" / name / "current").resolve(strict=True)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    for part in [*manifest["parts"], {"file": "state.parquet", **manifest["state"]}]:
        content = (folder / part["file"]).read_bytes()
        assert (hashlib.sha256(content).hexdigest(), len(content)) == (
            part["sha256"],
            part["bytes"],
        )
    assert sum(part["rows"] for part in manifest["parts"]) == manifest["rows"] + manifest["cleared"]
    assert {path.name for path in folder.iterdir()} == {
        *(part["file"] for part in manifest["parts"]),
        "manifest.json",
        "state.parquet",
    }
    return manifest


def test_delivery_has_leads_of_tables_too(tmp_path):
    columns = {
        "S": "buy.score",
        "T": "customers.state",
        "Y": "customers.reasons",
        "A": "account_id",
        "At": "as_of",
    }
    plan = a_plan(columns=columns, delta=True, tables=("customers",))
    first = None
    for day, states in enumerate(
        [{"b": "active", "z": "lapsed"}, {"b": "active", "z": "returned"}, {"b": "active"}]
    ):
        scores, run = a_night(night(day), {"b": (9, "A", "x"), "a": (1, "D", "")}, run_id=f"r{day}")
        tables = {"customers": some_customers(run, **states)}
        done = write_delivery(plan, scores, tmp_path, run, LATER, tables=tables)
        first = first or rows(done)
        last = [{name: row[name] for name in ("entity_id", "S", "T", "Y")} for row in rows(done)]
        if day == 1:
            # Only the lead whose state changed is due.
            assert last == [{"entity_id": "z", "S": "", "T": "returned", "Y": "two purchases"}]
    assert [(row["entity_id"], row["S"], row["T"]) for row in first] == [
        ("b", "9", "active"),
        ("a", "1", ""),
        ("z", "", "lapsed"),
    ]
    assert first[2]["A"] == "acc-z" and first[2]["At"].startswith("2025-07-07")
    # The lead that no table and no target has any more is cleared.
    assert last == [{"entity_id": "z", "S": "", "T": "", "Y": ""}]
    assert whole(tmp_path)["cleared"] == 1


def test_delivery_has_one_row_per_lead_across_targets(tmp_path):
    scores, run = a_night(
        MONDAY, {"b": (9, "A", "x"), "a": (1, "D", "")}, {"c": (5, "B", "y"), "b": (7, "C", "z")}
    )
    done = write_delivery(a_plan(columns=COLUMNS), scores, tmp_path, run, LATER)
    at = "2025-07-07T04:30:00.123456Z"
    assert rows(done) == [
        {"entity_id": "b", "S": "9", "G": "A", "R": "x", "C": "7", "At": at, "St": "scored"},
        {"entity_id": "a", "S": "1", "G": "D", "R": "", "C": "", "At": at, "St": "scored"},
        {"entity_id": "c", "S": "", "G": "", "R": "", "C": "5", "At": at, "St": "scored"},
    ]
    assert whole(tmp_path)["rows"] == 3


def test_delivery_does_not_depend_on_row_order(tmp_path):
    scores, run = a_night(
        MONDAY, {"b": (9, "A", "x"), "a": (1, "D", "")}, {"c": (5, "B", "y"), "b": (7, "C", "z")}
    )
    write_delivery(a_plan(columns=COLUMNS), scores, tmp_path, run, LATER)
    assert not write_delivery(
        a_plan(columns=COLUMNS), scores.take([3, 1, 2, 0]), tmp_path, run, LATER
    ).is_new


def test_delta_holds_changes_and_clears_departed_leads_once(tmp_path):
    plan = a_plan(
        "salesforce", columns={"S__c": "buy.score", "At__c": "as_of", "St__c": "status"}, delta=True
    )
    sent = []
    a, b, c = (1, "D", ""), (5, "D", ""), (3, "D", "")
    nights = [{"a": a, "b": (2, "D", ""), "c": c}, {"a": (1, "A", "new"), "b": b}, {"a": a, "b": b}]
    for day, leads in enumerate([*nights, {"a": a, "b": b, "c": c}]):
        scores, run = a_night(night(day), leads, run_id=f"r{day}")
        done = write_delivery(plan, scores, tmp_path, run, LATER)
        sent.append([(row["Lead_External_Id__c"], row["S__c"], row["St__c"]) for row in rows(done)])
        assert whole(tmp_path)["kind"] == ("delta" if day else "full")
    assert sent == [
        [("a", "1", "scored"), ("b", "2", "scored"), ("c", "3", "scored")],
        [("b", "5", "scored"), ("c", "#N/A", "cleared")],
        [],
        [("c", "3", "scored")],
    ]


def test_full_delivery_clears_departed_leads(tmp_path):
    plan = a_plan(columns={"S": "buy.score", "St": "status"})
    deliver_night(plan, tmp_path, 0, {"a": (1, "D", ""), "b": (2, "D", "")})
    done = deliver_night(plan, tmp_path, 1, {"a": (1, "D", "")})
    assert rows(done) == [
        {"entity_id": "a", "S": "1", "St": "scored"},
        {"entity_id": "b", "S": "", "St": "cleared"},
    ]
    assert rows(deliver_night(plan, tmp_path, 2, {"a": (1, "D", "")})) == rows(done)[:1]


def deliver_night(plan, root, day, buy, wish=None, close=None, run_id=None):
    scores, run = a_night(night(day), buy, close, run_id or f"r{day}")
    return write_delivery(plan, scores, root, run, LATER, wish or DeliveryOptions())


def test_repeated_night_gives_same_delivery(tmp_path):
    plan = a_plan(columns=COLUMNS, delta=True)
    for day, leads in enumerate([{"a": (1, "D", ""), "b": (2, "D", "")}, {"a": (4, "D", "")}]):
        first = deliver_night(plan, tmp_path, day, leads)
        before = {path.name: path.read_bytes() for path in first.folder.iterdir()}
        second = deliver_night(plan, tmp_path, day, leads, run_id="again")
        assert (first.is_new, second.is_new, second.id) == (True, False, first.id)
        assert {path.name: path.read_bytes() for path in second.folder.iterdir()} == before
    assert len(list_stored_deliveries(tmp_path / "exports" / "crm")) == 2


def test_rescored_night_reverts_changes_of_its_first_delivery(tmp_path):
    """The CRM may have loaded the first delivery, so the night before alone is not the base."""
    plan = a_plan(columns={"S": "buy.score", "St": "status"}, delta=True)
    deliver_night(plan, tmp_path, 0, {"a": (1, "D", "")})
    deliver_night(plan, tmp_path, 1, {"a": (2, "D", ""), "b": (3, "D", "")})
    done = deliver_night(plan, tmp_path, 1, {"a": (1, "D", "")})
    assert rows(done) == [
        {"entity_id": "a", "S": "1", "St": "scored"},
        {"entity_id": "b", "S": "", "St": "cleared"},
    ]


def test_new_layout_makes_full_delivery(tmp_path):
    deliver_night(
        a_plan(columns={"S": "buy.score"}, delta=True),
        tmp_path,
        0,
        {"a": (1, "D", ""), "b": (2, "D", "")},
    )
    done = deliver_night(
        a_plan(columns={"G": "buy.grade"}, delta=True), tmp_path, 1, {"a": (1, "D", "")}
    )
    assert (done.manifest["kind"], rows(done)) == (
        "full",
        [{"entity_id": "a", "G": "D"}, {"entity_id": "b", "G": ""}],
    )


def test_changes_restrict_due_leads_but_not_written_columns(tmp_path):
    """Leads are due by the named columns as last sent; joining and leaving always count."""
    plan = a_plan(columns=COLUMNS, delta=True, changes=["buy.grade"])
    nights = [
        {"a": (1, "D", "6 days"), "b": (2, "D", "x"), "c": (3, "D", "x")},
        {"a": (2, "D", "7 days"), "b": (9, "A", "y")},
        {"a": (3, "D", "8 days"), "b": (8, "A", "z"), "c": (4, "D", "x")},
        {"a": (4, "C", "9 days"), "b": (7, "A", "z"), "c": (4, "D", "x")},
    ]
    sent = []
    for day, leads in enumerate(nights):
        done = deliver_night(plan, tmp_path, day, leads)
        sent.append([(row["entity_id"], row["S"], row["R"], row["St"]) for row in rows(done)])
    assert sent[1:] == [
        [("b", "9", "y", "scored"), ("c", "", "", "cleared")],
        [("c", "4", "x", "scored")],
        [("a", "4", "9 days", "scored")],
    ]


def test_nightly_dates_make_no_lead_due(tmp_path):
    plan = a_plan(columns={"S": "buy.score", "At": "as_of", "From": "buy.cutoff"}, delta=True)
    sent = [len(rows(deliver_night(plan, tmp_path, day, {"a": (1, "D", "")}))) for day in range(2)]
    assert sent == [1, 0]


def test_new_changes_make_full_delivery(tmp_path):
    """The last sent values of the new columns are not known."""
    for day, changes in enumerate(
        [["buy.grade"], ["buy.score"], ["buy.score", "buy.grade"], ["buy.grade", "buy.score"]]
    ):
        plan = a_plan(columns=COLUMNS, delta=True, changes=changes)
        done = deliver_night(plan, tmp_path, day, {"a": (1, "D", "")})
        assert done.manifest["kind"] == ("delta" if day == 3 else "full")


def test_delivery_options_full_and_since(tmp_path):
    plan = a_plan(columns={"S": "buy.score"}, delta=True)
    ids = [
        deliver_night(plan, tmp_path, day, {"a": (1, "D", ""), "b": (day + 2, "D", "")}).id
        for day in range(3)
    ]
    full = deliver_night(
        plan, tmp_path, 2, {"a": (1, "D", ""), "b": (4, "D", "")}, DeliveryOptions(full=True)
    )
    assert (full.manifest["kind"], len(rows(full))) == ("full", 2)
    since = deliver_night(
        plan, tmp_path, 2, {"a": (1, "D", ""), "b": (4, "D", "")}, DeliveryOptions(since=ids[0])
    )
    assert (since.manifest["kind"], since.manifest["base"], rows(since)) == (
        "delta",
        ids[0],
        [{"entity_id": "b", "S": "4"}],
    )
    with pytest.raises(ConfigError, match=r"--since gone.*5 kept in .*, from .*\n.*--full"):
        deliver_night(plan, tmp_path, 2, {"a": (1, "D", "")}, DeliveryOptions(since="gone"))


def test_delivery_keeps_newest_deliveries(tmp_path):
    plan = a_plan(columns={"S": "buy.score"}, delta=True)
    ids = [
        deliver_night(plan, tmp_path, day, {"a": (day + 1, "D", "")}).id
        for day in range(KEPT_FOLDERS + 3)
    ]
    assert sorted(path.name for path in (tmp_path / "exports" / "crm").iterdir()) == sorted(
        [*ids[-KEPT_FOLDERS:], "current"]
    )


values = st.tuples(
    st.integers(1, 2), st.sampled_from("AB"), st.sampled_from(["", "x", "#N/A", "—"])
)
leads = st.dictionaries(st.sampled_from("abcd"), values, max_size=4)
steps = st.lists(
    st.tuples(leads, leads, st.sampled_from(["loads", "misses"]), st.booleans()),
    min_size=2,
    max_size=4,
)


@given(steps, st.sampled_from(["csv", "salesforce", "hubspot", "dynamics"]))
@settings(max_examples=25, deadline=None)
def test_crm_that_loads_deliveries_holds_current_scores(tmp_path_factory, history, form):
    """Simulate a CRM that loads deliveries or misses and requests them, with rescored nights."""
    root, crm, loaded, day = tmp_path_factory.mktemp("crm"), {}, None, 0
    columns = {"S__c": "buy.score", "R__c": "buy.reason_1", "C__c": "close.score", "T__c": "status"}
    plan = a_plan(form, columns=columns, delta=True)
    for buy, close, crm_does, new_day in history:
        day += new_day
        done = deliver_night(plan, root, day, buy, close=close)
        if crm_does == "misses":
            continue
        names = [stored.id for stored in list_stored_deliveries(root / "exports" / "crm")]
        if loaded is None:
            done = deliver_night(plan, root, day, buy, DeliveryOptions(full=True), close)
        elif done.manifest["base"] and names.index(loaded) < names.index(done.manifest["base"]):
            done = deliver_night(plan, root, day, buy, DeliveryOptions(since=loaded), close)
        load(crm, done, form)
        loaded = done.id
        left = {
            key: dict.fromkeys(columns) | {"T__c": "cleared"}
            for key in crm
            if key not in {*buy, *close}
        }
        assert crm == truth(buy, close, form) | left


def load(crm, done, form):
    """Upsert rows as the vendor does.

    Where an empty cell leaves a value, none of the cells may be empty.
    """
    for row in rows(done):
        record = crm.setdefault(row.pop(done.manifest["key"]), {})
        for name, cell in row.items():
            assert cell or form != "salesforce"
            record[name] = None if cell in CLEARS.get(form, {""}) else cell


def truth(buy, close, form):
    records = {}
    for lead in {*buy, *close}:
        score, _, text = buy.get(lead, (None, None, None))
        marked = f"'{text}" if text and text in CLEARS.get(form, ()) else text or None
        other = close.get(lead, (None,))[0]
        records[lead] = {
            "S__c": score and str(score),
            "R__c": marked,
            "C__c": other and str(other),
            "T__c": "scored",
        }
    return records


@pytest.mark.parametrize("form", RULES)
def test_vendor_files_pass_vendor_rules_in_parts(tmp_path, monkeypatch, form):
    limit = 2_000
    monkeypatch.setitem(FORMATS, form, replace(FORMATS[form], max_bytes=limit, max_rows=40))
    leads = {f"L{n:03}": (n % 100 + 1, "A", f'+ "{n}", x') for n in range(100)}
    scores, run = a_night(MONDAY, leads, {"L001": (1, "B", "")})
    done = write_delivery(a_plan(form), scores, tmp_path, run, LATER)
    manifest = whole(tmp_path)
    kinds = [column["type"] for column in manifest["columns"]]
    assert len(manifest["parts"]) > 2
    assert [part["file"] for part in manifest["parts"]] == [
        f"part-{n + 1:04}.csv" for n in range(len(manifest["parts"]))
    ]
    for part in manifest["parts"]:
        assert not problems(form, done.folder / part["file"], kinds)
        assert part["bytes"] <= limit and part["rows"] <= 40
    assert [row[done.manifest["key"]] for row in rows(done)] == [f"L{n:03}" for n in range(100)]


@pytest.mark.parametrize("form", FORMS)
def test_delivery_without_changes_has_no_parts(tmp_path, form):
    plan = a_plan(form, delta=True)
    deliver_night(plan, tmp_path, 0, {"a": (1, "D", "")})
    done = deliver_night(plan, tmp_path, 1, {"a": (1, "D", "")})
    assert (done.manifest["rows"], done.manifest["cleared"], done.manifest["parts"]) == (0, 0, [])
    assert whole(tmp_path)["as_of"].startswith("2025-07-08")


def test_unfit_ids_are_left_out_and_reported(tmp_path):
    fine = ["00123", "9007199254740993123", "-NxK_1", "@bob", "+49301", 'é, "q"']
    bad = ["=cmd|'/C calc'!A0", "+1+1", "a\nb", "\tx", "#N/A", ""]
    ids = [*fine[:3], *bad, *fine[3:]]
    scores, run = a_night(MONDAY, {lead: (1, "D", "") for lead in ids})
    done = write_delivery(
        a_plan("salesforce", columns={"S__c": "buy.score"}), scores, tmp_path, run, LATER
    )
    assert [row["Lead_External_Id__c"] for row in rows(done)] == fine
    assert done.manifest["refused"] == {"rows": 6, "examples": bad[:5]}
    parquet = write_delivery(
        a_plan("parquet", columns={"S": "buy.score"}, name="plain"), scores, tmp_path, run, LATER
    )
    assert pq.read_table(parquet.folder / "part-0001.parquet")["entity_id"].to_pylist() == [
        lead for lead in ids if lead
    ]


def test_parquet_keeps_the_types(tmp_path):
    scores, run = a_night(MONDAY, {"a": (1, "D", "x")}, {"b": (2, "A", "")})
    done = write_delivery(
        a_plan("parquet", columns=COLUMNS | {"P": "buy.probability"}), scores, tmp_path, run, LATER
    )
    table = pq.read_table(done.folder / "part-0001.parquet")
    assert [str(kind) for kind in table.schema.types] == [
        "string",
        "int64",
        "string",
        "string",
        "int64",
        "timestamp[us, tz=UTC]",
        "string",
        "double",
    ]
    assert table["R"].to_pylist() == ["x", None]


@pytest.mark.parametrize("step", range(1, 40, 3))
def test_full_disk_leaves_former_delivery(tmp_path, monkeypatch, step):
    plan = a_plan(columns=COLUMNS, delta=True)
    old = deliver_night(plan, tmp_path, 0, {"a": (1, "D", "")})
    with monkeypatch.context() as patch:
        failing_at(patch, step)
        try:
            deliver_night(plan, tmp_path, 1, {"a": (2, "D", "")})
        except LeadscoreError as error:
            assert "No space left on device" in str(error)
            assert whole(tmp_path)["delivery"] in {
                old.id,
                list_stored_deliveries(tmp_path / "exports" / "crm")[-1].id,
            }
    new = deliver_night(plan, tmp_path, 1, {"a": (2, "D", "")})
    assert whole(tmp_path)["delivery"] == new.id
    assert rows(new)[0]["S"] == "2" and new.manifest["sequence"] == 2


FILES = {module.__file__ for module in (delivery, stored_deliveries, parts, atomic_folders)}


def dying(plan, root, line):
    """Deliver, and exit at the line-th line of the functions that order the disk writes."""
    left = [line]

    def trace(frame, event, _):
        if frame.f_code.co_filename not in FILES:
            return None
        left[0] -= event == "line"
        if left[0] < 0:
            os._exit(1)
        return trace

    scores, run = a_night(night(KEPT_FOLDERS), {"a": (99, "D", "")})
    sys.settrace(trace)
    write_delivery(plan, scores, root, run, LATER)


def test_kill_at_any_line_leaves_complete_deliveries(tmp_path):
    plan = a_plan(columns={"S": "buy.score"}, delta=True)
    for day in range(KEPT_FOLDERS):
        old = deliver_night(plan, tmp_path, day, {"a": (day + 1, "D", "")})
    seen = []
    for line in range(0, 4000, 7):
        _, status = os.waitpid(in_a_fork(partial(dying, plan, tmp_path, line)), 0)
        seen.append(whole(tmp_path)["delivery"])
        for stored in list_stored_deliveries(tmp_path / "exports" / "crm"):
            assert {part["file"] for part in stored.manifest["parts"]} <= {
                path.name for path in stored.folder.iterdir()
            }
        if os.waitstatus_to_exitcode(status) != 1:
            break
    assert os.waitstatus_to_exitcode(status) == 0
    assert len(seen) > 10 and seen[0] == old.id and len(set(seen)) == 2
