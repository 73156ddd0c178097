"""The funnel and the common features of one log, measured in a separate process.

``python -m tests.benchmarks.counting EVENTS`` prints one line of JSON.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from configs.schema import Project
from features.build import stream_features
from features.contracts import Dataset
from features.paths.states import list_funnel_states
from features.tools.instants import from_microseconds
from models.funnel.cycle_table import build_cycle_table
from models.funnel.funnel_table import build_funnel_table, estimate_stages
from models.funnel.leaks import find_leaks
from models.funnel.path_table import build_path_table
from pipelines.funnel.funnel import build_funnel, build_history
from pipelines.funnel.segments import take_all_leads
from pipelines.training_data import Snapshot
from tests.benchmarks import log, ours
from tests.benchmarks.measure import peak

ROUNDS = 3
# Stages, a win, a loss and a reopening: seven of the log's eight types are steps of the funnel.
PROJECT = Project.model_validate(
    {
        "project": "generated",
        "sources": {
            "leads": {"path": "leads.csv", "entity_id": "id", "created_at": "created"},
            "events": [
                {"path": "log.csv", "entity_id": "id", "event_time": "at", "event_type": "type"}
            ],
        },
        "targets": {
            "win": {
                "population": {"until": ["type_5"], "reopen": ["type_6"]},
                "outcome": "type_4",
                "horizon": "30d",
                "cutoffs": {"every": "7d"},
            }
        },
        "features": {"stages": ["type_0", "type_1", "type_2", "type_3"]},
    }
)
AS_OF = from_microseconds(log.START + log.SPAN)


def count_funnel(dataset):
    """Return the number of leads of the funnel, with all tables built."""
    snapshot = Snapshot(PROJECT, dataset, AS_OF, AS_OF, AS_OF)
    return build_funnel(snapshot, list_funnel_states(PROJECT)).leads


def count_features(dataset, cutoffs):
    """Return the number of rows of the common features."""
    spine = log.every(dataset.leads, log.cutoffs(cutoffs, 30))
    return sum(part.num_rows for part in stream_features(dataset, spine, ours.COMMON))


def count_stages(dataset):
    """Return the number of leads of the funnel, its paths and its cycle, without other tables."""
    history = build_history(
        Snapshot(PROJECT, dataset, AS_OF, AS_OF, AS_OF), list_funnel_states(PROJECT)
    )
    every = take_all_leads(dataset.leads.num_rows)
    staged = estimate_stages(history, every)
    build_funnel_table(history, every, staged)
    build_path_table(history, staged.estimates)
    build_cycle_table(history, every)
    find_leaks(staged)
    return dataset.leads.num_rows


ENGINES = {
    "funnel": count_stages,
    "all tables": count_funnel,
    "1 cutoff": lambda dataset: count_features(dataset, 1),
    "6 monthly cutoffs": lambda dataset: count_features(dataset, 6),
}


def measure(events):
    """Return rows, wall and processor seconds of each engine, in turns on one log in memory."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "log.parquet")
        tiny = log.dataset(path, log.leads_table(log.write(path, 1_000)))
        for engine in ENGINES.values():
            engine(tiny)
        leads = log.leads_table(log.write(path, events))
        tables = log.dataset(path, leads)
        taken = {name: [] for name in ENGINES}
        for _ in range(ROUNDS):
            for name, engine in ENGINES.items():
                # A new data set, so that none finds what another one looked up.
                taken[name].append(_time(engine, Dataset(leads, tables.events, (), "generated")))
    found = {
        name: dict(
            zip(("rows", "wall", "processor"), map(median, zip(*own, strict=True)), strict=True)
        )
        for name, own in taken.items()
    }
    counts = {"events": tables.events.num_rows, "leads": leads.num_rows}
    return found | counts | {"load": os.getloadavg()[0], "peak": peak()}


def _time(engine, dataset):
    wall, processor = time.perf_counter(), time.process_time()
    rows = engine(dataset)
    return rows, time.perf_counter() - wall, time.process_time() - processor


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]))))
