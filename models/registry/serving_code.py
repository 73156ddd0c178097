"""The code file that MLflow keeps with a logged model and runs to serve it; leadscore must be installed there."""

from pathlib import Path

import pandas as pd
import pyarrow as pa

from features.contracts import SPINE
from models.encoding import ARROW_TYPES
from models.registry.registry import register_pyfunc
from models.scorer import Scorer


def load_scorer(directory: Path) -> Scorer:
    """Return the scorer of a logged model; raises DataError if its files do not fit together."""
    return Scorer.load(directory)


def predict_frame(scorer: Scorer, frame: pd.DataFrame) -> pd.DataFrame:
    """Return PREDICTIONS for a feature matrix as a frame, one row an (entity_id, cutoff).

    A frame, or JSON on its way to one, does not keep Arrow's types: whole numbers are read as numbers, ISO
    instants as cutoffs. Raises KeyError for an absent column, ArrowInvalid for a value that cannot be read.
    """
    types = {name: SPINE.field(name).type for name in SPINE.names}
    types |= {feature.name: ARROW_TYPES[feature.kind] for feature in scorer.encoding.features}
    columns = {name: pa.Array.from_pandas(frame[name]).cast(kind) for name, kind in types.items()}
    return scorer.predict(pa.table(columns)).to_pandas()


register_pyfunc(load_scorer, predict_frame)
