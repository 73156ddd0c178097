"""The commands of every night: scores, what becomes of them, and why."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from configs.errors import ConfigError, NotFitToPublish
from pipelines.commands.options import (
    AsOf,
    Config,
    Format,
    Json,
    Prefect,
    Published,
    TargetName,
    note,
    print_json,
    project_of,
    show,
    targets_of,
    through_prefect,
)


def score(
    config: Config,
    as_of: AsOf = None,
    until: Annotated[
        str | None, typer.Option("--until", help="all days from --as-of to here, as they were")
    ] = None,
    form: Format = "csv",
    prefect: Prefect = None,
    as_json: Json = False,
) -> None:
    """Score the open leads with the champions, publish them in the table and write the CRM's file."""
    from pipelines.reports import terminal

    project = project_of(config)
    if until is not None:
        _backfill(project, as_of, until, as_json)
        return
    night = run_night(str(config), as_of, form, prefect)
    if as_json:
        print_json(night.to_json())
    else:
        show(terminal.top(night), terminal.delivered(night))


def export(
    config: Config,
    as_of: Published = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="csv, jsonl, parquet, or an export of the config, which is delivered now",
        ),
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="all leads, also where the config says delta")
    ] = False,
    since: Annotated[
        str | None, typer.Option("--since", help="all that changed since this older delivery")
    ] = None,
    ledger: Annotated[
        bool,
        typer.Option(
            "--deliveries", help="list what was delivered when, with --format of that export only"
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Write the CRM's file again from the scores table, of the newest published as-of or of another one."""
    from pipelines.nightly.export import export_from_store

    project = project_of(config)
    if ledger:
        _deliveries(project, form, as_json)
    elif form is not None and form in project.publish.exports:
        _deliver(project, form, as_of, full, since, as_json)
    elif full or since:
        raise ConfigError(
            "--full and --since are of an export of the config",
            where="--format",
            found=form or "csv",
            fix=f"name one of them: {', '.join(project.publish.exports) or 'there is none'}",
        )
    else:
        path = export_from_store(project, as_of, form or "csv")
        note(f"wrote {path}")


def outcomes(
    config: Config,
    as_of: AsOf = None,
    target: TargetName = None,
    prefect: Prefect = None,
    as_json: Json = False,
) -> None:
    """Hold published scores against what happened since: by week, grade, stage and version, and against the promise."""
    from pipelines.monitoring.monitor import as_json as plain
    from pipelines.reports.monitor_tables import outcomes as screen

    project = project_of(config)
    found = _monitor(str(config), as_of, targets_of(project, target), prefect)
    if as_json:
        print_json(plain(found))
    else:
        show(*(screen(project, each) for each in found))
        note(f"reports: {project.workspace_path / 'reports'}/outcomes.json and .md")


def explain(
    config: Config,
    entity: str,
    as_of: Published = None,
    table: Annotated[
        bool, typer.Option("--published", help="only what stands in the table; nothing is read")
    ] = False,
    every: Annotated[
        bool, typer.Option("--all", help="all features, not only the strongest")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show one entity's published scores: reasons, features, what changed since the night before, and its history."""
    from pipelines.lead.explain import published
    from pipelines.reports import lead_tables

    project = project_of(config)
    found = published(project, entity, as_of)
    if not table and found.newest:
        from pipelines.lead.trace import traces

        found = replace(found, trace=traces(project, found.newest, found.history, note))
    if as_json:
        print_json(found.to_json())
    else:
        show(*lead_tables.explanation(found, project.zone, None if every else lead_tables.TOP))


def deploy(
    config: Config,
    status: Annotated[
        bool, typer.Option("--status", help="say how the nights go; exit 5 if they do not")
    ] = False,
    report: Annotated[
        bool,
        typer.Option(
            "--report", help="with --status: tell what is amiss to the address in LEADSCORE_WEBHOOK"
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Serve train, score and monitor on their cron lines through Prefect; or say how the nights go."""
    project = project_of(config)
    if status:
        _status(project, report, as_json)
        return
    if report or as_json:
        raise ConfigError(
            "--report and --json are of --status", where="leadscore deploy", fix="add --status"
        )
    from pipelines.orchestration.deploy import deploy as serve

    serve(project)


def _deliver(
    project: Any, name: str, as_of: str | None, full: bool, since: str | None, as_json: bool
) -> None:
    from pipelines.nightly.crm_delivery import deliver_export_now
    from pipelines.runner import Runner
    from serve.crm.delivery import DeliveryOptions

    if as_of is not None:
        raise ConfigError(
            "a delivery is of the newest night", where="--as-of", fix="leave it out, or use --since"
        )
    if full and since:
        raise ConfigError(
            "--full and --since are two wishes",
            where="--since",
            found=since,
            fix="take one of them",
        )
    done = deliver_export_now(project, name, DeliveryOptions(full, since), Runner(log=note))
    said = done.manifest
    if as_json:
        print_json(done.to_json())
    else:
        what = "delivered" if done.is_new else "nothing is new since"
        note(
            f"{what} {said['kind']} {done.id}: {said['rows']:,} leads, {said['cleared']:,} cleared: {done.folder}"
        )


def _deliveries(project: Any, name: str | None, as_json: bool) -> None:
    from pipelines.nightly.crm_delivery import list_deliveries
    from pipelines.reports import terminal

    rows = list_deliveries(project, name)
    if as_json:
        print_json({"deliveries": rows})
    else:
        show(terminal.deliveries(rows))


def _backfill(project: Any, first: str | None, last: str, as_json: bool) -> None:
    from pipelines.nightly.backfill import backfill_nights
    from pipelines.reports import terminal
    from pipelines.runner import Runner

    if first is None:
        raise ConfigError(
            "where to begin is not said", where="--until", fix="give --as-of, the first night"
        )
    note("driver: direct")
    nights = backfill_nights(project, first, last, Runner(log=note))
    if as_json:
        print_json({"nights": [night.to_json() for night in nights]})
    else:
        show(terminal.backfill(nights))
    if errors := [night.error for night in nights if night.error]:
        raise typer.Exit(min(error.exit_code for error in errors))


def _status(project: Any, report: bool, as_json: bool) -> None:
    from pipelines.orchestration import alarm, watch
    from pipelines.runner import read_clock

    found = watch.status(project, read_clock())
    if as_json:
        print_json(found.to_json())
    else:
        for line in found.lines():
            typer.echo(line)
    if report and (body := found.told()):
        alarm.post_alarm(body, note)
    if found.alarms:
        raise typer.Exit(NotFitToPublish.exit_code)


def _monitor(config: str, as_of: str | None, targets: list[str], prefect: bool | None) -> list[Any]:
    if through_prefect(prefect):
        from pipelines.orchestration.flows import monitor as flow

        return flow(config, as_of, targets)
    from pipelines.monitoring.monitor import monitor
    from pipelines.runner import Runner

    return monitor(project_of(Path(config)), as_of, targets, Runner(log=note))


def run_night(config: str, as_of: str | None, form: str, prefect: bool | None) -> Any:
    """Score and publish one as-of through the driver asked for."""
    if through_prefect(prefect):
        from pipelines.orchestration.flows import score as flow

        return flow(config, as_of, form)
    from pipelines.nightly.score import score_night
    from pipelines.runner import Runner

    return score_night(project_of(Path(config)), as_of, Runner(log=note), form)
