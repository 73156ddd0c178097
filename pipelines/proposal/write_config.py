"""Writes a proposed config and its schema, and checks the data with it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from configs.errors import ConfigError, LeadscoreError
from configs.loading.workspace_place import DEFAULT_WORKSPACE
from configs.schema import build_json_schema, load_project
from features.tools.atomic_file import write_atomically
from features.tools.json_values import format_json
from pipelines.proposal.config_text import SCHEMA_FILE, format_config, write_path_from
from pipelines.proposal.proposal import Proposal
from pipelines.proposal.propose import propose_config
from pipelines.proposal.proposed_config import ProposedConfig
from pipelines.proposal.questions import Answers, Interview
from pipelines.proposal.reading.given_sources import read_given_sources
from pipelines.results.data_check import DataCheck

# A target that cannot be trained breaks the contract of the data, as in `check`.
UNTRAINABLE = 3


def propose_from_files(
    files: Sequence[str], answers: Answers, interview: Interview, log: Callable[[str], None]
) -> Proposal:
    """Return the proposal for some files, folders or databases.

    Raises the errors of reading them, and those of ``propose_config``.
    """
    with TemporaryDirectory() as scratch:
        tables = read_given_sources(files, Path(scratch), log, answers.delimiter)
        return propose_config(tables, answers, interview, log)


def require_new_file(path: Path) -> None:
    """Raise ConfigError if a file exists already."""
    if path.exists():
        raise ConfigError(
            "the config exists already, and is not overwritten",
            where=str(path),
            fix="give another file by --out, or --force to replace it",
        )


def write_proposal(
    proposal: Proposal, path: Path, interview: Interview, log: Callable[[str], None]
) -> ProposedConfig:
    """Write the config and its schema, and return them with the check of the data."""
    if proposal.project == "company":
        proposal = replace(proposal, project=make_identifier(path.stem))
    text = format_config(proposal, DEFAULT_WORKSPACE, write_path_from(path.parent))
    schema = format_json(build_json_schema(), 2) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path.parent / SCHEMA_FILE, schema)
        write_atomically(path, text)
    except OSError as error:
        raise ConfigError(
            "cannot write the config",
            where=str(path),
            found=error.strerror or str(error),
            fix="give a file in a folder that you may write to by --out",
        ) from error
    log(f"wrote {path} and {SCHEMA_FILE}; checking the data with it")
    check, problem, code = _check_data(path)
    return ProposedConfig(path, text, proposal, tuple(interview.asked), check, problem, code)


def _check_data(path: Path) -> tuple[DataCheck | None, str, int]:
    """Return the check of the data, or why it is refused, and the exit code."""
    from pipelines.check import examine_data

    try:
        check = examine_data(load_project(path), None)
    except LeadscoreError as error:
        return None, str(error), error.exit_code
    problems = [target.problem for target in check.targets if target.problem]
    return check, "\n".join(problems), UNTRAINABLE if problems else 0


def make_identifier(text: str) -> str:
    """Return a text as the name of a project: letters and digits of ASCII, and hyphens."""
    name = re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")
    return name[:60] or "company"
