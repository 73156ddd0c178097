"""Chance that an open deal is won in a span of working time.

Stage and age give each deal a base: what became of earlier visits that had lasted as long. Trees
then say by how much its way so far and its attributes raise or lower the hazard of a win. They are
fitted on the deals that were open at earlier instants, each followed as far as it was observed: a
Poisson count whose expectation is the base hazard of the follow-up times the factor (Holford,
"The analysis of rates and of survivorship using log-linear models", *Biometrics* 36, 1980).
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np

from features.tools.instants import US_PER_DAY
from models.forecast.activity import LeadActivity
from models.forecast.days.working_time import WorkingTime
from models.forecast.deals import WAY_COLUMNS, OpenDeals, VisitFacts, list_open_deals
from models.funnel.cycle_table import WIN
from models.funnel.history import FunnelHistory
from models.funnel.win_times import WinTimes, estimate_win_times
from models.learners.fit_input import FitInput
from models.learners.hazard import POISSON_PARAMETERS
from models.learners.lightgbm import LightGbm

# Rows that the trees are fitted on, at most: more take longer and are hardly better.
MAX_ROWS = 60_000
# Earlier instants whose open deals are taken, and how far back they reach at most.
INSTANTS = 24
MAX_SPAN = 400 * US_PER_DAY
# Deals of an instant matter half as much after this time, since companies change.
HALF_LIFE = 90 * US_PER_DAY
# With fewer wins, stage and age say all that can be said.
MIN_WINS = 100
# Parts of the accounts, each of which is judged by trees fitted on the others.
FOLDS = 2
# Small trees with strong smoothing, which start from the base: where they learn nothing, it stays.
TREE_PARAMETERS = {
    **POISSON_PARAMETERS,
    "num_leaves": 4,
    "num_iterations": 40,
    "learning_rate": 0.2,
    # A deal that is open for months is in many rows, which say the same.
    "min_data_in_leaf": 200,
    "lambda_l2": 10.0,
    "feature_fraction": 0.8,
    "max_bin": 63,
    # Edges of bins from more rows take as long as the trees themselves, and are no better.
    "bin_construct_sample_cnt": 10_000,
    "extra_trees": False,
}
# A chance of one has no finite hazard.
MAX_CHANCE = 1 - 1e-6


@dataclass(frozen=True)
class DealAttributes:
    """Attributes of all leads as the trees read them.

    Attributes:
        columns: Numbers, or codes of categories, float64 (leads, columns); NaN where missing.
        categorical: Places of the columns that hold codes.
        activity: Events around the leads; None where they are not looked at.
    """

    columns: np.ndarray
    categorical: tuple[int, ...]
    activity: LeadActivity | None = None

    def take_leads(self, rows: np.ndarray) -> Self:
        """Return the attributes of some leads, numbered in the order of ``rows``."""
        activity = None if self.activity is None else self.activity.take_leads(rows)
        return replace(self, columns=self.columns[rows], activity=activity)


@dataclass(frozen=True)
class DealModel:
    """Chances of open deals.

    What a deal has done lately says much of the near future and little of a later one. So its
    factor on the base hazard is one up to ``near``, and another one from then on.

    Attributes:
        win_times: Times until the win by stage and age.
        attributes: Attributes of all leads.
        fold: Fold of each lead, int64; an account is in one fold.
        near: Working time from the as-of that is near.
        time: The working time.
        trees: For each fold a model of the log of a deal's hazard relative to its base, fitted on
            the other folds; empty where the base stays.
        slopes: What the trees' logs are multiplied by, near and later: those of trees that were
            fitted on few deals differ too much.
        levels: Logs of the factors that all hazards have besides, near and later.
    """

    win_times: WinTimes
    attributes: DealAttributes
    fold: np.ndarray
    near: int
    time: WorkingTime
    trees: tuple[LightGbm, ...] = ()
    slopes: tuple[float, float] = (1.0, 1.0)
    levels: tuple[float, float] = (0.0, 0.0)

    def find_chances(self, deals: OpenDeals, at: int, spans: np.ndarray) -> np.ndarray:
        """Return each deal's chance of a win within each span of working time, (deals, spans).

        ``at`` is the instant, in working time, at which the deals are open.
        """
        x, fold = _join_columns(deals, self.attributes, at, self.time), self.fold[deals.lead]
        factors = [np.exp(self.find_log_factors(x, fold, place)) for place in (0, 1)]
        columns = []
        for span in spans:
            near = find_base_hazard(self.win_times, deals, min(span, self.near))
            later = find_base_hazard(self.win_times, deals, span) - near
            columns.append(-np.expm1(-factors[0] * near - factors[1] * np.maximum(later, 0.0)))
        return np.stack(columns, axis=1)

    def find_log_factors(self, x: np.ndarray, fold: np.ndarray, place: int) -> np.ndarray:
        """Return the log of each row's hazard relative to its base: 0 near, 1 later."""
        logs = np.zeros(len(x))
        x = np.column_stack([x, np.full(len(x), float(place))])
        for number, trees in enumerate(self.trees):
            own = fold == number
            logs[own] = self.slopes[place] * trees.margin(x[own]) + self.levels[place]
        return logs


@dataclass(frozen=True)
class _TrainingRows:
    """Deals that were open at earlier instants, followed near or later; one element per row.

    Attributes:
        x: Features, float64 (rows, columns).
        won: Whether the deal was won in that time.
        hazard: Base hazard up to the win, or of the time that the deal was followed.
        whole: Base hazard of all the time that it would be followed.
        weight: Weight of the row.
        fold: Fold of the lead.
        place: 0 near, 1 later.
    """

    x: np.ndarray
    won: np.ndarray
    hazard: np.ndarray
    whole: np.ndarray
    weight: np.ndarray
    fold: np.ndarray
    place: np.ndarray

    @classmethod
    def join(cls, parts: list[_TrainingRows]) -> _TrainingRows:
        """Return the rows of all parts."""
        names = [field.name for field in fields(cls)]
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    def take(self, rows: np.ndarray) -> _TrainingRows:
        """Return some of the rows."""
        return _TrainingRows(*(getattr(self, field.name)[rows] for field in fields(self)))


def fit_deal_model(
    history: FunnelHistory,
    facts: VisitFacts,
    attributes: DealAttributes,
    time: WorkingTime,
    spans: np.ndarray,
) -> DealModel:
    """Return the model of a history in working time.

    It learns from wins within the longest of the ``spans``; the shortest one is near.
    """
    fold = (history.cluster % np.uint64(FOLDS)).astype(np.int64)
    base = DealModel(estimate_win_times(history), attributes, fold, int(spans[0]), time)
    rows = _list_training_rows(history, facts, base, int(spans[-1]))
    if np.count_nonzero(rows.won) < MIN_WINS:
        return base
    # Columns are known by place: those of the way come first.
    categorical = [WAY_COLUMNS + place for place in attributes.categorical]
    trees = []
    # A deal that is still open was open at the earlier instants: trees that had seen it there would
    # know it as one that is not won.
    for number in range(FOLDS):
        others = rows.take(rows.fold != number)
        x = np.column_stack([others.x, others.place])
        fit_input = FitInput(x, categorical, seed=0, weight=others.weight)
        trees.append(
            LightGbm.fit_trees(fit_input, others.won, TREE_PARAMETERS, np.log(others.hazard))
        )
    model = replace(base, trees=tuple(trees))
    near, later = (_calibrate_trees(model, rows.take(rows.place == place)) for place in (0, 1))
    return replace(model, slopes=(near[0], later[0]), levels=(near[1], later[1]))


def _calibrate_trees(model: DealModel, rows: _TrainingRows) -> tuple[float, float]:
    """Return slope and level of the trees' logs for rows of one place, which they had not seen."""
    if not rows.won.any():
        return 1.0, 0.0
    base = np.log(rows.whole)
    logs = model.find_log_factors(rows.x, rows.fold, int(rows.place[0]))
    slope = find_slope(base, logs, rows.won, rows.weight)
    return slope, _find_level(base + slope * logs, rows.won, rows.weight)


def find_slope(
    log_hazard: np.ndarray, logs: np.ndarray, won: np.ndarray, weight: np.ndarray
) -> float:
    """Return the slope of ``logs`` in the hazard with the highest likelihood, from 0 to 1.

    It is a regression with a complementary log-log link and a free level, by Fisher scoring.
    """
    design, line = np.stack([logs, np.ones_like(logs)]), np.array([1.0, 0.0])
    for _ in range(25):
        hazard = np.exp(np.clip(log_hazard + line @ design, -30, 3))
        chance = -np.expm1(-hazard)
        gradient = design @ (weight * hazard * (won / chance - 1.0))
        information = (design * (weight * hazard**2 * (1 / chance - 1.0))) @ design.T
        step = np.linalg.lstsq(information, gradient, rcond=None)[0]
        line += np.clip(step, -0.5, 0.5)
        if np.abs(step).max() < 1e-6:
            break
    return float(np.clip(line[0], 0.0, 1.0))


def _find_level(log_hazard: np.ndarray, won: np.ndarray, weight: np.ndarray) -> float:
    """Return what to add to the logs of the hazards so that they expect the wins that there were.

    Hazards that are proportional only roughly, and smoothed trees, miss their sum.
    """
    level = 0.0
    for _ in range(20):
        hazard = np.exp(log_hazard + level)
        missing = weight @ (won + np.expm1(-hazard))
        step = missing / (weight @ (hazard * np.exp(-hazard)))
        level += float(np.clip(step, -1.0, 1.0))
        if abs(step) < 1e-9:
            break
    return level


def find_base_hazard(win_times: WinTimes, deals: OpenDeals, span: np.ndarray | int) -> np.ndarray:
    """Return the cumulative hazard of a win within a span, by stage and age alone."""
    chance = win_times.chance_within(deals.stage, deals.age, span)
    # A stage in which nothing was observed yet has no win.
    return -np.log1p(-np.clip(np.nan_to_num(chance), 0.0, MAX_CHANCE))


def _list_training_rows(
    history: FunnelHistory, facts: VisitFacts, model: DealModel, span: int
) -> _TrainingRows:
    """Return the deals that were open at earlier instants, each followed near and later."""
    until = history.observed_until
    first = int(facts.spell_start.min(initial=until))
    step = min(until - max(first, until - MAX_SPAN), MAX_SPAN) // INSTANTS
    parts = []
    for number in range(INSTANTS):
        at = until - step // 2 - number * step
        deals = _sample_deals(history, list_open_deals(history, facts, at))
        x = _join_columns(deals, model.attributes, at, model.time)
        weight = np.full(len(x), 0.5 ** ((until - at) / HALF_LIFE))
        fold = model.fold[deals.lead]
        # A deal is followed to its win; a lost one has no win for as long as it would be followed.
        wins = np.where(facts.ending[deals.visit] == WIN, facts.spell_end[deals.visit] - at, span)
        begin, at_risk, passed = 0, np.ones(len(x), bool), np.zeros(len(x))
        for place, end in enumerate((min(model.near, span), span)):
            follow = min(end, until - at)
            if follow <= begin:
                break
            won = at_risk & (wins < follow)
            whole = find_base_hazard(model.win_times, deals, follow)
            hazard = find_base_hazard(model.win_times, deals, np.where(won, wins + 1, follow))
            # A deal whose base has no hazard cannot have more of it.
            rows = np.flatnonzero(at_risk & (hazard > passed))
            columns = (x, won.astype(float), hazard - passed, whole - passed, weight, fold)
            own = (*(column[rows] for column in columns), np.full(len(rows), float(place)))
            parts.append(_TrainingRows(*own))
            begin, at_risk, passed = follow, at_risk & ~won, whole
    return _TrainingRows.join(parts)


def _sample_deals(history: FunnelHistory, deals: OpenDeals) -> OpenDeals:
    """Return the deals of some accounts, the same ones at every instant."""
    share = MAX_ROWS / INSTANTS / max(len(deals.lead), 1)
    if share >= 1:
        return deals
    chosen = history.choose_accounts(share)[deals.lead]
    columns = (deals.visit, deals.lead, deals.stage, deals.age, deals.way)
    return OpenDeals(*(column[chosen] for column in columns))


def _join_columns(
    deals: OpenDeals, attributes: DealAttributes, at: int, time: WorkingTime
) -> np.ndarray:
    """Return the way, the attributes and the activity of deals at an instant in working time."""
    parts = [deals.way, attributes.columns[deals.lead]]
    if attributes.activity is not None:
        parts.append(attributes.activity.describe_leads(deals.lead, at, time))
    return np.concatenate(parts, axis=1)
