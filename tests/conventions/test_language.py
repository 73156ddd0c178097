"""The language of the code: words, names and lines that make it hard to read cold are kept out.

The lists below are the one place that says which. Each has a reason; a new habit is added here.
"""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("configs", "features", "models", "serve", "pipelines", "leadscore")
LONGEST_LINE = 100

NOT_IN_PROSE = {
    r"\btold\b|\btells?\b": "say log, report, show or pass",
    r"\bheed(s|ed)?\b": "say record, enforce or respect",
    r"\bmend(s|ed|ing)?\b": "say fix or repair",
    r"\blearnt\b": "say trained on, fitted or learned",
    r"\bwho(so)?ever\b|\bwhatever\b|\bwhichever\b": "name the person or the thing",
    r"\btonight('s)?\b": "say the current as-of, or this run",
    r"\bnought\b|\bunto\b|\bthereof\b|\btherein\b|\bwherein\b": "use everyday English",
    r"\bas it were\b|\bso to speak\b": "say the thing itself",
    r"\bsigns? of\b": "say characters of",
    r"\bside by side\b": "say in parallel",
    r"\ba picture of\b": "say plot or chart",
    r"\bbeside (it|them|each|other)\b": "say next to, or in parallel with",
    r"\bwhat (is|was) (told|said|known|found|worth|wanted)\b": "name the thing",
    r"\bby whom\b|\bof whom\b": "name the person",
    r"\bat once\b": "say immediately, or at the same time",
    r"\bthe very\b": "leave it out, or say the same",
}
"""Patterns of docstrings, comments, messages and documents, and what to write instead."""

STORED_TEXTS = {"the model had learnt from later data"}
"""Texts that are keys of stored files, so that they stay as they are."""

NOT_A_NAME = {
    "told",
    "tell",
    "heed",
    "mend",
    "usual",
    "lesson",
    "teller",
    "said",
    "worth",
    "tonight",
    "seats",
    "shelf",
    "wish",
    "whole_thing",
    "found_",
    "desk",
    "story",
    "order_",
    "doubt",
    "now_",
    "night_",
    "meanwhile",
    "side_by_side",
    "nobody",
    "wanted",
}
"""Words that no name of a function, class, parameter, field or variable contains."""

NOT_A_VARIABLE = {"found", "one", "each", "thing", "stuff", "data_", "plain"}
"""Words too vague for a parameter or a variable."""

ONE_WORD_FUNCTIONS = {"main", "load", "sigmoid", "logit", "softmax", "clip"}
"""Module-level functions known by one word; all others are verb and object. `load` is the API's."""

VAGUE_TEST_START = re.compile(
    r"test_(a|an|the|what|who|whoever|it|there|no|each|every|one|two|all|any|only|where|when|some"
    r"|in|of|with|without)_"
)
"""A test's name starts with its subject."""


def tracked_files(*suffixes):
    names = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    paths = (ROOT / name for name in names if name.endswith(suffixes))
    return [path for path in paths if path.exists() and path.name != Path(__file__).name]


def package_files():
    return [path for path in tracked_files(".py") if path.relative_to(ROOT).parts[0] in PACKAGES]


def relative(path):
    return path.relative_to(ROOT).as_posix()


def prose_of(source):
    """Return the docstrings, texts and comments of Python source, but no stored text."""
    strings = [
        (node.lineno, node.value)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and node.value not in STORED_TEXTS
    ]
    comments = [
        (number, line[line.index("# ") :])
        for number, line in enumerate(source.splitlines(), 1)
        if "# " in line and '"' not in line[: line.index("# ")]
    ]
    return strings + comments


def names_of(source):
    """Return the names that Python source gives to functions, classes, parameters and variables."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id


def words_of(name):
    return set(re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower().strip("_").split("_"))


def bad_prose(text):
    return [
        f"{m.group()!r}: {advice}"
        for p, advice in NOT_IN_PROSE.items()
        if (m := re.search(p, text, re.I))
    ]


def bad_name(name):
    plain = name.strip("_").lower()
    return bool(words_of(name) & NOT_A_NAME) or plain in NOT_A_NAME or plain in NOT_A_VARIABLE


@pytest.mark.parametrize("path", package_files(), ids=relative)
def test_prose_is_plain(path):
    faults = [
        f"line {n}: {bad}"
        for n, text in prose_of(path.read_text("utf-8"))
        for bad in bad_prose(text)
    ]
    assert faults == []


@pytest.mark.parametrize("path", tracked_files(".md"), ids=relative)
def test_documents_are_plain(path):
    lines = path.read_text("utf-8").splitlines()
    assert [f"line {n}: {bad}" for n, line in enumerate(lines, 1) for bad in bad_prose(line)] == []


@pytest.mark.parametrize("path", package_files(), ids=relative)
def test_names_say_what_they_are(path):
    # Every error has a part that is called `found`: the observed count, with an example.
    allowed = {"found"} if relative(path) == "configs/errors.py" else set()
    names = names_of(path.read_text("utf-8"))
    assert [f"line {n}: {m}" for n, m in names if bad_name(m) and m not in allowed] == []


@pytest.mark.parametrize("path", package_files(), ids=relative)
def test_functions_are_verb_and_object(path):
    body = ast.parse(path.read_text("utf-8")).body
    functions = [node.name for node in body if isinstance(node, ast.FunctionDef)]
    if path.parent.name == "commands":
        functions = [
            name for name in functions if name.startswith("_")
        ]  # a command is its function
    assert [
        n for n in functions if "_" not in n.strip("_") and n.strip("_") not in ONE_WORD_FUNCTIONS
    ] == []


def test_classes_and_functions_have_one_home():
    homes = {}
    for path in package_files():
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
                homes.setdefault(node.name, []).append(relative(path))
    commands = "pipelines/commands/"
    assert {
        name: paths
        for name, paths in homes.items()
        if len([p for p in paths if not p.startswith(commands)]) > 1
    } == {}


def test_imports_need_no_disguise():
    renamed = [
        f"{relative(path)}: {node.module}.{alias.name} as {alias.asname}"
        for path in package_files()
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in PACKAGES
        for alias in node.names
        if alias.asname
    ]
    assert renamed == []


@pytest.mark.parametrize("path", tracked_files(".py"), ids=relative)
def test_lines_are_short(path):
    lines = path.read_text("utf-8").splitlines()
    assert [n for n, line in enumerate(lines, 1) if len(line) > LONGEST_LINE] == []


@pytest.mark.parametrize(
    "path", [p for p in tracked_files(".py") if p.name.startswith("test_")], ids=relative
)
def test_tests_start_with_their_subject(path):
    tree = ast.parse(path.read_text("utf-8"))
    names = [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    assert [name for name in names if VAGUE_TEST_START.match(name)] == []


@pytest.mark.parametrize(
    "text", ["He is told so.", "Heed it.", "rows learnt from", "the mend", "ten signs of it"]
)
def test_private_idiom_is_found(text):
    assert bad_prose(text)


@pytest.mark.parametrize("name", ["told_rows", "Lesson", "found", "_heed", "usual_value"])
def test_vague_names_are_found(name):
    assert bad_name(name)
    assert not bad_name("out_of_time_rows")
