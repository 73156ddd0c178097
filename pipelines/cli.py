"""The ``leadscore`` command: thin over the functions. Heavy libraries are imported inside the commands."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from typing import Annotated, NoReturn

import typer

from configs.errors import LeadscoreError
from pipelines.commands import nightly, privacy, training
from pipelines.commands.options import print_json

app = typer.Typer(
    help="Lead scoring that is honest in time: train, gate, score, publish and export.",
    no_args_is_help=True,
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    epilog="Exit codes: 0 done; 1 unexpected; 2 wrong usage or config; 3 the data breaks its contract; "
    "4 the gate refused; 5 scores not fit to publish, nothing was published; 6 another run holds this workspace.",
)


@app.callback()
def leadscore(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, help="print the version and stop")
    ] = False,
) -> None:
    """Lead scoring that is honest in time: train, gate, score, publish and export."""
    if version:
        from pipelines.version import find_code_version

        typer.echo(find_code_version())
        raise typer.Exit


def schema() -> None:
    """Print the JSON Schema of a company's YAML."""
    from configs.schema import build_json_schema

    print_json(build_json_schema())


COMMANDS = (
    training.demo,
    training.check,
    training.audit,
    training.features,
    training.train,
    training.backtest,
    training.promote,
    training.rollback,
    nightly.score,
    nightly.export,
    nightly.outcomes,
    nightly.explain,
    nightly.deploy,
    privacy.forget,
    schema,
)
for command in COMMANDS:
    app.command()(command)


def main() -> NoReturn:
    """Run the command line; every failure is one or two lines and a code that scripts can rely on."""
    # Telemetry stays off unless the user has turned it on; set before any library that sends some is imported.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    os.environ.setdefault("DO_NOT_TRACK", "1")
    signal.signal(signal.SIGTERM, _terminated)
    try:
        app()
    except LeadscoreError as error:
        _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        _fail("stopped; nothing was left half done", 130)
    except Exception as error:  # noqa: BLE001 - the last line of defence: two lines for a person, the traceback on request
        if "interrupted" in str(error).lower():  # Ctrl-C as a library passes it on
            _fail("stopped; nothing was left half done", 130)
        if os.environ.get("LEADSCORE_DEBUG"):
            traceback.print_exc()
        _fail(
            f"unexpected: {type(error).__name__}: {error}\n  set LEADSCORE_DEBUG=1 to see where", 1
        )
    sys.exit(0)


def _fail(message: str, code: int) -> NoReturn:
    typer.echo(message, err=True)
    if "--json" in sys.argv:
        print_json({"error": message, "exit_code": code})
    sys.exit(code)


def _terminated(*_: object) -> NoReturn:
    """Unwind on SIGTERM, so that the ledger says how the run ended."""
    sys.exit(143)


if __name__ == "__main__":
    main()
