"""The file format of each CRM: names, limits, texts, and how a value is cleared, with sources.

Salesforce Bulk API 2.0 (developer.salesforce.com, Bulk API 2.0 and Bulk API Developer Guide,
“Prepare CSV Files” and “Valid Date Format in Records”): UTF-8, LF, a header of API names, 100 MB
per file, no blanks next to quotes. An empty field leaves a value and ``#N/A`` clears it; instants
are ``yyyy-MM-ddTHH:mm:ss.SSSZ``. An External ID has at most 255 characters.

HubSpot import (knowledge.hubspot.com, “Set up import files”): UTF-8, one header row, less than
1,000 columns, 1,048,576 rows and 512 MB per file, instants in CSV as milliseconds since 1970.
HubSpot documents how its API clears a property (by an empty text: developers.hubspot.com,
“Understanding the CRM”) and not how an import does; an empty cell leaves the stored value. So a
missing text is written as a dash; a number cannot be cleared.

Dataverse (learn.microsoft.com, “Import data in model-driven apps”): 8 MB per file, UTF-8 with a
byte-order mark, alternate keys. Data Factory and dataflows write an empty value as null
(“ignoreNullValues” is false).

The table ``msdyn_predictivescore`` of Dynamics 365 Sales (learn.microsoft.com,
“msdyn_predictivescore table/entity reference”): ids of 256 characters, options for grade and trend.

amoCRM, or Kommo (kommo.com, “Import - Advanced”; amocrm.zendesk.com, “Import Settings”): dates are
DD.MM.YYYY, and in CSV files only; the delimiter is recognised. An empty cell is documented for a
checkbox alone, so a missing text is written as a dash.

Bitrix24 (helpdesk.bitrix24.de, “Import”; apidocs.bitrix24.com, “Editing Data in CRM”): the import
creates records, and REST updates them by id; fields have codes.

CSV is RFC 4180; JSON lines and Parquet have nulls and need no rule.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from serve.crm.options import ColumnOptions, encode_grades, encode_trends
from serve.delimited import format_instants

# A target and a column, or two words for a column of the lead.
NameParts = tuple[str, str]

# Printable, without quotes and commas, no blanks at the ends, and not the start of a formula.
LABEL_PATTERN = r'[^\s",=+\-@\x00-\x1f\x7f]([^",\x00-\x1f\x7f]*[^\s",\x00-\x1f\x7f])?'


@dataclass(frozen=True)
class CrmFormat:
    """The rules of one kind of file. Limits of None do not apply.

    Attributes:
        extension: Extension of the files, which selects the encoding.
        make_name: Makes a default column name.
        name_pattern: Pattern of a valid column name.
        max_name_length: Maximum characters of a column name.
        name_rule: The pattern in words, for error messages.
        example_key: Example of a key column; None where the key needs no name.
        missing_value: Text of a missing number or instant.
        missing_text: Text of a missing text; texts equal to it get a leading apostrophe.
        format_instants: Formats instants as texts in CSV files; JSON lines and Parquet keep types.
        line_end: End of a line.
        byte_order_mark: First bytes of a file.
        max_bytes: Maximum bytes of a file, header included.
        max_rows: Maximum rows of a file, without the header.
        max_columns: Maximum columns, without counting bytes.
        max_header_length: Maximum characters of the header.
        max_key_length: Maximum characters of a key.
        standard_columns: Default columns by their own names, if the CRM has such, and the column of
            scores or of the lead that each gets; of one target.
        options: Columns whose values the CRM knows by number, by their names.
    """

    extension: str
    make_name: Callable[[NameParts], str]
    name_pattern: str = LABEL_PATTERN
    max_name_length: int = 255
    name_rule: str = "printable text without quotes and commas that does not start like a formula"
    example_key: str | None = None
    missing_value: str = ""
    missing_text: str = ""
    format_instants: Callable[[pa.Array], pa.Array] = format_instants
    line_end: str = "\r\n"
    byte_order_mark: bytes = b""
    max_bytes: int | None = None
    max_rows: int | None = None
    max_columns: int | None = None
    max_header_length: int | None = None
    max_key_length: int | None = None
    standard_columns: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, ColumnOptions] = field(default_factory=dict)

    @property
    def is_spreadsheet(self) -> bool:
        """Return whether people may open the file in a spreadsheet."""
        return self.extension == "csv"


def _snake_name(parts: NameParts) -> str:
    return "_".join(parts)


def _lower_name(parts: NameParts) -> str:
    return re.sub(r"[^a-z0-9]+", "_", _snake_name(parts).lower()).strip("_")


def _label_name(parts: NameParts) -> str:
    text = re.sub(r"[_-]+", " ", " ".join(parts))
    return text[:1].upper() + text[1:]


def _salesforce_name(words: NameParts) -> str:
    """Return an API name, such as ``Buy_Reason_1__c`` for ``buy`` and ``reason_1``."""
    parts = re.sub(r"[^A-Za-z0-9]+", "_", _snake_name(words)).strip("_").split("_")
    return "_".join(part[:1].upper() + part[1:] for part in parts if part) + "__c"


def _bitrix_name(parts: NameParts) -> str:
    return "UF_CRM_" + re.sub(r"[^A-Z0-9]+", "_", _snake_name(parts).upper()).strip("_")


def _format_milliseconds(column: pa.Array) -> pa.Array:
    # Not safe: the CRM holds no microseconds, and Arrow would raise rather than drop them.
    return pc.cast(
        column.cast(pa.timestamp("ms", tz="UTC"), safe=False).cast(pa.int64()), pa.string()
    )


def _iso_formatter(unit: str) -> Callable[[pa.Array], pa.Array]:
    """Return a function that formats instants as ISO-8601 in UTC with the decimals of a unit."""
    return _time_formatter("%Y-%m-%dT%H:%M:%SZ", unit)


def _time_formatter(pattern: str, unit: str = "s") -> Callable[[pa.Array], pa.Array]:
    """Return a function that formats instants in UTC by a pattern of strftime."""

    def format_column(column: pa.Array) -> pa.Array:
        # Many rows share an instant, so each distinct one is formatted only once.
        encoded = column.dictionary_encode()
        instants = encoded.dictionary.cast(pa.timestamp(unit, tz="UTC"), safe=False)
        texts = pc.strftime(instants, pattern)
        return texts.take(encoded.indices)

    return format_column


FORMATS: Mapping[str, CrmFormat] = {
    "csv": CrmFormat("csv", _snake_name),
    "jsonl": CrmFormat("jsonl", _snake_name, line_end="\n"),
    "parquet": CrmFormat("parquet", _snake_name),
    "salesforce": CrmFormat(
        "csv",
        _salesforce_name,
        name_pattern=(
            r"([A-Za-z][A-Za-z0-9]{0,14}__)?"  # the namespace of a managed package
            r"(?=\w{1,40}(__c)?$)[A-Za-z](_?[A-Za-z0-9])*(__c)?"
        ),
        # 15 characters of a namespace, two underscores, a name of 40, and ``__c``.
        max_name_length=60,
        name_rule=(
            "an API name: a letter, then letters, digits and single underscores, at most 40, "
            "then __c"
        ),
        example_key="Lead_External_Id__c",
        missing_value="#N/A",
        missing_text="#N/A",
        format_instants=_iso_formatter("ms"),
        line_end="\n",
        # Salesforce encodes an upload in base64, which may add half; its guide allows 100 MB.
        max_bytes=100_000_000,
        max_header_length=32_000,
        max_key_length=255,
    ),
    "hubspot": CrmFormat(
        "csv",
        _lower_name,
        max_name_length=100,
        example_key="Record ID",
        missing_text="—",
        format_instants=_format_milliseconds,
        line_end="\n",
        max_bytes=512_000_000,
        # The header is one of 1,048,576 rows, and the columns must be fewer than 1,000.
        max_rows=1_048_575,
        max_columns=999,
    ),
    "dynamics": CrmFormat(
        "csv",
        _label_name,
        max_name_length=100,
        example_key="Lead key",
        format_instants=_iso_formatter("s"),
        byte_order_mark=b"\xef\xbb\xbf",
        # Within 8 MB in both meanings, of 1,000,000 and of 1,048,576 bytes.
        max_bytes=8_000_000,
        # The index of a key takes 900 bytes in Dataverse's SQL, two for each character.
        max_key_length=450,
    ),
    "dynamics_scores": CrmFormat(
        "csv",
        _lower_name,
        # The writable columns of the table; others would be refused at the load only.
        name_pattern="msdyn_(predictivescoreid|name|entityid|entitytype|score|grade|scoretrend"
        "|scorereasons|scoredon)",
        max_name_length=100,
        name_rule=(
            "a column of the table msdyn_predictivescore: msdyn_score, msdyn_grade, "
            "msdyn_scoretrend, msdyn_scorereasons, msdyn_scoredon, msdyn_entityid, "
            "msdyn_entitytype or msdyn_name"
        ),
        example_key="msdyn_entityid",
        format_instants=_time_formatter("%Y-%m-%d"),
        byte_order_mark=b"\xef\xbb\xbf",
        max_bytes=8_000_000,
        max_key_length=256,
        standard_columns={
            "msdyn_entitytype": "entity_type",
            "msdyn_score": "score",
            "msdyn_grade": "grade",
            "msdyn_scoretrend": "trend",
            "msdyn_scorereasons": "reasons",
            "msdyn_scoredon": "as_of",
        },
        options={
            "msdyn_grade": ColumnOptions(("grade", "previous_grade"), encode_grades),
            "msdyn_scoretrend": ColumnOptions(("trend", "trend_7d", "trend_30d"), encode_trends),
        },
    ),
    "amocrm": CrmFormat(
        "csv",
        _label_name,
        example_key="ID",
        missing_text="—",
        format_instants=_time_formatter("%d.%m.%Y"),
    ),
    "bitrix24": CrmFormat(
        "csv",
        _bitrix_name,
        name_pattern="[A-Za-z][A-Za-z0-9_]*",
        max_name_length=50,
        name_rule="the code of a field: a letter, then letters, digits and underscores",
        example_key="ID",
        format_instants=_iso_formatter("s"),
    ),
}
