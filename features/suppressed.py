"""Entities that must not be scored, and the reasons, as found while the sources were read."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

# One row per (entity, reason), ordered by both.
SUPPRESSED = pa.schema(
    [
        pa.field(
            "entity_id", pa.string(), nullable=False, metadata={"meaning": "the suppressed entity"}
        ),
        pa.field(
            "reason",
            pa.string(),
            nullable=False,
            metadata={"meaning": "config key that suppresses it"},
        ),
    ]
)


@dataclass(frozen=True)
class Suppression:
    """Suppressed entities of a data set.

    An id that is listed but unknown has no entity in the data as of this run.

    Attributes:
        rows: SUPPRESSED, for entities that the data contains.
        listed_counts: Number of distinct ids by reason, contained in the data or not. Ids that
            differ by case or outer blanks only are one.
        met_counts: Number of these that the data contains, by reason.
        warnings: One line for each reason whose ids are not all in the data.
    """

    rows: pa.Table = field(default_factory=SUPPRESSED.empty_table)
    listed_counts: dict[str, int] = field(default_factory=dict)
    met_counts: dict[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def entity_ids(self) -> pa.Array:
        """Return the distinct suppressed entities of the data."""
        return pc.unique(self.rows["entity_id"])

    @property
    def suppressed_counts(self) -> dict[str, int]:
        """Return the number of entities of the data by reason."""
        counts = Counter(self.rows["reason"].to_pylist())
        # Reasons without an entity are included: a list that suppresses nobody should be visible.
        return {reason: counts[reason] for reason in self.listed_counts}

    @property
    def unknown_counts(self) -> dict[str, int]:
        """Return the number of listed ids that the data does not contain, by reason."""
        return {
            reason: listed - self.met_counts.get(reason, 0)
            for reason, listed in self.listed_counts.items()
        }

    def contains(self, entity: str) -> bool:
        """Return whether an entity is suppressed."""
        return bool(pc.any(pc.equal(self.rows["entity_id"], entity)).as_py())

    def describe(self) -> str:
        """Return a sentence with the suppressed entities by reason, and the unknown ids."""
        parts = [f"{reason} {count:,}" for reason, count in self.suppressed_counts.items()]
        unknown = sum(self.unknown_counts.values())
        more = f"; listed and not in the data: {unknown:,}" if unknown else ""
        return f"suppressed: {len(self.entity_ids):,} left out ({', '.join(parts)}){more}"

    def to_json(self) -> dict[str, object]:
        """Return the counts as plain JSON values."""
        return {
            "entities": len(self.entity_ids),
            "by": self.suppressed_counts,
            "unknown": self.unknown_counts,
        }
