"""Which leads are open, and why nothing is left to score: lines of `leadscore check`."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow.compute as pc

from configs.durations import format_duration
from configs.targets import ColumnOutcome, Target
from features.population_checks import change_population, list_other_ends
from features.spine import build_scoring_spine
from pipelines.training_data import Snapshot

# Values of an outcome column that are shown, the most frequent first.
MAX_SHOWN_VALUES = 5


def describe_open_leads(snapshot: Snapshot, target: str, to_score: int) -> Iterator[str]:
    """Yield a line on how the open leads of a target are distinguished, or why there are none.

    ``to_score`` is the number of rows of its scoring spine.
    """
    target_config, dataset = snapshot.project.target_config(target), snapshot.dataset
    outcome = target_config.outcome
    if isinstance(outcome, ColumnOutcome):
        yield _describe_open_cells(snapshot, target, outcome, to_score)
    elif not to_score:
        when = f"as of {snapshot.as_of.isoformat()}" if dataset.timed else "now"
        reason, fix = _explain_no_rows(snapshot, target, target_config)
        yield f"targets.{target}: nothing is left to score {when}: {reason}; {fix}"


def _describe_open_cells(
    snapshot: Snapshot, target: str, outcome: ColumnOutcome, to_score: int
) -> str:
    leads = snapshot.dataset.leads.num_rows
    if to_score:
        return (
            f"targets.{target}: {to_score:,} of {leads:,} leads are open, since their column "
            f"{outcome.column} is empty; values under sources.leads.missing count as empty"
        )
    return (
        f"targets.{target}: nothing is left to score: column {outcome.column} is filled for all "
        f"{leads:,} leads{_list_values(snapshot, outcome)}; a lead is open where it is empty: list "
        "a value that means open under sources.leads.missing, or add the open leads to the source"
    )


def _list_values(snapshot: Snapshot, outcome: ColumnOutcome) -> str:
    """Return the most frequent values of an outcome column in brackets, none if it is personal."""
    if outcome.column in snapshot.project.privacy.personal:
        return ""
    column = snapshot.dataset.leads[outcome.column].drop_null()
    counts = pc.value_counts(column).to_pylist()
    # Ties are ordered by value, so that the same data gives the same line.
    counts.sort(key=lambda row: (-row["counts"], str(row["values"])))
    shown = [f"{row['values']} {row['counts']:,}" for row in counts[:MAX_SHOWN_VALUES]]
    return f" ({', '.join(shown)})" if shown else ""


def _explain_no_rows(snapshot: Snapshot, name: str, target: Target) -> tuple[str, str]:
    """Return why no entity is eligible now, and the fix.

    The cause is the first rule of the population without which there would be rows.
    """
    dataset, population = snapshot.dataset, target.population
    key = f"targets.{name}.population"
    known = f"{dataset.leads.num_rows:,} entities are known"
    rules: list[tuple[str, str, dict[str, object]]] = [
        (
            f"the outcome ({' or '.join(target.outcome_types)}), which they have",
            f"add new leads to the sources, or set {key}.recurring: true if it may happen again",
            {"recurring": True, "until": list_other_ends(target)},
        ),
        (
            f"population.until ({', '.join(population.until)}), which has ended them",
            f"add new leads to the sources, or check {key}.until and {key}.reopen",
            {"until": ()},
        ),
    ]
    if population.max_age is not None:
        age = format_duration(population.max_age)
        rules.append(
            (
                f"population.max_age ({age}), which they have passed",
                f"add the leads of the last {age} to the sources, or raise {key}.max_age",
                {"max_age": None},
            )
        )
    for cause, fix, changes in rules:
        changed = change_population(target, **changes)
        if eligible := build_scoring_spine(dataset, changed, snapshot.as_of).num_rows:
            return f"{known}; {eligible:,} would be scored but for {cause}", fix
    return f"{known}, none has entered and is still open", f"check {key}, or use a later --as-of"
