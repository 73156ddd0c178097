"""Reading of corrupt companies, one after another, judged by independent counts.

As a program it takes numbers of cases on standard input and answers each with one line of JSON, so
that the caller survives a reader that dies or hangs.
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
from features.intake.storage.source_file import SourceFile
from pipelines import cli, training_data
from pipelines.check import examine_data
from pipelines.reports import terminal
from tests.duckdb_instance import share_duckdb
from tests.faults.corrupt import Case, make
from tests.faults.wild_files import Source

COUNTED, REFUSED, UNCOUNTED, TRACEBACK = "counted", "refused", "not counted", "traceback"
NO_FILES = ("loop", "dangling", "pipe", "device")
# Address space: a config that would fill the memory of the machine fails instead.
MAX_MEMORY_BYTES = 24 << 30


def judge(number: int, command: str = "") -> dict[str, object]:
    """Make a case in a temporary folder, read it, and return its outcome.

    With a ``command`` it is read through the command line. The workspace is a copy of TEMPLATE if
    that is set, so that there can be a champion that scores.
    """
    home = Path.cwd()
    folder = Path(tempfile.mkdtemp(prefix="corrupt-"))
    os.environ["LEADSCORE_WORKSPACE"] = str(folder / "workspace")
    if template := os.environ.get("TEMPLATE"):
        shutil.copytree(template, folder / "workspace")
    try:
        os.chdir(folder)
        case = make(number, folder)
        outcome, detail = _run_command(case, command) if command else _read(case)
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
    datasets = list[Dataset]()
    try:
        with _intercept_reading(case, datasets):
            project = load_project(case.config)
            examination = examine_data(project, None)
        Console(file=io.StringIO(), width=160).print(*terminal.render_data_check(examination))
        json.dumps(examination.to_json()).encode()
    except LeadscoreError as error:
        return (
            (REFUSED, type(error).__name__)
            if _is_well_formed(error)
            else (TRACEBACK, f"malformed error: {error}")
        )
    except Exception:  # noqa: BLE001 - any other exception is a failure
        return TRACEBACK, traceback.format_exc()
    # No independent reader can count files that change, or that a corrupt config names.
    is_countable = not case.during and not any(name.startswith("config") for name in case.wrong)
    inconsistencies = (
        list(_find_inconsistencies(case, datasets[0], project.workspace_path / "quarantine"))
        if is_countable
        else []
    )
    return (UNCOUNTED, "; ".join(inconsistencies)) if inconsistencies else (COUNTED, "")


def _is_well_formed(error: LeadscoreError) -> bool:
    """Return whether an error is complete and at most two printable lines."""
    text = str(error)
    text.encode()
    return (
        error.exit_code in (2, 3)
        and bool(error.what and error.where)
        and text.count("\n") <= 1
        and len(text) < 3000
    )


@contextlib.contextmanager
def _intercept_reading(case: Case, datasets: list[Dataset]) -> Iterator[None]:
    """Let files vanish or change after they are listed, and collect the datasets read."""

    def files(path: str) -> list[SourceFile]:
        found = list_files(path)
        for source in case.sources:
            if (
                source.during
                and str(source.paths[-1]) in map(str, found)
                and source.paths[-1].is_file()
            ):
                _change_file(source)
        return found

    def read(*arguments: object) -> Dataset:
        datasets.append(read_dataset(*arguments))
        return datasets[-1]

    list_files, read_dataset = reading.list_files, training_data.read_sources
    reading.list_files, training_data.read_sources = files, read
    try:
        yield
    finally:
        reading.list_files, training_data.read_sources = list_files, read_dataset


def _change_file(source: Source) -> None:
    path = source.paths[-1]
    if source.during == "vanishes":
        path.unlink()
    elif source.during == "shrinks":
        os.truncate(path, path.stat().st_size // 2)
    else:
        path.write_bytes(bytes(range(256)) * 8)


def _find_inconsistencies(case: Case, data: Dataset, quarantine: Path) -> Iterator[str]:
    """Yield inconsistencies between counts, files and tables."""
    counts = {count.source.split("_")[0]: count for count in data.counts}
    for source in case.sources:
        count = counts[source.role]
        if count.rows_in != count.used + count.skipped + sum(count.quarantined.values()):
            yield f"{count} does not add up"
        if source.placed in NO_FILES:
            yield f"{source.role}: used although one of its files is none: {source.placed}"
        expected = _count_rows(source)
        if expected is not None and expected != count.rows_in:
            yield f"{source.role}: {count.rows_in} rows in, an independent reader finds {expected}"
        written = _count_quarantined(quarantine / f"{count.source}.csv")
        if written != sum(count.quarantined.values()):
            counted = sum(count.quarantined.values())
            yield f"{source.role}: {written} rows in the quarantine file, {counted} counted"
    for name, size in (("leads", len(data.leads)), ("events", len(data.events))):
        if size != counts[name].used:
            yield f"{size} {name} in the table, {counts[name].used} counted as used"
    leads = set(data.leads["entity_id"].to_pylist())
    yield from _find_lost_lines(case.sources[0], leads, leads)
    yield from _find_lost_lines(case.sources[1], leads, counts["events"].used)


def _count_quarantined(path: Path) -> int:
    csv.field_size_limit(1 << 30)
    with path.open(encoding="utf-8", newline="") as file:
        return sum(1 for _ in csv.reader(file)) - 1


def _bytes(path: Path) -> bytes:
    data = path.read_bytes()
    return gzip.decompress(data) if path.suffix == ".gz" else data


def _count_rows(source: Source) -> int | None:
    """Count the rows with an independent reader; None if there is none."""
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
    counts = [
        _count_csv_rows(_bytes(path)) if form != "jsonl" else _count_lines(_bytes(path))
        for path in paths
    ]
    return None if None in counts else sum(counts)


def _count_lines(data: bytes) -> int:
    return sum(line not in (b"", b"\r") for line in data.removeprefix(b"\xef\xbb\xbf").split(b"\n"))


def _count_csv_rows(data: bytes) -> int | None:
    """Return the number of records after the header in a file without quotes."""
    return None if b'"' in data else max(_count_lines(data) - 1, 0)


def _find_lost_lines(source: Source, leads: set[str], used: set[str] | int) -> Iterator[str]:
    """Yield sound lines of a text file that are missing from the used rows."""
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
    sound_lines = set()
    for path in (path for path in source.paths if path.is_file()):
        lines = _bytes(path).decode("utf-8", "replace").split("\n")
        if lines[0] != head or any('"' in line for line in lines):
            return
        sound_lines |= source.meant & set(lines[1:])
    if isinstance(used, set):
        lost = {line.split(",")[0] for line in sound_lines} - used
        if lost:
            yield f"leads lost although their lines are sound: {sorted(lost)[:3]}"
    elif len([line for line in sound_lines if line.split(",")[0] in leads]) > used:
        yield f"events lost although their lines are sound: {len(sound_lines)} sound, {used} used"


def _run_command(case: Case, command: str) -> tuple[str, str]:
    """Run a command on a case through the command line; return the outcome."""
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
        except BaseException:  # noqa: BLE001 - nothing else may escape
            return TRACEBACK, traceback.format_exc()
    err.flush()
    output = err.buffer.getvalue().decode()
    allowed = {0: COUNTED, 2: REFUSED, 3: REFUSED} | (
        {5: REFUSED} if command.startswith("score") else {}
    )
    if code not in allowed or "unexpected" in output or "Traceback" in output:
        return TRACEBACK, f"leadscore {command}: exit {code}: {output[-1500:]}"
    return allowed[code], f"exit {code}"


def main() -> None:
    """Answer each number, or number and command, with a line of JSON."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    # Sound ones first, in all formats: they pay for imports and compilation.
    sound = {number: judge(number) for number in range(-12, 0)}
    if wrong := [judged for judged in sound.values() if judged["outcome"] != COUNTED]:
        sys.exit(f"a sound company: {wrong}")
    for line in sys.stdin:
        number, _, command = line.strip().partition(" ")
        known = None if command else sound.get(int(number))
        answers.write(json.dumps(known or judge(int(number), command)) + "\n")
        answers.flush()


if __name__ == "__main__":
    with share_duckdb():
        main()
