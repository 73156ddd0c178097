"""The tutorials run as they stand: every command, and the lines that the page shows of it."""

import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SKIPPED = "…"
# Few trees: the page is about commands, not about the last digit of a metric.
LEADSCORE = (
    "from models.learners import lightgbm; lightgbm.ROUNDS = 60; "
    "from pipelines.cli import main; main()"
)


def read_steps(page):
    """Return the commands of a page, each with the output that the page shows."""
    blocks = BLOCK.findall(page.read_text(encoding="utf-8"))
    return [
        (commands, shown if kind == "" else "")
        for (name, commands), (kind, shown) in pairwise([*blocks, ("end", "")])
        if name == "sh"
    ]


def normalize(line, *, is_exact=False):
    """Return a line without what differs from run to run: widths, and numbers and ids."""
    if is_exact:
        return " ".join(line.removeprefix("\ufeff").split())
    line = re.sub(r"\b[0-9a-f]{12,}\b", "#", line)
    # A lead's place depends on the last digits of its score.
    line = re.sub(r"L-\d+,\d+,[A-D],.*", "LEAD", line)
    return " ".join(re.sub(r"\d+(?:[.,:–-]\d+)*", "#", line).split())


def find_missing_line(shown, printed, *, is_exact=False):
    """Return the first line of a page that was not printed in its place; None without one.

    Numbers count where the comparison ``is_exact``.
    """
    lines = [normalize(line, is_exact=is_exact) for line in printed.splitlines()]
    at, may_skip = 0, False
    for line in shown.splitlines():
        if line == SKIPPED:
            may_skip = True
            continue
        wanted = normalize(line, is_exact=is_exact)
        end = len(lines) if may_skip else at + 1
        places = [place for place in range(at, min(end, len(lines))) if lines[place] == wanted]
        if wanted and not places:
            return line
        at, may_skip = (places[0] + 1 if wanted else at), may_skip and not wanted
    return None if may_skip or not "".join(lines[at:]) else f"{SKIPPED} after the last line"


@pytest.fixture
def shell(tmp_path, monkeypatch):
    """Return a function that runs commands in a fresh folder, one after the other."""
    folder, programs = tmp_path / "acme", tmp_path / "bin"
    folder.mkdir()
    programs.mkdir()
    (folder / "make_exports.py").write_bytes((ROOT / "examples/make_exports.py").read_bytes())
    for name, start in {"python": "", "leadscore": f"-c '{LEADSCORE}'"}.items():
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {start} "$@"\n')
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    for name in ("LEADSCORE_WORKSPACE", "PREFECT_API_URL", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)

    def run(commands):
        done = subprocess.run(
            ["bash", "-e", "-c", commands],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            check=False,
        )
        assert done.returncode == 0, f"{commands}\n{done.stdout}"
        return done.stdout

    return run


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tutorial.md", "tutorial.ru.md"])
def test_tutorial_prints_what_it_shows(shell, name):
    steps = read_steps(ROOT / "docs" / name)
    assert len(steps) >= 6
    for commands, shown in steps:
        printed = shell(commands)
        # What is read of the same files is the same; a model differs in its last digits.
        is_exact = "init" in commands or "make_exports" in commands
        missing = find_missing_line(shown, printed, is_exact=is_exact)
        assert missing is None, f"{commands}\nnot printed: {missing}\n{printed}"


@pytest.mark.parametrize(
    ("shown", "printed", "missing"),
    [
        ("a 1\n…\nb\n", "a 2\nx\nb\n", None),
        ("a\n…\n", "a\nx\n", None),
        ("a\nb\n", "a\nx\nb\n", "b"),
        ("…\nb\n", "a\n", "b"),
        ("b\na\n", "a\nb\n", "b"),
        ("a\n", "a\nb\n", "… after the last line"),
        ("run cb7a8886c42b435c\n", "run 0e8158586540ffff\n", None),
    ],
)
def test_page_is_compared_line_by_line(shown, printed, missing):
    assert find_missing_line(shown, printed) == missing
