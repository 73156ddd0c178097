"""The code file that MLflow stores with a logged model and runs to serve it.

leadscore must be installed in the serving environment.
"""

import importlib

# Checked before any other import of leadscore, which would fail without naming the cause. The
# import is dynamic because MLflow runs this file outside of the packages, whose import order ends
# with leadscore.
importlib.import_module("leadscore.packages").require_own_packages()

from pathlib import Path  # noqa: E402

import pandas as pd  # noqa: E402
import pyarrow as pa  # noqa: E402

from configs.errors import DataError  # noqa: E402
from features.contracts import SPINE  # noqa: E402
from models.encoding import ARROW_TYPES  # noqa: E402
from models.registry.pyfunc import register_pyfunc  # noqa: E402
from models.scorer import Scorer  # noqa: E402


def load_scorer(directory: Path) -> Scorer:
    """Return the scorer of a logged model; raise DataError if its files do not fit together."""
    return Scorer.load(directory)


def predict_frame(scorer: Scorer, frame: pd.DataFrame) -> pd.DataFrame:
    """Return PREDICTIONS for a feature matrix as a frame, one row per (entity_id, cutoff).

    A frame, or JSON on its way to one, does not keep Arrow's types: whole numbers are accepted for
    numbers, and ISO texts for cutoffs. Raise DataError for missing columns and for values of
    another type.
    """
    types = {name: SPINE.field(name).type for name in SPINE.names}
    types |= {feature.name: ARROW_TYPES[feature.kind] for feature in scorer.encoding.features}
    _require_columns(frame, list(types))
    columns = {name: _convert_column(frame[name], kind) for name, kind in types.items()}
    return scorer.predict(pa.table(columns)).to_pandas()


def _require_columns(frame: pd.DataFrame, names: list[str]) -> None:
    """Raise DataError that names the columns that are missing."""
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise DataError(
            "the input lacks columns that the model reads",
            where="model input",
            found=f"{len(missing)} of {len(names)} columns missing: {', '.join(missing)}",
            fix="provide all columns of the logged input example; a missing value is null",
        )


def _convert_column(column: pd.Series, kind: pa.DataType) -> pa.Array:
    try:
        return pa.Array.from_pandas(column).cast(kind)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise DataError(
            f"a column of the input cannot be read as {kind}",
            where=f"model input, column {column.name}",
            found=str(error).splitlines()[0],
        ) from error


register_pyfunc(load_scorer, predict_frame)
