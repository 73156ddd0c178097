"""The steps of the Markov chain as a table."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from models.channels.credits import ChannelCredits
from models.channels.schemas import CHANNEL_STEPS

ENDS = ("(start)", "(conversion)", "(null)")


def build_step_table(credits: ChannelCredits) -> pa.Table:
    """Return CHANNEL_STEPS without empty steps, the start first, the most frequent first."""
    names = [*credits.channels, *ENDS]
    total = credits.transitions.sum(1)
    order = [len(credits.channels), *range(len(credits.channels))]
    rows = [
        {
            "from": names[before],
            "to": names[after],
            "steps": round(credits.transitions[before, after]),
            "share": float(credits.transitions[before, after] / total[before]),
        }
        for before in order
        for after in np.argsort(-credits.transitions[before], kind="stable")
        if credits.transitions[before, after] > 0
    ]
    return pa.Table.from_pylist(rows, schema=CHANNEL_STEPS)
