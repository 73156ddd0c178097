"""The ``leadscore`` command: thin over the functions. Heavy libraries are imported inside the commands."""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from configs.errors import ConfigError, LeadscoreError

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

WIDE = 160
"""Columns of a table that goes into a file or a pipe."""

Config = Annotated[Path, typer.Argument(help="the company's YAML, such as configs/olist.yaml")]
AsOf = Annotated[str | None, typer.Option("--as-of", help="ISO date or instant; default: after the last row known")]
Published = Annotated[str | None, typer.Option("--as-of", help="a published as-of; default: the newest")]
TargetName = Annotated[str | None, typer.Option("--target", help="one target; default: all of the config")]
Json = Annotated[bool, typer.Option("--json", help="print one JSON object on standard output and nothing else there")]
Prefect = Annotated[
    bool | None,
    typer.Option("--prefect/--direct", help="run as a Prefect flow or not; default: where a Prefect API is configured"),
]
Format = Annotated[str, typer.Option("--format", help="csv, jsonl or parquet; csv is always written")]


@app.callback()
def leadscore(
    version: Annotated[bool, typer.Option("--version", is_eager=True, help="print the version and stop")] = False,
) -> None:
    """Lead scoring that is honest in time: train, gate, score, publish and export."""
    if version:
        from pipelines.version import code_version

        typer.echo(code_version())
        raise typer.Exit


@app.command()
def demo(
    leads: Annotated[int, typer.Option(min=100, help="how many leads the company has")] = 20_000,
    seed: Annotated[int, typer.Option(help="same seed, same company")] = 7,
    prefect: Annotated[bool, typer.Option("--prefect/--direct", help="run as Prefect flows or not")] = True,
    as_json: Json = False,
) -> None:
    """Make a company with known truth, train on it, score its open leads and write the CRM's file."""
    from pipelines import demo as made
    from pipelines import screen

    project = made.company(leads, seed, _note)
    results = _train(str(project.path), None, list(project.targets), prefect)
    oracles = made.oracles(project, results, _note)
    for result in [] if as_json else results:
        _show(screen.training(project, result), screen.truth(oracles.get(result.target)))
    _stop_if_refused(results)
    night = _score(str(project.path), None, "csv", prefect)
    if as_json:
        trained = _targets(results)
        for name, oracle in oracles.items():
            trained["targets"][name]["oracle"] = oracle
        _print_json(trained | night.to_json())
    else:
        _show(screen.top(night), screen.delivered(night, made.STEPS))


@app.command()
def check(config: Config, as_of: AsOf = None, as_json: Json = False) -> None:
    """Read the data and say what is there, what was set aside and why, and what each target could learn from."""
    from pipelines import screen
    from pipelines.check import examine

    found = examine(_load(config), as_of)
    if as_json:
        _print_json(found.to_json())
    else:
        _show(*screen.examination(found))
    if any(target.problem for target in found.targets):
        raise typer.Exit(3)


@app.command()
def features(
    config: Config,
    as_of: AsOf = None,
    out: Annotated[Path | None, typer.Option(help="a .parquet or .csv file")] = None,
    target: Annotated[str | None, typer.Option("--target", help="whom it would score; default: all entities")] = None,
    list_all: Annotated[bool, typer.Option("--list", help="list every feature with its meaning instead")] = False,
    ablation: Annotated[bool, typer.Option("--ablation", help="say instead what each family is worth")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="with --ablation: print one JSON object instead")] = False,
) -> None:
    """Write the feature matrix at an instant: of all entities known, or of those that a target would score."""
    from pipelines import screen
    from pipelines.matrix import catalog_at, write

    project = _load(config)
    if sum((list_all, ablation, out is not None)) != 1 or (as_json and not ablation):
        wanted = "give one of --out FILE.parquet, --list, --ablation; --json goes with --ablation"
        raise ConfigError("what to do is not clear", where="features", mend=wanted)
    if ablation:
        _ablate(project, as_of, target, as_json)
    elif list_all:
        _show(screen.catalog(catalog_at(project, as_of)))
    elif out is not None:
        rows, columns = write(project, as_of, target, out, _progress("features"))
        _note(f"{rows:,} rows with {columns} features in {out}")


@app.command()
def audit(config: Config, as_of: AsOf = None, target: TargetName = None, as_json: Json = False) -> None:
    """Name the columns that seem to know the outcome, with the evidence; finding some is no failure (exit 0)."""
    from pipelines import screen
    from pipelines.audit import audit as audited

    project = _load(config)
    names, found = _names(project, target), []
    for name, findings in zip(names, audited(project, as_of, names, _note), strict=True):
        found += [finding.suspect.to_json() for finding in findings]
        _show(None if as_json else screen.audit(project, name, findings))
    if as_json:
        _print_json({"suspects": found})


@app.command()
def train(
    config: Config,
    as_of: AsOf = None,
    target: TargetName = None,
    prefect: Prefect = None,
    as_json: Json = False,
) -> None:
    """Train each target's challenger and promote it if it passes the gate (exit 4 if it does not)."""
    from pipelines import screen

    project = _load(config)
    names = _names(project, target)
    results = _train(str(config), as_of, names, prefect)
    if as_json:
        _print_json(_targets(results))
    else:
        for result in results:
            _show(screen.training(project, result))
    _stop_if_refused(results)


@app.command()
def backtest(
    config: Config,
    as_of: AsOf = None,
    target: TargetName = None,
    out: Annotated[Path | None, typer.Option(help="a .csv or .parquet file for every tested row")] = None,
    as_json: Json = False,
) -> None:
    """Test each target's training on the past, origin by origin; no model is kept, and what the gate says is told."""
    from pipelines import screen
    from pipelines.backtest import backtest as on_the_past

    project = _load(config)
    results = on_the_past(project, as_of, _names(project, target), _note, out)
    if as_json:
        _print_json(_targets(results))
    else:
        for result in results:
            _show(screen.backtest(project, result))
    _stop_if_refused(results)


@app.command()
def promote(
    config: Config,
    target: Annotated[str, typer.Option("--target")],
    version: Annotated[int | None, typer.Option(help="default: the challenger")] = None,
) -> None:
    """Make a registered version the champion, if the gate passed it."""
    registry, name = _registry(config, target)
    _note(f"{name}: version {registry.promote(name, version).number} is the champion")


@app.command()
def rollback(config: Config, target: Annotated[str, typer.Option("--target")]) -> None:
    """Make the champion's predecessor the champion again."""
    registry, name = _registry(config, target)
    _note(f"{name}: version {registry.rollback(name).number} is the champion again")


@app.command()
def score(
    config: Config,
    as_of: AsOf = None,
    form: Format = "csv",
    prefect: Prefect = None,
    as_json: Json = False,
) -> None:
    """Score the open leads with the champions, publish them in the table and write the CRM's file."""
    from pipelines import screen

    _load(config)
    night = _score(str(config), as_of, form, prefect)
    if as_json:
        _print_json(night.to_json())
    else:
        _show(screen.top(night), screen.delivered(night))


@app.command()
def export(config: Config, as_of: Published = None, form: Format = "csv") -> None:
    """Write the CRM's file again from the scores table, of the newest published as-of or of another one."""
    from pipelines.score import export_again

    path = export_again(_load(config), as_of, form)
    _note(f"wrote {path}")


@app.command()
def explain(config: Config, entity: str, as_of: Published = None, as_json: Json = False) -> None:
    """Show one entity's published scores: probability, interval, reasons for and against, and its history."""
    from pipelines import screen
    from pipelines.explain import published

    found = published(_load(config), entity, as_of)
    if as_json:
        _print_json(found.to_json())
    else:
        _show(*screen.explanation(found))


@app.command()
def schema() -> None:
    """Print the JSON Schema of a company's YAML."""
    from configs.schema import json_schema

    _print_json(json_schema())


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
        _fail(f"unexpected: {type(error).__name__}: {error}\n  set LEADSCORE_DEBUG=1 to see where", 1)
    sys.exit(0)


def _load(config: Path) -> Any:
    from configs.schema import load

    return load(config)


def _names(project: Any, target: str | None) -> list[str]:
    """Return the targets asked for; raises ConfigError for one that the config does not hold."""
    if target:
        project.target(target)
    return [target] if target else list(project.targets)


def _ablate(project: Any, as_of: str | None, target: str | None, as_json: bool) -> None:
    from pipelines import screen
    from pipelines.ablation import ablations

    found = {}
    for result in ablations(project, as_of, _names(project, target), _note):
        found[result.target] = result.to_json()
        _show(None if as_json else screen.ablation(project, result))
    if as_json:
        _print_json({"targets": found})


def _train(config: str, as_of: str | None, targets: list[str], prefect: bool | None) -> list[Any]:
    if _through_prefect(prefect):
        from pipelines.flows import run_train

        return run_train(config, as_of, targets)
    from pipelines.driver import Driver
    from pipelines.train import train as directly

    return directly(_load(Path(config)), as_of, targets, Driver(note=_note))


def _score(config: str, as_of: str | None, form: str, prefect: bool | None) -> Any:
    if _through_prefect(prefect):
        from pipelines.flows import score as flow

        return flow(config, as_of, form)
    from pipelines.driver import Driver
    from pipelines.score import score_night

    return score_night(_load(Path(config)), as_of, Driver(note=_note), form)


def _through_prefect(wanted: bool | None) -> bool:
    """Say which driver runs, and whether it is Prefect: as asked, else where an API is configured."""
    from pipelines.driver import api_configured

    chosen = api_configured() if wanted is None else wanted
    _note(f"driver: {'prefect' if chosen else 'direct'}")
    return chosen


def _stop_if_refused(results: list[Any]) -> None:
    """Say what kept each target from its end, and leave: broken data before a gate's refusal."""
    errors = [result.error for result in results if result.error]
    for error in errors:
        _note(str(error))
    if errors:
        raise typer.Exit(min(error.exit_code for error in errors))


def _registry(config: Path, target: str) -> tuple[Any, str]:
    from models.registry import Registry

    project = _load(config)
    project.target(target)
    return Registry(project.root, project.project), target


def _targets(results: list[Any]) -> dict[str, Any]:
    return {"targets": {result.target: result.to_json() for result in results}}


def _note(line: str) -> None:
    typer.echo(line, err=True)


def _progress(what: str) -> Callable[[int, int], None]:
    """Return what tells every tenth of a long piece of work."""

    def tell(done: int, total: int) -> None:
        if total >= 10 and 10 * done // total > 10 * (done - 1) // total:
            _note(f"{what}: {done / total:.0%}")

    return tell


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def _show(*parts: Any) -> None:
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else WIDE, highlight=False)
    for part in parts:
        if part is not None:
            console.print(part)


def _fail(message: str, code: int) -> NoReturn:
    typer.echo(message, err=True)
    if "--json" in sys.argv:
        _print_json({"error": message, "exit_code": code})
    sys.exit(code)


def _terminated(*_: object) -> NoReturn:
    """Unwind on SIGTERM, so that the ledger says how the run ended."""
    sys.exit(143)


if __name__ == "__main__":
    main()
