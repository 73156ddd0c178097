"""Strict reading of a YAML file, and expansion of environment variables in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from configs.addresses.redaction import redact_addresses
from configs.addresses.variables import REFERENCE, expand_address, redact_written_address
from configs.errors import ConfigError

# Limits of a config with its aliases expanded: a few lines of aliases can stand for billions of
# values.
MAX_VALUES, MAX_DEPTH = 100_000, 100

# The key of an address, in `publish` and in a source.
ADDRESS_KEY = "database"

FIX_SMALLER = "start from configs/demo.yaml"


class _StrictLoader(yaml.SafeLoader):
    """YAML's safe loader, which additionally rejects duplicate keys and deep nesting.

    The safe loader itself silently uses the second of two equal keys.
    """

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise yaml.MarkedYAMLError(
                problem="nested too deeply", problem_mark=self.peek_event().start_mark
            )
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        nodes = [key for key, _ in pairs]
        keys = [self.construct_object(key, deep=True) for key in nodes]
        mapping = super().construct_mapping(
            node, deep
        )  # before the comparison below: it rejects unhashable keys
        seen = set()
        for key, key_node in zip(keys, nodes, strict=True):
            if key in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"duplicate key {key!r}", problem_mark=key_node.start_mark
                )
            seen.add(key)
        return mapping

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, TypeError, AttributeError, LookupError, ArithmeticError) as error:
            # YAML takes 2024-13-45 for a date, which Python then rejects.
            problem = f"{str(node.value)[:60]!r} is not a valid {node.tag.rpartition(':')[2]}"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark) from error


def read_yaml(path: Path) -> tuple[str, dict[str, Any]]:
    """Return a file's text and its mapping.

    Raises ConfigError if the file is missing or unreadable, or its content is too large or no
    mapping.
    """
    text = _read_text(path)
    raw = _parse_mapping(text, str(path))
    _check_size(raw, str(path))
    return text, raw


def expand_variables(value: Any, environment: dict[str, str], where: str, key: str = "") -> Any:
    """Return the values with each ``${NAME}`` replaced; in an address it is percent-encoded.

    ``key`` is the key that holds the value. Raises ConfigError for a variable that is not set.
    """
    if isinstance(value, dict):
        return {
            name: expand_variables(item, environment, where, str(name))
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [expand_variables(item, environment, where, key) for item in value]
    if not isinstance(value, str):
        return value
    for name in REFERENCE.findall(value):
        if not environment.get(name):
            raise ConfigError(
                "environment variable is not set",
                where=where,
                found=f"${{{name}}}",
                fix=f"export {name}=…",
            )
    if key == ADDRESS_KEY:
        return expand_address(value, environment)
    return REFERENCE.sub(lambda match: environment[match[1]], value)


def redact_config(raw: Any) -> Any:
    """Return a config's values, as written, without secrets in its addresses."""
    if isinstance(raw, dict):
        return {
            key: redact_written_address(value)
            if key == ADDRESS_KEY and isinstance(value, str)
            else redact_config(value)
            for key, value in raw.items()
        }
    return [redact_config(value) for value in raw] if isinstance(raw, list) else raw


def redact_config_text(text: str) -> str:
    """Return the text of a config without secrets in its addresses, comments included."""
    redacted = text
    nodes = {
        node.start_mark.index: node for node in _find_addresses(yaml.compose(text, _StrictLoader))
    }
    # From the end, so that the places of the others stay valid.
    for _, node in sorted(nodes.items(), reverse=True):
        shown = redact_written_address(node.value)
        if shown != node.value:
            begin, end = node.start_mark.index, node.end_mark.index
            redacted = redacted[:begin] + json.dumps(shown, allow_nan=False) + redacted[end:]
    lines = redacted.split("\n")
    # Only comments are left to redact; a value that refers to the environment stays as written.
    return "\n".join(line if "${" in line else redact_addresses(line) for line in lines)


def _find_addresses(root: yaml.Node | None) -> Iterator[yaml.ScalarNode]:
    """Yield the texts that stand under the key of an address."""
    pending, seen = [root], set[int]()
    while pending:
        node = pending.pop()
        # An alias may stand for a node that was met before, or for its own parent.
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == ADDRESS_KEY and isinstance(value, yaml.ScalarNode):
                    yield value
                pending.append(value)
        elif isinstance(node, yaml.SequenceNode):
            pending += node.value


def _check_size(raw: dict[str, Any], where: str) -> None:
    # No recursion: an alias may stand for its own parent, which has no end but the limits.
    count, pending = 0, list[tuple[Any, int]]([(raw, 0)])
    while pending:
        value, depth = pending.pop()
        children = (
            value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        )
        pending += [(child, depth + 1) for child in children]
        count += 1
        if count > MAX_VALUES or depth > MAX_DEPTH:
            observed = (
                f"more than {MAX_VALUES:,} values, or {MAX_DEPTH} levels, with its aliases expanded"
            )
            raise ConfigError("config is too large", where=where, found=observed, fix=FIX_SMALLER)


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError(
            "config file not found",
            where=str(path.absolute()),
            fix="give the path of a YAML file; see configs/ for examples",
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            "cannot read the config file",
            where=str(path),
            found=str(error),
            fix="give a YAML file in UTF-8",
        ) from error


def _parse_mapping(text: str, where: str) -> dict[str, Any]:
    try:
        raw = yaml.load(text, Loader=_StrictLoader)  # derived from SafeLoader
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        fix = "fix the line; check its indentation and colons first"
        raise ConfigError(
            "invalid YAML", where=f"{where}: line {line}", found=str(error.problem), fix=fix
        ) from error
    except RecursionError as error:
        raise ConfigError(
            "invalid YAML", where=where, found="nested too deeply", fix=FIX_SMALLER
        ) from error
    except yaml.YAMLError as error:
        raise ConfigError(
            "invalid YAML", where=where, found=" ".join(str(error).split())
        ) from error
    if not isinstance(raw, dict):
        raise ConfigError("config is empty, or not a mapping of keys", where=where, fix=FIX_SMALLER)
    return raw
