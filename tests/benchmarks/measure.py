"""One measurement in a separate process, so that engines do not share time or memory.

``python -m tests.benchmarks.measure JOB`` takes a Job as JSON and prints one line of JSON.
"""

import importlib
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tests.benchmarks import log
from tests.benchmarks.common import NAMES

ROOT = Path(__file__).resolve().parents[2]
PEERS = Path(sys.prefix) / "peers" / "bin" / "python"
# Engines of the peers' environment.
ELSEWHERE = {"polars_per_cutoff", "featuretools"}

# Seconds under which a measurement is taken three times, and the median is given.
SHORT = 10.0


@dataclass(frozen=True)
class Job:
    """The engine (``module:function``) and its input; ``out`` is a Parquet file for the result."""

    engine: str
    path: str
    leads: int
    instants: list[int]
    out: str | None = None

    @property
    def python(self) -> Path:
        """Return the interpreter whose environment has the engine."""
        return PEERS if self.engine.split(":")[1] in ELSEWHERE else Path(sys.executable)


def run_module(name: str, *arguments: str) -> dict:
    """Run a module of the benchmarks in a new process; return the JSON of its last line."""
    command = [sys.executable, "-W", "ignore", "-m", f"tests.benchmarks.{name}", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{name} failed ({done.returncode}):\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def measured(job: Job) -> dict:
    """Run a job in a new process; return seconds, rows, columns, counted events, peak GiB."""
    command = [
        str(job.python),
        "-W",
        "ignore",
        "-m",
        "tests.benchmarks.measure",
        json.dumps(asdict(job)),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{job.engine} failed ({done.returncode}):\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def _main(job: Job) -> dict:
    module, function = job.engine.split(":")
    engine = getattr(importlib.import_module(f"tests.benchmarks.{module}"), function)
    _warm(engine)
    run = engine(job.path, job.leads, job.instants)
    found = _timed(run, job)
    most = peak()
    seconds = [found.pop("seconds")]
    while seconds[0] < SHORT and len(seconds) < 3 and not job.out:
        seconds.append(_timed(run, job)["seconds"])
    return {"seconds": statistics.median(seconds), "peak": most, **found}


def _warm(engine) -> None:
    """Import and compile what the engine needs, on a log too small to count."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "tiny.parquet")
        for _ in engine(path, log.write(path, 1_000), log.cutoffs(2, 30))():
            pass


def _timed(run, job: Job) -> dict:
    """Time the engine alone; each piece is looked at, and dropped unless the job wants a file."""
    begin = time.perf_counter()
    pieces, spent, kept = iter(run()), 0.0, []
    found = {"rows": 0, "columns": 0, "counted": 0}
    while True:
        piece = next(pieces, None)
        spent += time.perf_counter() - begin
        if piece is None:
            break
        table = _arrow(piece)
        found = {
            "rows": found["rows"] + table.num_rows,
            "columns": table.num_columns - 2,
            "counted": found["counted"] + _counted(table, job.instants[-1]),
        }
        kept += [_plain(table)] if job.out else []
        del piece, table
        begin = time.perf_counter()
    if job.out:
        pq.write_table(pa.concat_tables(kept), job.out)
    return {"seconds": spent, **found}


def _arrow(piece) -> pa.Table:
    return pa.Table.from_batches([piece]) if isinstance(piece, pa.RecordBatch) else pa.table(piece)


def peak() -> float:
    """Return this process's peak memory in GiB.

    Where Linux tells it, since ``ru_maxrss`` there also counts the process that started this one.
    """
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**30


def _plain(table: pa.Table) -> pa.Table:
    """Return a result with keys of the same types, whatever library it came from."""
    keys = {
        "entity_id": table["entity_id"].cast(pa.string()),
        "cutoff": table["cutoff"].cast(pa.int64()),
    }
    return pa.table(keys | {name: table[name].cast(pa.float64()) for name in NAMES})


def _counted(table: pa.Table, last: int) -> int:
    """Return how many events the rows of the last cutoff have seen."""
    counts = [
        table[name]
        for name in table.column_names
        if name.startswith("type_") and name.endswith("_count_all")
    ]
    if "cutoff" in table.column_names:
        here = pc.equal(table["cutoff"].cast(pa.int64()), last)
        counts = [count.filter(here) for count in counts]
    return int(sum(pc.sum(count, min_count=0).as_py() for count in counts))


if __name__ == "__main__":
    print(json.dumps(_main(Job(**json.loads(sys.argv[1])))))
