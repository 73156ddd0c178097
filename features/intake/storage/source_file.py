"""A file of a source: what all readers need of it, wherever it is kept."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pyarrow as pa

from configs.errors import DataError
from features.intake.storage.permission import make_permission_error


@dataclass(frozen=True)
class SourceFile(ABC):
    """A file of a source.

    Attributes:
        address: Path or address, as messages name it.
        size: Number of its bytes when it was listed.
    """

    address: str
    size: int

    def __str__(self) -> str:
        return self.address

    @property
    def name(self) -> PurePosixPath:
        """Return the last part of the address, with its extensions."""
        return PurePosixPath(PurePosixPath(self.address).name)

    @abstractmethod
    def open(self) -> pa.NativeFile:
        """Return the bytes of the file, from its start, with seeking."""

    @abstractmethod
    def explain(self, error: Exception) -> DataError:
        """Return the error to raise for one that reading the file has raised."""


@dataclass(frozen=True)
class LocalFile(SourceFile):
    """A file in a folder of this machine."""

    @classmethod
    def find(cls, path: Path) -> LocalFile:
        """Return the file at a path; raise OSError if there is none."""
        return cls(str(path), path.stat().st_size)

    def open(self) -> pa.NativeFile:
        """Return the bytes of the file, from its start, with seeking."""
        return pa.OSFile(self.address, "rb")

    def explain(self, error: Exception) -> DataError:
        """Return the error to raise for one that reading the file has raised."""
        if isinstance(error, PermissionError):
            return make_permission_error(Path(self.address))
        return make_unreadable_error(self.address, error)


def make_unreadable_error(address: str, error: Exception) -> DataError:
    """Return the error for a file whose bytes are not what its format requires."""
    observed = next(iter(str(error).splitlines()), type(error).__name__)
    fix = "export or copy it again: it may be damaged or incomplete"
    return DataError("cannot read the file", where=address, found=observed, fix=fix)
