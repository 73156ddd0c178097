"""Computes the ideal customer profile of a project, and how its accounts fit it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.schema import Project
from features.paths.activities import find_activities
from features.paths.states import list_funnel_states
from features.tools.instants import to_microseconds
from models.fit.accounts import ACTIVE, SILENT, UNKNOWN_STATE, list_fit_reasons, select_white_space
from models.fit.classes import CLASSES, NO_LIMITS, ClassLimits, learn_classes
from models.fit.entry_values import EntryValues, divide_values
from models.fit.grid import build_grid_table, find_busy_limit
from models.fit.profile import MIN_CUSTOMERS, IdealProfile, ProfileFit, learn_profile
from models.fit.result import FitResult, FitTables
from models.fit.schemas import FIT_ACCOUNTS, FIT_BASIS, FIT_GRID
from models.fit.tables import average_value, build_class_table, build_profile_table
from models.journey.silence_table import measure_threshold
from pipelines.fit.attributes import EntryAttributes, collect_entry_attributes
from pipelines.fit.open_accounts import (
    OpenAccounts,
    find_open_accounts,
    find_undecided_accounts,
    take_lead_texts,
)
from pipelines.fit.past import TouchlessEvents, collect_past_rows
from pipelines.fit.units import (
    EntryUnits,
    MatureUnits,
    UnitWins,
    find_units,
    is_column_target,
    list_wins,
    select_decided,
    select_mature,
)
from pipelines.funnel.amounts import ValuedHistory, value_history
from pipelines.funnel.funnel import build_history
from pipelines.runner import discard_line, read_clock
from pipelines.training_data import Snapshot, load_snapshot
from serve.scoring.weekly_lists import look_up_owners

LogLine = Callable[[str], None]
NO_PROFILE = IdealProfile(np.empty(0, np.int64), np.empty(0), 0.0)


@dataclass(frozen=True)
class LearnedFit:
    """A profile with the units that it was learned on.

    Attributes:
        units: All units.
        mature: Those that it was learned on.
        attributes: Attributes at the entry.
        values: Values of all units.
        fit: The profile; None where all or too few units are customers.
        held_out: Class of each mature unit by what others teach, a place in CLASSES, int64.
        limits: Limits of the classes.
    """

    units: EntryUnits
    mature: MatureUnits
    attributes: EntryAttributes
    values: EntryValues
    fit: ProfileFit | None
    held_out: np.ndarray
    limits: ClassLimits

    @property
    def profile(self) -> IdealProfile:
        """Return the profile, without a row if there is none."""
        return self.fit.profile if self.fit else NO_PROFILE


def compute_account_fit(
    project: Project, as_of: str | None, target: str | None = None, log: LogLine = discard_line
) -> FitResult:
    """Return the fit as known at an as-of, by default at the end of the data.

    ``target`` names the target whose outcome makes a customer, by default the last one. Raises
    ConfigError for an unknown target and for a wrong name in ``fit.attributes``, DataError where no
    account has been followed for the whole horizon.
    """
    name = choose_target(project, target)
    snapshot = load_snapshot(project, as_of, read_clock())
    snapshot.log_warnings(log)
    return build_fit(snapshot, name)


def choose_target(project: Project, target: str | None = None) -> str:
    """Return the target whose outcome makes a customer: that of the funnel, else the last one."""
    if target is not None:
        project.target_config(target)
        return target
    if any(config.outcome_types for config in project.targets.values()):
        return list_funnel_states(project).target
    return list(project.targets)[-1]


def build_fit(snapshot: Snapshot, target: str, valued: ValuedHistory | None = None) -> FitResult:
    """Return the fit of a company's data; ``valued`` is its history, if it was built already."""
    if is_column_target(snapshot.project.target_config(target)):
        return _build_decided_fit(snapshot, target)
    if valued is None:
        states = list_funnel_states(snapshot.project, target)
        valued = value_history(snapshot, build_history(snapshot, states))
    history, units = valued.history, find_units(snapshot.dataset)
    wins = list_wins(units, valued)
    mature = select_mature(units, wins, history, snapshot.project.fit.horizon)
    learned = _learn_fit(snapshot, units, mature, target)
    activities = find_activities(snapshot.dataset, snapshot.project.features)
    accounts = find_open_accounts(snapshot, units, wins, history, activities)
    threshold = measure_threshold(history, activities)
    grid = _build_grid(snapshot, learned, wins, valued, accounts)
    return _summarize_fit(snapshot, target, learned, accounts, threshold, grid)


def _build_decided_fit(snapshot: Snapshot, target: str) -> FitResult:
    """Return the fit where the outcome is a column, so that nothing has a time."""
    units = find_units(snapshot.dataset)
    mature = select_decided(snapshot, units, target, snapshot.project.target_config(target))
    learned = _learn_fit(snapshot, units, mature, target)
    customers = mature.rows[mature.cohort.is_customer]
    accounts = find_undecided_accounts(snapshot, units, target, customers)
    return _summarize_fit(snapshot, target, learned, accounts, None, FIT_GRID.empty_table())


def _learn_fit(
    snapshot: Snapshot, units: EntryUnits, mature: MatureUnits, target: str
) -> LearnedFit:
    attributes = collect_entry_attributes(snapshot, units, mature, target)
    values = divide_values(attributes.columns, mature.rows)
    fit = learn_profile(mature.cohort, values, mature.rows) if attributes.columns else None
    held_out, limits = np.ones(len(mature.rows), np.int64), NO_LIMITS
    if fit is not None and len(fit.profile.rows):
        limits, held_out = learn_classes(fit, mature.cohort, values, mature.rows)
    return LearnedFit(units, mature, attributes, values, fit, held_out, limits)


def _build_grid(
    snapshot: Snapshot,
    learned: LearnedFit,
    wins: UnitWins,
    valued: ValuedHistory,
    accounts: OpenAccounts,
) -> pa.Table:
    project, units = snapshot.project, learned.units
    events = TouchlessEvents(snapshot.dataset, units, project.features.outbound)
    rows = collect_past_rows(units, learned.mature, wins, valued.history, events, learned.held_out)
    busy = find_busy_limit(rows.activities)
    activities = events.count_before(to_microseconds(snapshot.as_of), len(units))[accounts.unit]
    return build_grid_table(rows, busy, _classify_open(learned, accounts), activities)


def _classify_open(learned: LearnedFit, accounts: OpenAccounts) -> np.ndarray:
    score = learned.profile.score_units(learned.values, accounts.unit)
    return learned.limits.classify_scores(score)


def _summarize_fit(
    snapshot: Snapshot,
    target: str,
    learned: LearnedFit,
    accounts: OpenAccounts,
    threshold: int | None,
    grid: pa.Table,
) -> FitResult:
    cohort, fit = learned.mature.cohort, learned.fit
    fit_accounts = _list_accounts(snapshot, learned, accounts, threshold)
    open_class = _classify_open(learned, accounts)
    white_space = select_white_space(fit_accounts).num_rows
    tables = FitTables(
        _describe_basis(snapshot, target, learned, threshold),
        build_profile_table(fit, cohort, learned.values, learned.mature.rows),
        build_class_table(learned.held_out, cohort, learned.limits, open_class, white_space),
        grid,
        fit_accounts,
    )
    as_of = snapshot.as_of if snapshot.dataset.timed else None
    return FitResult(as_of, tables, learned.attributes.refused)


def _describe_basis(
    snapshot: Snapshot, target: str, learned: LearnedFit, threshold: int | None
) -> pa.Table:
    """Return FIT_BASIS."""
    mature, attributes, leads = learned.mature, learned.attributes, snapshot.dataset.leads
    cohort = mature.cohort
    row = {
        "target": target,
        "unit": "account" if leads["account_id"].null_count < leads.num_rows else "lead",
        "horizon_days": mature.horizon / timedelta(days=1) if mature.horizon else None,
        "accounts": len(cohort),
        "customers": int(cohort.is_customer.sum()),
        "value_per_account": average_value(cohort),
        "young": mature.young,
        "customers_before_entry": mature.earlier,
        "compared": 0 if learned.fit is None else len(learned.fit.compared),
        "threshold_days": threshold,
        "undated": ", ".join(name for name in attributes.columns if name not in attributes.dated),
        "refused": "\n".join(f"{name}: {text}" for name, text in attributes.refused.items()),
        "limits": "\n".join([*attributes.limits, *_list_limits(learned)]),
    }
    return pa.Table.from_pylist([row], schema=FIT_BASIS)


def _list_limits(learned: LearnedFit) -> list[str]:
    """Return why there is no profile, or no class A."""
    cohort = learned.mature.cohort
    customers = int(cohort.is_customer.sum())
    others = len(cohort) - customers
    if not learned.attributes.columns:
        return ["no profile: no attribute of the leads may be used"]
    if learned.fit is None:
        return [
            f"no profile: {customers:,} mature accounts became customers and {others:,} did not; "
            f"of both kinds {MIN_CUSTOMERS} are needed"
        ]
    if not len(learned.profile.rows):
        return [
            f"no profile: none of {len(learned.fit.compared):,} values sets customers apart beyond "
            "chance"
        ]
    if learned.limits == NO_LIMITS:
        return ["no classes: the profile does not set other accounts apart than it was learned on"]
    return []


def _list_accounts(
    snapshot: Snapshot, learned: LearnedFit, accounts: OpenAccounts, threshold: int | None
) -> pa.Table:
    """Return FIT_ACCOUNTS: white space first, then the others, the best fit first."""
    dataset, cohort, values = snapshot.dataset, learned.mature.cohort, learned.values
    profile = learned.profile
    factor = profile.score_units(values, accounts.unit)
    fit_class = learned.limits.classify_scores(factor)
    lift = np.empty(0)
    if learned.fit is not None:
        lift = learned.fit.lifts.lift[np.searchsorted(learned.fit.compared, profile.rows)]
    reasons = list_fit_reasons(profile, lift, values, accounts.unit)
    state = np.full(len(factor), UNKNOWN_STATE)
    if threshold is not None and accounts.silent_days is not None:
        state = np.where(accounts.silent_days >= threshold, SILENT, ACTIVE)
    mean = average_value(cohort)
    entities = take_lead_texts(dataset, "entity_id", accounts.lead)
    columns = {
        "entity_id": entities,
        "account_id": take_lead_texts(dataset, "account_id", accounts.lead),
        "owner": look_up_owners(dataset, snapshot.project.capacity_config, pa.array(accounts.lead)),
        "fit_class": np.array(CLASSES)[fit_class],
        "factor": factor,
        "expected_value": pa.nulls(len(factor), pa.float64()) if mean is None else factor * mean,
        **reasons._asdict(),
        "open_leads": accounts.leads,
        "silent_days": pa.nulls(len(factor), pa.int64())
        if accounts.silent_days is None
        else accounts.silent_days,
        "state": state,
    }
    table = pa.table([pa.array(columns[f.name], f.type) for f in FIT_ACCOUNTS], schema=FIT_ACCOUNTS)
    table = table.sort_by([("factor", "descending"), ("entity_id", "ascending")])
    first = select_white_space(table)
    return pa.concat_tables(
        [
            first,
            table.filter(
                pc.invert(
                    pc.is_in(table["entity_id"], value_set=first["entity_id"].combine_chunks())
                )
            ),
        ]
    )
