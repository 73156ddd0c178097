"""A large night from the sources to the CRM's file, and the floors it is compared with.

``python -m tests.benchmarks.night FOLDER prepare LEADS`` trains a champion on a small company and
writes the sources of the large one. ``… night [AS_OF [WITHOUT…]]`` scores it by the command's own
function and prints one line of JSON; an as-of one day after another is compared with it, like all
nights except the first. ``no-page`` and ``no-funnel`` leave that part out. ``… floor`` prints the
time of the bare parts: LightGBM's own ``predict`` of the champion's trees, and the scan that is a
lower bound for the features.
"""

import json
import sys
import time
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from features.contracts import EVENTS, INSTANT
from features.tools.instants import US_PER_DAY
from tests.benchmarks import log
from tests.benchmarks.measure import peak
from tests.benchmarks.peers import FLOOR

SMALL = 6_000
AS_OF = "2025-07-02T00:00:00+00:00"
# Increase in the probability of an outcome within days, per event of the first type.
PACE = 0.03


def config(folder: Path, name: str) -> dict:
    """Return the YAML of a company; both share a workspace, so one's champion scores the other."""
    data = folder / name
    events = {"entity_id": "entity_id", "event_time": "event_time", "known_at": "available_at"}
    events |= {"event_type": "event_type", "channel": "channel", "value": "value"}
    return {
        "project": "night",
        "workspace": str(folder / "workspace"),
        "sources": {
            "leads": {
                "path": str(data / "leads.parquet"),
                "entity_id": "entity_id",
                "created_at": "created_at",
            }
            | {"account_id": "account_id", "attributes": ["country", "size"]},
            "events": [{"path": str(data / "events.parquet"), **events}],
        },
        "targets": {
            "buy": {
                "outcome": "won",
                "horizon": "30d",
                "cutoffs": {"every": "30d"},
                "amount": "size",
            },
        },
        "publish": {"reasons": 0.1},
        "capacity": 1000,
    }


def prepare(folder: Path, leads: int) -> None:
    """Write both companies, and promote a champion trained on the small one, once per folder."""
    for name, count in (("small", SMALL), ("large", leads)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        write(folder / name, count, won=name == "small")
        text = yaml.safe_dump(config(folder, name), sort_keys=False)
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    if not (folder / "workspace" / "mlflow.db").exists():
        from configs.schema import load_project
        from pipelines.runner import Runner
        from pipelines.training.train import train_targets

        (result,) = train_targets(load_project(folder / "small.yaml"), AS_OF, ["buy"], Runner())
        if result.error:
            raise result.error


def write(folder: Path, leads: int, won: bool) -> None:
    """Write ``leads`` with about 20 events each; ``won`` adds outcomes after the first type."""
    path, rng = folder / "events.parquet", np.random.default_rng(leads)
    count = log.write(path, 20 * leads)
    start = pa.array(log.START + rng.integers(0, 30 * US_PER_DAY, count)).cast(INSTANT)
    table = {
        "entity_id": log.names(np.arange(count)),
        "account_id": pa.array([f"A{number}" for number in (np.arange(count) // 3).tolist()]),
        "created_at": start,
        "country": pa.array(["DE", "FR", "NL", "SE"]).take(pa.array(rng.integers(0, 4, count))),
        "size": np.round(rng.lognormal(4, 1, count)),
    }
    pq.write_table(pa.table(table), folder / "leads.parquet")
    if won:
        events = pq.read_table(path)
        pq.write_table(pa.concat_tables([events, _outcomes(events, rng)]), path)


def _outcomes(events: pa.Table, rng: np.random.Generator) -> pa.Table:
    kinds = events["event_type"].to_numpy(zero_copy_only=False)
    chance = np.select([kinds == log.TYPES[0], kinds == log.TYPES[1]], [2 * PACE, PACE], PACE / 10)
    source = events.filter(pa.array(rng.random(len(events)) < chance))
    after = source["event_time"].cast(pa.int64()).to_numpy() + rng.integers(
        1, 10 * US_PER_DAY, len(source)
    )
    at, size = pa.array(after).cast(INSTANT), len(source)
    columns = [source["entity_id"], at, at, pa.array(["won"] * size), pa.nulls(size, pa.string())]
    return pa.table([*columns, pa.nulls(size, pa.float64())], schema=EVENTS)


def night(folder: Path, as_of: str = AS_OF, *without: str) -> dict:
    """Score, publish and export; return the seconds of each step and the peak memory in GiB.

    ``without`` names parts that are left out: ``no-page`` and ``no-funnel``.
    """
    from configs.schema import load_project
    from pipelines.nightly.night import score_night
    from pipelines.runner import Runner

    steps: dict[str, float] = {}

    def timed(function):
        def run(*arguments):
            begin = time.perf_counter()
            try:
                return function(*arguments)
            finally:
                steps[function.__name__] = (
                    steps.get(function.__name__, 0.0) + time.perf_counter() - begin
                )

        return run

    project = load_project(folder / "large.yaml")
    kept = {"page": "no-page" not in without, "funnel": "no-funnel" not in without}
    publish = project.publish.model_copy(update=kept)
    project = project.model_copy(update={"publish": publish})
    begin, processor = time.perf_counter(), time.process_time()
    found = score_night(project, as_of, Runner(wrap=timed))
    return {
        "seconds": time.perf_counter() - begin,
        "processor": time.process_time() - processor,
        "steps": steps,
        "rows": sum(found.published.rows.values()),
        "page": found.export.page.stat().st_size / 1e6 if found.export.page else None,
        "problem": found.export.page_problem,
        "tables": dict(found.published.tables),
        "peak": peak(),
    }


def floor(folder: Path) -> dict:
    """Return the seconds of the scan, and of the bare ``predict`` of the champion's trees."""
    import lightgbm

    from configs.schema import load_project
    from features.build import build_features
    from features.spine import build_scoring_spine
    from models.registry.registry import Registry
    from models.scorer import Scorer
    from pipelines.runner import read_clock
    from pipelines.training_data import load_snapshot

    path = str(folder / "large" / "events.parquet")
    begin = time.perf_counter()
    for _ in duckdb.connect().sql(FLOOR, params={"path": path}).to_arrow_reader():
        pass
    scan = time.perf_counter() - begin
    project = load_project(folder / "large.yaml")
    registry = Registry(project.workspace_path, project.project)
    scorer = Scorer.load(registry.scorer_directory(registry.champion("buy")))
    now = load_snapshot(project, AS_OF, read_clock())
    spine = build_scoring_spine(now.dataset, project.target_config("buy"), now.as_of)
    catalog = scorer.catalog.select(scorer.encoding.names)
    x = scorer.encoding.encode(build_features(now.dataset, spine, catalog))
    predict, trees = 0.0, 0
    for text in _trees(scorer.model):
        booster = lightgbm.Booster(model_str=text)
        trees += booster.num_trees()
        begin = time.perf_counter()
        booster.predict(x, raw_score=True, num_threads=0)
        predict += time.perf_counter() - begin
    return {
        "scan": scan,
        "predict": predict,
        "trees": trees,
        "learner": scorer.learner,
        "features": x.shape[1],
    }


def _trees(model) -> list[str]:
    """Return the texts of all LightGBM models inside a model."""
    if hasattr(model, "text"):
        return [model.text]
    inner = getattr(model, "parts", ()) or ((model.trees,) if hasattr(model, "trees") else ())
    return [text for part in inner for text in _trees(part)]


if __name__ == "__main__":
    where, what = Path(sys.argv[1]).resolve(), sys.argv[2]
    if what == "prepare":
        prepare(where, int(sys.argv[3]))
    else:
        print(json.dumps({"night": night, "floor": floor}[what](where, *sys.argv[3:])))
