"""The ``leadscore`` command line. Heavy libraries are imported inside the commands only."""

from __future__ import annotations

import errno
import os
import signal
import sys
import traceback
from typing import Annotated, NoReturn

import typer

from configs.addresses.redaction import redact_text
from configs.errors import ConfigError, LeadscoreError
from pipelines.commands import demo, nightly, privacy, schema, state, training
from pipelines.commands.options import log_line, print_json, print_line
from pipelines.streams import find_lost_output, protect_streams
from serve.private_files import create_private_files

DESCRIPTION = """Point-in-time lead scoring: train, gate, score, publish and export.

Start with `leadscore demo`. `leadscore COMMAND --help` explains a command."""

app = typer.Typer(
    help=DESCRIPTION,
    no_args_is_help=True,
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    epilog="Exit codes: 0 success; 1 unexpected error; 2 wrong usage or config; 3 invalid data; "
    "4 refused by the gate; 5 scores not fit to publish, nothing was published; "
    "6 another run holds the workspace.",
)


@app.callback(help=DESCRIPTION)
def print_version(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, help="print the version and exit")
    ] = False,
) -> None:
    """Print the version of the software, if asked to."""
    if version:
        from pipelines.version import find_code_version

        print_line(find_code_version())
        raise typer.Exit


# The help lists the commands in this order.
COMMANDS = (
    demo.demo,
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
    state.verify,
    privacy.forget,
    schema.schema,
)
for command in COMMANDS:
    app.command()(command)

# Libraries of the optional dependencies in pyproject.toml, and the extra that installs each.
EXTRAS_BY_MODULE = {
    "adbc_driver_postgresql": "postgresql",
    "lightgbm": "train",
    "matplotlib": "train",
    "optuna": "train",
    "prefect": "prefect",
}


def main() -> NoReturn:
    """Run the command line.

    Every failure is a message of a few lines and an exit code that scripts can rely on.
    """
    protect_streams()
    # Telemetry stays off unless the user has turned it on. The variables are set before any library
    # that sends telemetry is imported.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    os.environ.setdefault("DO_NOT_TRACK", "1")
    signal.signal(signal.SIGTERM, _exit_on_sigterm)
    with create_private_files():
        code = _run_command()
        sys.exit(code or _report_lost_result())


def _run_command() -> int | str | None:
    """Run the command of the arguments; print its failure and return its exit code."""
    try:
        app()
    except LeadscoreError as error:
        return _report_error(str(error), error.exit_code)
    except KeyboardInterrupt:
        # 128 plus the number of the signal, as shells report it; 143 below is SIGTERM.
        return _report_error("stopped; nothing was left half done", 130)
    except SystemExit as end:
        # Typer ends in silence on a broken pipe of any kind. Those of standard output and error
        # raise nothing, so it was a connection.
        if isinstance(end.__context__, BrokenPipeError):
            return _report_unexpected(end.__context__)
        return end.code
    # The outermost handler: a short message, and the traceback on request.
    except Exception as error:  # noqa: BLE001
        if isinstance(error, ModuleNotFoundError) and (extra := _find_extra(error)):
            return _report_error(str(extra), extra.exit_code)
        if "interrupted" in str(error).lower():  # Ctrl-C, as some libraries report it
            return _report_error("stopped; nothing was left half done", 130)
        return _report_unexpected(error)
    return 0


def _report_lost_result() -> int:
    """Return the exit code of a command whose result may be lost; print why if it is."""
    failure = find_lost_output()
    if failure is None:
        return 0
    if failure.errno == errno.EPIPE:
        # The reader had enough, as `head` has: no message, and the exit code that shells give.
        return 128 + signal.SIGPIPE
    lost = LeadscoreError(
        "the result could not be printed",
        where="standard output",
        found=failure.strerror or str(failure),
        fix="free disk space or give it another place, then run it again",
    )
    log_line(str(lost))
    return lost.exit_code


def _find_extra(error: ModuleNotFoundError) -> ConfigError | None:
    """Return the error for a library that an extra installs; None for any other module."""
    module = (error.name or "").partition(".")[0]
    extra = EXTRAS_BY_MODULE.get(module)
    if extra is None:
        return None
    return ConfigError(
        "this command needs a library that is not installed",
        where="leadscore",
        found=module,
        fix=f"pip install 'leadscore[{extra}]'",
    )


def _report_unexpected(error: BaseException) -> int:
    """Print an error that is none of ours, and return its exit code."""
    if isinstance(error, MemoryError):
        return _report_error(
            "error: there is not enough memory\n  fix: give the process more, see `ulimit -v` and "
            "the limits of its service; what was published before is intact",
            1,
        )
    # A library quotes addresses as they are, in its own messages and in those of its causes.
    if os.environ.get("LEADSCORE_DEBUG"):
        log_line(redact_text("".join(traceback.format_exception(error))))
    return _report_error(
        f"unexpected error: {type(error).__name__}: {redact_text(str(error))}\n"
        "  set LEADSCORE_DEBUG=1 for the traceback",
        1,
    )


def _report_error(message: str, code: int) -> int:
    """Print the message of a failure, and return its exit code."""
    log_line(message)
    if "--json" in sys.argv:
        print_json({"error": message, "exit_code": code})
    return code


def _exit_on_sigterm(*_: object) -> NoReturn:
    """Unwind the stack on SIGTERM, so that the ledger records how the run ended."""
    sys.exit(143)


if __name__ == "__main__":
    main()
