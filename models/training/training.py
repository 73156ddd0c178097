"""From a feature matrix and its labels to a scorer, with out-of-time figures that nothing was peeked for.

The procedure: choose the encoding, learn, and calibrate on the latest slice of the very rows it is given, as
predicted by a model that had not seen them. Each fold runs the whole procedure on its train rows and predicts its
test rows. The scorer then learns from all mature rows, calibrated on the pooled out-of-time predictions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from configs.errors import DataError
from features.contracts import INSTANT, SPINE, from_us
from models.calibration import (
    Z90,
    Affine,
    Band,
    clustered_error,
    fit_calibrator,
    log_loss,
    probability,
)
from models.learners.blend import Blend
from models.learners.hazard import Hazard
from models.learners.kinds import KINDS
from models.learners.lightgbm import LightGbm, Model
from models.learners.logistic import Logistic
from models.scorer import Scale, Scorer
from models.training.fold_pipeline import (
    BASELINES,
    FEWEST,
    Margins,
    Settings,
    blend_of,
    blend_shares,
    blended,
    calibrators,
    learn,
    order_of,
    rarer,
    wanted,
)
from models.training.folds import Fold, by_entity, rolling_origin
from models.training.training_rows import Rows

OUT_OF_TIME = pa.schema(
    [
        *SPINE,
        pa.field("label", pa.int8(), nullable=False),
        pa.field("fold", pa.int64(), nullable=False),
        pa.field("probability", pa.float64(), nullable=False),
        pa.field("uncalibrated", pa.float64(), nullable=False),
    ]
)
"""One row a tested (entity_id, cutoff), ordered by (fold, row of the matrix).

``probability`` is the chosen model's calibrated one, ``uncalibrated`` its raw one; then there is a column for each
model that was tried, by its name, calibrated where it is a candidate. All come from models and calibrators that had
not seen the row.
"""


@dataclass(frozen=True)
class Tried:
    """What a procedure showed out of time: predictions (OUT_OF_TIME), folds in words and numbers, and the best kind."""

    out_of_time: pa.Table
    folds: list[dict[str, Any]]
    learner: str


@dataclass(frozen=True)
class Trained(Tried):
    """The same with the scorer that learnt from all rows."""

    scorer: Scorer


@dataclass(frozen=True)
class Pooled:
    """The test rows of all folds, by (fold, row), with each model's raw and calibrated out-of-time log-odds."""

    rows: Rows
    fold: np.ndarray
    raw: Margins
    calibrated: Margins


def train(matrix: pa.Table, labels: pa.Table, settings: Settings) -> Trained:
    """Train, evaluate out of time, and return the scorer that learnt from all mature rows.

    ``matrix`` holds SPINE and feature columns (float64 or string), ``labels`` is a LABELS table in the same row
    order; rows without a label are learnt from only as far as they were followed, and never tested on. Of the
    candidates the one with the lowest pooled out-of-time log loss is chosen; LightGBM stays unless another is better
    beyond noise. Raises DataError, with numbers, for tables that do not match, too few mature rows or outcomes, or too
    short a history.
    """
    whole = Rows.of(matrix, labels)
    pooled, folds = _pooled(whole, settings)
    chosen = _choose(pooled, settings)
    settings.tell(f"{chosen.name}: learning from all {len(whole.mature):,} mature rows")
    scorer = _final(whole, pooled, chosen, settings)
    return Trained(_table(pooled, chosen.name), _spans(whole, folds), chosen.name, scorer)


def backtest(matrix: pa.Table, labels: pa.Table, settings: Settings) -> Tried:
    """Return what ``train`` would be judged by, and raise what it would raise, without the scorer."""
    whole = Rows.of(matrix, labels)
    pooled, folds = _pooled(whole, settings)
    chosen = _choose(pooled, settings).name
    return Tried(_table(pooled, chosen), _spans(whole, folds), chosen)


def predict(matrix: pa.Table, labels: pa.Table, settings: Settings) -> Pooled:
    """Return the out-of-time predictions of ``settings.learners`` and the baselines alone.

    Tables, folds, procedure and errors are those of ``train``.
    """
    return _pooled(Rows.of(matrix, labels), settings)[0]


def _pooled(whole: Rows, settings: Settings) -> tuple[Pooled, list[Fold]]:
    _enough(whole)
    folds = _folds(whole, settings)
    return _evaluate(whole, folds, settings), folds


def _enough(whole: Rows) -> None:
    label = whole.label[whole.mature]
    found = f"{len(label)} of {len(whole.label)} rows are mature, {int(label.sum())} of them with the outcome"
    if not len(label):
        raise DataError(
            "no row is mature",
            found=found,
            fix="bring a longer history, choose a shorter horizon, or wait until outcomes are known",
        )
    if rarer(label) < FEWEST:
        raise DataError(
            "too few outcomes to learn from"
            if label.mean() < 0.5
            else "nearly every row has the outcome",
            found=found,
            fix=f"at least {FEWEST} rows with and {FEWEST} without are needed; check outcome and population",
        )


def _folds(whole: Rows, settings: Settings) -> list[Fold]:
    """Return folds of the mature rows by their positions in the whole.

    Folds that cannot be learnt from are left out: the first of a young history often hold no outcome yet.
    """
    evaluation, mature = settings.evaluation, whole.mature
    if settings.ordered:
        gaps = settings.horizon, evaluation.embargo
        folds = rolling_origin(whole.cutoff[mature], *gaps, evaluation.folds, evaluation.share)
    else:
        folds = by_entity(whole.entity_id[mature], max(evaluation.folds, 2), settings.seed)
    folds = [Fold(mature[fold.train], mature[fold.test]) for fold in folds]
    least = [rarer(whole.label[fold.train]) for fold in folds]
    if max(least) < FEWEST:
        raise DataError(
            "too few outcomes before the tested time to learn from",
            where="evaluation",
            found=f"{int(whole.label[mature].sum())} outcomes in all, but at most {max(least)} rows of the rarer class "
            f"to learn from in each of {len(folds)} folds",
            fix="bring more history, or choose a smaller evaluation.share or a shorter horizon",
        )
    return [fold for fold, count in zip(folds, least, strict=True) if count >= FEWEST]


def _evaluate(whole: Rows, folds: list[Fold], settings: Settings) -> Pooled:
    """Run the whole procedure on each fold's train rows and predict its test rows."""
    raw, calibrated = [], []
    for margins, (maps, parts) in _side_by_side(whole, folds, settings):
        if Blend in settings.learners:
            margins[Blend.name] = blended(margins, parts)
        raw.append(margins)
        calibrated.append(
            {name: maps.get(name, Affine()).apply(margin) for name, margin in margins.items()}
        )
    return Pooled(
        rows=whole.take(np.concatenate([fold.test for fold in folds])),
        fold=np.repeat(np.arange(1, len(folds) + 1), [fold.test.size for fold in folds]),
        raw=_joined(raw),
        calibrated=_joined(calibrated),
    )


def _side_by_side(
    whole: Rows, folds: list[Fold], settings: Settings
) -> Iterator[tuple[Margins, tuple[dict[str, Affine], dict[str, float]]]]:
    """Yield each fold's margins, and its calibrators and shares, in order; as many folds at once as there are cores."""
    # More threads in one product would add up in another order: the last bits would depend on the cores.
    with threadpool_limits(1):
        pool = Parallel(n_jobs=-1, prefer="threads", return_as="generator")
        jobs = (
            job
            for fold in folds
            for job in (
                delayed(_margins)(whole, fold, settings),
                delayed(calibrators)(whole, fold.train, settings),
            )
        )
        done = pool(jobs)
        for number, fold in enumerate(folds, 1):
            margins, inner = next(done), next(done)
            settings.tell(
                f"fold {number} of {len(folds)}: learnt from {fold.train.size:,} rows, tested on {fold.test.size:,}"
            )
            yield margins, inner


def _joined(parts: list[Margins]) -> Margins:
    common = [name for name in parts[0] if all(name in part for part in parts)]
    return {name: np.concatenate([part[name] for part in parts]) for name in common}


def _margins(whole: Rows, fold: Fold, settings: Settings) -> Margins:
    """Return each model's raw log-odds of the fold's test rows."""
    known = settings.known(whole, fold.train, int(whole.cutoff[fold.test].min()))
    return learn(known, wanted((*settings.learners, *BASELINES)), settings).margins(
        whole.take(fold.test)
    )


def _choose(pooled: Pooled, settings: Settings) -> type[Model]:
    """Return the candidate with the lowest log loss; another than the first must be better beyond noise.

    Noise is 1.645 standard errors of the mean difference, clustered by entity (one-sided 95 %).
    """
    default, *others = [kind for kind in settings.learners if kind.name in pooled.calibrated]
    loss = {
        kind: log_loss(pooled.calibrated[kind.name], pooled.rows.label)
        for kind in (default, *others)
    }
    gain = {kind: loss[default] - loss[kind] for kind in others}
    better = [
        k for k in others if gain[k].mean() > Z90 * clustered_error(gain[k], pooled.rows.entity_id)
    ]
    return min(better, key=lambda kind: loss[kind].mean(), default=default)


def _final(whole: Rows, pooled: Pooled, chosen: type[Model], settings: Settings) -> Scorer:
    """Learn from all rows; band and scale belong to the very calibrator that the scorer applies."""
    raw, label = pooled.raw[chosen.name], pooled.rows.label
    calibrator = fit_calibrator(raw, label, order_of(pooled.rows, settings), pooled.rows.entity_id)
    chance = probability(calibrator.apply(raw))
    parts = blend_shares(pooled.raw, label) if chosen is Blend else {chosen.name: 1.0}
    names = {name for name, share in parts.items() if share > 0} | {Hazard.name}
    learnt = learn(settings.known(whole, whole.mature, None), names, settings)
    if learnt.search:
        settings.tell(learnt.search["report"]["sentence"])
    timing = learnt.models.get(Hazard.name)
    return Scorer(
        target=settings.target,
        model=blend_of(learnt, parts) if chosen is Blend else learnt.models[chosen.name],
        encoding=learnt.encoding,
        calibrator=calibrator,
        band=Band.fit(chance, label, pooled.rows.entity_id, _doubt(pooled)),
        scale=Scale.fit(chance),
        meta=settings.meta | ({"search": learnt.search} if learnt.search else {}),
        timing=timing if isinstance(timing, Hazard) else None,
    )


def _doubt(pooled: Pooled) -> np.ndarray:
    """Return by how many log-odds trees and lines disagree about each row; 0 where only one of them was tried."""
    both = [
        pooled.calibrated[kind.name]
        for kind in (LightGbm, Logistic)
        if kind.name in pooled.calibrated
    ]
    return np.abs(both[0] - both[1]) if len(both) == 2 else np.zeros(len(pooled.fold))


def _table(pooled: Pooled, chosen: str) -> pa.Table:
    rows = pooled.rows
    columns = {
        "entity_id": rows.entity_id,
        "cutoff": pa.array(rows.cutoff).cast(INSTANT),
        "label": rows.label.astype(np.int8),
        "fold": pooled.fold,
        "probability": probability(pooled.calibrated[chosen]),
        "uncalibrated": probability(pooled.raw[chosen]),
    }
    table = pa.table([columns[name] for name in OUT_OF_TIME.names], schema=OUT_OF_TIME)
    for name in KINDS:
        if name in pooled.calibrated:
            field = pa.field(name, pa.float64(), nullable=False)
            table = table.append_column(field, pa.array(probability(pooled.calibrated[name])))
    return table


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
