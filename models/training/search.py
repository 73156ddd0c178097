"""A search for LightGBM's parameters within a budget; what it finds is kept only if it holds on later rows.

The best of many settings on some rows is partly the luckiest. So the search sees the earlier folds, and the later ones,
which it has not seen, say whether the gain is one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from joblib import Parallel, delayed

from configs.learning import Learning, Search
from models.calibration import Z90, clustered_error, log_loss
from models.learners.fit_input import Lesson
from models.learners.lightgbm import LightGbm, own_parameters
from models.sample_weights import weights
from models.training.folds import Fold
from models.training.selection import strongest

if TYPE_CHECKING:
    from optuna import Trial

RANGES: dict[str, tuple[float, float]] = {
    "num_leaves": (2, 63),
    "min_data_in_leaf": (5, 500),
    "num_iterations": (50, 600),
    "learning_rate": (0.01, 0.15),
    "lambda_l2": (1.0, 300.0),
    "feature_fraction": (0.1, 1.0),
}
"""Between what a parameter is tried; whole numbers where the ends are, evenly on a logarithmic scale."""
HALF_LIVES = (None, 0.05, 0.15, 0.5)
"""Half-lives that are tried beside the config's, as shares of the time learnt from."""


@dataclass(frozen=True)
class Sample:
    """Rows learnt from, side by side: ``x`` (rows, features) and ``categorical`` as a learner reads them, ``y``
    0 or 1, entity_id (text), cutoff (int64 microseconds UTC). ``ordered`` is false where cutoffs mean nothing."""

    x: np.ndarray
    y: np.ndarray
    categorical: list[int]
    entity_id: np.ndarray
    cutoff: np.ndarray
    ordered: bool = True

    def take(self, rows: np.ndarray, columns: np.ndarray) -> Sample:
        """Return some rows and columns, both ascending."""
        coded = [int(at) for at in np.flatnonzero(np.isin(columns, self.categorical))]
        parts = self.y[rows], coded, self.entity_id[rows], self.cutoff[rows]
        return Sample(self.x[np.ix_(rows, columns)], *parts, self.ordered)

    @property
    def repeats(self) -> float:
        """How many rows an entity has."""
        return len(self.entity_id) / len(set(self.entity_id))


@dataclass(frozen=True)
class Choice:
    """How to learn: LightGBM's parameters in place of its own, and how rows are weighed."""

    learning: Learning
    parameters: dict[str, Any] = field(default_factory=dict)

    def fit(self, sample: Sample, seed: int) -> LightGbm:
        """Learn LightGBM from all rows of the sample."""
        weight = weights(sample.entity_id, sample.cutoff, self.learning)
        lesson = Lesson(sample.x, sample.categorical, seed, sample.repeats, weight, self.parameters)
        return LightGbm.fit(lesson, sample.y)

    def to_json(self) -> dict[str, Any]:
        """Return the choice as plain JSON values."""
        return {
            "parameters": self.parameters,
            **self.learning.model_dump(mode="json", exclude={"search"}),
        }


@dataclass(frozen=True)
class Report:
    """What the search did: ``gain`` is the log loss (nats a row) that the best of ``trials`` saves on later folds
    against what would be done without a search, ``noise`` 1.645 standard errors of it, clustered by entity. NaN where
    nothing better was found on the earlier folds."""

    trials: int
    asked: int
    best: Choice
    gain: float
    noise: float

    @property
    def cut_short(self) -> bool:
        """Whether the time limit ended it: then the same search again may find something else."""
        return self.trials < self.asked

    @property
    def held(self) -> bool:
        """Whether the gain is beyond noise."""
        return self.gain > self.noise

    @property
    def sentence(self) -> str:
        """What came of it, in words."""
        told = f"search: {self.trials} of {self.asked} settings tried"
        if not np.isfinite(self.gain):
            return f"{told}, none better than the usual on earlier rows"
        fate = "kept" if self.held else "the usual settings stay"
        return f"{told}; the best saves {self.gain:.4f} (noise {self.noise:.4f}) of log loss on later rows: {fate}"

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain JSON values."""
        gain, noise = (value if np.isfinite(value) else None for value in (self.gain, self.noise))
        done = {"trials": self.trials, "asked": self.asked, "cut_short": self.cut_short}
        found = {"best": self.best.to_json(), "gain": gain, "noise": noise, "held": self.held}
        return {**done, **found, "sentence": self.sentence}


@dataclass(frozen=True)
class Segment:
    """One fold's rows to learn from and to be tested on, with the features chosen on the former."""

    learnt: Sample
    tested: Sample

    def loss(self, choice: Choice, seed: int) -> np.ndarray:
        """Return the log loss of each tested row."""
        return log_loss(choice.fit(self.learnt, seed).margin(self.tested.x), self.tested.y)


def search(
    sample: Sample, folds: Sequence[Fold], learning: Learning, seed: int
) -> tuple[Choice, Report]:
    """Return how to learn, and what the search did.

    ``folds`` are of the sample's rows, two or more, each tested after those before it where rows have an order;
    ``learning`` holds the budget, and how to learn if nothing better is proven. The earlier half of the folds is
    searched for the lowest mean log loss by a tree-structured Parzen estimator (Bergstra et al., "Algorithms for
    hyper-parameter optimization", NeurIPS 2011); the later half decides, and the search learns from none of its tested
    rows. The same trials give the same result; only a time limit that cuts them short depends on the machine.
    """
    budget = learning.search or Search()
    earlier, later = list(folds[: len(folds) // 2]), list(folds[len(folds) // 2 :])
    deciding = np.concatenate([fold.test for fold in later])
    usual = Choice(learning)
    seen = [_segment(sample, _without(fold, deciding), seed) for fold in earlier]
    trials, best = _best(seen, usual, budget, seed)
    if best is None:
        return usual, Report(trials, budget.trials, usual, np.nan, np.nan)
    unseen = [_segment(sample, fold, seed) for fold in later]
    gain = _losses(unseen, usual, seed) - _losses(unseen, best, seed)
    noise = Z90 * clustered_error(gain, sample.entity_id[deciding])
    report = Report(trials, budget.trials, best, float(gain.mean()), noise)
    return (best if report.held else usual), report


def _best(
    segments: list[Segment], usual: Choice, budget: Search, seed: int
) -> tuple[int, Choice | None]:
    """Return how many settings were tried, the usual ones first, and the best unless it is the usual."""
    import optuna

    tried: list[Choice] = []

    def loss(trial: Trial) -> float:
        offered = _suggest(trial, usual.learning, segments[-1].learnt)
        tried.append(offered if tried else usual)
        return float(_losses(segments, tried[-1], seed).mean())

    limit = None if budget.limit is None else budget.limit.total_seconds()
    with _quiet():
        study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
        study.enqueue_trial(_start(segments[-1].learnt))
        study.optimize(loss, n_trials=budget.trials, timeout=limit)
    if len(tried) < 2 or study.best_trial.number == 0:
        return len(tried), None
    return len(tried), tried[study.best_trial.number]


def _start(sample: Sample) -> dict[str, Any]:
    """Return the usual settings as a first trial: the others start from what is known to be good."""
    own = own_parameters(len(sample.x), sample.x.shape[1], sample.repeats)
    return {name: own[name] for name in (*RANGES, "extra_trees")} | {"half_life": 0, "one_vote": 0}


def _suggest(trial: Trial, learning: Learning, sample: Sample) -> Choice:
    """Return the settings of a trial; weights are tried only where they can differ."""
    parameters: dict[str, Any] = {name: _number(trial, name) for name in RANGES}
    parameters["extra_trees"] = trial.suggest_categorical("extra_trees", (False, True))
    parameters["cat_l2"] = parameters["lambda_l2"]
    lives = tuple(
        dict.fromkeys((learning.recency_half_life, *(HALF_LIVES if sample.ordered else ())))
    )
    votes = (
        (learning.one_vote, not learning.one_vote) if sample.repeats > 1 else (learning.one_vote,)
    )
    chosen = {
        "recency_half_life": lives[trial.suggest_categorical("half_life", range(len(lives)))],
        "one_vote": votes[trial.suggest_categorical("one_vote", range(len(votes)))],
    }
    return Choice(learning.model_copy(update=chosen), parameters)


def _number(trial: Trial, name: str) -> float:
    low, high = RANGES[name]
    draw = trial.suggest_int if isinstance(low, int) else trial.suggest_float
    return draw(name, low, high, log=True)  # type: ignore[arg-type]


def _losses(segments: list[Segment], choice: Choice, seed: int) -> np.ndarray:
    """Return the log loss of all tested rows, fold by fold; one thread a model, as many models as cores."""
    return np.concatenate(
        Parallel(n_jobs=-1, prefer="threads")(
            delayed(segment.loss)(choice, seed) for segment in segments
        )
    )


def _segment(sample: Sample, fold: Fold, seed: int) -> Segment:
    learnt = sample.take(fold.train, np.arange(sample.x.shape[1]))
    kept = strongest(learnt.x.__getitem__, learnt.y, learnt.categorical, seed)
    return Segment(sample.take(fold.train, kept), sample.take(fold.test, kept))


def _without(fold: Fold, rows: np.ndarray) -> Fold:
    return Fold(np.setdiff1d(fold.train, rows), fold.test)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Optuna from writing a line for each trial."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
