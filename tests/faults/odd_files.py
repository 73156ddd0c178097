"""Files that are small or odd and could cost hours or all memory, each read in its own process.

As a program it takes a folder, a size of 1 or 4, and names of cases, and prints a line of JSON for
each case: what came of it, and the time and memory that it took.
"""

import json
import os
import resource
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from configs.errors import LeadscoreError
from configs.schema import load_project
from pipelines.check import examine_data

# Address space of a case beyond what the imports take, and seconds of a core.
MAX_MORE_BYTES, MAX_CPU_SECONDS = 3 * 2**30, 120
COUNTED, UNEXPECTED, DIED = "counted", "unexpected error", "process died"
HEAD = ["lead", "at", "what", "via"]
ROWS = [
    [
        f"L{i % 50}",
        f"2024-02-{1 + i % 28:02}",
        ("visit", "bought")[i % 5 == 0],
        f"way {i // 28}",
    ]
    for i in range(200)
]
EVENTS = "".join(f"{','.join(row)}\n" for row in [HEAD, *ROWS])
CONFIG = {
    "project": "odd",
    "timezone": "UTC",
    "workspace": "workspace",
    "sources": {
        "leads": {"path": "leads.csv", "entity_id": "id", "created_at": "created"},
        "events": [
            {
                "path": "events.csv",
                "entity_id": "lead",
                "event_time": "at",
                "event_type": "what",
                "channel": "via",
            }
        ],
        "max_quarantine": 1.0,
    },
    "targets": {
        "buy": {
            "population": {"after": "created"},
            "outcome": "bought",
            "horizon": "21d",
            "cutoffs": {"every": "14d"},
        }
    },
    "capacity": 20,
}


def write_company(folder: Path, events: str, text: str | None = EVENTS) -> None:
    """Write 50 leads, a config whose events are in the file ``events``, and that file's text."""
    leads = [f"L{i},2024-01-{1 + i % 28:02}\n" for i in range(50)]
    (folder / "leads.csv").write_text("id,created\n" + "".join(leads), encoding="utf-8")
    config = json.loads(json.dumps(CONFIG))
    config["sources"]["events"][0]["path"] = events
    (folder / "company.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    if text is not None:
        (folder / events).write_text(text, encoding="utf-8")


def write_wide_csv(folder: Path, columns: int, name: Callable[[int], str]) -> None:
    """Write events with unused columns."""
    head = ",".join([*HEAD, *map(name, range(columns))])
    rows = [",".join(row) + "," * columns for row in ROWS]
    write_company(folder, "events.csv", "\n".join([head, *rows]) + "\n")


def write_packed(folder: Path, name: str, block: bytes, times: int, codec: str = "gzip") -> None:
    """Write events, and behind them a block again and again, compressed."""
    write_company(folder, name, None)
    with pa.output_stream(str(folder / name), compression=codec) as stream:
        stream.write(EVENTS.encode() if ".csv" in name else b"")
        for _ in range(times):
            stream.write(block)


def write_json(folder: Path, lines: list[str]) -> None:
    """Write events as JSON lines, and further lines."""
    events = [json.dumps(dict(zip(HEAD, row, strict=True))) for row in ROWS]
    write_company(folder, "events.jsonl", "\n".join([*events, *lines]) + "\n")


def write_parquet(folder: Path, columns: int, groups: int) -> None:
    """Write events with unused columns, in several row groups."""
    write_company(folder, "events.parquet", None)
    names = [*HEAD, *(f"unused {i}" for i in range(columns))]
    empty = [pa.nulls(1, pa.string())] * columns
    schema = pa.schema([(name, pa.string()) for name in names])
    with pq.ParquetWriter(folder / "events.parquet", schema) as writer:
        for i in range(groups):
            row = [*ROWS[i % 200][:3], f"way {i}"]
            writer.write_table(pa.table([*([cell] for cell in row), *empty], schema=schema))


def write_row_bomb(folder: Path, rows: int) -> None:
    """Write a Parquet file of few bytes and many equal rows."""
    write_company(folder, "events.parquet", None)
    codes = pa.repeat("v", 10_000_000).dictionary_encode()
    table = pa.table([codes] * 4, names=HEAD)
    with pq.ParquetWriter(folder / "events.parquet", table.schema, compression="zstd") as writer:
        for _ in range(rows // len(table)):
            writer.write_table(table, row_group_size=len(table))


def write_many_files(folder: Path, files: int) -> None:
    """Write each few events into a file of their own."""
    write_company(folder, "events", None)
    (folder / "events").mkdir()
    for i in range(files):
        rows = [",".join([*ROWS[i % 200][:3], f"way {i}"]), ",".join(ROWS[(7 * i) % 200])]
        text = "\n".join([",".join(HEAD), *rows]) + "\n"
        (folder / "events" / f"{i:06}.csv").write_text(text, encoding="utf-8")


def add_rows(folder: Path, count: int, row: Callable[[int], str]) -> None:
    """Write events, and further rows."""
    write_company(folder, "events.csv", EVENTS + "".join(row(i) for i in range(count)))


# By name: what the reading must come to, and the writer, which gets 1 or 4 as its size.
CASES: dict[str, tuple[str, Callable[[Path, int], None]]] = {
    "unused columns": (COUNTED, lambda f, n: write_wide_csv(f, 2_400 * n, "unused {}".format)),
    "equal headings": (COUNTED, lambda f, n: write_wide_csv(f, 2_400 * n, lambda _: "x")),
    "20,000 columns": ("too many columns", lambda f, _: write_wide_csv(f, 20_000, str)),
    "Parquet columns": (COUNTED, lambda f, n: write_parquet(f, 2_400 * n, 28)),
    "20,000 Parquet columns": ("too many columns", lambda f, _: write_parquet(f, 20_000, 1)),
    "Parquet row groups": (COUNTED, lambda f, n: write_parquet(f, 0, 500 * n)),
    "Parquet rows from nothing": (
        "far more rows than a table",
        lambda f, n: write_row_bomb(f, 110_000_000 + 0 * n),
    ),
    "files": (COUNTED, lambda f, n: write_many_files(f, 200 * n)),
    "blank lines": (
        COUNTED,
        lambda f, n: write_packed(f, "events.csv.gz", b"\n" * 10**6, 12 * n**2),
    ),
    "zeros in .gz": (
        "a line is too long",
        lambda f, n: write_packed(f, "events.csv.gz", bytes(10**6), 130 * n**2),
    ),
    "zeros in .zst": (
        "a line is too long",
        lambda f, n: write_packed(f, "events.csv.zst", bytes(10**6), 130 * n**2, "zstd"),
    ),
    "equal rows in .zst": (
        "unpacks to far more",
        lambda f, _: write_packed(f, "events.csv.zst", b"L1,2024-02-02,,\n" * 65536, 1_100, "zstd"),
    ),
    "a long line of JSON": (
        "a line is too long",
        lambda f, n: write_packed(f, "events.jsonl.gz", b"{" * 10**6, 130 * n**2),
    ),
    "an event type of 10 MB": (
        COUNTED,
        lambda f, _: add_rows(f, 1, lambda _: f"L1,2024-02-02,{'y' * 10**7},web\n"),
    ),
    "an id of 10 MB": (COUNTED, lambda f, _: add_rows(f, 1, lambda _: f"{'L' * 10**7},,,\n")),
    "event types": (
        COUNTED,
        lambda f, n: add_rows(f, 20_000 * n, lambda i: f"L{i % 50},2024-02-02,type {i},web\n"),
    ),
    "channels": (
        COUNTED,
        lambda f, n: add_rows(f, 20_000 * n, lambda i: f"L{i % 50},2024-02-02,visit,way {i}\n"),
    ),
    "bad rows": (COUNTED, lambda f, n: add_rows(f, 100_000 * n, lambda i: f"L1,never {i},a,b\n")),
    "broken rows": (COUNTED, lambda f, n: add_rows(f, 50_000 * n, lambda i: f"L1,{i}\n")),
    "open quotes": (COUNTED, lambda f, n: add_rows(f, 3_000 * n, lambda i: f'L1,"2024,{i},b\n')),
    "JSON keys": (
        "too many columns",
        lambda f, n: write_json(f, [json.dumps({f"key {i}": 1}) for i in range(2_500 * n)]),
    ),
    "nested JSON": (
        COUNTED,
        lambda f, n: write_json(f, ['{"x":' + "[" * d + "]" * d + "}" for d in (99, 10**5 * n)]),
    ),
    "a JSON key of 1 MB": (COUNTED, lambda f, n: write_json(f, [json.dumps({"k" * 10**6: 1})])),
}


def read_case(folder: Path) -> str:
    """Read the company as ``leadscore check`` does; return what came of it."""
    os.chdir(folder)
    try:
        examine_data(load_project(folder / "company.yaml"), "2024-03-01")
    except LeadscoreError as error:
        return str(error)
    except BaseException:  # noqa: BLE001 - nothing else may escape
        return f"{UNEXPECTED}: {traceback.format_exc()}"
    return COUNTED


def run_case(name: str, folder: Path, size: int) -> dict:
    """Write and read a case in a process of its own, with a limit of memory and time."""
    folder.mkdir(parents=True)
    CASES[name][1](folder, size)
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        limit = used + MAX_MORE_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        resource.setrlimit(resource.RLIMIT_CPU, (MAX_CPU_SECONDS, MAX_CPU_SECONDS))
        os.write(writing, read_case(folder).encode("utf-8", "replace")[-3_000:])
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8", errors="replace") as pipe:
        outcome = pipe.read()
    _, status, usage = os.wait4(child, 0)
    return {
        "name": name,
        "outcome": outcome or f"{DIED}: {status}",
        "seconds": round(usage.ru_utime + usage.ru_stime, 2),
        "megabytes": usage.ru_maxrss // 1024,
    }


def main() -> None:
    """Run the named cases; each after the other, since no thread may run before a fork."""
    folder, size, names = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    for name in names or CASES:
        sys.stdout.write(json.dumps(run_case(name, folder / name.replace(" ", "_"), size)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
