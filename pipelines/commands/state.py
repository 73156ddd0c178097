"""Commands about stored state."""

from __future__ import annotations

import typer

from configs.errors import NotFitToPublish
from pipelines.commands.options import Config, Json, print_json, print_line, read_project


def verify(config: Config, as_json: Json = False) -> None:
    """Check that what is stored is whole and agrees.

    Scores table, ledger, exports, deliveries, models and champions are compared, and checksums and
    databases are checked. Nothing is changed. Exit code 5 if anything is wrong; each problem is
    shown with its fix.
    """
    from pipelines.runner import read_clock
    from pipelines.state.verify import verify_project

    result = verify_project(read_project(config), read_clock())
    if as_json:
        print_json(result.to_json())
    else:
        for line in result.lines():
            print_line(line)
    if not result.is_ok:
        raise typer.Exit(NotFitToPublish.exit_code)
