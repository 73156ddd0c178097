"""Names below a source's folder that are no rows of it, and folders that are not read at all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from configs.errors import DataError

# By what a folder of a table format is recognised. Its Parquet files include rows that were changed
# or removed since.
TABLE_FORMATS = {"_delta_log": "Delta Lake", ".hoodie": "Apache Hudi"}
ICEBERG_ENDING = ".metadata.json"


def is_left_out(parts: Sequence[str]) -> bool:
    """Return whether a name below a source's folder, or a folder on the way to it, is hidden.

    Programs that write folders of files put their own there, such as ``_SUCCESS``.
    """
    return any(part.startswith((".", "_")) for part in parts)


def require_plain_files(where: str, names: Iterable[Sequence[str]]) -> None:
    """Raise DataError for names below a folder of which one belongs to a table format."""
    for parts in names:
        kind = next((TABLE_FORMATS[part] for part in parts if part in TABLE_FORMATS), "")
        if len(parts) > 1 and parts[-2] == "metadata" and parts[-1].endswith(ICEBERG_ENDING):
            kind = "Apache Iceberg"
        if kind:
            raise DataError(
                f"the folder is a table of {kind}",
                where=where,
                found=f"{'/'.join(parts)}: some of its files hold rows that were removed since",
                fix="export the table's present rows as Parquet into a folder of their own, or "
                "read them by a query",
            )
