"""A YAML file as plain values, with variables of the environment filled in."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from configs.errors import ConfigError


def read_yaml(path: Path) -> tuple[str, dict[str, Any]]:
    """Return a file's text and its mapping; raise ConfigError where it is absent, unreadable or no mapping."""
    text = _read(path)
    return text, _parse(text, str(path))


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
            raise ConfigError("variable is not set", where=where, found=f"${{{name}}}", mend=f"export {name}=…")
        value = value.replace(f"${{{name}}}", environment[name])
    return value


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError("no such config file", where=str(path), mend="name a YAML file, see configs/") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("cannot read the config file", where=str(path), found=str(error)) from error


def _parse(text: str, where: str) -> dict[str, Any]:
    try:
        raw = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError("not readable as YAML", where=where, found=" ".join(str(error).split())) from error
    if not isinstance(raw, dict):
        raise ConfigError("empty, or not a mapping of keys", where=where, mend="start from configs/demo.yaml")
    return raw
