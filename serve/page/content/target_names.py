"""What each target and its figures mean, in the words that all parts of the page share."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from configs.targets import ColumnOutcome
from features.definitions.feature import TYPE_PREFIX
from features.wording.wording import Wording, load_wording
from serve.page.content.page_data import PageData

NAME = "target_names"


def describe_outcome(data: PageData, wording: Wording, target: str) -> str:
    """Return the outcome of a target in the project's own words."""
    config = data.project.targets[target]
    if isinstance(config.outcome, ColumnOutcome):
        return wording.name(config.outcome.column)
    return " / ".join(wording.name(name, TYPE_PREFIX) for name in config.outcome_types)


def name_outcomes(data: PageData) -> dict[str, str]:
    """Return what each scored target means, for sales: "won within 30 days".

    Targets that mean the same have their names, too.
    """
    meanings = _describe_targets(data)
    counts = Counter(meanings.values())
    return {
        target: meaning
        if counts[meaning] == 1
        else data.words.text(NAME, "named", meaning=meaning, target=target)
        for target, meaning in meanings.items()
    }


def _describe_targets(data: PageData) -> dict[str, str]:
    words, wording = data.words, load_wording(data.project)
    meanings = {}
    for target in data.targets:
        horizon = data.project.targets[target].horizon
        outcome = describe_outcome(data, wording, target)
        within = words.language.duration(horizon)
        meanings[target] = (
            words.text(NAME, "within", outcome=outcome, horizon=within) if horizon else outcome
        )
    return meanings


def round_up_days(days: Any) -> Any:
    """Return the days that have ended by then, at least one, of a number or of an array.

    An outcome within the first day has come by day 1; NaN stays as it is.
    """
    return np.maximum(1, np.ceil(days))
