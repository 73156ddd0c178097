"""Chance that an open deal is won in a span of working time.

Stage and age give each deal a base: what became of earlier visits that had lasted as long. Trees
then say by how much its way so far and its attributes raise or lower the hazard of a win. They are
fitted on the deals that were open at earlier instants, each followed as far as it was observed: a
Poisson count whose expectation is the base hazard of the follow-up times the factor (Holford,
"The analysis of rates and of survivorship using log-linear models", *Biometrics* 36, 1980).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from features.tools.instants import US_PER_DAY
from models.forecast.deals import OpenDeals, VisitFacts, list_open_deals
from models.funnel.cycle_table import WIN
from models.funnel.history import SAMPLING_PARTS, FunnelHistory
from models.funnel.win_times import WinTimes, estimate_win_times
from models.learners.fit_input import FitInput
from models.learners.hazard import POISSON_PARAMETERS
from models.learners.lightgbm import LightGbm

# Rows that the trees are fitted on, at most: more take longer and are hardly better.
MAX_ROWS = 100_000
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
    "num_leaves": 6,
    "num_iterations": 100,
    "learning_rate": 0.15,
    "min_data_in_leaf": 50,
    "lambda_l2": 10.0,
    "feature_fraction": 0.8,
    "max_bin": 63,
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
    """

    columns: np.ndarray
    categorical: tuple[int, ...]


@dataclass(frozen=True)
class DealModel:
    """Chances of open deals.

    Attributes:
        win_times: Times until the win by stage and age.
        attributes: Attributes of all leads.
        fold: Fold of each lead, int64; an account is in one fold.
        trees: For each fold a model of the log of a deal's hazard relative to its base, fitted on
            the other folds; empty where the base stays.
        level: Log of the factor that all hazards have besides.
    """

    win_times: WinTimes
    attributes: DealAttributes
    fold: np.ndarray
    trees: tuple[LightGbm, ...] = ()
    level: float = 0.0

    def find_chances(self, deals: OpenDeals, spans: np.ndarray) -> np.ndarray:
        """Return each deal's chance of a win within each span of working time, (deals, spans)."""
        x = _join_columns(deals, self.attributes)
        factor = np.exp(self.find_log_factors(x, self.fold[deals.lead]))
        columns = [
            -np.expm1(-factor * find_base_hazard(self.win_times, deals, span)) for span in spans
        ]
        return np.stack(columns, axis=1)

    def find_log_factors(self, x: np.ndarray, fold: np.ndarray) -> np.ndarray:
        """Return the log of each row's hazard relative to its base."""
        logs = np.zeros(len(x))
        for number, trees in enumerate(self.trees):
            own = fold == number
            logs[own] = trees.margin(x[own]) + self.level
        return logs


def fit_deal_model(
    history: FunnelHistory, facts: VisitFacts, attributes: DealAttributes, span: int
) -> DealModel:
    """Return the model of a history in working time; wins within ``span`` are learned from."""
    fold = (history.cluster % np.uint64(FOLDS)).astype(np.int64)
    base = DealModel(estimate_win_times(history), attributes, fold)
    x, won, hazard, whole, weight, own = _list_training_rows(history, facts, base, span)
    if np.count_nonzero(won) < MIN_WINS:
        return base
    # Columns are known by place: those of the way come first.
    first = x.shape[1] - attributes.columns.shape[1]
    categorical = [first + place for place in attributes.categorical]
    trees = []
    # A deal that is still open was open at the earlier instants: trees that had seen it there would
    # know it as one that is not won.
    for number in range(FOLDS):
        others = own != number
        fit_input = FitInput(x[others], categorical, seed=0, weight=weight[others])
        start = np.log(hazard[others])
        trees.append(LightGbm.fit_trees(fit_input, won[others], TREE_PARAMETERS, start))
    model = replace(base, trees=tuple(trees))
    logs = model.find_log_factors(x, own)
    return replace(model, level=_find_level(np.log(whole) + logs, won, weight))


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
) -> tuple[np.ndarray, ...]:
    """Return rows of deals that were open at earlier instants.

    They are features, whether won, base hazard up to the win, base hazard of the whole time
    followed, weight, and fold.
    """
    until = history.observed_until
    first = int(facts.spell_start.min(initial=until))
    step = min(until - max(first, until - MAX_SPAN), MAX_SPAN) // INSTANTS
    parts = []
    for number in range(INSTANTS):
        at = until - step // 2 - number * step
        deals = _sample_deals(history, list_open_deals(history, facts, at))
        ending, end = facts.ending[deals.visit], facts.spell_end[deals.visit]
        follow = min(span, until - at)
        won = (ending == WIN) & (end - at < follow)
        # A deal is followed to its win; a lost one has no win for as long as it would be followed.
        hazard = find_base_hazard(model.win_times, deals, np.where(won, end - at + 1, follow))
        whole = find_base_hazard(model.win_times, deals, follow)
        weight = np.full(len(won), 0.5 ** ((until - at) / HALF_LIFE))
        # A deal whose base has no hazard cannot have more of it.
        rows = hazard > 0
        x = _join_columns(deals, model.attributes)
        fold = model.fold[deals.lead]
        columns = (x, won.astype(float), hazard, whole, weight, fold)
        parts.append([column[rows] for column in columns])
    return tuple(np.concatenate(columns) for columns in zip(*parts, strict=True))


def _sample_deals(history: FunnelHistory, deals: OpenDeals) -> OpenDeals:
    """Return the deals of some accounts, the same ones at every instant."""
    share = MAX_ROWS / INSTANTS / max(len(deals.lead), 1)
    if share >= 1:
        return deals
    chosen = history.cluster[deals.lead] % np.uint64(SAMPLING_PARTS) < share * SAMPLING_PARTS
    columns = (deals.visit, deals.lead, deals.stage, deals.age, deals.way)
    return OpenDeals(*(column[chosen] for column in columns))


def _join_columns(deals: OpenDeals, attributes: DealAttributes) -> np.ndarray:
    return np.concatenate([deals.way, attributes.columns[deals.lead]], axis=1)
