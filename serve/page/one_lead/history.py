"""Earlier nights of the leads that are shown in detail, as their charts and sentences need them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from serve.page.content.page_data import PageData

NAME = "one_lead"
# Decimals of a probability in a chart, more than its pixels can show.
DRAWN_DECIMALS = 5
DRAWN = ("probability", "probability_low", "probability_high")
# A night of a chart: time, probability, low, high, score, grade, and the version of a new model.
Night = Sequence[Any]


@dataclass(frozen=True)
class PastNights:
    """Nights before the as-of, of all leads that are shown in detail.

    Attributes:
        columns: Values of each night, by name, in the order of ``PageData.past``.
        places: First and last night of each lead, by target and entity.
        last: Row of SCORES of each lead's last night, in the order of ``places``.
    """

    columns: dict[str, list[Any]]
    places: dict[tuple[str, str], tuple[int, int]]
    last: list[dict[str, Any]]

    @classmethod
    def from_data(cls, data: PageData) -> PastNights:
        """Read the nights; column by column, since there may be 60 of each of many leads."""
        past = data.past
        columns = {name: np.round(past[name].to_numpy(), DRAWN_DECIMALS).tolist() for name in DRAWN}
        columns |= {name: past[name].to_pylist() for name in ("score", "grade", "model_version")}
        # The nights are few, however many leads there are.
        as_of = past["as_of"].combine_chunks().dictionary_encode()
        times = [data.words.wall_time(night) for night in as_of.dictionary.to_pylist()]
        columns["time"] = [times[place] for place in as_of.indices.to_pylist()]
        places: dict[tuple[str, str], tuple[int, int]] = {}
        leads = zip(past["target"].to_pylist(), past["entity_id"].to_pylist(), strict=True)
        for row, lead in enumerate(leads):
            places[lead] = (places.get(lead, (row, row))[0], row)
        rows = pa.array([last for _, last in places.values()], pa.int64())
        return cls(columns, places, pc.take(past, rows).to_pylist())

    def find_last(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Return the row of SCORES of each lead's last night, by target and entity."""
        return dict(zip(self.places, self.last, strict=True))

    def list_nights(self, data: PageData, now: dict[str, Any]) -> list[Night]:
        """Return the nights of the lead of a row of SCORES, that of the row last."""
        first, last = self.places.get((now["target"], now["entity_id"]), (0, -1))
        span, columns = slice(first, last + 1), self.columns
        versions = [*columns["model_version"][span], now["model_version"]]
        # Named where it is another one than on the night before.
        changed = [
            version if place and version != versions[place - 1] else None
            for place, version in enumerate(versions)
        ]
        current = {"time": data.words.wall_time(now["as_of"]), **now}
        current |= {name: round(now[name], DRAWN_DECIMALS) for name in DRAWN}
        names = ("time", *DRAWN, "score", "grade")
        drawn = ([*columns[name][span], current[name]] for name in names)
        return list(zip(*drawn, changed, strict=True))
