"""Credits from a table of paths, without a company's config."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from models.channels.credits import ChannelCredits, CreditRules, estimate_credits
from models.channels.path_result import (
    PATH_BASIS,
    PATH_CREDITS,
    PATH_METHODS,
    PathResult,
    PathTables,
)
from models.channels.steps import build_step_table
from pipelines.channels.path_file import read_path_file


def compute_path_credits(path: Path) -> PathResult:
    """Return the credits of a file of paths; raise as ``read_path_file``.

    They have no intervals: a bootstrap draws accounts, which such a table does not name.
    """
    journeys = read_path_file(path)
    credits = estimate_credits(journeys, CreditRules(), replicates=1)
    basis = {
        "paths": len(journeys.sizes),
        "conversions": round(credits.conversions),
        "nulls": round(credits.nulls),
        "probability": credits.probability,
    }
    return PathResult(
        PathTables(
            {
                "path_credits": _build_credit_rows(credits),
                "channel_steps": build_step_table(credits),
                "path_basis": pa.Table.from_pylist([basis], schema=PATH_BASIS),
            }
        )
    )


def _build_credit_rows(credits: ChannelCredits) -> pa.Table:
    """Return PATH_CREDITS, the channels with the highest credit of the chain first."""
    order = np.argsort(-credits.by_method["markov"].value, kind="stable")
    columns = {"channel": np.array(credits.channels, object)}
    columns |= {"touches": credits.touches, "journeys": credits.journeys}
    columns |= {f"{name}_credit": credits.by_method[name].value for name in PATH_METHODS}
    return pa.table({name: pa.array(values[order]) for name, values in columns.items()}).cast(
        PATH_CREDITS
    )
