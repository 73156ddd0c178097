"""From a feature matrix and its labels to a scorer, with out-of-time figures that nothing was peeked for.

The procedure: choose the encoding, learn, and calibrate on the latest slice of the very rows it is given, as
predicted by a model that had not seen them. Each fold runs the whole procedure on its train rows and predicts its
test rows. The scorer then learns from all mature rows, calibrated on the pooled out-of-time predictions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from configs.errors import DataError
from configs.schema import Evaluation
from features.contracts import SPINE, from_us
from models.calibration import FEWEST as FEWEST_EACH
from models.calibration import Z90, Affine, Band, fit_calibrator, log_loss, probability
from models.encoding import Encoding
from models.folds import Fold, by_entity, entity_hash, rolling_origin
from models.learners import BaseRate, LightGbm, Logistic, Model
from models.scorer import Scale, Scorer, spine_of
from models.selection import strongest

FEWEST = 2
"""Outcomes, and rows without, that anything can be learnt from."""
INNER_SHARE = 0.25
"""Latest share of the rows learnt from that the inner model leaves for its calibrator."""
INNER_PARTS = 4
CANDIDATES: tuple[type[Model], ...] = (LightGbm, Logistic)
"""The default first: another must be better beyond noise to take its place."""

OUT_OF_TIME = pa.schema(
    [
        *SPINE,
        pa.field("label", pa.int8(), nullable=False),
        pa.field("fold", pa.int64(), nullable=False),
        pa.field("probability", pa.float64(), nullable=False),
        pa.field("uncalibrated", pa.float64(), nullable=False),
        pa.field("lightgbm", pa.float64(), nullable=False),
        pa.field("logistic", pa.float64(), nullable=False),
        pa.field("base_rate", pa.float64(), nullable=False),
    ]
)
"""One row a tested (entity_id, cutoff), ordered by (fold, row of the matrix).

``probability`` is the chosen learner's calibrated one, ``uncalibrated`` its raw one; then each learner's calibrated
one. All come from models and calibrators that had not seen the row.
"""


@dataclass(frozen=True)
class Settings:
    """What one training needs besides the data.

    ``ordered`` is false where the order of the rows means nothing; ``meta`` goes into the scorer; ``progress``
    is told each step in words. ``learners`` are those that ``predict`` runs beside the base rate.
    """

    target: str
    horizon: timedelta
    evaluation: Evaluation
    ordered: bool = True
    seed: int = 0
    meta: dict[str, Any] = field(default_factory=dict)
    progress: Callable[[str], None] | None = None
    learners: tuple[type[Model], ...] = CANDIDATES

    def tell(self, step: str) -> None:
        """Pass a step on to whoever listens."""
        if self.progress:
            self.progress(step)


@dataclass(frozen=True)
class Trained:
    """A scorer, the out-of-time predictions it is judged by (OUT_OF_TIME), and the folds in words and numbers."""

    scorer: Scorer
    out_of_time: pa.Table
    folds: list[dict[str, Any]]


@dataclass(frozen=True)
class Rows:
    """Mature rows, side by side: the matrix, entity_id (text), cutoff (int64 microseconds UTC) and label 0 or 1."""

    matrix: pa.Table
    entity_id: np.ndarray
    cutoff: np.ndarray
    label: np.ndarray

    def take(self, index: np.ndarray) -> Rows:
        """Return the rows of an index."""
        return Rows(self.matrix.take(index), self.entity_id[index], self.cutoff[index], self.label[index])

    @property
    def features(self) -> list[str]:
        """Names of the feature columns."""
        return [name for name in self.matrix.column_names if name not in SPINE.names]


@dataclass(frozen=True)
class Pooled:
    """The test rows of all folds, by (fold, row), with each learner's raw and calibrated out-of-time log-odds."""

    rows: Rows
    fold: np.ndarray
    raw: dict[str, np.ndarray]
    calibrated: dict[str, np.ndarray]


def train(matrix: pa.Table, labels: pa.Table, settings: Settings) -> Trained:
    """Train, evaluate out of time, and return the scorer that learnt from all mature rows.

    ``matrix`` holds SPINE and feature columns (float64 or string), ``labels`` is a LABELS table in the same row
    order; rows without a label are left out. Of LightGBM and logistic regression the one with the lower pooled
    out-of-time log loss is chosen; LightGBM stays unless the other is better beyond noise. Raises DataError, with
    numbers, for tables that do not match, too few mature rows or outcomes, or too short a history.
    """
    rows = _mature(matrix, labels)
    folds = _folds(rows, settings)
    pooled = _evaluate(rows, folds, settings)
    chosen = _choose(pooled)
    settings.tell(f"{chosen.name}: learning from all {len(rows.label):,} mature rows")
    return Trained(_final(rows, pooled, chosen, settings), _table(pooled, chosen.name), _spans(rows, folds))


def predict(matrix: pa.Table, labels: pa.Table, settings: Settings) -> Pooled:
    """Return the out-of-time predictions of ``settings.learners`` and the base rate alone.

    Tables, folds, procedure and errors are those of ``train``.
    """
    rows = _mature(matrix, labels)
    return _evaluate(rows, _folds(rows, settings), settings)


def _mature(matrix: pa.Table, labels: pa.Table) -> Rows:
    spine, expected = spine_of(matrix), spine_of(labels)
    if any(not a.equals(b) for a, b in zip(spine, expected, strict=True)):
        raise DataError(
            "features and labels are not of the same rows",
            found=f"{matrix.num_rows} rows of features, {labels.num_rows} of labels, or another order",
            mend="compute both from one spine",
        )
    kept = np.flatnonzero(labels["label"].is_valid().to_numpy())
    label = labels["label"].take(kept).to_numpy().astype(np.int64)
    rows = Rows(
        matrix.take(kept),
        spine[0].take(kept).to_numpy(),
        spine[1].take(kept).cast(pa.int64()).to_numpy(),
        label,
    )
    _enough(rows, labels.num_rows)
    return rows


def _enough(rows: Rows, total: int) -> None:
    found = f"{len(rows.label)} of {total} rows are mature, {int(rows.label.sum())} of them with the outcome"
    if not len(rows.label):
        raise DataError(
            "no row is mature",
            found=found,
            mend="bring a longer history, choose a shorter horizon, or wait until outcomes are known",
        )
    if _rarer(rows.label) < FEWEST:
        raise DataError(
            "too few outcomes to learn from" if rows.label.mean() < 0.5 else "nearly every row has the outcome",
            found=found,
            mend=f"at least {FEWEST} rows with and {FEWEST} without are needed; check outcome and population",
        )


def _folds(rows: Rows, settings: Settings) -> list[Fold]:
    """Leave out folds that cannot be learnt from: the first of a young history often hold no outcome yet."""
    evaluation = settings.evaluation
    if settings.ordered:
        gaps = settings.horizon, evaluation.embargo
        folds = rolling_origin(rows.cutoff, *gaps, evaluation.folds, evaluation.share)
    else:
        folds = by_entity(rows.entity_id, max(evaluation.folds, 2), settings.seed)
    rarer = [_rarer(rows.label[fold.train]) for fold in folds]
    if max(rarer) < FEWEST:
        raise DataError(
            "too few outcomes before the tested time to learn from",
            where="evaluation",
            found=f"{int(rows.label.sum())} outcomes in all, but at most {max(rarer)} rows of the rarer class "
            f"to learn from in each of {len(folds)} folds",
            mend="bring more history, or choose a smaller evaluation.share or a shorter horizon",
        )
    return [fold for fold, count in zip(folds, rarer, strict=True) if count >= FEWEST]


def _rarer(label: np.ndarray) -> int:
    return int(min(label.sum(), (1 - label).sum()))


def _evaluate(rows: Rows, folds: list[Fold], settings: Settings) -> Pooled:
    """Run the whole procedure on each fold's train rows and predict its test rows."""
    raw, calibrated = [], []
    for margins, maps in _side_by_side(rows, folds, settings):
        raw.append(margins)
        calibrated.append({name: maps.get(name, Affine()).apply(margin) for name, margin in margins.items()})
    return Pooled(
        rows=rows.take(np.concatenate([fold.test for fold in folds])),
        fold=np.repeat(np.arange(1, len(folds) + 1), [fold.test.size for fold in folds]),
        raw=_joined(raw),
        calibrated=_joined(calibrated),
    )


def _side_by_side(
    rows: Rows, folds: list[Fold], settings: Settings
) -> Iterator[tuple[dict[str, np.ndarray], dict[str, Affine]]]:
    """Yield each fold's margins and calibrators, in order; one thread a model, as many models as cores."""
    # More threads in one product would add up in another order: the last bits would depend on the cores.
    with threadpool_limits(1):
        pool = Parallel(n_jobs=-1, prefer="threads", return_as="generator")
        done = pool(delayed(part)(rows, fold, settings) for fold in folds for part in (_margins, _calibrators))
        for number, fold in enumerate(folds, 1):
            margins, calibrators = next(done), next(done)
            settings.tell(
                f"fold {number} of {len(folds)}: learnt from {fold.train.size:,} rows, tested on {fold.test.size:,}"
            )
            yield margins, calibrators


def _joined(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _margins(rows: Rows, fold: Fold, settings: Settings) -> dict[str, np.ndarray]:
    """Return each learner's raw log-odds of the fold's test rows."""
    encoding, models = _learn(rows.take(fold.train), (*settings.learners, BaseRate), settings)
    x = encoding.encode(rows.matrix.take(fold.test))
    return {name: model.margin(x) for name, model in models.items()}


def _learn(rows: Rows, learners: Iterable[type[Model]], settings: Settings) -> tuple[Encoding, dict[str, Model]]:
    encoding = Encoding.fit(rows.matrix, rows.features)
    x = encoding.encode(rows.matrix)
    kept = strongest(x, rows.label, encoding.categorical, settings.seed)
    encoding, x = encoding.take(kept), x[:, kept]
    columns, repeats = encoding.categorical, len(rows.entity_id) / len(set(rows.entity_id))
    return encoding, {kind.name: kind.fit(x, rows.label, columns, settings.seed, repeats) for kind in learners}


def _calibrators(rows: Rows, outer: Fold, settings: Settings) -> dict[str, Affine]:
    """Calibrate each candidate on the latest slice of the fold's train rows, predicted by a model of the earlier.

    Empty, which means identity, where that slice or what comes before it is too small.
    """
    known = rows.take(outer.train)
    inner = _inner(known, settings)
    if inner is None or _rarer(known.label[inner.train]) < FEWEST or _rarer(known.label[inner.test]) < FEWEST_EACH:
        return {}
    encoding, models = _learn(known.take(inner.train), settings.learners, settings)
    held = known.take(inner.test)
    x = encoding.encode(held.matrix)
    order = _order(held, settings)
    return {name: fit_calibrator(model.margin(x), held.label, order) for name, model in models.items()}


def _inner(rows: Rows, settings: Settings) -> Fold | None:
    try:
        if settings.ordered:
            return rolling_origin(rows.cutoff, settings.horizon, settings.evaluation.embargo, 1, INNER_SHARE)[0]
        return by_entity(rows.entity_id, INNER_PARTS, settings.seed + 1)[0]
    except DataError:
        return None


def _order(rows: Rows, settings: Settings) -> np.ndarray:
    """Where time means nothing, two random halves of the entities stand for earlier and later."""
    return rows.cutoff if settings.ordered else entity_hash(rows.entity_id, settings.seed + 2)


def _choose(pooled: Pooled) -> type[Model]:
    """Return the candidate with the lowest log loss; another than the default must be better beyond noise.

    Noise is 1.645 standard errors of the mean difference, clustered by entity (one-sided 95 %).
    """
    default, *others = CANDIDATES
    loss = {kind: log_loss(pooled.calibrated[kind.name], pooled.rows.label) for kind in CANDIDATES}
    better = [kind for kind in others if _gains(loss[default] - loss[kind], pooled.rows.entity_id)]
    return min(better, key=lambda kind: loss[kind].mean(), default=default)


def _gains(gain: np.ndarray, entity_id: np.ndarray) -> bool:
    _, entity = np.unique(entity_id.astype(str), return_inverse=True)
    error = np.sqrt(np.sum(np.bincount(entity, gain - gain.mean()) ** 2)) / len(gain)
    return bool(gain.mean() > Z90 * error)


def _final(rows: Rows, pooled: Pooled, chosen: type[Model], settings: Settings) -> Scorer:
    """Learn from all rows; band and scale belong to the very calibrator that the scorer applies."""
    raw, label = pooled.raw[chosen.name], pooled.rows.label
    calibrator = fit_calibrator(raw, label, _order(pooled.rows, settings))
    chance = probability(calibrator.apply(raw))
    encoding, models = _learn(rows, [chosen], settings)
    return Scorer(
        target=settings.target,
        model=models[chosen.name],
        encoding=encoding,
        calibrator=calibrator,
        band=Band.fit(chance, label, pooled.rows.entity_id),
        scale=Scale.fit(chance),
        meta=settings.meta,
    )


def _table(pooled: Pooled, chosen: str) -> pa.Table:
    rows, chances = pooled.rows, {name: probability(m) for name, m in pooled.calibrated.items()}
    columns = {
        **dict(zip(SPINE.names, spine_of(rows.matrix), strict=True)),
        "label": rows.label.astype(np.int8),
        "fold": pooled.fold,
        "probability": chances[chosen],
        "uncalibrated": probability(pooled.raw[chosen]),
        **chances,
    }
    return pa.table([columns[name] for name in OUT_OF_TIME.names], schema=OUT_OF_TIME)


def _spans(rows: Rows, folds: list[Fold]) -> list[dict[str, Any]]:
    """Describe the folds: of train and test the first and last cutoff (UTC), rows, entities and outcomes."""
    return [
        {"fold": number, "train": _span(rows, fold.train), "test": _span(rows, fold.test)}
        for number, fold in enumerate(folds, 1)
    ]


def _span(rows: Rows, index: np.ndarray) -> dict[str, Any]:
    cutoff = rows.cutoff[index]
    return {
        "from": from_us(cutoff.min()).isoformat(),
        "to": from_us(cutoff.max()).isoformat(),
        "rows": int(index.size),
        "entities": len(set(rows.entity_id[index])),
        "outcomes": int(rows.label[index].sum()),
    }
