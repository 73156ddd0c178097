"""The files and databases that are given to `leadscore init`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from configs.addresses.database import parse_database_address
from configs.addresses.parser import AddressError
from configs.addresses.redaction import redact_text
from configs.addresses.variables import REFERENCE, redact_written_address
from configs.errors import ConfigError, DataError
from features.intake.databases.text_sql import quote_identifier
from features.intake.formats.files import Selection
from features.intake.formats.listing import list_files
from pipelines.proposal.reading.source_tables import SourceTable, open_origin, read_source_table

# Lists the tables of a database by the kind of its address.
TABLE_QUERIES = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') "
    "AND name NOT LIKE 'sqlite_%' ORDER BY name",
}
INFORMATION_SCHEMA = (
    "SELECT table_schema || '.' || table_name AS name FROM information_schema.tables "
    "WHERE table_schema NOT IN ('information_schema', 'pg_catalog') ORDER BY 1"
)
MAX_TABLES = 30
ALL_ROWS = "SELECT * FROM "


def read_given_sources(
    given: Sequence[str],
    scratch: Path,
    log: Callable[[str], None],
    delimiter: str | None = None,
) -> list[SourceTable]:
    """Return the tables of files, folders and databases, in their order.

    ``delimiter`` is that of the files, if it is known.

    Raises the errors of reading a source; ConfigError for a password that is written out.
    """
    origins = [origin for text in given for origin in _list_origins(text, scratch)]
    names = _name_origins(origins)
    if delimiter is not None:
        origins = [o | {"delimiter": delimiter} if "path" in o else o for o in origins]
    return [
        read_source_table(name, origin, scratch, log)
        for name, origin in zip(names, origins, strict=True)
    ]


def _list_origins(text: str, scratch: Path) -> list[dict[str, str]]:
    if _is_database(text):
        return _list_database_tables(text, scratch)
    if "://" not in text and Path(text).is_dir():
        return [{"path": file.address} for file in list_files(text)]
    path, sign, sheet = text.rpartition("#")
    # One sheet of a workbook with several: deals.xlsx#Won.
    if sign and not Path(text).exists() and Path(path).is_file():
        return [{"path": path, "sheet": sheet}]
    return [{"path": text}]


def _is_database(text: str) -> bool:
    """Return whether a text is the address of a database, and not that of a file."""
    if "://" not in text:
        return False
    try:
        parse_database_address(REFERENCE.sub("1", text))
    except AddressError:
        return False
    return True


def _list_database_tables(address: str, scratch: Path) -> list[dict[str, str]]:
    """Return the query of each table of a database."""
    if redact_written_address(address) != address:
        raise ConfigError(
            "the address holds a password, which would be written into the config",
            where=redact_text(address),
            fix="put it into the environment, and write ${DB_PASSWORD} in its place, with the "
            "address in single quotes",
        )
    query = TABLE_QUERIES.get(address.partition(":")[0], INFORMATION_SCHEMA)
    reader = open_origin({"database": address, "query": query}, scratch)
    pieces = reader.iter_blocks(Selection(), {})
    tables = [str(name) for raw in pieces for name in raw.table["c0"].to_pylist()]
    if not 0 < len(tables) <= MAX_TABLES:
        raise DataError(
            "too many tables to look at" if tables else "no table to look at",
            where=redact_text(address),
            found=f"{len(tables)} tables",
            fix="export the tables of leads and events as files, or give a view of each in a "
            "schema of their own",
        )
    # A name of a table is quoted, so that it stays one name.
    quoted = [".".join(map(quote_identifier, name.split(".", 1))) for name in tables]
    return [{"database": address, "query": f"{ALL_ROWS}{name}"} for name in quoted]


def _name_origins(origins: Sequence[dict[str, str]]) -> list[str]:
    """Return a short name of each source; the whole path where short names are equal."""
    short = [
        "#".join([Path(origin["path"]).name, *([origin["sheet"]] if "sheet" in origin else [])])
        if "path" in origin
        else origin["query"].removeprefix(ALL_ROWS).replace('"', "")
        for origin in origins
    ]
    return [
        name if short.count(name) == 1 else origin.get("path", name)
        for name, origin in zip(short, origins, strict=True)
    ]
