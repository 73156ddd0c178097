"""Search for LightGBM's parameters and sample weights within a budget.

The best of many settings on some rows is partly the luckiest one. So the search sees only the
earlier folds; the later ones, which it has not seen, decide whether the gain is real.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from joblib import Parallel, delayed

from configs.errors import DataError
from configs.learning import Learning, Search
from models.calibration import Z90, compute_clustered_error, compute_log_loss
from models.encoding import Encoding
from models.learners.fit_input import FitInput
from models.learners.lightgbm import LightGbm, choose_parameters
from models.training.folds import (
    Fold,
    count_rarer_class,
    split_by_cluster,
    split_latest_rows,
)
from models.training.selection import select_strongest_features
from models.training.settings import MIN_CLASS_ROWS, TrainingSettings
from models.training.training_rows import TrainingTable

if TYPE_CHECKING:
    from optuna import Trial

# Four folds of the latest half of the rows: two to search in, two to decide.
SEARCH_FOLDS, SEARCH_SHARE = 4, 0.5
# Range of each parameter; whole numbers where the ends are, sampled on a logarithmic scale.
SEARCH_RANGES: dict[str, tuple[float, float]] = {
    "num_leaves": (2, 63),
    "min_data_in_leaf": (5, 500),
    "num_iterations": (50, 600),
    "learning_rate": (0.01, 0.15),
    "lambda_l2": (1.0, 300.0),
    "feature_fraction": (0.1, 1.0),
}
# Half-lives that are tried next to the configured one, as shares of the time that is trained on.
HALF_LIVES = (None, 0.05, 0.15, 0.5)


@dataclass(frozen=True)
class SearchSample:
    """Train rows, all of one length.

    Attributes:
        x: Encoded features (rows, features).
        y: Labels, 0 or 1.
        categorical: Columns of ``x`` that hold category codes.
        entity_id: Entity of each row (text).
        cluster: Key (text) of the rows that depend on each other, such as those of an account.
        cutoff: Cutoff (int64 microseconds UTC).
        ordered: False where cutoffs mean nothing.
    """

    x: np.ndarray
    y: np.ndarray
    categorical: list[int]
    entity_id: np.ndarray
    cluster: np.ndarray
    cutoff: np.ndarray
    ordered: bool = True

    def take(self, rows: np.ndarray, columns: np.ndarray) -> SearchSample:
        """Return some rows and columns, both ascending."""
        categorical = [int(j) for j in np.flatnonzero(np.isin(columns, self.categorical))]
        return SearchSample(
            self.x[np.ix_(rows, columns)],
            self.y[rows],
            categorical,
            self.entity_id[rows],
            self.cluster[rows],
            self.cutoff[rows],
            self.ordered,
        )

    @property
    def rows_per_entity(self) -> float:
        """Mean number of rows of an entity."""
        return len(self.entity_id) / len(set(self.entity_id))

    @property
    def rows_per_cluster(self) -> float:
        """Mean number of rows of a cluster."""
        return len(self.cluster) / len(set(self.cluster))


@dataclass(frozen=True)
class HyperparameterChoice:
    """Sample weights and LightGBM parameters to fit with.

    Attributes:
        learning: Configuration of the sample weights.
        parameters: LightGBM parameters that replace the chosen ones.
    """

    learning: Learning
    parameters: dict[str, Any] = field(default_factory=dict)

    def fit(self, sample: SearchSample, seed: int) -> LightGbm:
        """Fit LightGBM on all rows of the sample."""
        fit_input = FitInput.from_rows(
            sample.x,
            sample.categorical,
            sample.entity_id,
            sample.cluster,
            sample.cutoff,
            self.learning,
            self.parameters,
            seed,
        )
        return LightGbm.fit(fit_input, sample.y)

    def to_json(self) -> dict[str, Any]:
        """Return the choice as JSON values."""
        learning = self.learning.model_dump(mode="json", exclude={"search", "activity"})
        return {"parameters": self.parameters, **learning}


@dataclass(frozen=True)
class SearchReport:
    """Result of a search.

    Attributes:
        trials: Settings that were tried.
        requested: Settings that the budget allows.
        best: Best settings on the earlier folds.
        gain: Log loss (nats a row) that ``best`` saves on the later folds against no search; NaN
            where nothing better was found on the earlier folds.
        noise: 1.645 standard errors of the gain, clustered by ``cluster``; NaN like ``gain``.
    """

    trials: int
    requested: int
    best: HyperparameterChoice
    gain: float
    noise: float

    @property
    def cut_short(self) -> bool:
        """Whether the time limit ended the search: then a repetition may differ."""
        return self.trials < self.requested

    @property
    def is_proven(self) -> bool:
        """Whether the gain is beyond noise."""
        return self.gain > self.noise

    @property
    def sentence(self) -> str:
        """Summary for the log."""
        summary = f"search: {self.trials} of {self.requested} settings tried"
        if not np.isfinite(self.gain):
            return f"{summary}, none better than the default on earlier rows"
        decision = "kept" if self.is_proven else "the default settings stay"
        return (
            f"{summary}; the best saves {self.gain:.4f} (noise {self.noise:.4f}) of log loss on "
            f"later rows: {decision}"
        )

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        gain, noise = (value if np.isfinite(value) else None for value in (self.gain, self.noise))
        return {
            "trials": self.trials,
            "asked": self.requested,
            "cut_short": self.cut_short,
            "best": self.best.to_json(),
            "gain": gain,
            "noise": noise,
            "held": self.is_proven,
            "sentence": self.sentence,
        }


@dataclass(frozen=True)
class SearchFold:
    """Train and test rows of one fold, with the features selected on the train rows."""

    train: SearchSample
    test: SearchSample

    def compute_loss(self, choice: HyperparameterChoice, seed: int) -> np.ndarray:
        """Return the log loss of each test row."""
        model = choice.fit(self.train, seed)
        return compute_log_loss(model.margin(self.test.x), self.test.y)


def choose_hyperparameters(
    rows: TrainingTable, encoding: Encoding, settings: TrainingSettings
) -> tuple[HyperparameterChoice, dict[str, Any]]:
    """Search if the config requests it and the history allows it; return choice and report.

    The report is a dict of JSON values, empty without a search.
    """
    learning = settings.learning
    if learning.search is None:
        return HyperparameterChoice(learning), {}
    sample = SearchSample(
        encoding.encode(rows.matrix, rows.row_number),
        rows.label,
        encoding.categorical,
        rows.entity_id,
        rows.cluster,
        rows.cutoff,
        settings.ordered,
    )
    folds = _split_search_folds(sample, settings)
    if len(folds) < 2:
        return HyperparameterChoice(learning), {}
    choice, report = search_hyperparameters(sample, folds, learning, settings.seed)
    return choice, {"choice": choice.to_json(), "report": report.to_json()}


def _split_search_folds(sample: SearchSample, settings: TrainingSettings) -> list[Fold]:
    """Return the folds that can be trained on and tested; none if the history is too short."""
    try:
        if settings.ordered:
            embargo = settings.evaluation.embargo
            folds = split_latest_rows(
                sample.cutoff, settings.horizon, embargo, SEARCH_FOLDS, SEARCH_SHARE
            )
        else:
            # A seed of its own: the parts are independent of the outer folds and of calibration.
            folds = split_by_cluster(sample.cluster, SEARCH_FOLDS, settings.seed + 3)
    except DataError:
        return []
    return [
        fold
        for fold in folds
        if count_rarer_class(sample.y[fold.train]) >= MIN_CLASS_ROWS
        and count_rarer_class(sample.y[fold.test]) >= MIN_CLASS_ROWS
    ]


def search_hyperparameters(
    sample: SearchSample, folds: Sequence[Fold], learning: Learning, seed: int
) -> tuple[HyperparameterChoice, SearchReport]:
    """Return the settings to fit with, and a report of the search.

    ``folds`` are of the sample's rows, two or more, each tested after those before it where rows
    have an order. ``learning`` holds the budget, and the settings that stay if nothing better is
    proven. The earlier half of the folds is searched for the lowest mean log loss by a
    tree-structured Parzen estimator (Bergstra et al., "Algorithms for hyper-parameter
    optimization", NeurIPS 2011). The later half decides; the search trains on none of its test
    rows. The same trials give the same result; only a time limit that cuts them short depends on
    the machine.
    """
    budget = learning.search or Search()
    earlier, later = list(folds[: len(folds) // 2]), list(folds[len(folds) // 2 :])
    decision_rows = np.concatenate([fold.test for fold in later])
    default = HyperparameterChoice(learning)
    # Folds by entity train on all other parts, also on those that decide; the search must not see
    # these rows.
    search_folds = [
        _make_search_fold(sample, _drop_train_rows(fold, decision_rows), seed) for fold in earlier
    ]
    trials, best = _run_trials(search_folds, default, budget, seed)
    if best is None:
        return default, SearchReport(trials, budget.trials, default, np.nan, np.nan)
    decision_folds = [_make_search_fold(sample, fold, seed) for fold in later]
    gain = _compute_losses(decision_folds, default, seed) - _compute_losses(
        decision_folds, best, seed
    )
    noise = Z90 * compute_clustered_error(gain, sample.cluster[decision_rows])
    report = SearchReport(trials, budget.trials, best, float(gain.mean()), noise)
    return (best if report.is_proven else default), report


def _run_trials(
    folds: list[SearchFold], default: HyperparameterChoice, budget: Search, seed: int
) -> tuple[int, HyperparameterChoice | None]:
    """Return the number of settings tried, and the best; None if the default is the best."""
    import optuna

    tried: list[HyperparameterChoice] = []

    def compute_mean_loss(trial: Trial) -> float:
        # Ask for a suggestion in any case: the sampler has to see the parameters of each trial.
        suggestion = _suggest_choice(trial, default.learning, folds[-1].train)
        tried.append(suggestion if tried else default)
        return float(_compute_losses(folds, tried[-1], seed).mean())

    limit = None if budget.limit is None else budget.limit.total_seconds()
    with _silence_optuna():
        study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
        study.enqueue_trial(_describe_default_trial(folds[-1].train))
        study.optimize(compute_mean_loss, n_trials=budget.trials, timeout=limit)
    # Trial 0 is the default.
    if len(tried) < 2 or study.best_trial.number == 0:
        return len(tried), None
    return len(tried), tried[study.best_trial.number]


def _describe_default_trial(sample: SearchSample) -> dict[str, Any]:
    """Return the default settings as a first trial: the search starts from a good point."""
    default = choose_parameters(len(sample.x), sample.x.shape[1], sample.rows_per_cluster)
    parameters = {name: default[name] for name in (*SEARCH_RANGES, "extra_trees")}
    return parameters | {"half_life": 0, "one_vote": 0}


def _suggest_choice(trial: Trial, learning: Learning, sample: SearchSample) -> HyperparameterChoice:
    """Return the settings of a trial; sample weights vary only where they can differ."""
    parameters: dict[str, Any] = {name: _suggest_number(trial, name) for name in SEARCH_RANGES}
    parameters["extra_trees"] = trial.suggest_categorical("extra_trees", (False, True))
    parameters["cat_l2"] = parameters["lambda_l2"]
    further = HALF_LIVES if sample.ordered else ()
    half_lives = tuple(dict.fromkeys((learning.recency_half_life, *further)))
    one_vote = (
        (learning.one_vote, not learning.one_vote)
        if sample.rows_per_entity > 1
        else (learning.one_vote,)
    )
    # The trial stores the place of a value, as Optuna's categories must be plain values.
    half_life_place = trial.suggest_categorical("half_life", range(len(half_lives)))
    one_vote_place = trial.suggest_categorical("one_vote", range(len(one_vote)))
    weights = {
        "recency_half_life": half_lives[half_life_place],
        "one_vote": one_vote[one_vote_place],
    }
    return HyperparameterChoice(learning.model_copy(update=weights), parameters)


def _suggest_number(trial: Trial, name: str) -> float:
    low, high = SEARCH_RANGES[name]
    suggest = trial.suggest_int if isinstance(low, int) else trial.suggest_float
    return suggest(name, low, high, log=True)  # type: ignore[arg-type]


def _compute_losses(folds: list[SearchFold], choice: HyperparameterChoice, seed: int) -> np.ndarray:
    """Return the log loss of all test rows, fold by fold.

    One thread a model, as many models at a time as there are cores.
    """
    return np.concatenate(
        Parallel(n_jobs=-1, prefer="threads")(
            delayed(fold.compute_loss)(choice, seed) for fold in folds
        )
    )


def _make_search_fold(sample: SearchSample, fold: Fold, seed: int) -> SearchFold:
    train = sample.take(fold.train, np.arange(sample.x.shape[1]))
    columns = select_strongest_features(train.x.__getitem__, train.y, train.categorical, seed)
    return SearchFold(sample.take(fold.train, columns), sample.take(fold.test, columns))


def _drop_train_rows(fold: Fold, rows: np.ndarray) -> Fold:
    return Fold(np.setdiff1d(fold.train, rows), fold.test)


@contextmanager
def _silence_optuna() -> Iterator[None]:
    """Keep Optuna from logging a line for each trial."""
    import optuna

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(verbosity)
