"""Compressed text files: unpacked by their ending, the only file of a ZIP archive included."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Protocol

import pyarrow as pa

from configs.errors import DataError, join_names
from features.intake.storage.source_file import SourceFile

ZIP_SUFFIX = ".zip"
# Compressions by the ending of a file's name.
CODECS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".lz4": "lz4"}
COMPRESSED_SUFFIXES = (*CODECS, ZIP_SUFFIX)
COMPRESSIONS = "gz, bz2, zst, lz4 and zip are read"

FIX_ARCHIVE = "extract it: unzip FILE"


class ByteStream(Protocol):
    """What can be read byte by byte."""

    def read(self, size: int = ..., /) -> bytes:
        """Return the next bytes, at most ``size``; none at the end."""


@contextmanager
def open_unpacked(file: SourceFile) -> Iterator[ByteStream]:
    """Open a file, unpacked by its ending.

    Raises OSError for a damaged or cut one, DataError for an archive that does not hold one file.
    """
    suffix = file.name.suffix.lower()
    with file.open() as packed:
        if suffix in CODECS:
            yield pa.CompressedInputStream(packed, CODECS[suffix])
        elif suffix == ZIP_SUFFIX:
            with _open_archive(file, packed) as stream:
                yield stream
        else:
            yield packed


@contextmanager
def _open_archive(file: SourceFile, packed: pa.NativeFile) -> Iterator[ByteStream]:
    try:
        with (
            zipfile.ZipFile(packed) as archive,
            archive.open(_find_member(file, archive)) as stream,
        ):
            yield stream
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise OSError(str(error) or "the archive is cut") from error


def find_packed_name(file: SourceFile) -> str:
    """Return the name of the only file in a ZIP archive; "" if there is no such one."""
    try:
        with file.open() as packed, zipfile.ZipFile(packed) as archive:
            members = _list_members(archive)
    except (OSError, zipfile.BadZipFile, NotImplementedError):
        return ""
    return members[0].filename if len(members) == 1 else ""


def _find_member(file: SourceFile, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    members = _list_members(archive)
    if len(members) != 1:
        names = join_names([repr(member.filename) for member in members], 5)
        observed = f"{len(members)} files: {names}" if members else "no file"
        fix = FIX_ARCHIVE.replace("FILE", str(file.name))
        raise DataError(
            "the archive must hold one file", where=file.address, found=observed, fix=fix
        )
    # The first bit of the flags says that a password is needed.
    if members[0].flag_bits & 1:
        fix = FIX_ARCHIVE.replace("FILE", str(file.name))
        raise DataError("the archive is protected by a password", where=file.address, fix=fix)
    return members[0]


def _list_members(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """Return the files of an archive, without those that a system adds."""
    return [
        member
        for member in archive.infolist()
        if not member.is_dir()
        and not any(
            part.startswith((".", "__MACOSX")) for part in PurePosixPath(member.filename).parts
        )
    ]
