"""Corrupt configs: wrong values, missing and unknown keys, and text that is hardly YAML."""

import copy
import datetime as dt
import random
from typing import Any

# Values to put in a wrong place.
VALUES: list[Any] = [
    None,
    True,
    0,
    -1,
    3,
    10**30,
    -(10**400),
    1.5,
    float("nan"),
    float("inf"),
    "",
    " ",
    "a\0b",
    "x" * 5000,
    "é🙂",
    "\ud800",
    "[/red]",
    "${HOME}",
    "${NO_SUCH_VARIABLE}",
    "${workspace}",
    "../..",
    "/dev/null",
    "/proc/self/mem",
    "~",
    "*",
    "[",
    "**",
    "\n",
    "30d",
    "0d",
    "-1d",
    "99999999999w",
    "1e5d",
    "400000d",
    "9999999999s",
    "3.5d",
    "30 d",
    "٣d",
    "America",
    "posixrules",
    "tzdata.zi",
    "../etc/passwd",
    "Europe/Berlin\0",
    "UTC+99",
    "Etc/GMT+12",
    "zone.tab",
    dt.date(2024, 1, 1),
    dt.datetime(1, 1, 1),  # noqa: DTZ001 - as YAML reads it
    dt.datetime(9999, 12, 31, 23, 59),  # noqa: DTZ001 - as YAML reads it
    "0001-01-01",
    "9999-12-31T23:59:59-12:00",
    [],
    [None],
    ["a", "a"],
    ["x" * 200] * 3,
    [[["a"]]],
    {},
    {"a": 1},
    {"constant": None},
    {"constant": "won"},
    {1: 2},
    {None: None},
    {"column": "size", "equals": 1},
    {"column": "nowhere", "equals": []},
    {"every": "1s"},
    {"every": "1d", "delay": "1d"},
    {"delay": "1h"},
    {"all_except": ["size"]},
    {"all_except": []},
    "csv",
    "parquet",
    ";;",
    '"',
    "\t",
    "é",
    "skip",
    "rows",
    "created",
    "bought",
    "id",
    "sqlite:///nowhere.db",
    "sqlite://",
    "postgresql://nobody@127.0.0.1:1/none",
    "mysql://x",
    "://",
    "SELECT 1",
    "SELECT",
    "; DROP TABLE t",
]

KEYS = [
    "max_age",
    "path",
    "paths",
    "database",
    "query",
    "delimiter",
    "missing",
    "order",
    "observed_from",
    "amount",
    "known_at",
    "timezone",
    "1",
    "",
    "é",
    "targets",
    "x" * 300,
    "workspace",
    "learning",
    "evaluation",
    "closed_by",
]


def _places(tree: Any, path: tuple = ()) -> list[tuple]:
    """Return the paths to all values of a tree."""
    children = (
        tree.items()
        if isinstance(tree, dict)
        else enumerate(tree)
        if isinstance(tree, list)
        else ()
    )
    paths = [path] if path else []
    for key, value in children:
        paths += _places(value, (*path, key))
    return paths


def _owner(tree: Any, at: tuple) -> Any:
    for key in at[:-1]:
        tree = tree[key]
    return tree


def spoil_tree(tree: dict, rng: random.Random) -> str:
    """Change one value of a config; return the name of the corruption."""
    places = _places(tree)
    if not places:
        return "config: a value"
    at = rng.choice(places)
    owner, what = (
        _owner(tree, at),
        rng.choice(["value", "value", "value", "gone", "new key", "moved"]),
    )
    if what == "value":
        owner[at[-1]] = copy.deepcopy(rng.choice(VALUES))
    elif what == "gone":
        del owner[at[-1]]
    elif what == "new key" and isinstance(owner, dict):
        owner[rng.choice(KEYS)] = copy.deepcopy(rng.choice(VALUES))
    else:
        other = rng.choice(places)
        owner[at[-1]] = copy.deepcopy(_owner(tree, other)[other[-1]])
    return "config: a value, a key or its place"


def _in_line(text: str, rng: random.Random, put: str, replace: bool = False) -> str:
    lines = text.split("\n")
    i = rng.randrange(len(lines))
    at = rng.randrange(len(lines[i]) + 1)
    lines[i] = put if replace else lines[i][:at] + put + lines[i][at:]
    return "\n".join(lines)


def _bomb(text: str, rng: random.Random) -> str:
    levels = [f"a0: &a0 [{', '.join(['lol'] * 9)}]"]
    levels += [
        f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, rng.choice([4, 9, 30]))
    ]
    return rng.choice(["\n".join(levels) + "\n" + text, text + "\n" + "\n".join(levels)])


TEXTS = {
    "bomb": _bomb,
    "cycle": lambda text, rng: (
        text
        + rng.choice(
            ["\nx: &x [*x]\n", "\nlearning: &x {search: *x}\n", "\naudit: &a {allow: [*a]}\n"]
        )
    ),
    "deep": lambda text, rng: (
        text + "\nx: " + rng.choice(["[", "{a: "]) * rng.choice([50, 2000, 50_000])
    ),
    "tab": lambda text, rng: _in_line(text, rng, "\t"),
    "sign": lambda text, rng: _in_line(
        text, rng, rng.choice(list(":{}[]&*!|>%@`'\"#-?,\0\x07\ufeff\u2028\x85"))
    ),
    "line": lambda text, rng: _in_line(
        text,
        rng,
        rng.choice(
            [
                "---",
                "...",
                "- x",
                "x",
                "x: y",
                "? [a, b]",
                "<<: *nowhere",
                "<<: {a: 1}",
                "%YAML 9.9",
                "=: 1",
                "? {a: b}\n: c",
                "<<: 1",
            ]
        ),
        True,
    ),
    "tag": lambda text, rng: (
        text
        + "\nx: "
        + rng.choice(
            [
                "!!python/object:os.system x",
                "!!int abc",
                "!!float abc",
                "!!timestamp abc",
                "!!binary '%%'",
                "!!bool x",
                "!!null x",
                "!!set {a, b}",
                "!!omap [a]",
                "!!pairs [a: 1]",
                "!foo bar",
                "!!int ''",
                "!!timestamp 2024-99-99",
                "!!str [a]",
                "!!map [a]",
                "!!seq {a: 1}",
                "!!merge x",
            ]
        )
    ),
    "scalar": lambda text, rng: _in_line(
        text,
        rng,
        "capacity: "
        + rng.choice(
            [
                "2024-13-45",
                "2024-02-30 25:61:61",
                "0b",
                "0x",
                "1" * 5000,
                "1:99:99",
                "-.inf",
                "0o9",
                "1__0",
                "0b_",
                "0x_",
                "_",
                "+",
                "-_",
                "0001-01-01",
                "9999-12-31 23:59:59-14:00",
                "2024-01-01 00:00:00 +99:00",
                "10:" * 50 + "10",
                "0001-01-01 00:00:00+14:00",
            ]
        ),
        True,
    ),
    "twice": lambda text, rng: text + "\nproject: again\n",
    "cut": lambda text, rng: text[: rng.randrange(len(text))],
    "nothing": lambda text, rng: rng.choice(
        ["", "\n", "# x", "---", "null", "[]", "x", "1", "- a", "a: b: c", "\0", "{}", "...", "%"]
    ),
}

BYTES = {
    "UTF-16": lambda data, rng: data.decode().encode("utf-16"),
    "bytes": lambda data, rng: (
        data[: (at := rng.randrange(len(data)))] + rng.randbytes(4) + data[at:]
    ),
    "bit": lambda data, rng: (
        data[: (at := rng.randrange(len(data)))]
        + bytes([data[at] ^ (1 << rng.randrange(8))])
        + data[at + 1 :]
    ),
    "zeros": lambda data, rng: bytes(len(data)),
    "BOM": lambda data, rng: b"\xef\xbb\xbf" + data,
}


def spoil_yaml(text: str, rng: random.Random) -> tuple[str, bytes]:
    """Change a config's text or bytes; return the name of the corruption and the bytes."""
    kind = rng.choice([*TEXTS, *BYTES])
    if kind in TEXTS:
        return f"config: text ({kind})", TEXTS[kind](text, rng).encode("utf-8", "surrogatepass")
    return f"config: bytes ({kind})", BYTES[kind](text.encode("utf-8", "surrogatepass"), rng)
