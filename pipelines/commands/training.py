"""Commands from a look at the data to the champion."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from configs.errors import ConfigError
from pipelines.commands.console import log_always, log_line
from pipelines.commands.options import (
    AsOf,
    Config,
    Json,
    Prefect,
    RequiredTarget,
    TargetName,
    make_progress_log,
    print_json,
    print_parts,
    read_project,
    resolve_targets,
)
from pipelines.commands.runs import (
    collect_json,
    exit_on_errors,
    print_report_address,
    run_training,
)

# As in the other commands, heavy libraries are imported where they are used.
if TYPE_CHECKING:
    from configs.schema import Project
    from models.registry.registry import Registry


def check(config: Config, as_of: AsOf = None, as_json: Json = False) -> None:
    """Read the data and report what is in it.

    The report counts the rows of each source with the reasons of quarantined rows, and the rows
    that each target could train on. Exit code 3 if a target cannot be trained.
    """
    from pipelines.check import examine_data
    from pipelines.reports import terminal

    result = examine_data(read_project(config), as_of)
    if as_json:
        print_json(result.to_json())
    else:
        print_parts(*terminal.render_data_check(result))
    if any(target.problem for target in result.targets):
        raise typer.Exit(3)


def features(
    config: Config,
    as_of: AsOf = None,
    out: Annotated[Path | None, typer.Option(help="write the matrix to this file")] = None,
    target: Annotated[
        str | None,
        typer.Option(
            "--target", help="only the leads that this target would score; default: all leads"
        ),
    ] = None,
    list_all: Annotated[
        bool, typer.Option("--list", help="list every feature with its meaning")
    ] = False,
    ablation: Annotated[
        bool, typer.Option("--ablation", help="measure the contribution of each feature family")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write the feature matrix, list the features, or ablate them.

    Give exactly one of --out (a .parquet or .csv file), --list and --ablation.
    """
    from pipelines.reports import terminal
    from pipelines.reports.data_tables import catalog_to_json
    from pipelines.training.feature_matrix import load_catalog, write_feature_matrix

    project = read_project(config)
    if sum((list_all, ablation, out is not None)) != 1:
        raise ConfigError(
            "the options do not select one action",
            where="leadscore features",
            fix="give one of --out FILE.parquet, --list and --ablation",
        )
    if ablation:
        _run_ablation(project, as_of, target, as_json)
    elif list_all:
        catalog = load_catalog(project, as_of, log_line)
        if as_json:
            print_json(catalog_to_json(catalog))
        else:
            print_parts(terminal.render_catalog(catalog))
    elif out is not None:
        log_progress = make_progress_log("features")
        rows, columns = write_feature_matrix(project, as_of, target, out, log_progress, log_line)
        if as_json:
            print_json({"file": str(out), "rows": rows, "features": columns}, stored=True)
        else:
            log_always(f"{rows:,} rows with {columns} features in {out}")


def audit(
    config: Config, as_of: AsOf = None, target: TargetName = None, as_json: Json = False
) -> None:
    """Name the columns that seem to leak the outcome.

    Each column is listed with its evidence. A suspect is not a failure: the exit code is 0.
    """
    from pipelines.reports import terminal
    from pipelines.training.audit import audit_targets

    project = read_project(config)
    targets = resolve_targets(project, target)
    suspects: list[dict[str, Any]] = []
    audits = audit_targets(project, as_of, targets, log_line)
    # A table is shown when its target is done. With --json the result is one object, so it comes
    # last.
    limits: list[dict[str, str]] = []
    for name, result in zip(targets, audits, strict=True):
        suspects += [finding.suspect.to_json() for finding in result.findings]
        limits += [{"target": name, "limit": limit} for limit in result.limits]
        if not as_json:
            print_parts(terminal.render_audit(project, name, result))
    if as_json:
        print_json({"suspects": suspects, "limits": limits})


def train(
    config: Config,
    as_of: AsOf = None,
    target: TargetName = None,
    if_needed: Annotated[
        bool,
        typer.Option(
            "--if-needed",
            help="train only the targets that `leadscore outcomes` recommends to train",
        ),
    ] = False,
    prefect: Prefect = None,
    as_json: Json = False,
) -> None:
    """Train each target and promote the model if it passes the gate.

    Exit code 4 if the gate refuses a model.
    """
    from pipelines.reports import terminal

    project = read_project(config)
    targets = resolve_targets(project, target)
    advice = _recommend_training(project, as_of, targets) if if_needed else {}
    targets = [name for name in targets if not if_needed or advice[name]["retrain"]]
    # With --if-needed there may be nothing to train, which is a success and not an error.
    results = run_training(str(config), as_of, targets, prefect) if targets else []
    if as_json:
        trained = collect_json(results)["targets"]
        advised = {
            name: {"recommendation": value} | trained.get(name, {})
            for name, value in advice.items()
        }
        print_json({"targets": trained | advised}, stored=True)
    else:
        for result in results:
            print_parts(terminal.render_training(project, result), stored=True)
            print_report_address(result)
    exit_on_errors(results)


def backtest(
    config: Config,
    as_of: AsOf = None,
    target: TargetName = None,
    out: Annotated[
        Path | None,
        typer.Option(help="write every tested row to this .csv or .parquet file"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Test each target's training on the past; no model is kept.

    The training procedure is repeated at several origins, each tested on later rows. The result
    says what the gate would decide. Exit code 4 if it would refuse.
    """
    from pipelines.reports import terminal
    from pipelines.training.backtest import backtest_targets

    project = read_project(config)
    results = backtest_targets(project, as_of, resolve_targets(project, target), log_line, out)
    if as_json:
        print_json(collect_json(results))
    else:
        print_parts(*(terminal.render_backtest(project, result) for result in results))
    exit_on_errors(results)


def promote(
    config: Config,
    target: RequiredTarget,
    version: Annotated[
        int | None, typer.Option(help="registered version; default: the challenger")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a registered version the champion.

    Exit code 4 if the gate did not pass this version.
    """
    promoted = _open_registry(config, target).promote(target, version)
    line = f"{target}: version {promoted.number} is the champion"
    _print_champion(target, promoted.number, line, as_json)


def rollback(
    config: Config,
    target: RequiredTarget,
    to_none: Annotated[
        bool,
        typer.Option("--to-none", help="use no champion: nights go on without this target"),
    ] = False,
    as_json: Json = False,
) -> None:
    """Make the champion's predecessor the champion again.

    With --to-none the target has no champion until one is promoted; its scores stay as they are.
    """
    registry = _open_registry(config, target)
    if to_none:
        withdrawn = registry.withdraw(target)
        line = f"{target}: version {withdrawn.number} was the champion; there is none now"
        _print_champion(target, None, line, as_json)
        return
    restored = registry.rollback(target)
    line = f"{target}: version {restored.number} is the champion again"
    _print_champion(target, restored.number, line, as_json)


def _print_champion(target: str, champion: int | None, line: str, as_json: bool) -> None:
    if as_json:
        print_json({"target": target, "champion": champion}, stored=True)
    else:
        log_always(line)


def _run_ablation(project: Project, as_of: str | None, target: str | None, as_json: bool) -> None:
    from pipelines.reports import terminal
    from pipelines.training.ablation import run_ablations

    results: dict[str, Any] = {}
    # An ablation trains many models, so each target is shown when it is done.
    for ablation in run_ablations(project, as_of, resolve_targets(project, target), log_line):
        results[ablation.target] = ablation.to_json()
        if not as_json:
            print_parts(terminal.render_ablation(project, ablation))
    if as_json:
        print_json({"targets": results})


def _recommend_training(
    project: Project, as_of: str | None, targets: list[str]
) -> dict[str, dict[str, Any]]:
    """Return by target whether it needs a training, judged by its published scores, and log why."""
    from pipelines.monitoring.monitor import recommend_for_targets
    from pipelines.runner import Runner

    recommendations = recommend_for_targets(project, as_of, targets, Runner(log=log_line))
    for target, advice in recommendations.items():
        log_line(f"{target}: {'; '.join(advice.reasons) or 'no need to train'}")
    return {target: advice.to_json() for target, advice in recommendations.items()}


def _open_registry(config: Path, target: str) -> Registry:
    """Return the project's registry; raises ConfigError for a target that is not in the config."""
    from models.registry.registry import Registry

    project = read_project(config)
    # The registry would report a misspelt target as one without versions.
    project.target_config(target)
    return Registry(project.workspace_path, project.project)
