"""Nights of two targets, and a reader of their deliveries."""

import csv
import json
from datetime import timedelta

import pyarrow as pa

from configs.exports import CrmExport
from models.customers.schemas import CUSTOMERS
from serve.crm.plan import build_plans
from serve.night_tables import stamp_night_tables
from tests.serve.samples import a_reason, a_run, some_scores

KEYS = {
    "salesforce": "Lead_External_Id__c",
    "hubspot": "Record ID",
    "dynamics": "Lead key",
    "amocrm": "ID",
    "bitrix24": "ID",
}
FORMS = ["csv", "jsonl", "parquet", *KEYS]
# Cells without a value in a CSV; elsewhere it is the empty text.
CLEARS = {"salesforce": {"#N/A"}, "hubspot": {"", "—"}, "amocrm": {"", "—"}}


def a_plan(form="csv", targets=("buy", "close"), name="crm", **more):
    tables = more.pop("tables", ())
    export = CrmExport(format=form, key=more.pop("key", KEYS.get(form)), **more)
    return build_plans({name: export}, targets, "company.yaml", tables)[name]


def some_customers(run, **states):
    """Return the stored table of customers of a run, with the state of each lead."""
    rows = [
        {
            "entity_id": lead,
            "account_id": f"acc-{lead}",
            "state": state,
            "purchases": 2,
            "margin": 10.0,
            "first_purchase": run.as_of - timedelta(days=9),
            "last_purchase": run.as_of - timedelta(days=2),
            "silent_days": 1,
            "reasons": "two purchases",
        }
        for lead, state in states.items()
    ]
    table = pa.Table.from_pylist(rows, schema=CUSTOMERS)
    # Prepared rows only: the other tables of the night are not given.
    return stamp_night_tables({"customers": table}, run)["customers"]


def a_night(as_of, buy, close=None, run_id="r1"):
    """Return SCORES and their run.

    ``buy`` and ``close`` map a lead to its score, grade and sentence.
    """
    targets = {"buy": buy, **({"close": close} if close is not None else {})}
    run = a_run(run_id, as_of, targets=tuple(targets))
    parts = []
    for target, leads in targets.items():
        values = list(leads.values())
        parts.append(
            some_scores(
                a_run(run_id, as_of, targets=(target,)),
                ids=list(leads),
                score=[score for score, _, _ in values],
                grade=[grade for _, grade, _ in values],
                reasons=[
                    json.dumps([a_reason(0.5, text)] if text else []) for _, _, text in values
                ],
            )
        )
    return pa.concat_tables(parts), run


def rows(delivered):
    """Return the rows of all parts of a CSV delivery as dictionaries, in order."""
    records = []
    for part in delivered.manifest["parts"]:
        with (delivered.folder / part["file"]).open(encoding="utf-8-sig", newline="") as file:
            records += csv.DictReader(file, strict=True)
    return records
