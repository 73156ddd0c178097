"""Activities of leads: all their events but our own touches and excluded types."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.feature_options import Features
from features.contracts import Dataset
from features.paths.state_events import group_events


class Activities(NamedTuple):
    """Activities ordered by lead and time.

    Attributes:
        first: First activity of each lead, and the number of all, int64 (leads + 1,).
        time: Microseconds since 1970, int64.
    """

    first: np.ndarray
    time: np.ndarray


def find_activities(dataset: Dataset, features: Features) -> Activities:
    """Return the events of known leads that are no touches of ours, and of no excluded type."""
    types = dataset.events["event_type"]
    code = np.zeros(len(types), np.int16)
    others = [*features.outbound, *features.exclude]
    if others:
        code[pc.is_in(types, value_set=pa.array(others, pa.string())).to_numpy()] = -1
    first, time, _ = group_events(dataset, code)
    return Activities(first, time)
