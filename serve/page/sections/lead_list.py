"""The list of leads: search, filter, sort, and open one."""

from __future__ import annotations

import pyarrow as pa

from serve.export.export import reason_columns
from serve.page.content.page_data import PageData
from serve.page.content.parts import Block, Section

NAME = "lead_list"
COLUMNS = ("target", "entity_id", "probability", "probability_low", "probability_high", "score")


def build_lead_list(data: PageData) -> Section:
    """Return the section with all leads of the as-of."""
    words, scores = data.words, data.scores
    columns = {name: scores[name].to_pylist() for name in (*COLUMNS, "grade", "rank", "owner")}
    reasons: dict[str, pa.DictionaryArray] = reason_columns(scores["reasons"])
    columns |= {name: column.to_pylist() for name, column in reasons.items()}
    return Section(
        NAME,
        "leads",
        words.text(NAME, "title"),
        words.text(NAME, "sentence"),
        template="lead_list.html.j2",
        blocks=[Block("leads", columns)],
    )
