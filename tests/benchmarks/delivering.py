"""Delivery of many leads to a CRM, and the floor: a bare Arrow CSV of the same columns.

``python -m tests.benchmarks.delivering FOLDER ROWS FORMAT ours|floor`` runs in its own process and
prints one line of JSON: seconds by step, and the peak memory beyond the scores themselves.
"""

import json
import os
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

from configs.exports import CrmExport
from serve.crm.delivery import write_delivery
from serve.crm.plan import ExportPlan, build_plans
from serve.crm.wide_table import build_wide_table
from serve.run import Run
from tests.benchmarks.measure import peak
from tests.benchmarks.publishing import NIGHT, TOP, sample, timed

KEYS = {"salesforce": "Lead_External_Id__c", "hubspot": "Record ID", "dynamics": "Lead key"}
REASONS = (
    '[{"feature": "f", "value": %d, "contribution": 0.%06d, '
    '"sentence": "%d page views in the last 7 days"}, '
    '{"feature": "g", "value": null, "contribution": -0.2, '
    '"sentence": "no call in the last %d days"}]'
)
# Share of leads whose score changes from one night to the next, and share of those that leave.
CHANGED = 0.05


def plan_of(form: str) -> ExportPlan:
    """Return the plan with the usual columns and the probability."""
    export = CrmExport(format=form, key=KEYS.get(form), delta=True)
    return build_plans({"crm": export}, ["buy"], "bench.yaml")["crm"]


def a_run(day: int) -> Run:
    """Return the run of a night."""
    return Run(f"r{day}", "bench", NIGHT + timedelta(days=day), {"buy": "7"}, "1", "c0ffee", NIGHT)


def a_night(rows: int, run: Run) -> pa.Table:
    """Return a night's scores; the top leads have reasons with distinct contributions."""
    scores = sample(rows, run)
    told = scores["reasons"].to_pylist()
    for n in range(int(rows * TOP)):
        told[n] = REASONS % (n % 50, n, n % 50, n % 30)
    return scores.set_column(
        scores.column_names.index("reasons"), scores.field("reasons"), pa.array(told, pa.string())
    )


def next_night(scores: pa.Table) -> pa.Table:
    """Return the scores of a night later: some moved, some leads left."""
    random = np.random.default_rng(2)
    score, some = scores["score"].to_numpy().copy(), random.random(scores.num_rows) < CHANGED
    score[some] = score[some] % 100 + 1
    moved = scores.set_column(
        scores.column_names.index("score"), scores.field("score"), pa.array(score)
    )
    as_of = pa.repeat(pa.scalar(a_run(1).as_of, scores.field("as_of").type), scores.num_rows)
    moved = moved.set_column(scores.column_names.index("as_of"), scores.field("as_of"), as_of)
    return moved.filter(pa.array(random.random(scores.num_rows) >= CHANGED))


def ours(folder: Path, rows: int, form: str) -> dict:
    """Deliver a night, the same again, and the next one as a delta."""
    plan = plan_of(form)
    with tempfile.TemporaryDirectory() as small:  # compiles what is compiled
        for day in range(2):
            write_delivery(plan, a_night(1_000, a_run(day)), Path(small), a_run(day), NIGHT)
    scores = a_night(rows, a_run(0))
    before, found = peak(), {}
    found["full"] = timed(lambda: write_delivery(plan, scores, folder, a_run(0), NIGHT))
    found["peak, GiB"], found["over the scores, GiB"] = peak(), peak() - before
    found["the same again"] = timed(lambda: write_delivery(plan, scores, folder, a_run(0), NIGHT))
    later = next_night(scores)
    found["delta"] = timed(lambda: write_delivery(plan, later, folder, a_run(1), NIGHT))
    manifest = json.loads((folder / "exports" / "crm" / "current" / "manifest.json").read_text())
    found |= {"rows of the delta": manifest["rows"], "cleared": manifest["cleared"]}
    return found


def floor(folder: Path, rows: int, form: str) -> dict:
    """Write the same columns with Arrow alone, and see the file on the disk."""
    plan = plan_of(form)
    table = build_wide_table(a_night(rows, a_run(0)), plan).rename_columns(
        [plan.key, *(one.name for one in plan.columns)]
    )
    table = table.cast(
        pa.schema(
            [
                (f.name, pa.string() if pa.types.is_dictionary(f.type) else f.type)
                for f in table.schema
            ]
        )
    )

    def write() -> None:
        with (folder / "floor.csv").open("wb") as file:
            pyarrow.csv.write_csv(table, file)
            file.flush()
            os.fsync(file.fileno())

    write()
    (folder / "floor.csv").unlink()
    return {"bare": timed(write), "MiB": (folder / "floor.csv").stat().st_size / 2**20}


if __name__ == "__main__":
    print(
        json.dumps(
            {"ours": ours, "floor": floor}[sys.argv[4]](
                Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
            )
        )
    )
