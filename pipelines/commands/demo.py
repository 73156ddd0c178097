"""The command that shows the software on a simulated company."""

from __future__ import annotations

from typing import Annotated

import typer

from pipelines.commands.console import log_line
from pipelines.commands.options import (
    Json,
    print_json,
    print_parts,
)
from pipelines.commands.runs import exit_on_errors, print_report_address, run_night, run_training


def demo(
    leads: Annotated[
        int, typer.Option(min=100, help="number of leads of the simulated company")
    ] = 6_000,
    seed: Annotated[int, typer.Option(help="seed of the simulation; it fixes the company")] = 7,
    committees: Annotated[
        bool,
        typer.Option("--committees", help="give accounts buying groups, with roles from titles"),
    ] = False,
    visitors: Annotated[
        bool, typer.Option("--visitors", help="add a web log of browsers, and who logged in")
    ] = False,
    prefect: Annotated[
        bool, typer.Option("--prefect/--direct", help="run as Prefect flows, or without Prefect")
    ] = True,
    as_json: Json = False,
) -> None:
    """Simulate a company, train on it and score its leads.

    The true probabilities of the simulated company are known. The result shows the best leads, the
    file for the CRM, and the share of the knowable that the models know; with --committees the true
    probabilities are not known.
    """
    from pipelines.orchestration.temporary_server import start_temporary_server

    server = start_temporary_server() if prefect else None
    # Imported here, since these libraries load while the server starts.
    from pipelines.demo import compute_oracle_metrics, create_company, prepare_registry
    from pipelines.reports import demo_summary
    from pipelines.results.demo import DemoResult

    project = create_company(leads, seed, log_line, committees, visitors)
    if server is not None:
        prepare_registry(project)
        server.result()
    config = str(project.path)
    trainings = run_training(config, None, list(project.targets), prefect)
    refused = any(training.error for training in trainings)
    night = None if refused else run_night(config, None, "csv", prefect)
    # The file does not need the true probabilities, so they are computed once it is written.
    oracles = {} if committees else compute_oracle_metrics(project, trainings, log_line)
    if as_json:
        print_json(DemoResult(trainings, night, oracles).to_json(), stored=True)
    else:
        summary = demo_summary.render_demo(project, trainings, night, oracles)
        print_parts(*summary, stored=True)
        for training in trainings:
            print_report_address(training)
    exit_on_errors(trainings)
