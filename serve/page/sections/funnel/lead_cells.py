"""Cells that name a lead of the funnel; pressing one opens the lead's details."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from serve.page.content.page_data import PageData
from serve.page.content.parts import LeadCell
from serve.page.content.words import PageWords
from serve.page.sections.funnel.texts import WORDS


def find_targets(data: PageData, rows: pa.Table) -> list[str | None]:
    """Return for each lead the first target that it has a score of; None without any."""
    scores = data.scores.select(["target", "entity_id"])
    scores = scores.filter(pc.is_in(scores["entity_id"], value_set=pc.unique(rows["entity_id"])))
    scored = {(row["entity_id"], row["target"]) for row in scores.to_pylist()}
    return [
        next((target for target in data.targets if (entity, target) in scored), None)
        for entity in rows["entity_id"].to_pylist()
    ]


def name_lead(words: PageWords, entity: str | None, target: str | None) -> str | LeadCell:
    """Return a lead; pressing it opens its details where it has a score."""
    if entity is None:
        return words.text(WORDS, "nameless")
    return LeadCell(target, entity) if target else entity
