"""Versions, seconds and memory of a command, which --verbose logs beside its steps."""

from __future__ import annotations

import platform
import resource
import sys
import time
from importlib.metadata import PackageNotFoundError, version

from pipelines.commands.console import CONSOLE, log_line
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
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts kibibytes, macOS bytes.
    mebibytes = peak / (2**20 if sys.platform == "darwin" else 2**10)
    seconds = time.monotonic() - CONSOLE.started
    log_line(f"ended after {seconds:.2f} s, with {mebibytes:,.0f} MiB at most")


def _find_version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "not installed"
