"""Full, closed, unread and ill-encoded output streams do not decide what is published.

The exit code says what happened to the scores. A command whose only product is what it prints fails
if standard output does not take it.
"""

import csv
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from itertools import product
from pathlib import Path

import pytest

from configs.schema import load_project
from pipelines.workspace import open_store
from tests.faults.commands import ENVIRONMENT
from tests.faults.company import FIRST
from tests.faults.conftest import is_full_attack
from tests.pipelines import tiny

FULL, CLOSED, GONE, READ = "full", "closed", "reader gone", "read"
REDIRECTIONS = {(1, FULL): ">/dev/full", (1, CLOSED): ">&-"} | {
    (2, FULL): "2>/dev/full",
    (2, CLOSED): "2>&-",
}
ASCII = {"PYTHONIOENCODING": "ascii"}
STREAMS = {
    "output full": (FULL, READ, {}),
    "error full": (READ, FULL, {}),
    "both full": (FULL, FULL, {}),
    "output closed": (CLOSED, READ, {}),
    "error closed": (READ, CLOSED, {}),
    "all closed": (CLOSED, CLOSED, {}),
    "reader of output gone": (GONE, READ, {}),
    "readers gone": (GONE, GONE, {}),
    "latin-1": (READ, READ, {"PYTHONIOENCODING": "latin-1"}),
    "ascii, error full": (READ, FULL, ASCII),
    "C locale": (READ, READ, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}),
    "utf-16": (READ, READ, {"PYTHONIOENCODING": "utf-16"}),
}
# The command, its exit code if all is printed, and whether its result is stored elsewhere.
COMMANDS = {
    "score": (["score", "--as-of", FIRST, "--direct"], 0, True),
    "score --json": (["score", "--as-of", FIRST, "--direct", "--json"], 0, True),
    "export": (["export"], 0, True),
    "outcomes": (["outcomes", "--as-of", tiny.END, "--direct"], 0, True),
    "check": (["check"], 0, False),
    "explain --json": (["explain", "ENTITY", "--published", "--json"], 0, False),
    # The night is years old, which is an alarm.
    "deploy --status": (["deploy", "--status"], 5, True),
    "schema": (["schema"], 0, False),
    "--version": (["--version"], 0, False),
}
WITHOUT_CONFIG = ("schema", "--version")
SAMPLE = [
    ("score", "ascii, error full"),
    ("score --json", "all closed"),
    ("schema", "output full"),
    ("schema", "reader of output gone"),
]
NOT_FROM_US = ("unexpected", "Traceback", "Exception ignored", "Error:")

pytestmark = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")


def choose_cases():
    """Return the pairs of command and streams to try: few, or nearly all of the matrix."""
    if not is_full_attack():
        return SAMPLE
    quick = product(["score", "schema"], STREAMS)
    slow = product(
        ["--version", "check", "deploy --status", "explain --json", "export"],
        ["both full", "all closed", "readers gone"],
    )
    single = [
        ("outcomes", "both full"),
        ("score --json", "all closed"),
        ("check", "latin-1"),
        ("explain --json", "C locale"),
    ]
    return [*quick, *slow, *single]


@pytest.mark.parametrize(("command", "streams"), choose_cases())
def test_printing_decides_nothing(trained, published, tmp_path, record_attack, command, streams):
    arguments, code, stored = COMMANDS[command]
    folder = tmp_path / "company"
    shutil.copytree(trained if command.startswith("score") else published, folder, symlinks=True)
    seen, output, error = run(folder, arguments, streams)
    allowed = {FULL: {1}, CLOSED: {1}, GONE: {141}}.get(STREAMS[streams][0], {code})
    right = seen in ({code} if stored else allowed)
    record_attack("output streams", Counter(["as documented" if right else "wrong exit code"]))
    assert right, (seen, error)
    for word in NOT_FROM_US:
        assert word not in output + error
    if command.startswith("score"):
        assert_published(folder, published)
    if "--json" in command and STREAMS[streams][0] == READ:
        json.loads(output)


def run(folder, arguments, streams):
    """Run a command with the streams of a name; return exit code, output and error as text."""
    output, error, environment = STREAMS[streams]
    command = [sys.executable, "-m", "pipelines.cli", *arguments]
    if arguments[0] not in WITHOUT_CONFIG:
        command.insert(4, "company.yaml")
    command = [find_entity(folder) if part == "ENTITY" else part for part in command]
    closing = "<&-" if (output, error) == (CLOSED, CLOSED) else ""
    redirections = " ".join(
        REDIRECTIONS.get(key, "") for key in enumerate((output, error), start=1)
    )
    pipe = {}
    for name, state in (("stdout", output), ("stderr", error)):
        pipe[name] = open_unread_pipe() if state == GONE else subprocess.PIPE
    process = subprocess.run(
        ["sh", "-c", f'exec "$@" {closing} {redirections}', "sh", *command],
        cwd=folder,
        env=ENVIRONMENT | environment,
        check=False,
        timeout=120,
        **pipe,
    )
    for end in pipe.values():
        if end != subprocess.PIPE:
            os.close(end)
    encoding = "utf-16" if streams == "utf-16" else "latin-1"
    texts = [(text or b"").decode(encoding) for text in (process.stdout, process.stderr)]
    return process.returncode, *texts


def open_unread_pipe():
    """Return the end to write to of a pipe whose reader has gone."""
    reading, writing = os.pipe()
    os.close(reading)
    return writing


def find_entity(folder):
    return read_scores(folder)[0][0]


def read_scores(folder):
    """Return entity and probability of each row of the current export."""
    path = folder / "workspace" / "exports" / "current" / "scores.csv"
    with path.open(encoding="utf-8", newline="") as file:
        return [(row["entity_id"], row["probability"]) for row in csv.DictReader(file)]


def assert_published(folder, published):
    """Fail unless the ledger and the export hold the night, and no file holds a message."""
    project = load_project(folder / "company.yaml")
    workspace = folder / "workspace"
    project = project.model_copy(update={"workspace": str(workspace)})
    run = open_store(project).last_published_run("tiny")
    assert run is not None
    assert read_scores(folder) == read_scores(published)
    for path in workspace.rglob("*"):
        if path.is_file() and path.suffix in ("", ".csv", ".json", ".txt", ".lock"):
            assert "reading the sources" not in path.read_text(encoding="utf-8"), path
