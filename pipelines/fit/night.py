"""The fit of a night: computed beside the scores, which never wait for its success."""

from __future__ import annotations

from dataclasses import dataclass

from configs.errors import DataError
from models.fit.result import FitResult
from pipelines.fit.fit import build_fit, choose_target
from pipelines.funnel.amounts import ValuedHistory
from pipelines.training_data import Snapshot
from serve.failure import describe_failed_part
from serve.night_tables import prepare_night_table, select_group


@dataclass(frozen=True)
class NightFit:
    """The fit of a night, if it could be computed.

    Attributes:
        result: The fit; None if there is none.
        reason: Why there is none although the config wants it; None if there is one, or none is
            wanted.
        problem: The same, where something failed.
    """

    result: FitResult | None = None
    reason: str | None = None
    problem: str | None = None


def compute_night_fit(snapshot: Snapshot, valued: ValuedHistory | None) -> NightFit:
    """Return the fit of a night's data.

    ``valued`` is the history of the funnel; None if there is no funnel. Never raises for a failure:
    the scores are worth more than the fit.
    """
    if not snapshot.project.publish.fit:
        return NightFit()
    try:
        try:
            result = build_fit(snapshot, choose_target(snapshot.project), valued)
        # A young company is no failure: each night of it would warn.
        except DataError as error:
            return NightFit(reason=describe_failed_part(error))
        tables = result.tables.by_name()
        # Rows that the database would refuse must not be found while the scores are written.
        for table in select_group("fit"):
            prepare_night_table(table, tables[table.name])
        return NightFit(result)
    except (KeyboardInterrupt, SystemExit):
        raise
    # BaseException: a panic in a library written in Rust is no Exception.
    except BaseException as error:  # noqa: BLE001
        return NightFit(problem=describe_failed_part(error))
