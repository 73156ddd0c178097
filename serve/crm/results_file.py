"""Files in which a loader returns what the CRM did with each row of a delivery.

The columns show the form:

- Salesforce Bulk API 2.0 (developer.salesforce.com, “Get Job Successful Record Results”, “Failed …”
  and “Unprocessed …”): ``sf__Id`` and ``sf__Created``, or ``sf__Id`` and ``sf__Error``, before the
  columns of the upload; or the columns of the upload alone. Rows come in any order.
- HubSpot's error file (knowledge.hubspot.com, “Troubleshoot import errors”): ``Error code``,
  ``Object type`` and ``Reason`` before the row; one line for each error of a row.
- Plain: the key column, ``id`` or ``entity_id``, with ``status`` and perhaps ``error``; or with
  ``error`` alone where every row failed, as Data Loader writes it. A column ``delivery`` may name
  the delivery.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import DataError, join_names
from configs.source_rows import SourceRows
from features.intake.formats.delimited import CsvBlock, read_csv
from features.intake.storage.source_file import LocalFile
from features.score_tables import FAILED, LOADED, RESULT_STATUSES, UNPROCESSED
from features.tools.row_hash import hash_rows, hash_texts
from serve.crm.error_texts import clean_errors

SALESFORCE_COLUMNS = ("sf__id", "sf__created", "sf__error")
HUBSPOT_COLUMNS = ("error code", "object type", "reason")
PLAIN_COLUMNS = ("status", "error", "delivery")
PLAIN_KEYS = ("id", "entity_id")
STATUS_WORDS: Mapping[str, Sequence[str]] = {
    LOADED: (LOADED, "success", "succeeded", "created", "updated", "item created", "item updated"),
    FAILED: (FAILED, "failure", "error", "rejected"),
    UNPROCESSED: (UNPROCESSED, "skipped"),
}


@dataclass(frozen=True)
class Layout:
    """Key and all columns of a delivery, as its header names them."""

    key: str
    columns: frozenset[str]


@dataclass(frozen=True)
class ResultsForm:
    """How the columns of a results file are read.

    Attributes:
        name: Name of the form, for messages.
        key: Position of the key column.
        own: Positions of the columns that the form adds, by name in lower case.
        original: Positions of all other columns, sorted by name.
    """

    name: str
    key: int
    own: Mapping[str, int]
    original: Sequence[int]


@dataclass(frozen=True)
class ResultsFile:
    """The content of a results file, row by row.

    Attributes:
        path: The file.
        form: Name of its form.
        keys: Key of each row.
        statuses: Position of its status in RESULT_STATUSES.
        messages: Its error, cleaned; null where it has none.
        hashes: Hash of the original cells, uint64 (rows, 2).
        columns: Names of these columns.
        delivery: The delivery that the file names itself.
    """

    path: Path
    form: str
    keys: pa.ChunkedArray
    statuses: np.ndarray
    messages: pa.ChunkedArray
    hashes: np.ndarray
    columns: frozenset[str]
    delivery: str | None


def hash_cells(columns: Sequence[pa.Array | pa.ChunkedArray]) -> np.ndarray:
    """Return the hash of the cells of each row, uint64 (rows, 2)."""
    return hash_rows([hash_texts(pa.chunked_array(column)) for column in columns])


def _require_whole_rows(block: CsvBlock, path: Path) -> None:
    """Raise DataError for lines that are no row, or rows with other fields than the header."""
    if not block.broken and not block.warnings:
        return
    first = f"the first in line {block.broken[0].line}" if block.broken else ""
    raise DataError(
        "the results file is cut or broken",
        where=str(path),
        found=f"{len(block.broken)} lines that are no row, {first}" if first else block.warnings[0],
        fix="get the whole file again",
    )


def read_results_file(path: Path, layouts: Sequence[Layout]) -> ResultsFile:
    """Read a results file of deliveries with these layouts, in blocks.

    Raises DataError for a file that cannot be read, is empty or cut, has a form that is not known,
    or holds a status that is not known.
    """
    _require_complete(path)
    form: ResultsForm | None = None
    keys, messages = list[pa.Array](), list[pa.Array]()
    statuses, hashes = [np.empty(0, np.int8)], [np.empty((0, 2), np.uint64)]
    named = set[str]()
    source = SourceRows(path=str(path), encoding="utf-8", skip_above=0, skip_below=0)
    for block in read_csv(LocalFile.find(path), source):
        _require_whole_rows(block, path)
        form = form or detect_form(block.names, layouts, path)
        columns = [column.combine_chunks() for column in block.table.columns]
        status = _read_statuses(form, columns, block.rows, path)
        keys.append(columns[form.key])
        statuses.append(status)
        messages.append(_read_messages(form, columns, status))
        hashes.append(hash_cells([columns[i] for i in form.original]))
        if "delivery" in form.own:
            named |= set(pc.unique(columns[form.own["delivery"]]).to_pylist())
        header = block.names
    if form is None:
        raise AssertionError  # unreachable: a file with a line has a header
    return ResultsFile(
        path,
        form.name,
        pa.chunked_array(keys, pa.string()),
        np.concatenate(statuses),
        pa.chunked_array(messages, pa.string()),
        np.concatenate(hashes),
        frozenset(header[i] for i in form.original),
        _require_one_delivery(named, path),
    )


def detect_form(names: Sequence[str], layouts: Sequence[Layout], path: Path) -> ResultsForm:
    """Return the form that a header shows; raise DataError naming its columns if it shows none."""
    lower = [name.casefold() for name in names]
    if len(set(names)) == len(names):
        for layout in layouts:
            if set(names) == layout.columns:
                return _make_form("unprocessed rows", names, layout.key, ())
        if not {"sf__created", "sf__error"}.isdisjoint(lower):
            return _find_form("Salesforce results", names, layouts, SALESFORCE_COLUMNS, path)
        if "error code" in lower:
            return _find_form("HubSpot errors", names, layouts, HUBSPOT_COLUMNS, path)
        if not {"status", "error"}.isdisjoint(lower):
            return _find_form("plain results", names, layouts, PLAIN_COLUMNS, path, PLAIN_KEYS)
    raise DataError(
        "not the form of a results file",
        where=str(path),
        found=f"the columns {join_names(names, 12)}",
        fix="give the results of Salesforce's Bulk API 2.0, HubSpot's error file, or the columns "
        f"{layouts[0].key if layouts else 'id'}, status (loaded, failed, unprocessed) and error",
    )


def _find_form(
    form: str,
    names: Sequence[str],
    layouts: Sequence[Layout],
    own: Sequence[str],
    path: Path,
    more_keys: Sequence[str] = (),
) -> ResultsForm:
    """Return a form after finding its key column, also in another case."""
    lower = [name.casefold() for name in names]
    keys = list(dict.fromkeys(layout.key for layout in layouts))
    for key in [*keys, *more_keys]:
        if key in names:
            return _make_form(form, names, key, own)
        if lower.count(key.casefold()) == 1:
            return _make_form(form, names, names[lower.index(key.casefold())], own)
    raise DataError(
        "the results file lacks the key column",
        where=str(path),
        found=f"the columns {join_names(names, 12)}",
        fix=f"keep the column {' or '.join(keys) or 'id'} of the delivery",
    )


def _make_form(form: str, names: Sequence[str], key: str, own: Sequence[str]) -> ResultsForm:
    added = {
        name.casefold(): i for i, name in enumerate(names) if name.casefold() in own and name != key
    }
    original = sorted(set(range(len(names))) - set(added.values()), key=lambda i: names[i])
    return ResultsForm(form, names.index(key), added, original)


def _read_statuses(
    form: ResultsForm, columns: Sequence[pa.Array], lines: np.ndarray, path: Path
) -> np.ndarray:
    """Return the position of each row's status in RESULT_STATUSES.

    Raises DataError for a word that is no status.
    """
    size = len(columns[form.key])
    if "status" in form.own:
        words = pc.utf8_lower(pc.utf8_trim_whitespace(columns[form.own["status"]]))
        status = np.full(size, -1, np.int8)
        for place, name in enumerate(RESULT_STATUSES):
            is_word = pc.is_in(words, value_set=pa.array(STATUS_WORDS[name]))
            status[is_word.to_numpy(zero_copy_only=False)] = place
        if (status < 0).any():
            raise DataError(
                "not a status",
                where=f"{path}: column status",
                found=f"{(status < 0).sum():,} rows, the first in line "
                f"{lines[(status < 0).argmax()]:,}",
                fix="write loaded, failed or unprocessed",
            )
        return status
    if form.name == "unprocessed rows":
        return np.full(size, RESULT_STATUSES.index(UNPROCESSED), np.int8)
    failed, loaded = RESULT_STATUSES.index(FAILED), RESULT_STATUSES.index(LOADED)
    if "sf__created" not in form.own:
        return np.full(size, failed, np.int8)
    if "sf__error" not in form.own:
        return np.full(size, loaded, np.int8)
    # Tools that join the two files leave the other's column empty.
    is_blank = pc.equal(pc.utf8_trim_whitespace(columns[form.own["sf__error"]]), "")
    return np.where(is_blank.to_numpy(zero_copy_only=False), loaded, failed).astype(np.int8)


def _read_messages(form: ResultsForm, columns: Sequence[pa.Array], status: np.ndarray) -> pa.Array:
    """Return the cleaned error of each row that was not loaded; null for the others."""
    names = ("sf__error", "error code", "reason", "error")
    texts = [columns[form.own[name]] for name in names if name in form.own]
    is_unloaded = pa.array(status != RESULT_STATUSES.index(LOADED))
    if not texts:
        return pa.nulls(len(status), pa.string())
    errors = pc.binary_join_element_wise(*texts, ": ").filter(is_unloaded)
    cells = [columns[i].filter(is_unloaded) for i in form.original]
    cleaned = clean_errors(errors, cells)
    places = np.where(is_unloaded, np.cumsum(is_unloaded) - 1, -1)
    return cleaned.take(pa.array(places, mask=places < 0))


def _require_complete(path: Path) -> None:
    """Raise DataError for a file that cannot be read, has no byte, or ends within a line."""
    try:
        # A pipe would be waited for, while the workspace is held.
        if path.exists() and not path.is_file():
            raise OSError(errno.EINVAL, "it is no regular file")
        size = path.stat().st_size
        with path.open("rb") as file:
            file.seek(max(0, size - 1), os.SEEK_SET)
            last = file.read(1)
    except OSError as error:
        raise DataError(
            "cannot read the results file",
            where=str(path.absolute()),
            found=error.strerror or str(error),
        ) from error
    # A closing quote proves that the last cell is whole. Without it a key may be cut into another.
    if last not in (b"\n", b'"'):
        raise DataError(
            "the results file is empty" if not size else "the results file is cut",
            where=str(path),
            found="0 bytes, without a header" if not size else "no line end after the last line",
            fix="get the whole file again; leave out an empty one"
            if not size
            else "get the whole file again",
        )


def _require_one_delivery(named: set[str], path: Path) -> str | None:
    if len(named) > 1 or "" in named:
        raise DataError(
            "the column delivery must name one delivery",
            where=str(path),
            found=f"{len(named)} values",
            fix="give one file for each delivery",
        )
    return next(iter(named), None)
