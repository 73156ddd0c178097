"""The layout of the packages: which may import which, how large a folder and a function may be."""

import ast
from collections import Counter, defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("configs", "features", "models", "serve", "pipelines", "leadscore")
"""In the order of their imports: each may import from itself and from those before it."""
MOST_FILES = 15
"""Modules of one folder, its `__init__.py` not counted."""
MOST_LINES = 50
"""Lines of one function, its docstring included."""


def package_modules():
    """Return the path of each module by its dotted name."""
    paths = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    return {module_name(path): path for path in paths}


def module_name(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imported_modules(source, modules):
    """Yield the modules that a source imports, wherever in it the import stands."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in modules else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def import_graph():
    modules = package_modules()
    return {
        name: {m for m in imported_modules(path.read_text("utf-8"), modules) if m in modules}
        for name, path in modules.items()
    }


def room_of(module):
    """Return the folder of a module; one that lies directly in a package is a room of its own."""
    parts = module.split(".")
    return ".".join(parts[:2]) if len(parts) <= 2 else ".".join(parts[:-1])


def find_cycle(graph):
    """Return the nodes of one cycle of a directed graph, or an empty list."""
    state, path = {}, []

    def visit(node):
        state[node] = "open"
        path.append(node)
        for child in sorted(graph.get(node, ())):
            if state.get(child) == "open":
                return path[path.index(child) :]
            if child not in state and (cycle := visit(child)):
                return cycle
        state[node] = "done"
        path.pop()
        return []

    for start in sorted(graph):
        if start not in state and (cycle := visit(start)):
            return cycle
    return []


def test_packages_import_one_way():
    order = {package: place for place, package in enumerate(PACKAGES)}
    upwards = [
        f"{module} imports {imported}"
        for module, imports in import_graph().items()
        for imported in imports
        if order[imported.split(".")[0]] > order[module.split(".")[0]]
    ]
    assert not upwards


def test_rooms_import_without_cycles():
    rooms = defaultdict(set)
    for module, imports in import_graph().items():
        for imported in imports:
            if room_of(imported) != room_of(module):
                rooms[room_of(module)].add(room_of(imported))
    assert find_cycle(rooms) == []


def test_cycles_are_found():
    assert find_cycle({"a": {"b"}, "b": {"c"}, "c": {"a"}}) == ["a", "b", "c"]
    assert find_cycle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_folders_hold_few_modules():
    counts = Counter(path.parent for path in package_modules().values() if path.stem != "__init__")
    assert {str(f.relative_to(ROOT)): n for f, n in counts.items() if n > MOST_FILES} == {}


@pytest.mark.parametrize("module", sorted(package_modules()))
def test_functions_are_short(module):
    tree = ast.parse(package_modules()[module].read_text("utf-8"))
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
    sizes = {f.name: (f.end_lineno or 0) - f.lineno + 1 for f in functions}
    assert {name: size for name, size in sizes.items() if size > MOST_LINES} == {}


def test_tests_mirror_the_packages():
    """Each test file that is named after a module lies where that module lies."""
    modules = set(package_modules())
    homes = {m.rpartition(".")[0].replace(".", "/") for m in modules} | {p for p in PACKAGES}
    other = {"tests/conventions", "tests/faults", "tests/benchmarks", "tests/examples", "tests"}
    folders = {p.parent.relative_to(ROOT).as_posix() for p in (ROOT / "tests").rglob("test_*.py")}
    assert sorted(f for f in folders - other if f.removeprefix("tests/") not in homes) == []
