"""The files of a source: which are meant by a path, folder or glob, and why there may be none."""

from __future__ import annotations

import errno
import glob
import os
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath

from configs.addresses.object_store import is_object_address
from configs.errors import ConfigError, DataError
from configs.suggestions import did_you_mean
from features.intake.storage.left_out import is_left_out, require_plain_files
from features.intake.storage.objects import find_object, list_objects
from features.intake.storage.packing import (
    COMPRESSED_SUFFIXES,
    COMPRESSIONS,
    ZIP_SUFFIX,
    find_packed_name,
)
from features.intake.storage.permission import find_barrier, make_permission_error
from features.intake.storage.source_file import FIX_SOURCES, LocalFile, SourceFile

CSV, JSON, JSONL, PARQUET, WORKBOOK = "csv", "json", "jsonl", "parquet", "workbook"
FORMAT_BY_SUFFIX = {
    ".csv": CSV,
    ".tsv": CSV,
    ".txt": CSV,
    ".json": JSON,
    ".jsonl": JSONL,
    ".ndjson": JSONL,
    ".parquet": PARQUET,
    ".pq": PARQUET,
    ".xlsx": WORKBOOK,
    ".xlsm": WORKBOOK,
    ".xlsb": WORKBOOK,
    ".xls": WORKBOOK,
    ".ods": WORKBOOK,
}
FIX_SHEET = "save the sheet as “CSV UTF-8”, with ids as text"
FIX_ARROW = "write it as Parquet"
FIX_TABLE = "write it as CSV, JSON lines or Parquet"
FIX_JSON = "rename it to end in .json, or give format: json"

SYSTEM_FOLDERS = ("lost+found", "System Volume Information", "$RECYCLE.BIN")

# How to turn what is often delivered into what is read, by the ending of the file.
CONVERSIONS = {
    ".xz": f"{COMPRESSIONS}: xz -dc FILE.xz | gzip > FILE.gz",
    ".zip": "extract it: unzip FILE.zip",
    ".7z": f"{COMPRESSIONS}: 7z e -so FILE.7z | gzip > FILE.gz",
    ".rar": f"{COMPRESSIONS}: unrar p -inul FILE.rar | gzip > FILE.gz",
    ".z": f"{COMPRESSIONS}: gzip -dc FILE.Z | gzip > FILE.gz",
    ".br": f"{COMPRESSIONS}: brotli -dc FILE.br | gzip > FILE.gz",
    ".tar": "extract it: tar -xf FILE",
    ".tgz": "extract it: tar -xf FILE",
    ".geojson": FIX_JSON,
    ".numbers": FIX_SHEET,
    **dict.fromkeys((".arrow", ".feather", ".orc", ".avro"), FIX_ARROW),
    **dict.fromkeys((".pkl", ".pickle", ".rds", ".rdata", ".sav", ".dta", ".xml"), FIX_TABLE),
    **dict.fromkeys((".db", ".sqlite", ".sqlite3"), "give `database: sqlite:///file` and `query`"),
    ".duckdb": "give `database: duckdb:///file` and `query`",
}


def list_files(path: str) -> list[SourceFile]:
    """Return the files of a path, folder or glob, sorted by name.

    In a folder only files with known extensions count, no hidden ones. Raises DataError if there is
    none, and if one is not a file, such as a dangling link, or has a name that is not UTF-8: left
    out, its rows would be missing without a message. The same holds for a folder that may not be
    read.
    """
    files = _list_stored(path) if is_object_address(path) else _list_local(path)
    return sorted(files, key=lambda file: file.address.split("/"))


def _list_stored(path: str) -> Sequence[SourceFile]:
    listing = list_objects(path)
    files = [file for file in listing.objects if not listing.is_folder or find_format(file.name)]
    if files:
        return files
    odd = next((file for file in listing.objects if _find_conversion(file.name)), None)
    raise DataError(
        "no matching file",
        where=path,
        found=f"{listing.base} holds {len(listing.objects):,} other objects"
        + (f", such as {odd.name}" if odd else ""),
        fix=_find_conversion(odd.name) if odd else FIX_SOURCES,
    )


def _list_local(path: str) -> Sequence[SourceFile]:
    base = _find_base(path)
    try:
        items = _find_paths(path)
        names = {item: item.relative_to(base).parts or (item.name,) for item in items}
        # A pattern may leave out what shows a table format.
        beside = [item.relative_to(base).parts for item in base.glob("*")]
        require_plain_files(path, (*beside, *names.values()))
        is_folder = Path(path).is_dir()
        items = [
            item
            for item in items
            if not is_left_out(names[item]) and (not is_folder or find_format(item))
        ]
        paths = sorted(item for item in items if item.is_file())
        unreadable = [item for item in items if not item.is_file() and not item.is_dir()]
        unreadable += [item for item in paths if not _has_utf8_name(item)]
        files = [LocalFile.find(item) for item in paths]
    except PermissionError as error:
        raise make_permission_error(Path(error.filename or path)) from error
    except OSError as error:
        raise DataError(
            "cannot list files", where=path, found=str(error), fix=FIX_SOURCES
        ) from error
    if unreadable:
        raise DataError(
            "not a readable file",
            where=str(unreadable[0]),
            found=f"{_describe_unreadable(unreadable[0])}; {len(unreadable)} in {path}",
            fix="fix the link, rename the file in UTF-8, or remove it",
        )
    if not files:
        raise _explain_no_files(path)
    return files


def find_file(address: str) -> SourceFile:
    """Return the file of an address that was listed; raise its error if it is gone."""
    return find_object(address) if is_object_address(address) else LocalFile.find(Path(address))


def detect_format(file: SourceFile) -> str:
    """Return the format by a file's extension; raise ConfigError for an unknown one."""
    if kind := find_format(file.name) or find_format(_name_packed(file)):
        return kind
    raise ConfigError(
        "unknown file extension",
        where=file.address,
        fix=_find_conversion(file.name) or "give format: csv, json, jsonl, parquet or workbook",
    )


def _name_packed(file: SourceFile) -> PurePath:
    """Return the name of the file in an archive whose own name does not say what it holds."""
    return PurePath(find_packed_name(file)) if file.name.suffix.lower() == ZIP_SUFFIX else file.name


def find_format(path: PurePath) -> str | None:
    """Return the format by a file's extension, or None for an unknown one."""
    bare = PurePath(path.stem) if path.suffix.lower() in COMPRESSED_SUFFIXES else path
    return FORMAT_BY_SUFFIX.get(bare.suffix.lower())


def _find_paths(path: str) -> list[Path]:
    """Return what a path means; raise OSError for a folder that may not be read."""
    _require_access(_find_base(path))
    root = Path(path)
    if root.is_file():
        return [root]
    if root.is_dir():
        return list(_walk_folder(root))
    # Of folders that it may not read, glob says nothing.
    for parent in root.parents:
        if glob.has_magic(str(parent)):
            for name in glob.iglob(str(parent), recursive=True):  # noqa: PTH207
                _require_access(Path(name))
    # Path.glob does not accept absolute patterns.
    return [Path(name) for name in glob.glob(path, recursive=True)]  # noqa: PTH207


def _require_access(path: Path) -> None:
    barrier = find_barrier(path)
    if barrier is not None and not _is_system_folder(barrier):
        raise PermissionError(errno.EACCES, "permission denied", str(barrier))


def _walk_folder(root: Path) -> Iterable[Path]:
    """Yield all files and links below a folder; raise OSError for a folder that cannot be read."""

    def fail(error: OSError) -> None:
        if not _is_system_folder(Path(error.filename or "")):
            raise error

    for folder, names, files in os.walk(root, onerror=fail):
        yield from (Path(folder, name) for name in (*names, *files))


def _is_system_folder(path: Path) -> bool:
    """Return whether a folder is the system's own, which holds no rows."""
    return path.name in SYSTEM_FOLDERS or path.name.startswith(".")


def _find_base(path: str) -> Path:
    """Return the part of a path before its first wildcard, as far as it exists."""
    base = Path(path)
    while base != base.parent and (glob.has_magic(str(base)) or not os.path.lexists(base)):
        base = base.parent
    return base


def _explain_no_files(path: str) -> DataError:
    """Return the error for a path without any file, with what is there instead."""
    # The reader of a log does not know the folder of the run.
    path = str(Path(path).absolute())
    base = _find_base(path)
    has_pattern = glob.has_magic(path)
    if base.is_file():
        return DataError(
            "no matching file", where=path, found=f"{base} is a file, not a folder", fix=FIX_SOURCES
        )
    names = sorted(item.name for item in base.iterdir()) if base.is_dir() else []
    if base == Path(path) or has_pattern:
        odd = next((name for name in names if _find_conversion(Path(name))), "")
        example = odd or (names[0] if names else "")
        holds = f"{len(names):,} other names, such as {example}" if names else "nothing"
        fix = _find_conversion(Path(odd)) if odd else FIX_SOURCES
        return DataError("no matching file", where=path, found=f"{base} holds {holds}", fix=fix)
    missing = Path(path).relative_to(base).parts[0]
    hint = did_you_mean(missing, names)
    detail = f"{base} has no {missing}" + (f"; {hint}" if hint else "")
    return DataError("file not found", where=path, found=detail, fix=FIX_SOURCES)


def _find_conversion(path: PurePath) -> str:
    """Return how to turn a file into one that is read, by its extension; "" if unknown."""
    advice = CONVERSIONS.get(path.suffix.lower(), "")
    return advice.replace("FILE", path.stem if f"FILE{path.suffix}" in advice else path.name)


def _describe_unreadable(path: Path) -> str:
    if not path.is_symlink():
        return "neither a file nor a folder"
    return f"a link to {path.readlink()}, which does not exist or leads in a circle"


def _has_utf8_name(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True
