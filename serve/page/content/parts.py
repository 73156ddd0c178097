"""What a page is made of: sections with sentences, quoted numbers, charts and tables.

All texts are plain; the template escapes them. Numbers in texts are written in the page's language.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Group = Literal["today", "leads", "funnel", "trust", "team"]


@dataclass(frozen=True)
class Quote:
    """A number that a reader may quote.

    Attributes:
        label: What the number is, in a few words.
        value: The number as text, with its unit.
        hint: Interval, sample size or period of the number; empty if there is none.
    """

    label: str
    value: str
    hint: str = ""


@dataclass(frozen=True)
class LeadCell:
    """A cell that names a lead; pressing it opens the lead's details.

    Attributes:
        target: Target of the score.
        entity: Id of the lead.
    """

    target: str
    entity: str


@dataclass(frozen=True)
class Table:
    """A small table of texts.

    Attributes:
        caption: What the table shows.
        headings: Heading of each column.
        rows: Cells of each row, as many as there are headings.
        numeric: Positions of the columns that hold numbers, which are aligned to the right.
        english: Positions of the columns whose texts are English in a page of any language.
        folded: Whether a table of a section is shown only when its caption is pressed.
        compact: Whether a phone shows a row as a line of texts and one of numbers; otherwise each
            cell has a line, with its heading.
        extra: Positions of the columns that a compact table has no place for on a phone.
    """

    caption: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str | LeadCell]]
    numeric: frozenset[int] = frozenset()
    english: frozenset[int] = frozenset()
    folded: bool = False
    compact: bool = False
    extra: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Chart:
    """A chart that the browser draws, and the same values as a table for those who cannot see it.

    Attributes:
        name: Id of the chart, unique in the page.
        caption: What the chart shows.
        summary: The chart's message in one sentence, its text alternative.
        spec: Vega-Lite specification without data, size and colours of the theme.
        rows: Data of the chart: values by field name; instants are milliseconds since 1970, UTC.
        table: The same values as texts.
    """

    name: str
    caption: str
    summary: str
    spec: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]]
    table: Table


@dataclass(frozen=True)
class Block:
    """Data of a page that its script reads, stored compressed.

    Attributes:
        name: Id of the block, unique in the page.
        content: JSON values, or bytes of another format.
    """

    name: str
    content: Any


@dataclass(frozen=True)
class Section:
    """One section of the page.

    Attributes:
        name: Id of the section, unique in the page.
        group: Part of the page that the section stands in.
        title: Heading.
        sentence: What the section means, in one sentence.
        quotes: Numbers that a reader may quote.
        charts: Charts, in their order.
        tables: Tables after the charts, in their order.
        notes: Further sentences: limits of what is shown, and what is missing.
        template: File of a template for contents of its own, such as the list of leads.
        blocks: Data that the page's script reads for this section.
        opening: Tables that stand before the charts, such as warnings.
        values: What the template of its own shows, by name.
    """

    name: str
    group: Group
    title: str
    sentence: str
    quotes: Sequence[Quote] = ()
    charts: Sequence[Chart] = ()
    tables: Sequence[Table] = ()
    notes: Sequence[str] = ()
    template: str | None = None
    blocks: Sequence[Block] = field(default=(), repr=False)
    opening: Sequence[Table] = ()
    values: Mapping[str, Any] = field(default_factory=dict, repr=False)
