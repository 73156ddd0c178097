"""A part of a night: computed beside the scores, which never wait for its success."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import pyarrow as pa

from configs.errors import DataError
from serve.failure import describe_failed_part
from serve.night_tables import prepare_night_table, select_group

Result = TypeVar("Result")


@dataclass(frozen=True)
class NightPart(Generic[Result]):
    """A part of a night, if it could be computed.

    Attributes:
        result: What was computed; None if there is none.
        reason: Why there is none although the config wants it; None if there is one, or none is
            wanted.
        problem: The same, where something failed.
    """

    result: Result | None = None
    reason: str | None = None
    problem: str | None = None


def compute_night_part(
    group: str,
    compute: Callable[[], Result],
    list_tables: Callable[[Result], Mapping[str, pa.Table]],
    reasons: tuple[type[Exception], ...] = (DataError,),
) -> NightPart[Result]:
    """Return a part of a night, whose tables are those of a group of NIGHT_TABLES.

    Never raises for a failure: the scores are worth more than the part. Errors of the types in
    ``reasons`` are none, as a young company's, each night of which would warn.
    """
    try:
        try:
            result = compute()
        except reasons as error:
            return NightPart(reason=describe_failed_part(error))
        tables = list_tables(result)
        # Rows that the database would refuse must not be found while the scores are written.
        for table in select_group(group):
            prepare_night_table(table, tables[table.name])
        return NightPart(result)
    except (KeyboardInterrupt, SystemExit):
        raise
    # BaseException: a panic in a library written in Rust is no Exception.
    except BaseException as error:  # noqa: BLE001
        return NightPart(problem=describe_failed_part(error))
