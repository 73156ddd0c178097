"""Sources written to disk: encoded in each format, corrupted as bytes, and misplaced."""

import gzip
import json
import os
import random
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

TEXT, ALL_FILES = ("csv", "gz", "jsonl"), ("csv", "gz", "jsonl", "parquet")
ENDINGS = {
    "csv": ".csv",
    "gz": ".csv.gz",
    "jsonl": ".jsonl",
    "parquet": ".parquet",
    "sqlite": ".db",
}


@dataclass
class Source:
    """One source: its rows as text, their format, and corruptions of bytes and place.

    ``where`` has the config keys that name it, ``paths`` its files; both are set by ``place``.
    ``meant`` are the CSV lines of the sound rows.
    """

    role: str
    names: list[str]
    rows: list[list[object]]
    form: str = "csv"
    parts: int = 1
    columns: dict[int, Callable[[int, random.Random], pa.Array]] = field(default_factory=dict)
    lines: list[Callable[[list[str], random.Random], list[str]]] = field(default_factory=list)
    delimiter: str = ","
    encoding: str = "utf-8"
    bytes_wrong: list[Callable[[bytes, random.Random], bytes]] = field(default_factory=list)
    placed: str = ""
    ending: str = ""
    during: str = ""
    where: dict[str, str] = field(default_factory=dict)
    paths: list[Path] = field(default_factory=list)
    meant: frozenset[str] = frozenset()


def csv_bytes(source: Source, rows: list[list[object]], rng: random.Random) -> bytes:
    lines = [
        source.delimiter.join("" if cell is None else str(cell) for cell in row)
        for row in [source.names, *rows]
    ]
    for change in source.lines:
        lines = change(lines, rng)
    text = "".join(line if line.endswith(("\n", "\r")) else line + "\n" for line in lines)
    return text.encode(
        source.encoding, "replace" if source.encoding == "latin-1" else "surrogatepass"
    )


def jsonl_bytes(source: Source, rows: list[list[object]], rng: random.Random) -> bytes:
    lines = [json.dumps(dict(zip(source.names, row, strict=False))) for row in rows]
    for change in source.lines:
        lines = change(lines, rng)
    return "\n".join(lines).encode(
        source.encoding, "replace" if source.encoding == "latin-1" else "surrogatepass"
    )


def parquet_bytes(source: Source, rows: list[list[object]], rng: random.Random) -> bytes:
    width = len(source.names)
    padded = [[*row, *[None] * width][:width] for row in rows]
    arrays = [
        pa.array([None if row[i] is None else _utf8(row[i]) for row in padded], pa.string())
        for i in range(width)
    ]
    for i, make in source.columns.items():
        if i < width:
            arrays[i] = make(len(rows), rng)
    sink = pa.BufferOutputStream()
    names = [_utf8(name) for name in source.names]
    options = {
        "compression": rng.choice(["none", "snappy", "zstd"]),
        "use_dictionary": rng.random() < 0.5,
    }
    schema = pa.schema(
        [pa.field(name, array.type) for name, array in zip(names, arrays, strict=True)]
    )
    parquet.write_table(
        pa.Table.from_arrays(arrays, schema=schema), sink, row_group_size=40, **options
    )
    return sink.getvalue().to_pybytes()


def sqlite_bytes(source: Source, rows: list[list[object]], rng: random.Random) -> bytes:
    """Return a database whose view ``t`` has the names.

    Several of them may be equal, as in the result of a query.
    """
    width = len(source.names)
    with sqlite3.connect(":memory:") as connection:
        columns = [f"c{i}" for i in range(width)]
        connection.execute(f"CREATE TABLE r ({', '.join(columns)})")
        aliases = [
            '"' + _utf8(name).replace('"', '""').replace("\0", "") + '"' for name in source.names
        ]
        shown = ", ".join(
            f"{column} AS {alias}" for column, alias in zip(columns, aliases, strict=True)
        )
        connection.execute(f"CREATE VIEW t AS SELECT {shown} FROM r")
        padded = [[_cell(cell) for cell in [*row, *[None] * width][:width]] for row in rows]
        connection.executemany(f"INSERT INTO r VALUES ({', '.join('?' * width)})", padded)
        for change in source.lines:
            for statement in change(columns, rng):
                connection.execute(statement)
        connection.commit()
        return connection.serialize()


def _cell(value: object) -> object:
    return _utf8(value) if isinstance(value, str) else value


def _utf8(value: object) -> str:
    return str(value).encode("utf-8", "replace").decode()


ENCODERS = {
    "csv": csv_bytes,
    "gz": csv_bytes,
    "jsonl": jsonl_bytes,
    "parquet": parquet_bytes,
    "sqlite": sqlite_bytes,
}


def place(source: Source, folder: Path, rng: random.Random) -> None:
    """Write a source's files, or put something else in their place."""
    name, ending = source.role, source.ending or ENDINGS[source.form]
    bounds = [len(source.rows) * i // source.parts for i in range(source.parts + 1)]
    spoiled = rng.randrange(source.parts)
    for i in range(source.parts):
        data = ENCODERS[source.form](source, source.rows[bounds[i] : bounds[i + 1]], rng)
        for change in source.bytes_wrong if i == spoiled else ():
            data = change(data, rng)
        path = folder / (f"{name}{ending}" if source.parts == 1 else f"{name}_{i}{ending}")
        source.paths.append(path)
        path.write_bytes(
            gzip.compress(data, mtime=0)
            if source.form == "gz" and source.placed != "not packed"
            else data
        )
    if source.form == "gz" and source.placed == "cut packed":
        packed = source.paths[-1].read_bytes()
        source.paths[-1].write_bytes(packed[: rng.randrange(len(packed))])
    if source.form == "sqlite":
        source.where = {"database": f"sqlite:///{source.paths[0]}", "query": "SELECT * FROM t"}
    else:
        source.where = {
            "path": str(source.paths[0] if source.parts == 1 else folder / f"{name}_*{ending}")
        }
    if source.ending and rng.random() < 0.5 and source.form != "sqlite":
        source.where["format"] = "csv" if source.form == "gz" else source.form
    _misplace(source, rng)


def _misplace(source: Source, rng: random.Random) -> None:
    """Replace the last file by something else."""
    path = source.paths[-1]
    if source.placed == "empty":
        path.write_bytes(b"")
    elif source.placed in ("folder", "loop", "dangling", "pipe", "device"):
        path.unlink()
        if source.placed == "folder":
            path.mkdir()
            (path / "x.csv").mkdir()
        elif source.placed == "pipe":
            os.mkfifo(path)
        else:
            path.symlink_to(
                {"loop": path, "dangling": path.with_name("nowhere"), "device": Path("/dev/null")}[
                    source.placed
                ]
            )
    elif source.placed == "unreadable":
        path.chmod(0)
    elif source.placed == "strange name":
        strange = rng.choice([b"\xff\xfe", b"a\nb", b"[red]", b"${HOME}", b"*?", "é🙂".encode()])
        ending = b"".join(os.fsencode(suffix) for suffix in path.suffixes)
        name = strange if source.parts == 1 else os.fsencode(source.role) + b"_" + strange
        moved = path.parent / "in" / os.fsdecode(name + ending)
        (path.parent / "in").mkdir(exist_ok=True)
        source.paths[-1] = path.rename(moved)
        source.where["path"] = str(
            path.parent / ("in" if source.parts == 1 else f"**/{source.role}_*{ending.decode()}")
        )


def _cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _no_head(data: bytes, rng: random.Random) -> bytes:
    return data[rng.randrange(len(data) + 1) :]


def _flip(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice([1, 1, 3, 30])):
        if changed:
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _put_in(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.randbytes(rng.choice([1, 4, 100])) + data[at:]


def _put_text(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    return (
        data[:at]
        + rng.choice(
            [
                b"\0",
                b"\xff\xfe",
                b"\xed\xa0\x80",
                b'"',
                b"\r",
                b"\n\n",
                b"\x1a",
                b"\xe2\x80\xa8",
                b"{",
                b"[",
            ]
        )
        + data[at:]
    )


def _zeros(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + b"\0" * min(4096, len(data) - at) + data[at + 4096 :]


def _shuffled(data: bytes, rng: random.Random) -> bytes:
    blocks = [data[i : i + 512] for i in range(0, len(data), 512)]
    rng.shuffle(blocks)
    return b"".join(blocks)


def _noise(data: bytes, rng: random.Random) -> bytes:
    return rng.randbytes(rng.choice([1, 3, 4, 8, 100, 10_000]))


def _twice(data: bytes, rng: random.Random) -> bytes:
    return data + data


def _tail(data: bytes, rng: random.Random) -> bytes:
    return data + rng.randbytes(rng.randrange(1, 2000))


def _bom(data: bytes, rng: random.Random) -> bytes:
    return (
        rng.choice([b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf" * 2, b"\xef\xbb"])
        + data
    )


def _byte_change(
    change: Callable[[bytes, random.Random], bytes],
) -> Callable[[Source, random.Random], None]:
    return lambda source, rng: source.bytes_wrong.append(change)


def _setting(name: str, *values: object) -> Callable[[Source, random.Random], None]:
    return lambda source, rng: setattr(source, name, rng.choice(values))


EVERY = (*ALL_FILES, "sqlite")

# Corruptions of a file: the formats they apply to, and the function that applies them.
WRONG: dict[str, tuple[tuple[str, ...], Callable[[Source, random.Random], None]]] = {
    "cut at a random byte": (EVERY, _byte_change(_cut)),
    "first bytes gone": (EVERY, _byte_change(_no_head)),
    "bits flipped": (EVERY, _byte_change(_flip)),
    "bytes put in": (EVERY, _byte_change(_put_in)),
    "NUL, bad UTF-8 or quote put in": (EVERY, _byte_change(_put_text)),
    "a block of zeros": (EVERY, _byte_change(_zeros)),
    "blocks shuffled": (EVERY, _byte_change(_shuffled)),
    "nothing but noise": (EVERY, _byte_change(_noise)),
    "noise at the end": (EVERY, _byte_change(_tail)),
    "the file twice over": (ALL_FILES, _byte_change(_twice)),
    "byte order marks": (TEXT, _byte_change(_bom)),
    "another encoding": (
        TEXT,
        _setting("encoding", "utf-16", "utf-16-le", "utf-32", "latin-1", "cp037", "utf-7"),
    ),
    "packed file cut, or not packed": (("gz",), _setting("placed", "cut packed", "not packed")),
    "empty file": (EVERY, _setting("placed", "empty")),
    "no file there": (
        EVERY,
        _setting("placed", "folder", "loop", "dangling", "pipe", "device", "unreadable"),
    ),
    "strange file name": (ALL_FILES, _setting("placed", "strange name")),
    "ending of another format": (
        ALL_FILES,
        _setting(
            "ending",
            ".csv",
            ".parquet",
            ".jsonl",
            ".csv.gz",
            ".csv.zst",
            ".jsonl.bz2",
            ".csv.lz4",
            ".xlsx",
            "",
        ),
    ),
    "file vanishes or changes": (
        ALL_FILES,
        _setting("during", "vanishes", "shrinks", "becomes noise"),
    ),
}
