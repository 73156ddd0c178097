"""A YAML file as plain values, with variables of the environment filled in."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from configs.errors import ConfigError

MOST_VALUES, DEEPEST = 100_000, 100
"""What a config may hold once its aliases are followed: a few lines of them can stand for billions of values."""

SMALLER = "start from configs/demo.yaml"


class _Strict(yaml.SafeLoader):
    """YAML's safe loader, which would let the second of two equal keys win in silence."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self.depth += 1
        if self.depth > DEEPEST:
            raise yaml.MarkedYAMLError(
                problem="nested too deeply", problem_mark=self.peek_event().start_mark
            )
        found = super().compose_node(parent, index)
        self.depth -= 1
        return found

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        own = node.value if isinstance(node, yaml.MappingNode) else []
        keys = [self.construct_object(key, deep=True) for key, _ in own]
        found = super().construct_mapping(node, deep)  # raises for a key that cannot be compared
        twice = [key for key in keys if keys.count(key) > 1]
        if twice:
            raise yaml.MarkedYAMLError(
                problem=f"the key {twice[0]!r} stands twice", problem_mark=node.start_mark
            )
        return found

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, TypeError, AttributeError, LookupError, ArithmeticError) as error:
            # YAML takes 2024-13-45 for a date, and Python says that it is none.
            problem = f"{str(node.value)[:60]!r} cannot be read as {node.tag.rpartition(':')[2]}"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark) from error


def read_yaml(path: Path) -> tuple[str, dict[str, Any]]:
    """Return a file's text and its mapping; raise ConfigError where it is absent, unreadable or no mapping."""
    text = _read(path)
    raw = _parse(text, str(path))
    _check_size(raw, str(path))
    return text, raw


def fill_variables(value: Any, environment: dict[str, str], where: str) -> Any:
    """Return the values with each ``${NAME}`` replaced; raise ConfigError for a name that is not set."""
    if isinstance(value, dict):
        return {key: fill_variables(item, environment, where) for key, item in value.items()}
    if isinstance(value, list):
        return [fill_variables(item, environment, where) for item in value]
    if not isinstance(value, str):
        return value
    for name in re.findall(r"\$\{(\w+)\}", value):
        if not environment.get(name):
            raise ConfigError(
                "variable is not set", where=where, found=f"${{{name}}}", fix=f"export {name}=…"
            )
        value = value.replace(f"${{{name}}}", environment[name])
    return value


def _check_size(raw: dict[str, Any], where: str) -> None:
    seen, waiting = 0, list[tuple[Any, int]]([(raw, 0)])
    while waiting:
        value, depth = waiting.pop()
        inside = (
            value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        )
        waiting += [(each, depth + 1) for each in inside]
        seen += 1
        if seen > MOST_VALUES or depth > DEEPEST:
            found = (
                f"more than {MOST_VALUES:,} values, or {DEEPEST} levels, with its aliases followed"
            )
            raise ConfigError("too large for a config", where=where, found=found, fix=SMALLER)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError(
            "no such config file", where=str(path), fix="name a YAML file, see configs/"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            "cannot read the config file",
            where=str(path),
            found=str(error),
            fix="name a YAML file in UTF-8",
        ) from error


def _parse(text: str, where: str) -> dict[str, Any]:
    try:
        raw = yaml.load(text, Loader=_Strict)  # a SafeLoader too
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        fix = "fix the line; indentation and colons are what goes wrong most"
        raise ConfigError(
            "not readable as YAML", where=f"{where}: line {line}", found=str(error.problem), fix=fix
        ) from error
    except RecursionError as error:
        raise ConfigError(
            "not readable as YAML", where=where, found="nested too deeply", fix=SMALLER
        ) from error
    except yaml.YAMLError as error:
        raise ConfigError(
            "not readable as YAML", where=where, found=" ".join(str(error).split())
        ) from error
    if not isinstance(raw, dict):
        raise ConfigError("empty, or not a mapping of keys", where=where, fix=SMALLER)
    return raw
