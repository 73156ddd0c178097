"""How the command line is read: options of every command, groups of the help, completion."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from configs.errors import ConfigError
from pipelines.commands.console import CONSOLE, say_less, say_more

# The groups of commands in the help, in their order.
BEGIN, DATA_SCIENTIST, SALES_LEAD, OPERATOR, CRM, PRIVACY = (
    "Start here",
    "For data scientists",
    "For those who lead sales",
    "For operators",
    "For CRM administrators",
    "Privacy",
)

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="print the result and errors only")]
Verbose = Annotated[
    bool,
    typer.Option(
        "--verbose", "-v", help="also print what is read, seconds of each step, and versions"
    ),
]


class LeadscoreGroup(TyperGroup):
    """All commands, listed by who uses them."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the groups of commands into the help."""
        groups: dict[str, list[tuple[str, str]]] = {}
        width = formatter.width - 6 - max(map(len, self.commands))
        for name, command in self.commands.items():
            group = getattr(command, "rich_help_panel", None) or BEGIN
            groups.setdefault(group, []).append((name, command.get_short_help_str(width)))
        for group, rows in groups.items():
            with formatter.section(group):
                formatter.write_dl(rows)


def with_common_options(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command that has the options --quiet and --verbose too."""

    @wraps(command)
    def run(*, quiet: bool, verbose: bool, **options: Any) -> None:
        apply_common_options(quiet, verbose)
        CONSOLE.live = not options.get("as_json")
        if not CONSOLE.verbose:
            command(**options)
            return
        from pipelines.commands.costs import log_costs, log_versions

        log_versions()
        try:
            command(**options)
        finally:
            log_costs()

    signature = inspect.signature(command, eval_str=True)
    keyword = inspect.Parameter.KEYWORD_ONLY
    common = [
        inspect.Parameter(name, keyword, default=False, annotation=kind)
        for name, kind in (("quiet", Quiet), ("verbose", Verbose))
    ]
    # Typer reads the options from the signature.
    run.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[*signature.parameters.values(), *common]
    )
    run.__annotations__ = {**command.__annotations__, "quiet": Quiet, "verbose": Verbose}
    return run


def apply_common_options(quiet: bool, verbose: bool) -> None:
    """Say as much as the options ask for; raise ConfigError if they exclude each other."""
    if (quiet or CONSOLE.quiet) and (verbose or CONSOLE.verbose):
        raise ConfigError(
            "--quiet and --verbose exclude each other", where="leadscore", fix="give one of them"
        )
    if quiet:
        say_less()
    if verbose:
        say_more()
