"""Attributes that appear to know the outcome, by the leakage audit of a training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from configs.errors import LeadscoreError
from configs.schema import Project
from configs.targets import Cutoffs, Target
from pipelines.proposal.config_text import format_config
from pipelines.proposal.findings.attributes import AttributeChoice
from pipelines.proposal.proposal import Proposal

# A column that the audit suspects is looked for again without the ones before it.
MAX_PASSES = 3


def leave_out_suspects(proposal: Proposal, log: Callable[[str], None]) -> Proposal:
    """Return the proposal without the attributes that the leakage audit suspects.

    Where the data cannot be audited, the attributes stay, and a note says why.
    """
    if not proposal.attributes.used:
        return proposal
    log("auditing the attributes for columns that know the outcome")
    for _ in range(MAX_PASSES):
        try:
            evidence = _find_suspects(proposal)
        except LeadscoreError as error:
            note = f"the attributes could not be audited: {error.headline}"
            return replace(proposal, notes=(*proposal.notes, note))
        choice = proposal.attributes
        suspects = {name: evidence[name] for name in choice.used if name in evidence}
        if not suspects:
            break
        used = tuple(name for name in choice.used if name not in suspects)
        reasons = {name: f"suspected by the audit: {text}" for name, text in suspects.items()}
        choice = AttributeChoice(used, {**choice.left_out, **reasons})
        proposal = replace(proposal, attributes=choice)
        if not used:
            break
    return proposal


def build_project(proposal: Proposal, workspace: Path) -> Project:
    """Return the project of a proposal; raise pydantic's error for one that is not valid."""
    text = format_config(proposal, str(workspace), _write_absolute)
    project = Project.model_validate(yaml.safe_load(text))
    project._path = "the proposed config"
    return project


def _write_absolute(path: str) -> str:
    return path if "://" in path else str(Path(path).absolute())


def _find_suspects(proposal: Proposal) -> dict[str, str]:
    """Return the evidence of each suspected column."""
    from pipelines.training.audit import audit_targets

    with TemporaryDirectory() as folder:
        project = build_project(proposal, Path(folder))
        # The columns of the leads are of interest: features of events are audited in a training.
        features = project.features.model_copy(update={"families": ("lead",)})
        targets = {name: _look_once(target) for name, target in project.targets.items()}
        project = project.model_copy(update={"features": features, "targets": targets})
        (audit,) = audit_targets(project, None, [proposal.target.name], _ignore_line)
    return {
        finding.suspect.column: finding.suspect.evidence
        for finding in audit.findings
        if not finding.suspect.dated
    }


def _look_once(target: Target) -> Target:
    """Return a target with one row for each lead: its attributes are the same at each cutoff."""
    if target.cutoffs is None or target.cutoffs.every is None:
        return target
    return target.model_copy(update={"cutoffs": Cutoffs(delay=timedelta(hours=1))})


def _ignore_line(_: str) -> None:
    pass
