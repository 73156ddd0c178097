"""Credits of a table of paths, which has neither times nor accounts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from features.contracts import make_field
from features.tools.json_values import to_json_values
from models.channels.credits import METHODS
from models.channels.schemas import CHANNEL_STEPS, METHOD_MEANINGS
from models.named_tables import NamedTables

# Time decay needs times, which a table of paths has not.
PATH_METHODS = tuple(name for name in METHODS if name != "time_decay")
PATH_CREDITS = pa.schema(
    [
        make_field("channel", pa.string(), "the channel"),
        make_field("touches", pa.int64(), "its touches in all journeys"),
        make_field("journeys", pa.int64(), "journeys that it touched"),
        *(
            make_field(
                f"{name}_credit",
                pa.float64(),
                f"conversions credited, {METHOD_MEANINGS[name]}",
            )
            for name in PATH_METHODS
        ),
    ]
)
PATH_BASIS = pa.schema(
    [
        make_field("paths", pa.int64(), "rows of the file"),
        make_field("conversions", pa.int64(), "journeys that ended in a conversion"),
        make_field("nulls", pa.int64(), "journeys that ended without one"),
        make_field("probability", pa.float64(), "chance of a conversion in the chain"),
    ]
)
PATH_SCHEMAS = {
    "path_credits": PATH_CREDITS,
    "channel_steps": CHANNEL_STEPS,
    "path_basis": PATH_BASIS,
}


class PathTables(NamedTables):
    """Credits of paths as tables, of PATH_SCHEMAS."""

    schemas = PATH_SCHEMAS


@dataclass(frozen=True)
class PathResult:
    """Credits of a table of paths.

    Attributes:
        tables: Their tables.
    """

    tables: PathTables

    @property
    def basis(self) -> dict[str, Any]:
        """Return what the credits rest on: the row of PATH_BASIS."""
        return self.tables.list_rows("path_basis")[0]

    def to_json(self) -> dict[str, Any]:
        """Return the tables as lists of rows."""
        content: dict[str, Any] = to_json_values(
            {
                "credits": self.tables.list_rows("path_credits"),
                "steps": self.tables.list_rows("channel_steps"),
                "basis": self.basis,
            }
        )
        return content
