"""Numbers that count the time since 1970 or 1900, and so may date the creation of a lead."""

from __future__ import annotations

import numpy as np

from pipelines.proposal.findings.roles import rank_name
from pipelines.proposal.reading.column_profile import NUMBER
from pipelines.proposal.reading.source_tables import SourceTable
from pipelines.proposal.reading.words import NO_RANK

# A number with more digits than seconds have is hardly an amount.
MIN_FINE_COUNT = 10**11
# Names of other numbers: ids, amounts, and telephones.
OTHER_NUMBERS = ("columns.id", "columns.value", "personal")


def find_counted_creation(table: SourceTable) -> str | None:
    """Return the only column whose numbers can be nothing but times; note it as a time."""
    fine = [name for name in list_counted_times(table) if _is_fine(table, name)]
    if len(fine) != 1:
        return None
    use_as_times(table, fine[0])
    return fine[0]


def list_counted_times(table: SourceTable) -> list[str]:
    """Return the numbers that count time in all rows, under any heading."""
    fitting = []
    for profile in table.profiles.values():
        others = (rank_name(profile.name, path) < NO_RANK for path in OTHER_NUMBERS)
        if profile.kind != NUMBER or profile.filled < table.kept or any(others):
            continue
        read = table.read_as_times(profile.name)
        if read is not None and len(read.known_times) == profile.filled and read.distinct > 2:
            fitting.append(profile.name)
    return fitting


def use_as_times(table: SourceTable, name: str) -> None:
    """Profile a column as one of times, if its numbers can be read so."""
    read = table.read_as_times(name)
    if read is not None:
        table.profiles[name] = read


def _is_fine(table: SourceTable, name: str) -> bool:
    first = next(iter(table.profiles[name].counts))
    try:
        return bool(np.abs(float(first)) >= MIN_FINE_COUNT)
    except ValueError:
        return False
