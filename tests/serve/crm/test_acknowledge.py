"""Results files: their forms, the delivery that they acknowledge, and files that are refused."""

import csv
import os
import shutil

import pytest

from configs.errors import ConfigError, DataError
from serve.crm.acknowledge import acknowledge_files
from serve.crm.delivery import DeliveryOptions, write_delivery
from serve.crm.stored_deliveries import list_stored_deliveries
from tests.serve.crm.results import result_rows, write_results, write_salesforce_results
from tests.serve.crm.samples import FORMS, KEYS, a_night, a_plan, rows
from tests.serve.crm.test_delivery import night
from tests.serve.samples import LATER

A, B, C = (9, "A", "x, “y”"), (5, "B", ""), (1, "D", "")
COLUMNS = {"S": "buy.score", "R": "buy.reason_1", "St": "status"}
PLAN = a_plan(columns=COLUMNS, delta=True)


def deliver(root, day, leads, plan=PLAN, results=None, options=None):
    scores, run = a_night(night(day), leads, run_id=f"r{day}")
    options = options or DeliveryOptions()
    return write_delivery(plan, scores, root, run, LATER, options, results)


def acknowledge(root, *paths, delivery=None):
    kept = list_stored_deliveries(root / "exports" / "crm")
    return acknowledge_files(paths, kept, delivery, LATER)


@pytest.fixture
def sent(tmp_path):
    """Return a folder with a full delivery of a, b and c, then a delta with b, and c to clear."""
    first = deliver(tmp_path, 0, {"a": A, "b": B, "c": C})
    return tmp_path, first, deliver(tmp_path, 1, {"a": A, "b": C})


def test_salesforce_files_are_matched_to_their_deliveries(sent):
    root, first, second = sent
    files = write_salesforce_results(root, first, {"a": True, "b": "NO:no", "c": False})
    files += write_salesforce_results(root, second, {"b": True, "c": "NO:no"})
    done = acknowledge(root, *files)
    assert [one.form for one in done] == [
        *("Salesforce results", "Salesforce results", "unprocessed rows"),
        *("Salesforce results", "Salesforce results"),
    ]
    assert [one.delivery.id for one in done] == [first.id] * 3 + [second.id] * 2
    assert [result_rows(one.results) for one in done] == [
        [("a", "scored", "loaded", None)],
        [("b", "scored", "failed", "NO:no")],
        [("c", "scored", "unprocessed", None)],
        [("b", "scored", "loaded", None)],
        [("c", "cleared", "failed", "NO:no")],
    ]
    assert done[4].results["sequence"].to_pylist() == [2]


@pytest.mark.parametrize("form", FORMS)
def test_plain_file_acknowledges_any_format(form, tmp_path):
    plan = a_plan(form)
    done = deliver(tmp_path, 0, {"a": A, "b": B, "c": C}, plan)
    path = write_results(
        tmp_path / "results.csv",
        ["id", "status", "error"],
        [["a", "Success", ""], ["b", "ERROR", "no"], ["c", "skipped", ""]],
    )
    (one,) = acknowledge(tmp_path, path)
    assert one.form == "plain results" and one.delivery.id == done.id
    assert [row[2:] for row in result_rows(one.results)] == [
        ("loaded", None),
        ("failed", "no"),
        ("unprocessed", None),
    ]


def test_hubspot_errors_are_failures_and_several_of_a_row_are_one(tmp_path):
    deliver(tmp_path, 0, {"a": A, "b": B}, a_plan("hubspot"))
    names = ["Error code", "Object type", "Reason", KEYS["hubspot"]]
    records = [["INVALID", "Contact", "not a number", "b"], ["OTHER", "Contact", "b", "b"]]
    (one,) = acknowledge(tmp_path, write_results(tmp_path / "errors.csv", names, records))
    assert one.form == "HubSpot errors" and one.repeated == 1
    assert result_rows(one.results)[0][1:3] == ("scored", "failed")


@pytest.mark.parametrize(
    "style",
    [
        {"line_end": "\n", "quoting": csv.QUOTE_MINIMAL},
        {"bom": "\ufeff"},
        {"line_end": "\r\n", "quoting": csv.QUOTE_MINIMAL, "bom": "\ufeff"},
    ],
)
def test_line_ends_quotes_and_mark_do_not_matter(sent, style):
    root, first, _ = sent
    names = ["sf__Error", *rows(first)[0]]
    records = [['NO:“no”,\r\nnot "so"', *row.values()] for row in rows(first)]
    (one,) = acknowledge(root, write_results(root / "failed.csv", names, records, **style))
    assert one.delivery.id == first.id and one.counts["failed"] == 3


def test_columns_in_another_order_or_case_are_found(sent):
    root, first, _ = sent
    names = ["STATUS", "Entity_ID", "Error"]
    (one,) = acknowledge(root, write_results(root / "x.csv", names, [["loaded", "a", ""]]))
    assert one.delivery.id == first.id and one.counts["loaded"] == 1
    turned = [["false", "00Q1", *reversed(row.values())] for row in rows(first)]
    names = ["sf__Created", "sf__Id", *reversed(rows(first)[0])]
    (one,) = acknowledge(root, write_results(root / "y.csv", names, turned))
    assert one.delivery.id == first.id and one.counts["loaded"] == 3


def test_rows_that_fit_several_deliveries_are_refused_until_one_is_named(sent):
    root, first, second = sent
    path = write_results(root / "x.csv", ["id", "status"], [["b", "failed"], ["c", "loaded"]])
    with pytest.raises(ConfigError, match="several deliveries hold these rows") as caught:
        acknowledge(root, path)
    assert f"{first.id} (2 rows), {second.id} (2 rows)" in str(caught.value)
    assert "--delivery" in str(caught.value)
    (one,) = acknowledge(root, path, delivery=second.id)
    assert result_rows(one.results)[1][:3] == ("c", "cleared", "loaded")
    named = write_results(root / "y.csv", ["id", "status", "delivery"], [["b", "failed", first.id]])
    assert acknowledge(root, named)[0].delivery.id == first.id
    with pytest.raises(ConfigError, match="names another delivery"):
        acknowledge(root, named, delivery=second.id)
    with pytest.raises(ConfigError, match="no such delivery is kept"):
        acknowledge(root, path, delivery="20200101T000000Z-0123456789ab")


def test_rows_of_two_deliveries_in_one_file_are_refused(sent):
    root, first, second = sent
    names = ["sf__Error", *rows(first)[0]]
    records = [["NO", *row.values()] for one in (first, second) for row in rows(one)]
    path = write_results(root / "x.csv", names, records)
    with pytest.raises(DataError, match="rows are of several deliveries"):
        acknowledge(root, path)


def test_file_of_another_company_is_refused_and_few_unknown_rows_are_counted(sent):
    root, first, _ = sent
    records = [[f"foreign{i}", "failed"] for i in range(3)] + [["a", "failed"], ["a", "failed"]]
    path = write_results(root / "x.csv", ["id", "status"], records)
    with pytest.raises(DataError, match=r"most rows were in no delivery.*3 of 5 rows") as caught:
        acknowledge(root, path)
    assert "foreign" not in str(caught.value)
    path = write_results(root / "x.csv", ["id", "status"], records[1:])
    (one,) = acknowledge(root, path)
    assert (one.unknown, one.repeated, one.delivery.id) == (2, 1, first.id)
    assert result_rows(one.results) == [("a", "scored", "failed", None)]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the results file is empty"),
        (b"id,status\na,loa", "the results file is cut"),
        (b'"id","status"\n"a","loaded"\n"b"\n', "cut or broken"),
        (b'"id","status"\n"a","loa\n', "cut or broken"),
        (b"id,status\na,loaded\n\xff,loaded\n", "cut or broken"),
        (b"id,status\na,loaded\nb,perhaps\n", r"not a status.*1 rows, the first in line 3"),
        (b"id,grade\na,A\n", "not the form of a results file.*the columns id, grade"),
        (b"sf__Id,sf__Created,Name\n1,true,x\n", "lacks the key column.*sf__Id, sf__Created, Name"),
        (b"id,status,delivery\na,loaded,x\nb,loaded,y\n", "must name one delivery"),
        (b"PK\x03\x04\x00\x00\n", "unreadable header|not the form"),
    ],
)
def test_file_that_is_cut_or_unknown_is_refused(sent, content, said):
    root, *_ = sent
    (root / "results.csv").write_bytes(content)
    with pytest.raises(DataError, match=said) as caught:
        acknowledge(root, root / "results.csv")
    assert "perhaps" not in str(caught.value)


def test_file_cut_at_any_byte_is_refused_or_keeps_whole_rows(sent):
    root, first, _ = sent
    whole = write_results(
        root / "whole.csv",
        ["id", "status"],
        [["a", "loaded"], ["b", "loaded"], ["c", "failed"]],
        quoting=csv.QUOTE_MINIMAL,
    ).read_bytes()
    for length in range(len(whole)):
        (root / "cut.csv").write_bytes(whole[:length])
        try:
            (one,) = acknowledge(root, root / "cut.csv", delivery=first.id)
        except DataError:
            continue
        assert whole[:length].endswith(b"\n") and one.unknown == 0


def test_missing_file_and_own_part_are_refused(sent):
    root, first, _ = sent
    with pytest.raises(DataError, match=r"cannot read the results file.*No such file"):
        acknowledge(root, root / "gone.csv")
    shutil.copy(first.folder / "part-0001.csv", root / "unprocessed.csv")
    with pytest.raises(DataError, match="a part of a delivery"):
        acknowledge(root, root / "unprocessed.csv")


def test_pipe_is_refused_and_not_waited_for(sent):
    root, *_ = sent
    os.mkfifo(root / "results.csv")
    with pytest.raises(DataError, match="no regular file"):
        acknowledge(root, root / "results.csv")


def test_file_with_header_only_has_no_results(sent):
    root, first, _ = sent
    path = write_results(root / "x.csv", ["sf__Id", "sf__Error", *rows(first)[0]], [])
    (one,) = acknowledge(root, path)
    assert (one.rows, one.delivery, one.results.num_rows) == (0, None, 0)


def test_row_with_two_results_counts_as_loaded(sent):
    root, _, second = sent
    for statuses in (["failed", "loaded"], ["loaded", "unprocessed"]):
        records = [["b", status, "why"] for status in statuses]
        path = write_results(root / "x.csv", ["id", "status", "error"], records)
        (one,) = acknowledge(root, path, delivery=second.id)
        assert result_rows(one.results) == [("b", "scored", "loaded", None)]


ERRORS = {
    "REQUIRED_FIELD_MISSING:Required fields are missing: [LastName]:LastName --": None,
    "=HYPERLINK(1)": "'=HYPERLINK(1)",
    "INVALID: anna.mueller+x@example.org is not allowed": "INVALID: *** is not allowed",
    "duplicates record with id: 00Q5g00000AbCdE": "duplicates record with id: ***",
    "call +49 (30) 123-45 67 now": "call *** now",
    "value “Anna Maria Muster” of owner is bad": "value “***” of owner is bad",
    'Property "first name; last" does not exist': "Property *** does not exist",
    'Property "buy_score" does not exist': None,
    "two\nlines\tand\0more": "two lines and more",
    "x" * 500: "x" * 200,
    "  ": "",
}


def test_error_texts_lose_values_and_formulas(tmp_path):
    plan = a_plan(columns={"S": "buy.score", "Owner": "buy.owner"})
    scores, run = a_night(night(0), {f"lead-{i}": A for i in range(len(ERRORS))})
    at = scores.schema.get_field_index("owner")
    owners = ["Anna Maria Muster"] * len(ERRORS)
    scores = scores.set_column(at, scores.schema.field(at), [owners])
    done = write_delivery(plan, scores, tmp_path, run, LATER)
    names = ["sf__Error", *rows(done)[0]]
    records = [
        [text.replace("\0", "\x01"), *row.values()]
        for text, row in zip(ERRORS, rows(done), strict=True)
    ]
    (one,) = acknowledge(tmp_path, write_results(tmp_path / "failed.csv", names, records))
    found = {lead: message for lead, _, _, message in result_rows(one.results)}
    for number, (text, expected) in enumerate(ERRORS.items()):
        expected = text if expected is None else expected or None
        assert found[f"lead-{number}"] == expected
