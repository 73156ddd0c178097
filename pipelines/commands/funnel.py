"""Commands for those who lead sales: the funnel, what it brings, channels and customers."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.commands.completion import complete_config
from pipelines.commands.console import log_always, log_line
from pipelines.commands.options import (
    AsOf,
    Config,
    Json,
    print_json,
    print_parts,
    read_project,
)

if TYPE_CHECKING:  # a command pays only for the imports that it runs
    import pyarrow as pa

    from configs.schema import Project


class Period(StrEnum):
    """Calendar periods of a forecast."""

    MONTH = "month"
    QUARTER = "quarter"


OutFolder = Annotated[
    Path | None,
    typer.Option("--out", help="also write each table to this folder, as CSV and as Parquet"),
]


def funnel(
    config: Config,
    as_of: AsOf = None,
    by: Annotated[
        list[str] | None,
        typer.Option(
            "--by",
            help="also by the values of this column: a category, channel or owner; may be repeated",
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option("--target", help="the target whose outcome is the win; default: the last one"),
    ] = None,
    out: OutFolder = None,
    as_json: Json = False,
) -> None:
    """Show where leads are, get stuck and drop off, and the cycle.

    Only rows that were known before the as-of count. Open leads are neither won nor lost, and young
    ones are followed as far as they go.
    """
    from pipelines.funnel.funnel import compute_funnel
    from pipelines.reports import terminal

    _check_folder(out)
    project = read_project(config)
    result = compute_funnel(project, as_of, by or (), target, log_line)
    web = {"web_funnel": result.web} if result.web.num_rows else {}
    _write_tables(out, result.tables.by_name() | web)
    if as_json:
        print_json(result.to_json())
    else:
        print_parts(*terminal.render_funnel(result, project.goals.currency))


def forecast(
    config: Config,
    as_of: AsOf = None,
    period: Annotated[
        Period | None, typer.Option(help="the calendar period; default: goals.period")
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(
            "--by",
            help="also by the values of this column: a category, channel or owner; default: "
            "goals.by",
        ),
    ] = None,
    out: OutFolder = None,
    backtest: Annotated[
        bool, typer.Option("--backtest", help="forecast as of the past, and compare with what came")
    ] = False,
    days: Annotated[
        int | None,
        typer.Option(min=1, help="with --backtest: days that each forecast looks ahead"),
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="with --backtest: number of past as-ofs")] = 20,
    as_json: Json = False,
) -> None:
    """Show what a period will bring, and the chance of its goal.

    The period that the as-of lies in and the next one are shown: what was won so far, what open
    deals will add, and what deals that are not created yet will add, each with an interval. Only
    rows that were known before the as-of count.
    """
    from pipelines.forecast.forecast import compute_forecast
    from pipelines.reports import terminal

    project = read_project(config)
    if backtest:
        _backtest_forecast(project, as_of, days, count, as_json)
        return
    _check_folder(out)
    chosen = period.value if period else project.goals.period
    result = compute_forecast(project, as_of, chosen, by or project.goals.by, log=log_line)
    _write_tables(out, result.by_name())
    if as_json:
        print_json(result.to_json())
    else:
        print_parts(*terminal.render_forecast(result, project.zone, project.goals.currency))


def fit(
    config: Config,
    as_of: AsOf = None,
    target: Annotated[
        str | None,
        typer.Option("--target", help="the target whose outcome makes a customer; default: last"),
    ] = None,
    out: OutFolder = None,
    as_json: Json = False,
) -> None:
    """Show which accounts become customers, and which open ones fit.

    The profile uses only values that were known at the entry of an account, and accounts that were
    followed for the whole horizon. Accounts that fit and are silent are the white space.
    """
    from pipelines.fit.fit import compute_account_fit
    from pipelines.reports import terminal

    _check_folder(out)
    result = compute_account_fit(read_project(config), as_of, target, log_line)
    _write_tables(out, result.tables.by_name())
    if as_json:
        print_json(result.to_json())
    else:
        print_parts(*terminal.render_fit(result))


def customers(
    config: Config,
    as_of: AsOf = None,
    out: OutFolder = None,
    backtest: Annotated[
        bool, typer.Option("--backtest", help="forecast as of the past, and compare with what came")
    ] = False,
    days: Annotated[
        int | None,
        typer.Option(min=1, help="with --backtest: days ahead; default: a third of the history"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show who buys again, and what customers will bring.

    The model is chosen by forecasts as of the past, which see only earlier purchases; what they
    were off by is in the intervals of the totals.
    """
    from pipelines.customers.customers import compute_customers
    from pipelines.reports import terminal

    project = read_project(config)
    if backtest:
        _backtest_customers(project, as_of, days, as_json)
        return
    _check_folder(out)
    result = compute_customers(project, as_of, log_line)
    _write_tables(out, result.tables.by_name())
    if as_json:
        print_json(result.to_json())
    else:
        print_parts(*terminal.render_customers(result, project.goals.currency))


def channels(
    config: Annotated[
        Path | None,
        typer.Argument(
            metavar="CONFIG",
            help="the company's YAML file, such as configs/demo.yaml",
            autocompletion=complete_config,
        ),
    ] = None,
    as_of: AsOf = None,
    paths: Annotated[
        Path | None,
        typer.Option(
            "--paths",
            help="instead of CONFIG: a CSV or Parquet file with path (ads > mail), conversions and "
            "nulls; shows credit alone",
        ),
    ] = None,
    out: OutFolder = None,
    as_json: Json = False,
) -> None:
    """Show what channels cost, and the credit that each of them gets.

    Credit is split by seven methods, which each add up to the customers. It is not effect: that
    takes an experiment. Accounts count once they were followed for the whole window.
    """
    from pipelines.channels.channels import compute_channels
    from pipelines.reports import terminal

    _check_folder(out)
    if paths is not None or config is None:
        _credit_paths(config, as_of, paths, out, as_json)
        return
    project = read_project(config)
    result = compute_channels(project, as_of, log_line)
    _write_tables(out, result.tables.by_name())
    if as_json:
        print_json(result.to_json())
    else:
        print_parts(*terminal.render_channels(result, project.goals.currency))


def _credit_paths(
    config: Path | None,
    as_of: str | None,
    paths: Path | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Print the credits of a table of paths; raise ConfigError for what does not go with it."""
    from configs.errors import ConfigError
    from pipelines.channels.path_credits import compute_path_credits
    from pipelines.reports import terminal

    if paths is None:
        raise ConfigError(
            "neither a config nor paths", where="channels", fix="give CONFIG, or --paths FILE"
        )
    if config is not None:
        raise ConfigError(
            "paths need no config", where=f"--paths {paths}", fix=f"leave out {config}, or --paths"
        )
    if as_of is not None:
        raise ConfigError("paths have no times", where=f"--as-of {as_of}", fix="leave it out")
    result = compute_path_credits(paths)
    _write_tables(out, result.tables.by_name())
    if as_json:
        print_json(result.to_json())
    else:
        print_parts(*terminal.render_path_credits(result))


def touches(
    config: Config, as_of: AsOf = None, out: OutFolder = None, as_json: Json = False
) -> None:
    """Show the chance of a reply by touch number, and next touches.

    A touch counts while its lead is silent and reachable, and once it was followed for 14 days. A
    lead that replied or opted out gets no touch, nor does one whose touch costs more than it
    brings.
    """
    from pipelines.reports import terminal
    from pipelines.touches.touches import compute_touches

    _check_folder(out)
    project = read_project(config)
    result = compute_touches(project, as_of, log_line)
    _write_tables(out, result.tables.by_name())
    if as_json:
        print_json(result.to_json())
    else:
        print_parts(*terminal.render_touches(result, project.goals.currency))


def uplift(
    config: Config, as_of: AsOf = None, out: OutFolder = None, as_json: Json = False
) -> None:
    """Show what outreach adds, and whom it should go to first.

    Only assignments at random say that. A ranking by uplift is published only if it beats random
    order and the ranking by score on leads that it has not seen; otherwise the exit code is 4.
    """
    from pipelines.reports import terminal
    from pipelines.uplift.uplift import compute_uplift, describe_refusal

    _check_folder(out)
    project = read_project(config)
    result = compute_uplift(project, as_of, log_line)
    if result.verdict.passed:
        _write_tables(out, result.tables.by_name())
    if as_json:
        print_json(result.to_json())
    else:
        print_parts(*terminal.render_uplift(result))
    # The result is printed already, and standard output holds one object.
    if refusal := describe_refusal(project, result):
        log_always(str(refusal))
        raise typer.Exit(refusal.exit_code)


def _check_folder(out: Path | None) -> None:
    """Refuse a folder that cannot be written before any work is done."""
    from pipelines.table_file import require_output_folder

    if out is not None:
        require_output_folder(out)


def _write_tables(out: Path | None, tables: Mapping[str, pa.Table]) -> None:
    from pipelines.table_file import write_table_folder

    for file in write_table_folder(out, tables) if out is not None else []:
        log_line(f"wrote {file}")


def _backtest_customers(
    project: Project, as_of: str | None, days: int | None, as_json: bool
) -> None:
    from pipelines.customers.backtest import backtest_project_customers
    from pipelines.reports import terminal

    result = backtest_project_customers(project, as_of, days, log_line)
    if as_json:
        print_json(result.to_json())
    else:
        print_parts(*terminal.render_customer_backtest(result))


def _backtest_forecast(
    project: Project, as_of: str | None, days: int | None, count: int, as_json: bool
) -> None:
    from models.forecast.accuracy import backtest_to_json, summarize_backtest
    from pipelines.forecast.backtest import backtest_forecast
    from pipelines.reports import terminal

    result = backtest_forecast(project, as_of, days, count, log=log_line)
    if as_json:
        print_json(backtest_to_json(result))
    else:
        accuracy = summarize_backtest(result)
        print_parts(*terminal.render_forecast_backtest(result, accuracy, project.zone))
