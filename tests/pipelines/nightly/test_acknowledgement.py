"""The results of loading a delivery, recorded by ``leadscore export --ack``."""

import json

from configs.schema import load_project
from pipelines.nightly.forget import forget_entity
from pipelines.workspace import open_store
from tests.pipelines.nightly.test_crm_delivery import call, company, publish, sold
from tests.serve.crm.results import write_results

__all__ = ["call", "company"]

HEADER = ["Lead_External_Id__c", "S__c"]


def deliver(company, call):
    """Deliver to sales; return the id of the delivery and what was logged."""
    code, out, err = call("export", company, "--format", "sales", "--json")
    assert code == 0, err
    return json.loads(out)["delivery"], err


def write_failed(company, *records):
    return write_results(company.parent / "failed.csv", ["sf__Id", "sf__Error", *HEADER], records)


def test_salesforce_results_are_recorded_and_delivered_again(company, call):
    name, _ = deliver(company, call)
    succeeded = write_results(
        company.parent / "successful.csv",
        ["sf__Id", "sf__Created", *HEADER],
        [["00Q1", "false", "L1", "5"]],
    )
    failed = write_failed(company, ["", "NO_WAY:sold to anna@example.org", "L2", "7"])
    command = ["export", company, "--ack", succeeded, "--ack", failed]
    code, out, err = call(*command)
    assert (code, err) == (0, "")
    assert out.splitlines()[:3] == [
        f"{succeeded}: Salesforce results, sales {name}: 1 loaded",
        f"{failed}: Salesforce results, sales {name}: 1 failed",
        "2 results are new or changed; 1 leads are not loaded yet",
    ]
    assert "L2" in out and "NO_WAY:sold to ***" in out and "anna" not in out
    code, out, _ = call(*command, "--json")
    told = json.loads(out)
    assert (code, told["changed"], told["unloaded"]) == (0, 0, 1)
    assert told["files"][1] == {
        **{"file": str(failed), "form": "Salesforce results", "name": "sales", "delivery": name},
        **{"rows": 1, "loaded": 0, "failed": 1, "unprocessed": 0, "repeated": 0, "unknown": 0},
    }
    assert told["leads"] == [
        {
            **{"name": "sales", "entity_id": "L2", "status": "failed", "failures": 1},
            **{"first_delivery": name, "last_delivery": name, "message": "NO_WAY:sold to ***"},
        }
    ]
    publish(load_project(company), 1, {"L1": (5, "A", ""), "L2": (7, "B", "")})
    _, err = deliver(company, call)
    assert sold(company) == [("L2", "7")]
    assert err == "sales: 1 rows again that were not loaded\n"
    rows = json.loads(call("export", company, "--deliveries", "--json")[1])["deliveries"]
    counted = [(row["loaded"], row["failed"], row["unprocessed"]) for row in rows]
    assert counted == [(1, 1, 0), (None, None, None)]
    assert rows[0]["acknowledged_at"] and rows[1]["acknowledged_at"] is None


def test_lead_that_fails_again_and_again_is_in_the_log_of_the_delivery(company, call):
    for day in range(1, 4):
        deliver(company, call)
        failed = write_failed(company, ["", "NO_WAY:converted", "L2", "7"])
        ids = json.loads(call("export", company, "--deliveries", "--json")[1])["deliveries"]
        call("export", company, "--ack", failed, "--delivery", ids[-1]["delivery"])
        publish(load_project(company), day, {"L1": (5, "A", ""), "L2": (7, "B", "")})
    _, err = deliver(company, call)
    assert err == (
        "sales: 1 rows again that were not loaded; 1 leads failed 3 times or more, "
        f"one 3 times since {ids[0]['delivery']}: NO_WAY:converted\n"
    )


def test_forgotten_lead_is_in_no_result_and_not_recorded_again(company, call):
    deliver(company, call)
    records = [["", "NO_WAY:like L1000000", "L1", "5"], ["", "NO_WAY:no", "L2", "7"]]
    failed = write_failed(company, *records)
    call("export", company, "--ack", failed)
    project = load_project(company)
    assert forget_entity(project, "L2", and_suppress=False).erased["delivery_results"] == 1
    code, out, _ = call("export", company, "--ack", failed)
    assert code == 0 and "1 of 2 rows were not in that delivery, dropped" in out
    kept = open_store(project).results_of_unloaded("tiny", "sales")
    assert kept["entity_id"].to_pylist() == ["L1"]
    publish(project, 1, {"L1": (5, "A", "")})
    deliver(company, call)
    assert sold(company) == [("L1", "5")]


def test_refused_file_records_nothing(company, call):
    deliver(company, call)
    good = write_failed(company, ["", "no", "L1", "5"])
    bad = write_results(company.parent / "bad.csv", ["Name", "Phone"], [["Anna", "1"]])
    code, out, err = call("export", company, "--ack", good, "--ack", bad)
    assert (code, out) == (3, "") and "not the form of a results file" in err
    assert "the columns Name, Phone" in err and "Anna" not in err
    assert not open_store(load_project(company)).results_of_unloaded("tiny", "sales").num_rows
    code, _, err = call("export", company, "--delivery", "x")
    assert code == 2 and "--delivery needs --ack" in err
    code, _, err = call("export", company, "--ack", good, "--format", "oracle")
    assert code == 2 and "no such export" in err
