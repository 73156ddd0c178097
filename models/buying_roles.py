"""Which engaged roles go with the outcome, among accounts with as many engaged people.

Accounts where more people are engaged have the outcome more often, in any role. So rows are
compared within strata of equal numbers of engaged people, by the odds ratio of Mantel and Haenszel
("Statistical aspects of the analysis of data from retrospective studies of disease", Journal of the
National Cancer Institute 22, 1959). Its interval is by bootstrap over clusters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import pyarrow as pa

from features.contracts import make_field
from models.evaluation.metrics import draw_cluster_weights

# One row per target and role of the config.
BUYING_ROLES = pa.schema(
    [
        make_field("target", pa.string(), "the target of the config"),
        make_field("role", pa.string(), "a role of accounts.roles"),
        make_field(
            "rows",
            pa.int64(),
            "past cutoffs of open entities at which somebody in the role was engaged in the 30 "
            "days before, with a known outcome",
        ),
        make_field("accounts", pa.int64(), "distinct accounts of these rows"),
        make_field("share_engaged", pa.float64(), "share of them with the outcome", nullable=True),
        make_field(
            "share_others",
            pa.float64(),
            "the same where others were engaged, weighted to as many engaged people",
            nullable=True,
        ),
        make_field(
            "odds_ratio",
            pa.float64(),
            "odds of the outcome where the role is engaged, divided by those where others are, "
            "among accounts with as many engaged people (Mantel–Haenszel)",
            nullable=True,
        ),
        make_field(
            "odds_ratio_low",
            pa.float64(),
            "lower end of the interval that holds for all roles together in 90 % of cases",
            nullable=True,
        ),
        make_field("odds_ratio_high", pa.float64(), "its upper end", nullable=True),
        make_field("proven", pa.bool_(), "whether the lower end is above 1"),
    ]
)
# Name of this table among those of a night.
ROLES_TABLE = "buying_roles"
# Rows with more engaged people are one stratum: they are rare.
MAX_PEOPLE = 4
REPLICATES = 200
SEED = 7
# Both ends together are outside in 10 % of the cases, of all roles together (Bonferroni).
TAIL = 0.05


@dataclass(frozen=True)
class RoleRows:
    """Past cutoffs of open entities with a known outcome, one element each.

    Attributes:
        engaged: (rows, roles) whether somebody in the role was engaged at the account.
        people: Number of engaged people of the account.
        own: Whether the entity itself was engaged.
        label: 1 if the outcome came within the horizon, else 0.
        account: Text that rows of one account share.
    """

    engaged: np.ndarray
    people: np.ndarray
    own: np.ndarray
    label: np.ndarray
    account: np.ndarray


def estimate_buying_roles(target: str, roles: Sequence[str], rows: RoleRows) -> pa.Table:
    """Return BUYING_ROLES of one target, in the order of the config.

    Rows of accounts where nobody is engaged compare nothing, and are left out. An odds ratio that
    cannot be computed is null, and not proven.
    """
    used = rows.people > 0
    stratum = np.minimum(rows.people[used], MAX_PEOPLE).astype(np.int64) * 2 + rows.own[used]
    label, account = rows.label[used].astype(np.int64), rows.account[used]
    engaged = rows.engaged[used]
    weights = [*draw_cluster_weights(account, SEED, REPLICATES)]
    z = NormalDist().inv_cdf(1 - TAIL / max(len(roles), 1))
    effects = []
    for code, role in enumerate(roles):
        has = engaged[:, code].astype(np.int64)
        cell = (stratum * 2 + has) * 2 + label
        counts = _count_cells(cell, np.ones(len(cell)))
        drawn = [compute_odds_ratio(_count_cells(cell, weight)) for weight in weights]
        low, ratio, high = _bound_ratio(compute_odds_ratio(counts), np.array(drawn), z)
        engaged_share, other_share = _compare_shares(counts)
        effects.append(
            {
                "target": target,
                "role": role,
                "rows": int(has.sum()),
                "accounts": len(np.unique(account[has > 0])),
                "share_engaged": engaged_share,
                "share_others": other_share,
                "odds_ratio": ratio,
                "odds_ratio_low": low,
                "odds_ratio_high": high,
                "proven": low is not None and low > 1,
            }
        )
    return pa.Table.from_pylist(effects, schema=BUYING_ROLES)


def select_role_effects(tables: Mapping[str, pa.Table]) -> pa.Table | None:
    """Return BUYING_ROLES among a night's tables by name; None if it is absent."""
    return tables[ROLES_TABLE].select(BUYING_ROLES.names) if ROLES_TABLE in tables else None


def rank_winning_roles(effects: pa.Table, target: str) -> list[str]:
    """Return the proven roles of a target, those with the largest odds ratio first."""
    rows = [row for row in effects.to_pylist() if row["target"] == target and row["proven"]]
    return [row["role"] for row in sorted(rows, key=lambda row: (-row["odds_ratio"], row["role"]))]


def _count_cells(cell: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return the weight of (stratum, engaged, label)."""
    strata = 2 * (MAX_PEOPLE + 1)
    return np.bincount(cell, weight, 4 * strata).reshape(strata, 2, 2)


def compute_odds_ratio(counts: np.ndarray) -> float:
    """Return the Mantel–Haenszel odds ratio of counts (stratum, exposed, outcome).

    NaN if no stratum has both an exposed and another row, or if it is 0 or infinite.
    """
    total = np.maximum(counts.sum(axis=(1, 2)), 1)
    with_outcome = (counts[:, 1, 1] * counts[:, 0, 0] / total).sum()
    without = (counts[:, 1, 0] * counts[:, 0, 1] / total).sum()
    return float(with_outcome / without) if with_outcome > 0 and without > 0 else np.nan


def _bound_ratio(
    ratio: float, drawn: np.ndarray, z: float
) -> tuple[float | None, float | None, float | None]:
    """Return lower end, ratio and upper end by the normal law of its logarithm."""
    drawn = np.log(drawn[np.isfinite(drawn)])
    # Half of the replicates without a ratio say that there is too little to compare.
    if not np.isfinite(ratio) or len(drawn) <= REPLICATES / 2:
        return None, ratio if np.isfinite(ratio) else None, None
    step = np.exp(z * drawn.std(ddof=1))
    return float(ratio / step), ratio, float(ratio * step)


def _compare_shares(counts: np.ndarray) -> tuple[float | None, float | None]:
    """Return the outcome share of engaged rows, and of others weighted to the same strata.

    Strata without any other row are left out of both.
    """
    rows = counts.sum(axis=2)
    both = (rows[:, 1] > 0) & (rows[:, 0] > 0)
    size = rows[both, 1].sum()
    if not size:
        return None, None
    others = counts[both, 0, 1] / rows[both, 0]
    return float(counts[both, 1, 1].sum() / size), float((rows[both, 1] * others).sum() / size)
