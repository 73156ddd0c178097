"""What a run costs the machine: processor time, memory, and bytes written."""

from __future__ import annotations

import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path

IO_COUNTERS = Path("/proc/self/io")
MEMORY_COUNTERS = Path("/proc/self/status")


@dataclass(frozen=True)
class RunCost:
    """Cost of a run of this process.

    Attributes:
        processor_seconds: Processor time of all threads.
        peak_memory_bytes: Most memory of the process since it began.
        written_bytes: Bytes given to the disk; None where the system does not count them.
    """

    processor_seconds: float
    peak_memory_bytes: int
    written_bytes: int | None


class CostMeter:
    """Measures the cost of a run from its making on."""

    def __init__(self) -> None:
        """Begin to measure."""
        self._processor, self._written = time.process_time(), count_written_bytes()

    def read_cost(self) -> RunCost:
        """Return the cost so far."""
        written = count_written_bytes()
        if written is not None and self._written is not None:
            written -= self._written
        spent = time.process_time() - self._processor
        return RunCost(spent, measure_peak_memory(), written)


def measure_peak_memory() -> int:
    """Return the most memory that this process has used, in bytes."""
    if MEMORY_COUNTERS.exists():
        # ``ru_maxrss`` of Linux also counts the process that started this one.
        return int(MEMORY_COUNTERS.read_text().split("VmHWM:")[1].split()[0]) * 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # macOS counts bytes, other systems kibibytes.
    return peak if sys.platform == "darwin" else peak * 2**10


def count_written_bytes() -> int | None:
    """Return the bytes that this process has given to the disk; None where that is not counted."""
    try:
        counters = dict(line.split(": ") for line in IO_COUNTERS.read_text().splitlines())
    except OSError:
        return None
    return int(counters["write_bytes"])
