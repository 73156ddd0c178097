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
from configs.errors import ConfigError, LeadscoreError, make_printable
from pipelines.commands import (
    demo,
    funnel,
    nightly,
    privacy,
    proposal,
    report,
    schema,
    state,
    training,
)
from pipelines.commands.console import log_always, reset_console, stop_display
from pipelines.commands.options import print_json, print_line
from pipelines.commands.parser import (
    BEGIN,
    CRM,
    DATA_SCIENTIST,
    OPERATOR,
    PRIVACY,
    SALES_LEAD,
    LeadscoreGroup,
    Quiet,
    Verbose,
    apply_common_options,
    with_common_options,
)
from pipelines.streams import find_lost_output, protect_streams
from serve.private_files import create_private_files

DESCRIPTION = """Point-in-time lead scoring: train, gate, score, publish and export.

Start with `leadscore demo`. `leadscore COMMAND -h` explains a command."""

app = typer.Typer(
    cls=LeadscoreGroup,
    help=DESCRIPTION,
    invoke_without_command=True,
    # Both, as nearly every program has them; commands inherit it.
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    epilog="Exit codes: 0 success; 1 unexpected error; 2 wrong usage or config; 3 invalid data; "
    "4 refused by the gate; 5 scores not fit to publish, nothing was published; "
    "6 another run holds the workspace.",
)


@app.callback(help=DESCRIPTION)
def read_common_options(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, help="print the version and exit")
    ] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Print the version or the help where no command is given, and read the common options."""
    if version:
        from pipelines.version import find_code_version

        print_line(find_code_version())
        raise typer.Exit
    if context.invoked_subcommand is None:
        print_line(context.get_help())
        raise typer.Exit
    apply_common_options(quiet, verbose)


# The help lists the commands in this order.
COMMANDS = {
    BEGIN: (demo.demo, proposal.init, training.check, schema.schema),
    DATA_SCIENTIST: (
        training.audit,
        training.features,
        training.train,
        training.backtest,
        training.promote,
        training.rollback,
        nightly.outcomes,
        nightly.explain,
    ),
    SALES_LEAD: (
        funnel.funnel,
        funnel.forecast,
        funnel.fit,
        funnel.channels,
        funnel.touches,
        funnel.customers,
        funnel.uplift,
    ),
    OPERATOR: (nightly.score, nightly.deploy, state.verify),
    CRM: (nightly.export, report.report),
    PRIVACY: (privacy.forget,),
}
for group, commands in COMMANDS.items():
    for command in commands:
        app.command(rich_help_panel=group)(with_common_options(command))

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
    reset_console()
    with create_private_files():
        try:
            code = _run_command()
        finally:
            stop_display()
        sys.exit(code or _report_lost_result())


def _run_command() -> int | str | None:
    """Run the command of the arguments; print its failure and return its exit code."""
    try:
        app()
    except LeadscoreError as error:
        return _report_known(error)
    except KeyboardInterrupt:
        # 128 plus the number of the signal, as shells report it; 143 below is SIGTERM.
        return _report_error("stopped; nothing was left half done", 130)
    except SystemExit as end:
        cause = end.__context__
        # Typer ends in silence on a broken pipe of any kind. Those of standard output and error
        # raise nothing, so it was a connection.
        if isinstance(cause, BrokenPipeError):
            return _report_unexpected(cause)
        # Typer has printed what is wrong with the arguments already.
        if format_message := getattr(cause, "format_message", None):
            _print_error_json(f"usage error: {format_message()}", 2)
        return end.code
    # The outermost handler: a short message, and the traceback on request.
    except Exception as error:  # noqa: BLE001
        if isinstance(error, ModuleNotFoundError) and (extra := _find_extra(error)):
            return _report_known(extra)
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
    log_always(str(lost))
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
        log_always(redact_text("".join(traceback.format_exception(error))))
    return _report_error(
        f"unexpected error: {type(error).__name__}: {redact_text(str(error))}\n"
        "  set LEADSCORE_DEBUG=1 for the traceback",
        1,
    )


def _report_known(error: LeadscoreError) -> int:
    """Print an error of ours, and return its exit code."""
    log_always(str(error))
    _print_error_json(str(error), error.exit_code, error)
    return error.exit_code


def _report_error(message: str, code: int) -> int:
    """Print the message of a failure, and return its exit code."""
    log_always(message)
    _print_error_json(message, code)
    return code


def _print_error_json(message: str, code: int, error: LeadscoreError | None = None) -> None:
    """Print a failure as the result, where JSON was asked for."""
    if "--json" not in sys.argv:
        return
    parts = (error.what, error.where, error.found, error.fix) if error else (message, "", "", "")
    fields = dict(
        zip(("what", "where", "observed", "fix"), map(make_printable, parts), strict=True)
    )
    print_json({"error": message, "exit_code": code, **fields})


def _exit_on_sigterm(*_: object) -> NoReturn:
    """Unwind the stack on SIGTERM, so that the ledger records how the run ended."""
    sys.exit(143)


if __name__ == "__main__":
    main()
