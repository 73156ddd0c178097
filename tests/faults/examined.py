"""Corrupt companies read by the real thing, one after another: what became of each, judged by independent counts.

As a program it takes numbers of cases on standard input and answers each with one line of JSON, so that who asks
outlives a reader that dies or never ends.
"""

import contextlib
import csv
import faulthandler
import gzip
import io
import json
import os
import resource
import shutil
import sqlite3
import sys
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path

from pyarrow import parquet
from rich.console import Console

from configs.errors import LeadscoreError
from configs.schema import load_project
from features.contracts import Dataset
from features.intake import reading
from pipelines import cli, training_data
from pipelines.check import examine_data
from pipelines.reports import terminal
from tests.faults.corrupt import Case, make
from tests.faults.wild_files import Source

COUNTED, REFUSED, UNCOUNTED, TRACEBACK = "counted", "refused", "not counted", "traceback"
NO_FILES = ("loop", "dangling", "pipe", "device")
MOST_MEMORY = 24 << 30
"""Bytes of address space: a config that would fill the machine fails instead."""


def judge(number: int, command: str = "") -> dict[str, object]:
    """Make a case in a folder of its own, read it, and say what became of it; with a command through the CLI.

    The workspace is a copy of TEMPLATE where that is set, so that there can be a champion that scores.
    """
    home = Path.cwd()
    folder = Path(tempfile.mkdtemp(prefix="corrupt-"))
    os.environ["LEADSCORE_WORKSPACE"] = str(folder / "workspace")
    if template := os.environ.get("TEMPLATE"):
        shutil.copytree(template, folder / "workspace")
    try:
        os.chdir(folder)
        case = make(number, folder)
        outcome, detail = _through_the_command(case, command) if command else _read(case)
        forms = sorted({source.form for source in case.sources})
        return {
            "number": number,
            "wrong": case.wrong,
            "forms": forms,
            "outcome": outcome,
            "detail": detail,
        }
    finally:
        os.chdir(home)
        shutil.rmtree(folder, ignore_errors=True)


def _read(case: Case) -> tuple[str, str]:
    kept = list[Dataset]()
    try:
        with _meanwhile(case, kept):
            project = load_project(case.config)
            found = examine_data(project, None)
        Console(file=io.StringIO(), width=160).print(*terminal.examination(found))
        json.dumps(found.to_json(), default=str).encode()
    except LeadscoreError as error:
        return (
            (REFUSED, type(error).__name__)
            if _well_said(error)
            else (TRACEBACK, f"badly said: {error}")
        )
    except Exception:  # noqa: BLE001 - any other exception is what is looked for
        return TRACEBACK, traceback.format_exc()
    # What files hold that changed, or that the config no longer names as it was meant to, no other reader can say.
    known = not case.during and not any(name.startswith("config") for name in case.wrong)
    flaws = list(_flaws(case, kept[0], project.workspace_path / "quarantine")) if known else []
    return (UNCOUNTED, "; ".join(flaws)) if flaws else (COUNTED, "")


def _well_said(error: LeadscoreError) -> bool:
    """Say whether an error has its parts and is a line or two that any terminal can show."""
    text = str(error)
    text.encode()
    return (
        error.exit_code in (2, 3)
        and bool(error.what and error.where)
        and text.count("\n") <= 1
        and len(text) < 3000
    )


@contextlib.contextmanager
def _meanwhile(case: Case, kept: list[Dataset]) -> Iterator[None]:
    """Let files vanish or change as soon as they were listed, and keep what was read."""

    def files(path: str) -> list[Path]:
        found = listed(path)
        for source in case.sources:
            if source.during and source.paths[-1] in found and source.paths[-1].is_file():
                _befall(source)
        return found

    def read(*arguments: object) -> Dataset:
        kept.append(reads(*arguments))
        return kept[-1]

    listed, reads = reading.files, training_data.read_sources
    reading.files, training_data.read_sources = files, read
    try:
        yield
    finally:
        reading.files, training_data.read_sources = listed, reads


def _befall(source: Source) -> None:
    path = source.paths[-1]
    if source.during == "vanishes":
        path.unlink()
    elif source.during == "shrinks":
        os.truncate(path, path.stat().st_size // 2)
    else:
        path.write_bytes(bytes(range(256)) * 8)


def _flaws(case: Case, data: Dataset, quarantine: Path) -> Iterator[str]:
    """Yield what does not add up."""
    counts = {count.source.split("_")[0]: count for count in data.counts}
    for source in case.sources:
        count = counts[source.role]
        if count.rows_in != count.used + count.skipped + sum(count.quarantined.values()):
            yield f"{count} does not add up"
        if source.placed in NO_FILES:
            yield f"{source.role}: used although one of its files is none: {source.placed}"
        wanted = _rows_in(source)
        if wanted is not None and wanted != count.rows_in:
            yield f"{source.role}: {count.rows_in} rows in, an independent reader finds {wanted}"
        written = _written(quarantine / f"{count.source}.csv")
        if written != sum(count.quarantined.values()):
            yield f"{source.role}: {written} rows in quarantine's file, {sum(count.quarantined.values())} counted"
    for name, size in (("leads", len(data.leads)), ("events", len(data.events))):
        if size != counts[name].used:
            yield f"{size} {name} in the table, {counts[name].used} counted as used"
    leads = set(data.leads["entity_id"].to_pylist())
    yield from _untouched(case.sources[0], leads, leads)
    yield from _untouched(case.sources[1], leads, counts["events"].used)


def _written(path: Path) -> int:
    csv.field_size_limit(1 << 30)
    with path.open(encoding="utf-8", newline="") as file:
        return sum(1 for _ in csv.reader(file)) - 1


def _bytes(path: Path) -> bytes:
    data = path.read_bytes()
    return gzip.decompress(data) if path.suffix == ".gz" else data


def _rows_in(source: Source) -> int | None:
    """Count the rows with another reader; None where there is none that says."""
    form, paths = source.form, [path for path in source.paths if path.is_file()]
    if source.ending:
        return None
    if form == "sqlite":
        with contextlib.closing(
            sqlite3.connect(f"file:{source.paths[0]}?mode=ro", uri=True)
        ) as connection:
            return connection.execute("SELECT count(*) FROM r").fetchone()[0]
    if form == "parquet":
        return sum(parquet.read_metadata(path).num_rows for path in paths)
    each = [_csv_rows(_bytes(path)) if form != "jsonl" else _lines(_bytes(path)) for path in paths]
    return None if None in each else sum(each)


def _lines(data: bytes) -> int:
    return sum(line not in (b"", b"\r") for line in data.removeprefix(b"\xef\xbb\xbf").split(b"\n"))


def _csv_rows(data: bytes) -> int | None:
    """Return the records after the header, of a file without quotes."""
    return None if b'"' in data else max(_lines(data) - 1, 0)


def _untouched(source: Source, leads: set[str], used: set[str] | int) -> Iterator[str]:
    """Yield what is lost of a text file's lines that are as they were meant: each must be among the used rows."""
    if (
        source.form not in ("csv", "gz")
        or source.ending
        or source.delimiter != ","
        or source.columns
    ):
        return
    head = ",".join(source.names)
    if head not in ("id,created,firm,country,size", "lead,at,what,via,amount"):
        return
    kept = set()
    for path in (path for path in source.paths if path.is_file()):
        lines = _bytes(path).decode("utf-8", "replace").split("\n")
        if lines[0] != head or any('"' in line for line in lines):
            return
        kept |= source.meant & set(lines[1:])
    if isinstance(used, set):
        lost = {line.split(",")[0] for line in kept} - used
        if lost:
            yield f"leads lost although their lines are sound: {sorted(lost)[:3]}"
    elif len([line for line in kept if line.split(",")[0] in leads]) > used:
        yield f"events lost although their lines are sound: {len(kept)} sound, {used} used"


def _through_the_command(case: Case, command: str) -> tuple[str, str]:
    """Run a command on a case as the command line does; return what became of it."""
    out, err = (
        io.TextIOWrapper(io.BytesIO(), "utf-8", errors=how)
        for how in ("strict", "backslashreplace")
    )
    sys.argv, code = ["leadscore", *command.split(), str(case.config)], 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            cli.main()
        except SystemExit as stop:
            code = stop.code or 0
        except BaseException:  # noqa: BLE001 - nothing else may leave the command line
            return TRACEBACK, traceback.format_exc()
    err.flush()
    said = err.buffer.getvalue().decode()
    allowed = {0: COUNTED, 2: REFUSED, 3: REFUSED} | (
        {5: REFUSED} if command.startswith("score") else {}
    )
    if code not in allowed or "unexpected" in said or "Traceback" in said:
        return TRACEBACK, f"leadscore {command}: exit {code}: {said[-1500:]}"
    return allowed[code], f"exit {code}"


def main() -> None:
    """Answer each number, or number and command, that comes in with a line of JSON."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    for number in range(
        -12, 0
    ):  # sound ones first, in all formats: they pay for imports and compilation
        sound = judge(number)
        if sound["outcome"] != COUNTED:
            sys.exit(f"a sound company: {sound}")
    for line in sys.stdin:
        number, _, command = line.strip().partition(" ")
        answers.write(json.dumps(judge(int(number), command)) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
