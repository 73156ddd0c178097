"""Who must not be scored, and why: what the reading of the sources found."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

SUPPRESSED = pa.schema(
    [
        pa.field(
            "entity_id", pa.string(), nullable=False, metadata={"meaning": "who must not be scored"}
        ),
        pa.field(
            "reason",
            pa.string(),
            nullable=False,
            metadata={"meaning": "the key of the config that says so"},
        ),
    ]
)
"""One row a suppressed entity and reason, ordered by both."""


@dataclass(frozen=True)
class Suppression:
    """``rows`` are SUPPRESSED of the entities that the data holds; ``named`` counts the different ids of each reason.

    An id that is named and not held is none of the data's, today.
    """

    rows: pa.Table = field(default_factory=SUPPRESSED.empty_table)
    named: dict[str, int] = field(default_factory=dict)

    @property
    def ids(self) -> pa.Array:
        """The different entities among the rows."""
        return pc.unique(self.rows["entity_id"])

    @property
    def found(self) -> dict[str, int]:
        """How many entities of the data each reason suppresses."""
        counts = Counter(self.rows["reason"].to_pylist())
        return {reason: counts[reason] for reason in self.named}

    @property
    def unknown(self) -> dict[str, int]:
        """How many ids of each reason the data does not hold."""
        return {reason: self.named[reason] - found for reason, found in self.found.items()}

    def holds(self, entity: str) -> bool:
        """Say whether an entity is suppressed."""
        return bool(pc.any(pc.equal(self.rows["entity_id"], entity)).as_py())

    def sentence(self) -> str:
        """Say how many are left out and why, and how many ids are unknown."""
        parts = [f"{reason} {count:,}" for reason, count in self.found.items()]
        strange = sum(self.unknown.values())
        more = f"; listed and not in the data: {strange:,}" if strange else ""
        return f"suppressed: {len(self.ids):,} left out ({', '.join(parts)}){more}"

    def to_json(self) -> dict[str, object]:
        """Return the counts as plain JSON values."""
        return {"entities": len(self.ids), "by": self.found, "unknown": self.unknown}
