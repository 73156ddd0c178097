"""Doubtful ids: rounded by a program, or with blanks around them.

Rounded are texts in scientific notation, and floats beyond 2^53.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import DataError
from configs.names import BLANKS
from configs.schema import Project
from configs.source_rows import AttributeRows, EventRows, LeadRows
from features.intake.formats.texts import is_text_type, to_plain_text
from features.intake.identity.equal_files import FileRows, list_file_rows
from features.intake.identity.id_diagnosis import MIN_EXPLAINED_SHARE, describe_diagnoses
from features.tools.folding import has_outer_blanks
from features.tools.id_index import get_text_buffers

IdRows = LeadRows | EventRows | AttributeRows

# A spreadsheet shows an id of 12 digits as 1.23E+11, or 1,23E+11, and saves what it shows. The plus
# sign keeps codes such as 12E5 out.
SCIENTIFIC_PATTERN = r"^[+-]?[0-9](?:[.,][0-9]+)?[eE][+][0-9]{2,3}$"

# From here on a float64 no longer holds every whole number.
MAX_EXACT_WHOLE = 2.0**53

AS_TEXT = "export ids as text, from the system that has them and not by way of a spreadsheet"


@dataclass(frozen=True)
class DoubtfulIds:
    """Doubtful ids of one kind in a piece of a source.

    Attributes:
        rows: Number of rows.
        nr: Number of the first of them.
        file: Its file.
        row: Its row or line.
        value: Its id.
    """

    rows: int
    nr: int
    file: str
    row: int
    value: str


class IdDoubts:
    """Collects the doubtful ids of a source; pieces may be added by several threads.

    Attributes:
        label: Name of the source and key of the column, for messages.
        shows_ids: Whether messages may contain ids.
        rows: Number of rows so far.
        files: Parts of files, in any order.
        unknown_rows: Number of these that belong to no lead.
    """

    def __init__(self, label: str, shows_ids: bool) -> None:
        """Start without any."""
        self.label, self.shows_ids = label, shows_ids
        self.rows = 0
        self.files = list[FileRows]()
        self.unknown_rows, self._unknown = 0, list[pa.Array]()
        self._scientific, self._inexact = list[DoubtfulIds](), list[DoubtfulIds]()
        self._padded = list[DoubtfulIds]()

    def add(self, rows: pa.Table, column: pa.ChunkedArray, ids: pa.ChunkedArray) -> None:
        """Add the ``ids`` of a piece, read from ``column``; ``rows`` are its RawRows as a table."""
        self.rows += len(ids)
        self.files += list_file_rows(rows)
        if pa.types.is_float64(column.type):
            inexact = pc.greater_equal(pc.abs(column), MAX_EXACT_WHOLE)
            self._inexact += _count_doubtful(rows, ids, inexact)
        self._scientific += _count_doubtful(rows, ids, find_scientific(ids))
        self._padded += _count_doubtful(rows, ids, find_padded(column))

    def add_unknown(self, ids: pa.ChunkedArray) -> None:
        """Add the ids of rows of a piece that belong to no lead."""
        self.unknown_rows += len(ids)
        self._unknown.append(pc.unique(ids))

    def diagnose_unknown(self, known: pa.ChunkedArray, limit: float) -> str:
        """Return how unknown ids would meet ``known`` ones; "" if they would not.

        Up to half of the share ``limit`` of the rows, it is "" unless that explains most ids.
        """
        if not self.unknown_rows:
            return ""
        ids = pc.unique(pa.chunked_array(self._unknown, pa.string()))
        few = self.unknown_rows <= limit / 2 * self.rows
        share = MIN_EXPLAINED_SHARE if few else 0.0
        known_ids = known.combine_chunks()
        return describe_diagnoses(ids, known_ids, self.shows_ids, min_share=share)

    @property
    def scientific_rows(self) -> int:
        """Return the number of rows whose id is in scientific notation."""
        return sum(part.rows for part in self._scientific)

    def warnings(self) -> Iterator[str]:
        """Yield one line for each kind of doubtful ids."""
        if self._scientific:
            example = self._describe(self._scientific)
            yield f"{self.label}: {example} in scientific notation: {AS_TEXT}"
        if self._inexact:
            yield (
                f"{self.label}: {self._describe(self._inexact)} as floats beyond 2^53, which "
                "do not hold every whole number: store ids as integers or as text"
            )
        if self._padded:
            yield (
                f"{self.label}: {self._describe(self._padded)} with blanks around them, and are "
                "read without: write them alike in every source"
            )

    def refuse_scientific(self, consequence: str) -> None:
        """Raise DataError for ids in scientific notation, with what follows from them."""
        raise DataError(
            "ids were rounded to scientific notation",
            where=self.label,
            found=f"{self._describe(self._scientific)} so, and {consequence}",
            fix=AS_TEXT,
        )

    def _describe(self, parts: list[DoubtfulIds]) -> str:
        first, rows = min(parts, key=lambda part: part.nr), sum(part.rows for part in parts)
        value = f"{first.value!r} in " if self.shows_ids else ""
        example = f"{value}row {first.row} of {first.file}"
        return f"{rows:,} of {self.rows:,} ids ({example}) are written"


def open_id_doubts(project: Project, source: IdRows, key: str) -> IdDoubts:
    """Return the collector for a source's entity ids; ``key`` is the config key of the source."""
    leads = project.sources.leads
    # A message on ids that meet no lead shows those of the leads, too.
    columns = {source.entity_id, leads.entity_id if leads else None}
    shows_ids = columns.isdisjoint(project.privacy.personal)
    return IdDoubts(f"{source.label}: {key}.entity_id", shows_ids)


def find_scientific(ids: pa.ChunkedArray) -> pa.ChunkedArray | pa.Array:
    """Return a mask of the ids in scientific notation."""
    # A byte is found faster than a pattern, and most columns have no plus sign.
    if not any(map(_has_plus, ids.chunks)):
        return pa.array(np.zeros(len(ids), bool))
    return pc.fill_null(pc.match_substring_regex(ids, pattern=SCIENTIFIC_PATTERN), False)


def find_padded(column: pa.ChunkedArray) -> pa.ChunkedArray | pa.Array:
    """Return a mask of the texts of a column that have blanks around them."""
    texts = to_plain_text(column) if is_text_type(column.type) else None
    if texts is None or not any(map(has_outer_blanks, texts.chunks)):
        return pa.array(np.zeros(len(column), bool))
    return pc.not_equal(texts, pc.utf8_trim(texts, characters=BLANKS))


def _has_plus(texts: pa.Array) -> bool:
    data, ends = get_text_buffers(texts)
    return b"+" in data[ends[0] : ends[-1]].tobytes()


def _count_doubtful(
    table: pa.Table, ids: pa.ChunkedArray, mask: pa.ChunkedArray | pa.Array
) -> list[DoubtfulIds]:
    rows = np.flatnonzero(pc.fill_null(mask, False).to_numpy(zero_copy_only=False))
    if not len(rows):
        return []
    first = int(rows[0])
    place = {key: table[key][first].as_py() for key in ("nr", "file", "row")}
    return [DoubtfulIds(len(rows), **place, value=ids[first].as_py())]
