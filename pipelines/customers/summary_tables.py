"""Tables of customers as a whole: states, flows, retention, revenue and what they rest on."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from models.customers.chosen import ChosenModel
from models.customers.correction_trial import CorrectionTrial
from models.customers.retention import measure_retention
from models.customers.schemas import (
    CUSTOMER_BASIS,
    CUSTOMER_CORRECTIONS,
    CUSTOMER_FLOWS,
    CUSTOMER_STATES,
    CUSTOMER_TRACK,
    RETENTION,
)
from models.customers.states import STATES, CustomerDays
from models.purchases.histories import Purchases
from pipelines.customers.bridge import CompanyBridge
from pipelines.customers.purchases import find_day_starts
from pipelines.customers.quarters import find_quarters, name_quarter
from pipelines.customers.relation import CustomerRelation
from pipelines.customers.values import DAY, CustomerValues, bound_values
from pipelines.training_data import Snapshot

STRANGER = "stranger"
NO_MODEL = (
    "no model: the history is too short, or has too few customers, to forecast from the past and "
    "compare"
)


def build_state_table(rows: pa.Table, flows: np.ndarray) -> pa.Table:
    """Return CUSTOMER_STATES, in the order of the curve; ``flows`` are those of ``count_flows``."""
    table = []
    for place, state in enumerate(STATES):
        own = rows.filter(pc.equal(rows["state"], state))
        table.append(
            {
                "state": state,
                "customers": own.num_rows,
                "share": own.num_rows / rows.num_rows if rows.num_rows else 0.0,
                "entered_90d": int(flows[:, place].sum() - flows[place, place]),
                "left_90d": int(flows[place].sum() - flows[place, place]),
                **{
                    name: pc.sum(own[name]).as_py()
                    for name in ("expected_margin_12m", "clv", "save_value")
                },
            }
        )
    return pa.Table.from_pylist(table, schema=CUSTOMER_STATES)


def build_flow_table(flows: np.ndarray) -> pa.Table:
    """Return CUSTOMER_FLOWS without empty flows, in the order of the curve, strangers first."""
    names = [*STATES, STRANGER]
    starts = [len(STATES), *range(len(STATES))]
    rows = [
        {"from": names[start], "to": STATES[end], "customers": int(flows[start, end])}
        for start in starts
        for end in range(len(STATES))
        if flows[start, end]
    ]
    return pa.Table.from_pylist(rows, schema=CUSTOMER_FLOWS)


def build_retention_table(purchases: Purchases, end: int, days: CustomerDays) -> pa.Table:
    """Return RETENTION by quarter of the first purchase, by the purchases before ``end``."""
    first = days.first[np.unique(purchases.select_before(end).customer)]
    cohorts, cohort = np.unique(find_quarters(first), return_inverse=True)
    rows = measure_retention(purchases, first, cohort, end)
    columns = [
        [name_quarter(int(cohorts[place])) for place in rows.cohort],
        rows.month,
        rows.customers,
        rows.buyers,
        rows.share,
        rows.low,
        rows.high,
        rows.margin,
    ]
    return pa.table(
        [pa.array(c, f.type) for c, f in zip(columns, RETENTION, strict=True)], RETENTION
    )


def build_track_table(snapshot: Snapshot, chosen: ChosenModel | None) -> pa.Table:
    """Return CUSTOMER_TRACK: past forecasts, the latest first."""
    if chosen is None:
        return CUSTOMER_TRACK.empty_table()
    past = chosen.past
    starts = find_day_starts(snapshot, np.array([row.origin for row in past]))
    rows = [
        {
            "forecast_as_of": start,
            "days": row.days,
            "model": row.model,
            "chosen": row.model == chosen.fitted.name,
            "customers": row.customers,
            "expected": row.expected,
            "actual": row.actual,
            "absolute_error": row.absolute_error,
            "deviance": row.deviance,
            "roc_auc": row.ranking if np.isfinite(row.ranking) else None,
        }
        for row, start in zip(past, starts.to_pylist(), strict=True)
    ]
    return pa.Table.from_pylist(rows, schema=CUSTOMER_TRACK)


def build_correction_table(trials: tuple[CorrectionTrial, ...]) -> pa.Table:
    """Return CUSTOMER_CORRECTIONS."""
    rows = [
        {
            "what": trial.what,
            "used": trial.passed,
            "keeps_total": trial.keeps_total,
            "days": trial.days,
            "customers": trial.customers,
            "deviance_model": trial.own,
            "deviance_corrected": trial.corrected,
            "gain_low": trial.gain_low,
            "gain_high": trial.gain_high,
        }
        for trial in trials
    ]
    return pa.Table.from_pylist(rows, schema=CUSTOMER_CORRECTIONS)


def build_basis(
    relation: CustomerRelation, values: CustomerValues | None, bridge: CompanyBridge
) -> pa.Table:
    """Return CUSTOMER_BASIS, one row."""
    accuracy = bridge.accuracy
    config, bought, chosen = relation.config, relation.bought, relation.chosen
    accounts, models = relation.snapshot.dataset.leads["account_id"], relation.models
    contract = config.contract
    row = {
        "unit": "account" if accounts.null_count < len(accounts) else "lead",
        "customers": len(bought.lead),
        "purchases": len(bought.purchases.day),
        "unpriced": int((bought.purchases.margin == 0).sum()),
        "model": models.fitted.name if models else None,
        "parameters": models.describe_parameters() if models else None,
        "margin_share": config.margin,
        "discount_rate": config.discount_rate,
        "horizon_days": config.horizon / DAY,
        "lapse_days": config.silence / DAY,
        "contract_days": contract.period_days if contract else None,
        "grace_days": contract.grace_days if contract else None,
        "bridge_quarters": len(accuracy.quarters) if accuracy else 0,
        "bridge_bias": accuracy.bias if accuracy else None,
        "bridge_held": accuracy.count_held() if accuracy else None,
        "bridge_limits": bridge.limits,
        "limits": "" if models else (chosen.refused if chosen and chosen.refused else NO_MODEL),
    }
    if models and values:
        for name, total, low, high in bound_values(models, values, config):
            row |= {name: total, f"{name}_low": low, f"{name}_high": high}
    return pa.Table.from_pylist([row], schema=CUSTOMER_BASIS)
