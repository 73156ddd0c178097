"""Versions, seconds and memory of a command, which --verbose logs beside its steps."""

from __future__ import annotations

import platform
import time
from importlib.metadata import PackageNotFoundError, version

from pipelines.commands.console import CONSOLE, log_line
from pipelines.results.run_cost import measure_peak_memory
from pipelines.version import find_code_version

# The libraries on which results depend.
LIBRARIES = ("numpy", "pyarrow", "duckdb", "lightgbm", "mlflow", "prefect")


def log_versions() -> None:
    """Log the versions of the software, of Python and of the libraries on which results depend."""
    system = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    log_line(f"leadscore {find_code_version()}, {system}")
    log_line(", ".join(f"{name} {_find_version(name)}" for name in LIBRARIES))


def log_costs() -> None:
    """Log the seconds of the command and the most memory that it used."""
    mebibytes = measure_peak_memory() / 2**20
    seconds = time.monotonic() - CONSOLE.started
    log_line(f"ended after {seconds:.2f} s, with {mebibytes:,.0f} MiB at most")


def _find_version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "not installed"
