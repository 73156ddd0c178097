"""The commands of somebody who trains: from looking at the data to the champion."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from configs.errors import ConfigError
from pipelines.commands.nightly import run_night
from pipelines.commands.options import (
    AsOf,
    Config,
    Json,
    Prefect,
    TargetName,
    note,
    print_json,
    progress,
    project_of,
    show,
    targets_of,
    through_prefect,
)


def demo(
    leads: Annotated[int, typer.Option(min=100, help="how many leads the company has")] = 20_000,
    seed: Annotated[int, typer.Option(help="same seed, same company")] = 7,
    prefect: Annotated[
        bool, typer.Option("--prefect/--direct", help="run as Prefect flows or not")
    ] = True,
    as_json: Json = False,
) -> None:
    """Make a company with known truth, train on it, score its open leads and write the CRM's file."""
    from pipelines import demo as made
    from pipelines.reports import terminal

    project = made.company(leads, seed, note)
    results = _train(str(project.path), None, list(project.targets), prefect)
    oracles = made.oracles(project, results, note)
    for result in [] if as_json else results:
        show(terminal.training(project, result), terminal.truth(oracles.get(result.target)))
    _stop_if_refused(results)
    night = run_night(str(project.path), None, "csv", prefect)
    if as_json:
        trained = _told(results)
        for name, oracle in oracles.items():
            trained["targets"][name]["oracle"] = oracle
        print_json(trained | night.to_json())
    else:
        show(terminal.top(night), terminal.delivered(night, made.STEPS))


def check(config: Config, as_of: AsOf = None, as_json: Json = False) -> None:
    """Read the data and say what is there, what was set aside and why, and what each target could learn from."""
    from pipelines.check import examine_data
    from pipelines.reports import terminal

    found = examine_data(project_of(config), as_of)
    if as_json:
        print_json(found.to_json())
    else:
        show(*terminal.examination(found))
    if any(target.problem for target in found.targets):
        raise typer.Exit(3)


def features(
    config: Config,
    as_of: AsOf = None,
    out: Annotated[Path | None, typer.Option(help="a .parquet or .csv file")] = None,
    target: Annotated[
        str | None, typer.Option("--target", help="whom it would score; default: all entities")
    ] = None,
    list_all: Annotated[
        bool, typer.Option("--list", help="list every feature with its meaning instead")
    ] = False,
    ablation: Annotated[
        bool, typer.Option("--ablation", help="say instead what each family is worth")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="with --ablation: print one JSON object instead")
    ] = False,
) -> None:
    """Write the feature matrix at an instant: of all entities known, or of those that a target would score."""
    from pipelines.reports import terminal
    from pipelines.training.feature_matrix import catalog_at, write

    project = project_of(config)
    if sum((list_all, ablation, out is not None)) != 1 or (as_json and not ablation):
        wanted = "give one of --out FILE.parquet, --list, --ablation; --json goes with --ablation"
        raise ConfigError("what to do is not clear", where="features", fix=wanted)
    if ablation:
        _ablate(project, as_of, target, as_json)
    elif list_all:
        show(terminal.catalog(catalog_at(project, as_of)))
    elif out is not None:
        rows, columns = write(project, as_of, target, out, progress("features"))
        note(f"{rows:,} rows with {columns} features in {out}")


def audit(
    config: Config, as_of: AsOf = None, target: TargetName = None, as_json: Json = False
) -> None:
    """Name the columns that seem to know the outcome, with the evidence; finding some is no failure (exit 0)."""
    from pipelines.reports import terminal
    from pipelines.training.audit import audit as audited

    project = project_of(config)
    names, found = targets_of(project, target), []
    for name, findings in zip(names, audited(project, as_of, names, note), strict=True):
        found += [finding.suspect.to_json() for finding in findings]
        show(None if as_json else terminal.audit(project, name, findings))
    if as_json:
        print_json({"suspects": found})


def train(
    config: Config,
    as_of: AsOf = None,
    target: TargetName = None,
    if_needed: Annotated[
        bool,
        typer.Option("--if-needed", help="only what `leadscore outcomes` recommends to train"),
    ] = False,
    prefect: Prefect = None,
    as_json: Json = False,
) -> None:
    """Train each target's challenger and promote it if it passes the gate (exit 4 if it does not)."""
    from pipelines.reports import terminal

    project = project_of(config)
    names = targets_of(project, target)
    advice = _advice(project, as_of, names) if if_needed else {}
    names = [name for name in names if not if_needed or advice[name]["retrain"]]
    results = _train(str(config), as_of, names, prefect) if names else []
    if as_json:
        told = _told(results)["targets"]
        print_json(
            {
                "targets": told
                | {n: {"recommendation": a} | told.get(n, {}) for n, a in advice.items()}
            }
        )
    else:
        for result in results:
            show(terminal.training(project, result))
    _stop_if_refused(results)


def backtest(
    config: Config,
    as_of: AsOf = None,
    target: TargetName = None,
    out: Annotated[
        Path | None, typer.Option(help="a .csv or .parquet file for every tested row")
    ] = None,
    as_json: Json = False,
) -> None:
    """Test each target's training on the past, origin by origin; no model is kept, and what the gate says is told."""
    from pipelines.reports import terminal
    from pipelines.training.backtest import backtest as on_the_past

    project = project_of(config)
    results = on_the_past(project, as_of, targets_of(project, target), note, out)
    if as_json:
        print_json(_told(results))
    else:
        for result in results:
            show(terminal.backtest(project, result))
    _stop_if_refused(results)


def promote(
    config: Config,
    target: Annotated[str, typer.Option("--target")],
    version: Annotated[int | None, typer.Option(help="default: the challenger")] = None,
) -> None:
    """Make a registered version the champion, if the gate passed it."""
    registry, name = _registry(config, target)
    note(f"{name}: version {registry.promote(name, version).number} is the champion")


def rollback(config: Config, target: Annotated[str, typer.Option("--target")]) -> None:
    """Make the champion's predecessor the champion again."""
    registry, name = _registry(config, target)
    note(f"{name}: version {registry.rollback(name).number} is the champion again")


def _ablate(project: Any, as_of: str | None, target: str | None, as_json: bool) -> None:
    from pipelines.reports import terminal
    from pipelines.training.ablation import ablations

    found = {}
    for result in ablations(project, as_of, targets_of(project, target), note):
        found[result.target] = result.to_json()
        show(None if as_json else terminal.ablation(project, result))
    if as_json:
        print_json({"targets": found})


def _advice(project: Any, as_of: str | None, names: list[str]) -> dict[str, Any]:
    """Say of each target whether it needs a training, and why, from what became of its published scores."""
    from pipelines.monitoring.monitor import recommended
    from pipelines.runner import Runner

    found = recommended(project, as_of, names, Runner(log=note))
    for name, advice in found.items():
        note(f"{name}: {'; '.join(advice.reasons) or 'no need to train'}")
    return {name: advice.to_json() for name, advice in found.items()}


def _train(config: str, as_of: str | None, targets: list[str], prefect: bool | None) -> list[Any]:
    if through_prefect(prefect):
        from pipelines.orchestration.flows import run_train_flow

        return run_train_flow(config, as_of, targets)
    from pipelines.runner import Runner
    from pipelines.training.train import train as directly

    return directly(project_of(Path(config)), as_of, targets, Runner(log=note))


def _stop_if_refused(results: list[Any]) -> None:
    """Say what kept each target from its end, and leave: broken data before a gate's refusal."""
    errors = [result.error for result in results if result.error]
    for error in errors:
        note(str(error))
    if errors:
        raise typer.Exit(min(error.exit_code for error in errors))


def _registry(config: Path, target: str) -> tuple[Any, str]:
    from models.registry.registry import Registry

    project = project_of(config)
    project.target_config(target)
    return Registry(project.workspace_path, project.project), target


def _told(results: list[Any]) -> dict[str, Any]:
    return {"targets": {result.target: result.to_json() for result in results}}
