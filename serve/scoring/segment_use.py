"""Which model scores how many leads of a night, where segments have models of their own."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from models.learners.segmented import Segmented
from models.scorer import Scorer

# New values that a message names.
MAX_NAMED = 3


def describe_segment_use(scorer: Scorer, matrix: pa.Table) -> str:
    """Return how many rows of a matrix each kind of model scores, in one sentence.

    Empty for a model without segments. Values that the training did not see are named.
    """
    model = scorer.model
    if not isinstance(model, Segmented):
        return ""
    feature = scorer.encoding.features[model.column]
    column = matrix[feature.name].combine_chunks()
    own, recalibrated = (
        _count_values(column, [feature.categories[part.code] for part in parts])
        for parts in (
            [part for part in model.parts if part.model is not None],
            [part for part in model.parts if part.model is None],
        )
    )
    rest = len(column) - own - recalibrated
    known = pa.array(feature.categories, pa.string())
    new = column.filter(pc.invert(pc.is_in(column, known))).drop_null()
    sentence = (
        f"models by {feature.name}: {own:,} leads by models of their segment, {recalibrated:,} by "
        f"the global model recalibrated, {rest:,} by the global model as it is"
    )
    fallbacks = [f"{column.null_count:,} without a value"] if column.null_count else []
    if len(new):
        names = sorted(pc.unique(new).to_pylist())
        more = ", …" if len(names) > MAX_NAMED else ""
        shown = ", ".join(names[:MAX_NAMED])
        fallbacks.append(f"{len(new):,} with a value not in the training ({shown}{more})")
    return f"{sentence}, of these {' and '.join(fallbacks)}" if fallbacks else sentence


def _count_values(column: pa.Array, values: list[str]) -> int:
    return int(pc.sum(pc.is_in(column, pa.array(values, pa.string()))).as_py() or 0)
