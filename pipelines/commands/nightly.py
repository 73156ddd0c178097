"""The commands of every night: scores, what becomes of them, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipelines.commands.options import (
    AsOf,
    Config,
    Format,
    Json,
    Prefect,
    Published,
    note,
    print_json,
    project_of,
    show,
    through_prefect,
)


def score(
    config: Config,
    as_of: AsOf = None,
    form: Format = "csv",
    prefect: Prefect = None,
    as_json: Json = False,
) -> None:
    """Score the open leads with the champions, publish them in the table and write the CRM's file."""
    from pipelines import screen

    project_of(config)
    night = run_night(str(config), as_of, form, prefect)
    if as_json:
        print_json(night.to_json())
    else:
        show(screen.top(night), screen.delivered(night))


def export(config: Config, as_of: Published = None, form: Format = "csv") -> None:
    """Write the CRM's file again from the scores table, of the newest published as-of or of another one."""
    from pipelines.score import export_again

    path = export_again(project_of(config), as_of, form)
    note(f"wrote {path}")


def explain(config: Config, entity: str, as_of: Published = None, as_json: Json = False) -> None:
    """Show one entity's published scores: probability, interval, reasons for and against, and its history."""
    from pipelines import screen
    from pipelines.explain import published

    found = published(project_of(config), entity, as_of)
    if as_json:
        print_json(found.to_json())
    else:
        show(*screen.explanation(found))


def run_night(config: str, as_of: str | None, form: str, prefect: bool | None) -> Any:
    """Score and publish one as-of through the driver asked for."""
    if through_prefect(prefect):
        from pipelines.flows import score as flow

        return flow(config, as_of, form)
    from pipelines.driver import Driver
    from pipelines.score import score_night

    return score_night(project_of(Path(config)), as_of, Driver(note=note), form)
