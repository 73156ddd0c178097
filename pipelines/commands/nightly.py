"""Commands of the nightly run: scores, deliveries, realised outcomes and explanations."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from configs.errors import ConfigError, NotFitToPublish
from pipelines.commands.console import log_always, log_line
from pipelines.commands.options import (
    AsOf,
    Config,
    Entity,
    FileFormat,
    Json,
    Prefect,
    PublishedAsOf,
    TargetName,
    print_json,
    print_line,
    print_parts,
    read_project,
    resolve_targets,
)
from pipelines.commands.runs import run_monitor, run_night
from pipelines.streams import forgive_lost_output

# Each command imports what it runs: Prefect takes 3 to 5 s to import and MLflow 5 to 7 s, while the
# help of a command takes a tenth of a second.
if TYPE_CHECKING:
    from pathlib import Path

    from configs.schema import Project


ResultsFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--ack",
        help="record the results of loading a delivery, a file that the CRM returned; repeatable",
    ),
]
LoadedDelivery = Annotated[
    str | None,
    typer.Option("--delivery", help="with --ack: the delivery that was loaded"),
]


def score(
    config: Config,
    as_of: AsOf = None,
    until: Annotated[
        str | None,
        typer.Option("--until", help="backfill all days from --as-of to this one"),
    ] = None,
    form: FileFormat = "csv",
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="publish and change nothing; show what a night would publish"
        ),
    ] = False,
    prefect: Prefect = None,
    as_json: Json = False,
) -> None:
    """Score the open leads, publish the scores, write the CRM's file.

    The champion of each target scores its leads. Exit code 5 if the scores are not fit to publish;
    then nothing is published.
    """
    from pipelines.reports import terminal

    project = read_project(config)
    if dry_run:
        if until is not None or prefect:
            raise ConfigError(
                "--dry-run goes neither with --until nor with --prefect",
                where="leadscore score",
                fix="leave the other option out",
            )
        _rehearse_night(project, as_of, form, as_json)
        return
    if until is not None:
        _run_backfill(project, as_of, until, as_json)
        return
    night = run_night(str(config), as_of, form, prefect)
    if as_json:
        print_json(night.to_json(), stored=True)
    else:
        print_parts(terminal.render_top_leads(night), terminal.render_delivery(night), stored=True)


def export(
    config: Config,
    as_of: PublishedAsOf = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="csv, jsonl or parquet; or the name of an export of the config, to deliver it now",
        ),
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="deliver all leads, where the config says delta too")
    ] = False,
    since: Annotated[
        str | None,
        typer.Option("--since", help="deliver all changes since this older delivery"),
    ] = None,
    deliveries: Annotated[
        bool,
        typer.Option(
            "--deliveries", help="list all deliveries; with --format those of that export only"
        ),
    ] = False,
    ack: ResultsFiles = None,
    delivery: LoadedDelivery = None,
    as_json: Json = False,
) -> None:
    """Write the CRM's file again; make, list or confirm deliveries.

    The file is written from the table of published scores, for the newest as-of or another one.
    """
    project = read_project(config)
    if ack or delivery:
        _record_results(project, ack or [], form, delivery, as_json)
    elif deliveries:
        _list_deliveries(project, form, as_json)
    elif form is not None and form in project.publish.exports:
        _deliver_export(project, form, as_of, full, since, as_json)
    elif full or since:
        raise ConfigError(
            "--full and --since need an export of the config",
            where="--format",
            found=form or "csv",
            fix=f"name one of them: {', '.join(project.publish.exports) or 'the config has none'}",
        )
    else:
        _write_export(project, as_of, form or "csv", as_json)


def outcomes(
    config: Config,
    as_of: AsOf = None,
    target: TargetName = None,
    prefect: Prefect = None,
    as_json: Json = False,
) -> None:
    """Compare published scores with the outcomes since then.

    The comparison is by week, grade, stage and model version, and against the metrics that the
    training expected.
    """
    from pipelines.monitoring.monitor import outcomes_to_json
    from pipelines.reports import terminal

    project = read_project(config)
    results = run_monitor(str(config), as_of, resolve_targets(project, target), prefect)
    if as_json:
        print_json(outcomes_to_json(results), stored=True)
    else:
        tables = [terminal.render_monitor_result(project, result) for result in results]
        print_parts(*tables, stored=True)
        log_always(f"reports: {project.workspace_path / 'reports'}/outcomes.json and .md")


def explain(
    config: Config,
    entity: Entity,
    as_of: PublishedAsOf = None,
    published: Annotated[
        bool,
        typer.Option("--published", help="only the published row; the source data is not read"),
    ] = False,
    all_features: Annotated[
        bool, typer.Option("--all", help="show all features, not only the strongest")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show one lead's scores, their reasons and their history.

    The score is replayed from the source data, with the contribution of each feature and the causes
    of its change since the night before.
    """
    from pipelines.lead.explain import read_published_scores
    from pipelines.reports import lead_tables, terminal

    project = read_project(config)
    explanation = read_published_scores(project, entity, as_of, look_up=not published)
    # A suppressed entity may have no score at all; then there is nothing to replay.
    if not published and explanation.newest:
        from pipelines.lead.trace import trace_rows

        traces = trace_rows(project, explanation.newest, explanation.history, log_line, as_of)
        explanation = replace(explanation, traces=traces)
    if as_json:
        print_json(explanation.to_json())
        return
    max_features = None if all_features else lead_tables.MAX_FEATURES
    print_parts(*terminal.render_explanation(explanation, project.zone, max_features))


def deploy(
    config: Config,
    status: Annotated[
        bool,
        typer.Option("--status", help="report the state of the nightly runs; exit 5 on an alarm"),
    ] = False,
    report: Annotated[
        bool,
        typer.Option(
            "--report", help="with --status: send alarms to the address in LEADSCORE_WEBHOOK"
        ),
    ] = False,
    give_up: Annotated[
        str | None,
        typer.Option(
            "--give-up", help="no longer report the missing night of this as-of; an ISO date"
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Run the schedules of the config, or report their state.

    Without an option this serves the flows train, score and monitor on their cron lines through
    Prefect until it is stopped.
    """
    if status and give_up is None:
        _show_status(config, report, as_json)
        return
    if status or report or (as_json and give_up is None):
        raise ConfigError(
            "--report needs --status, --json needs --status or --give-up, which exclude each other",
            where="leadscore deploy",
            fix="call the command once for each",
        )
    if give_up is not None:
        _give_up_night(read_project(config), give_up, as_json)
        return
    from pipelines.orchestration.deploy import serve_deployments

    try:
        serve_deployments(read_project(config))
    finally:
        # It prints that it serves, and nobody has to read that.
        forgive_lost_output()


def _rehearse_night(project: Project, as_of: str | None, form: str, as_json: bool) -> None:
    from pipelines.nightly.preview import rehearse_night
    from pipelines.reports import terminal
    from pipelines.runner import Runner

    log_line("driver: direct")
    result = rehearse_night(project, as_of, Runner(log=log_line), form)
    if as_json:
        print_json(result.to_json())
    else:
        print_parts(*terminal.render_dry_run(result))


def _write_export(project: Project, as_of: str | None, form: str, as_json: bool) -> None:
    from pipelines.nightly.export import export_from_store

    written = export_from_store(project, as_of, form, log_always)
    if as_json:
        print_json(written.to_json(), stored=True)
    else:
        log_always(f"wrote {written.file}")
        if written.page:
            log_always(f"wrote {written.page}")


def _give_up_night(project: Project, night: str, as_json: bool) -> None:
    from features.tools.instants import format_iso
    from pipelines.nightly.give_up import give_up_night

    as_of = give_up_night(project, night)
    if as_json:
        print_json({"given_up": format_iso(as_of)}, stored=True)
    else:
        log_always(f"gave up the night as of {as_of.isoformat()}")


def _deliver_export(
    project: Project,
    name: str,
    as_of: str | None,
    full: bool,
    since: str | None,
    as_json: bool,
) -> None:
    from pipelines.nightly.crm_delivery import deliver_export_now
    from pipelines.reports import terminal
    from pipelines.runner import Runner
    from serve.crm.delivery import DeliveryOptions

    # A CRM loads deliveries in their order, so an older night would take back newer values.
    if as_of is not None:
        raise ConfigError(
            "only the newest night can be delivered",
            where="--as-of",
            fix="leave it out, or use --since",
        )
    if full and since:
        raise ConfigError(
            "--full and --since exclude each other",
            where="--since",
            found=since,
            fix="give one of them",
        )
    delivery = deliver_export_now(project, name, DeliveryOptions(full, since), Runner(log=log_line))
    if as_json:
        print_json(delivery.to_json(), stored=True)
    else:
        log_always(terminal.describe_delivery(delivery))


def _record_results(
    project: Project, files: list[Path], name: str | None, delivery: str | None, as_json: bool
) -> None:
    from pipelines.nightly.crm_delivery import acknowledge_deliveries
    from pipelines.reports import terminal
    from pipelines.reports.night_tables import describe_acknowledgement

    if not files:
        raise ConfigError(
            "--delivery needs --ack",
            where="--delivery",
            found=delivery or "",
            fix="add --ack FILE, the results of loading it",
        )
    result = acknowledge_deliveries(project, files, name, delivery)
    if as_json:
        print_json(result.to_json(), stored=True)
    else:
        # Printed as they are: a table's text would be broken to its width, and scripts read these.
        for line in describe_acknowledgement(result):
            print_line(line, stored=True)
        if result.leads:
            print_parts(terminal.render_unloaded(result.leads), stored=True)


def _list_deliveries(project: Project, name: str | None, as_json: bool) -> None:
    from features.tools.json_values import to_json_values
    from pipelines.nightly.crm_delivery import read_delivery_ledger
    from pipelines.reports import terminal

    rows = read_delivery_ledger(project, name)
    if as_json:
        print_json({"deliveries": to_json_values(rows)})
    else:
        print_parts(terminal.render_deliveries(rows))


def _run_backfill(project: Project, first: str | None, last: str, as_json: bool) -> None:
    from pipelines.nightly.backfill import backfill_nights
    from pipelines.reports import terminal
    from pipelines.runner import Runner

    if first is None:
        raise ConfigError(
            "--until needs a first night", where="--until", fix="give the first night as --as-of"
        )
    # Every run names its driver. A backfill is no Prefect flow.
    log_line("driver: direct")
    nights = backfill_nights(project, first, last, Runner(log=log_line))
    if as_json:
        print_json({"nights": [night.to_json() for night in nights]}, stored=True)
    else:
        print_parts(terminal.render_backfill(nights), stored=True)
    if errors := [night.error for night in nights if night.error]:
        # The lowest code names the earliest cause: data that breaks its contract (3) comes before
        # scores that are not fit to publish (5).
        raise typer.Exit(min(error.exit_code for error in errors))


def _show_status(config: Path, report: bool, as_json: bool) -> None:
    """Print and report the state of the nightly runs; exit with 5 on an alarm."""
    from pipelines.orchestration import alarm
    from pipelines.orchestration.status import NightlyStatus
    from pipelines.runner import read_clock

    now, lines = read_clock(), list[str]()
    try:
        from pipelines.orchestration.watch import watch_config

        state = watch_config(config, now)
    # The watcher itself may be broken; that nothing is known must be an alarm too.
    except Exception as error:  # noqa: BLE001
        state = NightlyStatus.without_knowledge(config, now, alarm.describe_failure(error)["what"])
    # First: a full disk under the log must not keep the alarm from being sent.
    if report and (body := state.to_alarm()):
        alarm.post_alarm(body, lines.append)
    for line in [*state.details, *lines]:
        log_line(line)
    if as_json:
        print_json(state.to_json())
    else:
        for line in state.lines():
            print_line(line)
    # The exit code lets a scheduler or a container's health check react to an alarm.
    if state.alarms:
        raise typer.Exit(NotFitToPublish.exit_code)
