"""Computes the touches of a project: chance of a reply by number, and whom to touch next."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from configs.errors import ConfigError
from configs.schema import Project
from configs.touches.touches import Touches
from features.tools.instants import US_PER_DAY, duration_to_microseconds
from models.touches.choice import TouchValues, estimate_chances
from models.touches.result import TOUCH_SCHEMAS, TouchResult, TouchTables
from models.touches.schemas import TOUCH_BASIS
from pipelines.runner import discard_line, read_clock
from pipelines.touches.hazard_rows import build_hazard_table
from pipelines.touches.next_rows import (
    STATES,
    LeadStates,
    TouchPlan,
    build_next_touches,
    find_lead_states,
)
from pipelines.touches.touch_log import REPLY_HORIZON, TouchLog, collect_touch_log
from pipelines.training_data import Snapshot, load_snapshot

LogLine = Callable[[str], None]
NO_VALUE = "no stop rule: give touches.reply_value, and touches.cost by channel"
NO_OPT_OUTS = "no opt-out is known: name the event types in touches.opt_outs"
DESCRIPTIVE_ONLY = (
    "descriptive: who was touched how was not drawn at random, so the figures say what followed "
    "touches, not what they caused"
)


def compute_touches(
    project: Project, as_of: str | None, log: LogLine = discard_line
) -> TouchResult:
    """Return the touches as known at an as-of, by default at the end of the data.

    Raises ConfigError for a config without `touches`, and as ``collect_touch_log``.
    """
    require_touches(project)
    snapshot = load_snapshot(project, as_of, read_clock())
    snapshot.log_warnings(log)
    return build_touches(snapshot)


def require_touches(project: Project) -> Touches:
    """Return the section `touches`; raise ConfigError if the config has none."""
    if project.touches is None:
        raise ConfigError(
            "the config says nothing of touches",
            where=f"{project.path}: touches",
            found="no such section",
            fix="add touches: {types: [email_sent], replies: [reply], opt_outs: [unsubscribed]} "
            "with the event types of your own data",
        )
    return project.touches


def build_touches(snapshot: Snapshot) -> TouchResult:
    """Return the touches of a company's data."""
    config = require_touches(snapshot.project)
    log = collect_touch_log(snapshot, config)
    values = TouchValues(_list_costs(config, log), config.reply_value, config.opt_out_harm)
    chances = estimate_chances(log.outcomes, values, config.max_number, config.min_at_risk)
    plan = TouchPlan.from_chances(chances, values)
    states = find_lead_states(snapshot, config, log, plan)
    tables = {
        "next_touch": build_next_touches(snapshot, log, plan, states),
        "touch_hazard": build_hazard_table(log.outcomes, log.channels, config.min_at_risk),
        "touch_basis": _build_touch_basis(
            config, log, states, list(_list_limits(config, log, plan))
        ),
    }
    ordered = {name: tables[name].select(rows.names) for name, rows in TOUCH_SCHEMAS.items()}
    return TouchResult(snapshot.as_of, TouchTables(ordered))


def _list_costs(config: Touches, log: TouchLog) -> np.ndarray:
    """Return the cost of a touch of each channel, NaN where the config names none."""
    if isinstance(config.cost, dict):
        return np.array([config.cost.get(name, np.nan) for name in log.channels])
    return np.full(len(log.channels), config.cost)


def _list_limits(config: Touches, log: TouchLog, plan: TouchPlan) -> list[str]:
    lines = [] if config.reply_value is not None else [NO_VALUE]
    lines += [] if config.opt_outs else [NO_OPT_OUTS]
    unknown = [n for n, cost in zip(log.channels, plan.values.cost, strict=True) if np.isnan(cost)]
    if unknown:
        lines.append(f"not proposed, as touches.cost names no cost: {', '.join(unknown)}")
    if plan.choice is None:
        lines.append(
            f"no channel with a cost has {config.min_at_risk:,} touches at risk that were followed "
            f"for {REPLY_HORIZON.days} days: no chance of a reply is given"
        )
    return [*lines, DESCRIPTIVE_ONLY]


def _build_touch_basis(
    config: Touches, log: TouchLog, states: LeadStates, limits: list[str]
) -> pa.Table:
    """Return TOUCH_BASIS, one row."""
    sequences, outcomes, roles = log.sequences, log.outcomes, log.roles
    replies = int(outcomes.replied.sum())
    durations = {
        "horizon_days": REPLY_HORIZON,
        "quiet_days": config.quiet_after,
        "min_gap_days": config.min_gap,
    }
    counts = np.bincount(states.state, minlength=len(STATES)).tolist()
    row = {
        "leads": len(states.lead),
        **dict(zip(STATES, counts, strict=True)),
        "touches": len(sequences.lead),
        "not_at_risk": int((~sequences.at_risk).sum()),
        "immature": int((sequences.at_risk & ~sequences.mature).sum()),
        "at_risk": len(outcomes.number),
        "replies": replies,
        "opt_outs": int(outcomes.opted_out.sum()),
        "mean_touches": _find_mean_number(log) if replies else None,
        "touch_types": ", ".join(roles.touches),
        "reply_types": ", ".join(roles.replies),
        "opt_out_types": ", ".join(roles.opt_outs),
        "until": ", ".join(roles.ends),
        **{key: duration_to_microseconds(time) / US_PER_DAY for key, time in durations.items()},
        "min_at_risk": config.min_at_risk,
        "reply_value": config.reply_value,
        "opt_out_harm": config.opt_out_harm,
        "limits": "\n".join(limits),
    }
    return pa.Table.from_pylist([row], schema=TOUCH_BASIS)


def _find_mean_number(log: TouchLog) -> float:
    """Return the mean touch number of the replies, however high."""
    rows = log.sequences.counted
    return float(log.sequences.number[rows][log.outcomes.replied].mean())
