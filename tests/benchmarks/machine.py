"""Conditions of a measurement: requested size, machine, log and versions."""

import json
import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import pyarrow.parquet as pq
from joblib import cpu_count

from tests.benchmarks.measure import PEERS

# Approximate number of events of the generated log.
EVENTS = int(os.environ.get("LEADSCORE_BENCH_EVENTS", 1_000_000))

VERSIONS = "import importlib.metadata as m, json; print(json.dumps({n: m.version(n) for n in %r}))"


def memory() -> float:
    """Return the machine's memory in GiB."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def sizes(path: str, leads: int) -> str:
    """Return the title of a table: log, machine and versions."""
    events, size = pq.read_metadata(path).num_rows, Path(path).stat().st_size / 2**20
    return (
        f"{events:,} events of {leads:,} leads ({size:,.0f} MiB of Parquet); {cpu_count()} cores, "
        f"{memory():.0f} GiB; Python {platform.python_version()}, {_versions()}"
    )


def _versions() -> str:
    found = {name: version(name) for name in ("duckdb", "numba", "numpy", "pyarrow")}
    if PEERS.exists():
        code = VERSIONS % (["polars", "featuretools", "pandas"],)
        answer = subprocess.run(
            [str(PEERS), "-c", code], capture_output=True, text=True, check=True
        )
        found |= json.loads(answer.stdout)
    return ", ".join(f"{name} {number}" for name, number in found.items())
