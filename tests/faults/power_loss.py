"""The disk after a loss of power, replayed from a record of what a process wrote.

A write is certain only once its file was flushed, a name only once its folder was; of the others a
disk keeps what it likes, in any order (Pillai et al., All File Systems Are Not Created Equal, OSDI
2014). ``Disk`` follows both the certain state and the one that the process saw.
"""

import os
import random
import shutil
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

HEAD = struct.Struct("=cIIqQ")
# Pages of a file reach the disk one by one.
PAGE = 4096


class Operation(NamedTuple):
    """One recorded call: its kind as in shim.c, up to two paths, an offset or length, bytes."""

    kind: str
    path: str
    other: str
    offset: int
    data: bytes


def read_operations(log: Path) -> list[Operation]:
    """Return the recorded calls in their order."""
    raw, place, operations = log.read_bytes(), 0, []
    while place < len(raw):
        kind, a, b, offset, size = HEAD.unpack_from(raw, place)
        place += HEAD.size
        path, other = raw[place : place + a].decode(), raw[place + a : place + a + b].decode()
        place += a + b
        data = raw[place : place + size]
        operations.append(Operation(kind.decode(), path, other, offset, data))
        place += size
    return operations


@dataclass
class Inode:
    """A file, folder or link, apart from its names.

    Attributes:
        seen: Content that the process sees; None for a folder or link.
        certain: Content that a loss of power leaves.
        pending: Writes and truncations since the last flush.
        entries: Names in a folder that the process sees; None for a file or link.
        kept: Names in a folder that a loss of power leaves.
        target: Target of a link.
    """

    seen: bytearray | None = None
    certain: bytes = b""
    pending: list[Operation] = field(default_factory=list)
    entries: dict[str, "Inode"] | None = None
    kept: dict[str, "Inode"] = field(default_factory=dict)
    target: str | None = None


def change_content(content: bytearray, operation: Operation) -> None:
    """Apply a write or a truncation."""
    size = operation.offset + len(operation.data)
    if operation.kind == "T":
        del content[operation.offset :]
    if len(content) < size:
        content.extend(bytes(size - len(content)))
    content[operation.offset : size] = operation.data


class Disk:
    """A folder on a disk, named ``folder`` in the records; at first it is as in ``start``."""

    def __init__(self, folder: Path, start: Path) -> None:
        self.folder = folder
        self.root = self._read(start)

    def _read(self, path: Path) -> Inode:
        if path.is_symlink():
            return Inode(target=str(path.readlink()))
        if path.is_dir():
            entries = {child.name: self._read(child) for child in path.iterdir()}
            return Inode(entries=entries, kept=dict(entries))
        content = path.read_bytes()
        return Inode(seen=bytearray(content), certain=content)

    def apply(self, operation: Operation) -> None:
        """Follow one recorded call; one that failed when it was recorded changes nothing."""
        kind, path = operation.kind, operation.path
        if kind in "WTF":
            inode = self._find(path)
            if inode is None:  # a file without a name any more
                return
            self._change(inode, operation)
            return
        folder, name = self._place(path)
        if folder is None:
            return
        if kind == "C":
            self._open(folder, name, operation)
        elif kind == "U":
            folder.pop(name, None)
        elif kind == "M":
            folder.setdefault(name, Inode(entries={}))
        elif kind == "L":
            folder.setdefault(name, Inode(target=operation.other))
        elif name in folder:
            new_folder, new_name = self._place(operation.other)
            new_folder[new_name] = folder[name] if kind == "H" else folder.pop(name)

    def _change(self, inode: Inode, operation: Operation) -> None:
        if operation.kind != "F":
            inode.pending.append(operation)
            change_content(inode.seen, operation)
        elif inode.entries is not None:
            inode.kept = dict(inode.entries)
        elif inode.seen is not None:
            inode.certain, inode.pending = bytes(inode.seen), []

    def _open(self, folder: dict[str, Inode], name: str, operation: Operation) -> None:
        flags = operation.offset
        if flags & os.O_DIRECTORY:
            return
        if name in folder:
            inode = folder[name]
            if flags & os.O_TRUNC and not flags & os.O_EXCL and inode.seen is not None:
                self._change(inode, Operation("T", operation.path, "", 0, b""))
        elif flags & os.O_CREAT:
            folder[name] = Inode(seen=bytearray())

    def _place(self, path: str) -> tuple[dict[str, Inode] | None, str]:
        parent = self._find(str(Path(path).parent))
        return (None if parent is None else parent.entries), Path(path).name

    def _find(self, path: str) -> Inode | None:
        relative = os.path.relpath(path, self.folder)
        inode = self.root
        for part in () if relative == "." else relative.split("/"):
            while inode is not None and inode.target is not None:
                return None
            inode = (inode.entries or {}).get(part) if inode is not None else None
        return inode

    def write(self, folder: Path, names: str, content: str, seed: int = 0) -> None:
        """Write the disk into a new folder.

        ``names`` and ``content`` are ``seen``, ``certain`` or ``mixed``: each page that was not
        flushed is there or not, each change of a name that was not flushed happened or not.
        """
        shutil.rmtree(folder, ignore_errors=True)
        self._write(self.root, folder, names, content, random.Random(seed))

    def _write(self, inode: Inode, path: Path, names: str, content: str, rng) -> None:
        if inode.target is not None:
            path.symlink_to(inode.target)
        elif inode.entries is None:
            path.write_bytes(_content(inode, content, rng))
        else:
            path.mkdir()
            for name, child in _entries(inode, names, rng).items():
                self._write(child, path / name, names, content, rng)


def _entries(inode: Inode, names: str, rng: random.Random) -> dict[str, Inode]:
    if names != "mixed":
        return inode.entries if names == "seen" else inode.kept
    both = sorted({*inode.entries, *inode.kept})
    chosen = {name: rng.choice((inode.entries, inode.kept)).get(name) for name in both}
    return {name: child for name, child in chosen.items() if child is not None}


def _content(inode: Inode, content: str, rng: random.Random) -> bytes:
    if content != "mixed":
        return bytes(inode.seen) if content == "seen" else inode.certain
    mixture = bytearray(inode.certain)
    for operation in inode.pending:
        for start in range(0, max(1, len(operation.data)), PAGE):
            if rng.random() < 0.5:
                page = operation.data[start : start + PAGE]
                change_content(
                    mixture, operation._replace(offset=operation.offset + start, data=page)
                )
    return bytes(mixture)
