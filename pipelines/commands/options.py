"""Arguments and options that commands share, and how a command prints its result."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.commands.completion import complete_config, complete_target
from pipelines.commands.console import (
    CONSOLE,
    log_always,
    log_line,
    start_display,
    stop_display,
)
from pipelines.streams import encodes_all_characters, forgive_lost_output

if TYPE_CHECKING:  # a command pays only for the imports that it runs
    from rich.console import RenderableType

    from configs.schema import Project

# Columns of a table that goes into a file or a pipe: the widest table fits without wrapping.
WIDTH_WITHOUT_TERMINAL = 160

Config = Annotated[
    Path,
    typer.Argument(
        metavar="CONFIG",
        help="the company's YAML file, such as configs/demo.yaml",
        autocompletion=complete_config,
    ),
]
Entity = Annotated[str, typer.Argument(metavar="ENTITY", help="the id of one lead")]
AsOf = Annotated[
    str | None,
    typer.Option(
        "--as-of",
        help="ISO date or instant; default: the midnight that ends the last day of the data",
    ),
]
PublishedAsOf = Annotated[
    str | None,
    typer.Option("--as-of", help="as-of of published scores; default: the newest"),
]
TargetName = Annotated[
    str | None,
    typer.Option(
        "--target",
        help="one target; default: all targets of the config",
        autocompletion=complete_target,
    ),
]
RequiredTarget = Annotated[
    str,
    typer.Option("--target", help="the target of the model", autocompletion=complete_target),
]
Json = Annotated[
    bool, typer.Option("--json", help="print the result as one JSON object on standard output")
]
Prefect = Annotated[
    bool | None,
    typer.Option(
        "--prefect/--direct",
        help="run as a Prefect flow, or without Prefect; "
        "default: Prefect where a Prefect API is configured",
    ),
]
FileFormat = Annotated[
    str, typer.Option("--format", help="csv, jsonl or parquet; a csv file is always written")
]


def read_project(config: Path) -> Project:
    """Return the project that a company's YAML file describes.

    Raises ConfigError for an invalid file.
    """
    from configs.schema import load_project

    start_display()
    return load_project(config)


def resolve_targets(project: Project, target: str | None) -> list[str]:
    """Return the requested target, or all targets of the config.

    Raises ConfigError for a target that is not in the config.
    """
    if target:
        project.target_config(target)
    return [target] if target else list(project.targets)


def choose_prefect(prefect: bool | None) -> bool:
    """Return whether Prefect runs the command, and log the choice.

    Without a choice of the user, Prefect runs it where a Prefect API is configured.
    """
    from pipelines.runner import is_prefect_configured

    chosen = is_prefect_configured() if prefect is None else prefect
    if chosen:  # its own console writes lines
        stop_display()
    log_line(f"driver: {'prefect' if chosen else 'direct'}")
    return chosen


def make_progress_log(step: str) -> Callable[[int, int], None]:
    """Return a callback (done, total) that logs the progress of a step every 10 %."""

    def log_progress(done: int, total: int) -> None:
        # With fewer than ten steps every step would be a line.
        if (
            CONSOLE.display is None
            and total >= 10
            and 10 * done // total > 10 * (done - 1) // total
        ):
            log_line(f"{step}: {done / total:.0%}")

    return log_progress


def print_json(value: Any, *, stored: bool = False) -> None:
    """Print one JSON object as the result; ``stored`` as for ``print_line``."""
    from features.tools.json_values import format_json, to_json_values

    # An escape of JSON's own stays JSON, unlike those of the stream.
    ascii_only = not encodes_all_characters(sys.stdout)
    # A number of NumPy's in a rare result must not lose the output of a long run.
    print_line(format_json(to_json_values(value), 2, ascii_only=ascii_only), stored=stored)


def print_line(line: str, *, stored: bool = False) -> None:
    """Print one line as the result.

    A result that is ``stored`` elsewhere may be lost on its way to the reader. Without it, the
    command fails if standard output takes less than all of it.
    """
    stop_display()
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
    if stored:
        _report_lost_output()


def print_parts(*parts: RenderableType, stored: bool = False) -> None:
    """Print tables and texts as the result; ``stored`` as for ``print_line``."""
    from rich.console import Console

    stop_display()
    width = None if sys.stdout.isatty() else WIDTH_WITHOUT_TERMINAL
    console = Console(width=width, highlight=False)
    for part in parts:
        console.print(part)
    if stored:
        _report_lost_output()


def _report_lost_output() -> None:
    """Log that a result was not printed, unless its reader went away on purpose."""
    failure = forgive_lost_output()
    if failure is not None and failure.errno != errno.EPIPE:
        log_always(f"done, but the result was not printed: {failure.strerror}")
