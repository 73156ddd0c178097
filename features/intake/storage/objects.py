"""Objects of an object store that are files of a source: which there are, and reading them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from glob import has_magic

import pyarrow as pa
from pyarrow import fs

from configs.addresses.object_store import TITLES, ObjectAddress, parse_object_address
from configs.addresses.redaction import redact_text
from configs.errors import DataError
from configs.suggestions import did_you_mean
from features.intake.storage.connection import FIX_LOGIN, connect_store
from features.intake.storage.left_out import is_left_out, require_plain_files
from features.intake.storage.source_file import FIX_SOURCES, SourceFile, make_unreadable_error

# Keys of an object's metadata that change with its bytes, by preference.
VERSION_KEYS = ("generation", "ETag", "etag")

_DENIED = re.compile(
    r"ACCESS_DENIED|INVALID_ACCESS_KEY|SIGNATURE|EXPIRED_TOKEN|INVALID_TOKEN|PERMISSION_DENIED"
    r"|UNAUTHENTICATED|Authenti|Authoriz|[Cc]redential|(?:status|code):? 40[13]\b|\b403 Forbidden"
)
_MISSING = re.compile(r"NO_SUCH|RESOURCE_NOT_FOUND|NOT_FOUND|not exist|No such file")
# Errors of a decompressor or of the reader of a format, which no server causes.
_DAMAGED = re.compile(r"zlib|bz2|ZSTD|LZ4|Truncated compressed|[Tt]hrift|Parquet|CRC|[Cc]orrupt")


@dataclass(frozen=True)
class StoredObject(SourceFile):
    """An object of an object store.

    Attributes:
        place: Bucket and key.
        system: Connection to the store.
        store: Scheme of its address.
        versions: Version of the object when it was first opened.
    """

    place: str
    system: fs.FileSystem = field(repr=False, compare=False)
    store: str
    versions: list[str] = field(default_factory=list, repr=False, compare=False)

    def open(self) -> pa.NativeFile:
        """Return the bytes of the object, from its start, with seeking.

        Raises DataError if it is no longer the object that was opened first.
        """
        stream = self.system.open_input_file(self.place)
        self.versions.append(_find_version(stream))
        if self.versions[-1] != self.versions[0]:
            stream.close()
            raise DataError(
                "the object changed while it was read",
                where=self.address,
                found=f"version {self.versions[-1]}, before it was {self.versions[0]}",
                fix="run again when nothing writes to it; add new objects instead of replacing one",
            )
        return stream

    def require_unchanged(self) -> None:
        """Raise DataError if the object is no longer the one that was read."""
        self.open().close()

    def explain(self, error: Exception) -> DataError:
        """Return the error to raise for one that reading the object has raised."""
        try:
            self.require_unchanged()
        except DataError as change:
            return change
        except (OSError, pa.ArrowException):
            pass  # the error to explain says more
        if not isinstance(error, OSError) or _DAMAGED.search(str(error)):
            return make_unreadable_error(self.address, error)
        return make_store_error(self.address, self.store, error)


@dataclass(frozen=True)
class ObjectListing:
    """The objects of an address, folder or glob.

    Attributes:
        base: Address of the folder, or of the object itself.
        objects: Objects, in the order of local files; hidden ones are left out.
        is_folder: Whether the address is that of a folder, without a pattern.
    """

    base: str
    objects: Sequence[StoredObject]
    is_folder: bool


def list_objects(path: str) -> ObjectListing:
    """Return the objects of an address, folder or glob.

    Raises DataError if the store cannot be reached or refuses, if there is nothing at the address,
    and for the folder of a table format.
    """
    address = parse_object_address(path)
    system = connect_store(address)
    parts = address.key.split("/") if address.key else []
    first = next((i for i, part in enumerate(parts) if has_magic(part)), len(parts))
    base = "/".join((address.bucket, *parts[:first]))
    try:
        infos = _list_infos(system, base, recursive=len(parts) - first != 1 or parts[-1] == "**")
        if not infos:
            raise _explain_nothing(path, address, system, parts[:first])
    except (OSError, pa.ArrowException) as error:
        raise make_store_error(path, address.scheme, error) from None
    pattern, keys = parts[first:], {info.path: _split_key(info, base) for info in infos}
    require_plain_files(path, keys.values())
    objects = [
        StoredObject(
            f"{address.root}{info.path.removeprefix(address.bucket)}",
            *(info.size, info.path, system, address.scheme),
        )
        for info in sorted(infos, key=lambda info: info.path.split("/"))
        if info.is_file
        and not is_left_out(keys[info.path] or (info.base_name,))
        and (not pattern or match_parts(keys[info.path], pattern))
    ]
    is_single = len(infos) == 1 and infos[0].path == base
    return ObjectListing(
        address.root + base.removeprefix(address.bucket),
        objects,
        is_folder=not (pattern or is_single),
    )


def find_object(path: str) -> StoredObject:
    """Return the object of an address; raise DataError if it is gone."""
    address = parse_object_address(path)
    place, system = f"{address.bucket}/{address.key}", connect_store(address)
    try:
        info = system.get_file_info(place)
    except (OSError, pa.ArrowException) as error:
        raise make_store_error(path, address.scheme, error) from None
    return StoredObject(path, info.size or 0, place, system, address.scheme)


def _list_infos(system: fs.FileSystem, base: str, *, recursive: bool) -> list[fs.FileInfo]:
    """Return what there is below a folder, or the object itself; nothing if there is neither."""
    root = system.get_file_info(base)
    if root.type == fs.FileType.NotFound:
        return []
    return (
        [root] if root.is_file else system.get_file_info(fs.FileSelector(base, recursive=recursive))
    )


def _split_key(info: fs.FileInfo, base: str) -> tuple[str, ...]:
    return tuple(filter(None, info.path.removeprefix(base).split("/")))


def _explain_nothing(
    path: str, address: ObjectAddress, system: fs.FileSystem, parts: Sequence[str]
) -> DataError:
    """Return the error for an address where nothing is, with what is there instead."""
    if system.get_file_info(address.bucket).type == fs.FileType.NotFound:
        observed, fix = (
            f"there is no {address.root}",
            "check the name of the bucket, and the account",
        )
        return DataError(
            f"bucket not found in {TITLES[address.scheme]}", where=path, found=observed, fix=fix
        )
    folder = "/".join((address.bucket, *parts[:-1]))
    selector = fs.FileSelector(folder, allow_not_found=True)
    names = sorted(info.base_name for info in system.get_file_info(selector))
    hint = did_you_mean(parts[-1], names) if parts else ""
    place = "/".join((address.root, *parts))
    observed = f"{place} holds nothing" + (f"; {hint}" if hint else "")
    return DataError(
        f"nothing found in {TITLES[address.scheme]}", where=path, found=observed, fix=FIX_SOURCES
    )


def match_parts(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Return whether the parts of a key fit those of a glob; ``**`` stands for any number."""
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(match_parts(parts[i:], pattern[1:]) for i in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and match_parts(parts[1:], pattern[1:])


def make_store_error(address: str, store: str, error: Exception) -> DataError:
    """Return the error for a request that an object store refused or did not answer."""
    text = redact_text(next(iter(str(error).splitlines()), type(error).__name__))
    if _DENIED.search(text):
        what, fix = "access denied by", FIX_LOGIN[store]
    elif _MISSING.search(text):
        what, fix = "not found in", FIX_SOURCES
    else:
        what, fix = "cannot read from", "check network, region and endpoint, and run again"
    return DataError(f"{what} {TITLES[store]}", where=address, found=text, fix=fix)


def _find_version(stream: pa.NativeFile) -> str:
    metadata = {key: value.decode("utf-8", "replace") for key, value in stream.metadata().items()}
    return next((metadata[key] for key in VERSION_KEYS if key in metadata), "")
