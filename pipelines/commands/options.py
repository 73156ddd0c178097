"""What the commands share: their arguments, and how they say what they did."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

WIDE = 160
"""Columns of a table that goes into a file or a pipe."""

Config = Annotated[Path, typer.Argument(help="the company's YAML, such as configs/olist.yaml")]
AsOf = Annotated[
    str | None,
    typer.Option("--as-of", help="ISO date or instant; default: after the last row known"),
]
Published = Annotated[
    str | None, typer.Option("--as-of", help="a published as-of; default: the newest")
]
TargetName = Annotated[
    str | None, typer.Option("--target", help="one target; default: all of the config")
]
Json = Annotated[
    bool,
    typer.Option("--json", help="print one JSON object on standard output and nothing else there"),
]
Prefect = Annotated[
    bool | None,
    typer.Option(
        "--prefect/--direct",
        help="run as a Prefect flow or not; default: where a Prefect API is configured",
    ),
]
Format = Annotated[
    str, typer.Option("--format", help="csv, jsonl or parquet; csv is always written")
]


def project_of(config: Path) -> Any:
    """Read a company's YAML."""
    from configs.schema import load_project

    return load_project(config)


def targets_of(project: Any, target: str | None) -> list[str]:
    """Return the targets asked for; raises ConfigError for one that the config does not hold."""
    if target:
        project.target_config(target)
    return [target] if target else list(project.targets)


def through_prefect(wanted: bool | None) -> bool:
    """Say which driver runs, and whether it is Prefect: as asked, else where an API is configured."""
    from pipelines.runner import is_prefect_configured

    chosen = is_prefect_configured() if wanted is None else wanted
    note(f"driver: {'prefect' if chosen else 'direct'}")
    return chosen


def note(line: str) -> None:
    """Say one line beside the result."""
    typer.echo(line, err=True)


def progress(what: str) -> Callable[[int, int], None]:
    """Return what tells every tenth of a long piece of work."""

    def tell(done: int, total: int) -> None:
        if total >= 10 and 10 * done // total > 10 * (done - 1) // total:
            note(f"{what}: {done / total:.0%}")

    return tell


def print_json(value: Any) -> None:
    """Print one JSON object as the result."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def show(*parts: Any) -> None:
    """Print tables and texts as the result; None is left out."""
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else WIDE, highlight=False)
    for part in parts:
        if part is not None:
            console.print(part)
