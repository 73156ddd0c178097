"""JSON is written from plain values alone: no object, NaN or infinity finds its way into it."""

import ast

from tests.conventions.test_language import package_files, relative, tracked_files

WRITERS = ("json.dump", "json.dumps", "json.JSONEncoder")
# The text of a quarantined row that an error message quotes: it may hold what the source held.
ANY_VALUE = {"features/intake/quarantine.py"}


def loose_calls(path):
    """Yield the lines that write JSON with a fallback for objects, or with NaN allowed."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in WRITERS:
            options = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            if {"default", "cls"} & set(options) or options.get("allow_nan") != "False":
                yield f"{relative(path)}:{node.lineno}"


def test_packages_write_strict_json():
    files = [path for path in package_files() if relative(path) not in ANY_VALUE]
    assert [line for path in files for line in loose_calls(path)] == []


def test_objects_never_become_their_text():
    pattern = "default=" + "str"
    assert [relative(p) for p in tracked_files(".py") if pattern in p.read_text("utf-8")] == []
