"""Forecast a simulated company in memory, beside its funnel; prints one JSON object.

``python -m tests.benchmarks.forecasting LEADS``: about a fifth of the leads are open deals.
"""

import json
import os
import resource
import sys
import time
from datetime import UTC, datetime

import pyarrow as pa

from configs.schema import load_project
from features.contracts import EVENTS, Dataset
from features.paths.states import list_funnel_states
from models.funnel.funnel_table import estimate_stages
from pipelines.forecast.forecast import build_forecast
from pipelines.funnel.amounts import value_history
from pipelines.funnel.funnel import build_history, summarize_funnel
from pipelines.funnel.segments import take_all_leads
from pipelines.simulated.simulate import simulate_block
from pipelines.training_data import Snapshot
from tests.benchmarks.measure import ROOT

BLOCK_LEADS = 5000
AS_OF = datetime(2025, 5, 10, tzinfo=UTC)


def simulate(leads):
    """Return a company's data as known at the as-of."""
    parts = [simulate_block(1, number, BLOCK_LEADS) for number in range(leads // BLOCK_LEADS)]
    tables = [pa.concat_tables(pieces) for pieces in zip(*parts, strict=True)]
    dataset = Dataset(tables[0], tables[1].select(EVENTS.names), (), "simulated")
    return dataset.cut_at(AS_OF)


def measure_seconds(job):
    """Return the wall and processor seconds of a job, and its result."""
    wall, processor = time.perf_counter(), time.process_time()
    result = job()
    return {
        "wall": time.perf_counter() - wall,
        "processor": time.process_time() - processor,
    }, result


def main():
    project = load_project(ROOT / "configs" / "demo.yaml")
    dataset = simulate(int(sys.argv[1]))
    snapshot = Snapshot(project, dataset, AS_OF, AS_OF, AS_OF)
    states = list_funnel_states(project)
    paths, history = measure_seconds(lambda: build_history(snapshot, states))
    # Compiled before it is measured.
    small = small_history(project)
    amounts, valued = measure_seconds(lambda: value_history(snapshot, history))

    def build_funnel_tables():
        every = take_all_leads(dataset.leads.num_rows)
        return summarize_funnel(snapshot, valued.history, estimate_stages(history, every), ())

    build_forecast(small_snapshot(project), small, "month", None)
    funnel, _ = measure_seconds(build_funnel_tables)
    forecast, result = measure_seconds(lambda: build_forecast(snapshot, valued, "month", None))
    found = {
        "leads": dataset.leads.num_rows,
        "events": dataset.events.num_rows,
        "deals": result.deals.num_rows,
        "past": result.past_forecasts,
        "load": os.getloadavg()[0],
        "paths": paths,
        "amounts": amounts,
        "funnel": funnel,
        "forecast": forecast,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }
    sys.stdout.write(json.dumps(found) + "\n")


def small_snapshot(project):
    return Snapshot(project, simulate(BLOCK_LEADS), AS_OF, AS_OF, AS_OF)


def small_history(project):
    snapshot = small_snapshot(project)
    return value_history(snapshot, build_history(snapshot, list_funnel_states(project)))


if __name__ == "__main__":
    main()
