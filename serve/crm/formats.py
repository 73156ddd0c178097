"""What each CRM takes: names, files, texts, and how a value is cleared, each with where its vendor says so.

Salesforce Bulk API 2.0 (developer.salesforce.com, Bulk API 2.0 and Bulk API Developer Guide, “Prepare CSV Files” and
“Valid Date Format in Records”): UTF-8, LF, a header of API names, 100 MB a file, no blanks beside quotes; an empty
field leaves a value and ``#N/A`` clears it; ``yyyy-MM-ddTHH:mm:ss.SSSZ``. An External ID has at most 255 signs.

HubSpot import (knowledge.hubspot.com, “Set up import files”): UTF-8, one header row, less than 1,000 columns, 1,048,576
rows and 512 MB a file, instants in CSV as milliseconds since 1970. HubSpot says how its API clears a property (by an
empty text: developers.hubspot.com, “Understanding the CRM”) and not how an import does; an empty cell leaves what is
there. So a text without a value is written as a dash; a number cannot be.

Dataverse (learn.microsoft.com, “Import data in model-driven apps”): 8 MB a file, UTF-8 with a byte-order mark,
alternate keys. Data Factory and dataflows write an empty value as null (“ignoreNullValues” is false).

CSV is RFC 4180; JSON lines and Parquet have nulls and need no rule.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from serve.delimited import instants

Words = tuple[str, str]
"""A target and a column, or two words of a column of the lead."""

LABEL = r'[^\s",=+\-@\x00-\x1f\x7f]([^",\x00-\x1f\x7f]*[^\s",\x00-\x1f\x7f])?'


@dataclass(frozen=True)
class Format:
    """One kind of file. ``pattern``, ``longest`` and ``spelling`` are the rule of column names; ``named`` makes one.

    A missing value is written as ``missing``, a missing text as ``missing_text``; a text that would be read as one of
    them is marked as a formula is. ``bytes`` and ``rows`` are the most of one file, without the header.
    """

    ending: str
    named: Callable[[Words], str]
    pattern: str = LABEL
    longest: int = 255
    spelling: str = "printable text without quotes and commas that does not begin as a formula"
    example: str | None = None
    missing: str = ""
    missing_text: str = ""
    instant: Callable[[pa.Array], pa.Array] = instants
    end: str = "\r\n"
    mark: bytes = b""
    bytes: int | None = None
    rows: int | None = None
    columns: int | None = None
    header: int | None = None
    longest_key: int | None = None

    @property
    def spreadsheet(self) -> bool:
        """Whether people may open the file in a spreadsheet."""
        return self.ending == "csv"


def _snake(words: Words) -> str:
    return "_".join(words)


def _lower(words: Words) -> str:
    return re.sub(r"[^a-z0-9]+", "_", _snake(words).lower()).strip("_")


def _label(words: Words) -> str:
    text = re.sub(r"[_-]+", " ", " ".join(words))
    return text[:1].upper() + text[1:]


def _api_name(words: Words) -> str:
    """Return ``Buy_Reason_1__c`` for ``buy`` and ``reason_1``."""
    parts = re.sub(r"[^A-Za-z0-9]+", "_", _snake(words)).strip("_").split("_")
    return "_".join(part[:1].upper() + part[1:] for part in parts if part) + "__c"


def _milliseconds(column: pa.Array) -> pa.Array:
    return pc.cast(
        column.cast(pa.timestamp("ms", tz="UTC"), safe=False).cast(pa.int64()), pa.string()
    )


def _iso(unit: str) -> Callable[[pa.Array], pa.Array]:
    """Return what writes instants as ISO-8601 in UTC with the decimals of a unit."""

    def write(column: pa.Array) -> pa.Array:
        encoded = column.dictionary_encode()
        texts = pc.strftime(
            encoded.dictionary.cast(pa.timestamp(unit, tz="UTC"), safe=False), "%Y-%m-%dT%H:%M:%SZ"
        )
        return texts.take(encoded.indices)

    return write


FORMATS: Mapping[str, Format] = {
    "csv": Format("csv", _snake),
    "jsonl": Format("jsonl", _snake, end="\n"),
    "parquet": Format("parquet", _snake),
    "salesforce": Format(
        "csv",
        _api_name,
        pattern=r"([A-Za-z][A-Za-z0-9]{0,14}__)?(?=\w{1,40}(__c)?$)[A-Za-z](_?[A-Za-z0-9])*(__c)?",
        longest=60,
        spelling="an API name: a letter, then letters, digits and single underscores, at most 40, then __c",
        example="Lead_External_Id__c",
        missing="#N/A",
        missing_text="#N/A",
        instant=_iso("ms"),
        end="\n",
        bytes=100_000_000,
        header=32_000,
        longest_key=255,
    ),
    "hubspot": Format(
        "csv",
        _lower,
        longest=100,
        example="Record ID",
        missing_text="—",
        instant=_milliseconds,
        end="\n",
        bytes=512_000_000,
        rows=1_048_575,
        columns=999,
    ),
    "dynamics": Format(
        "csv",
        _label,
        longest=100,
        example="Lead key",
        instant=_iso("s"),
        mark=b"\xef\xbb\xbf",
        bytes=8_000_000,
        longest_key=450,
    ),
}
