"""Pydantic's validation errors as one ConfigError: the first problem, its key, and a fix."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from pydantic import ValidationError

from configs.addresses.fields import ADDRESS_ERROR
from configs.errors import ConfigError
from configs.suggestions import did_you_mean

# Pydantic's name for the constrained integer among the types that a key accepts.
CONSTRAINED_INT = "constrained-int"

# Our error type for a personal column that a key requires; its context names the key.
PERSONAL_COLUMN = "personal"


def to_config_error(
    error: ValidationError, where: str, raw: dict[str, Any], known_keys: Collection[str]
) -> ConfigError:
    """Return one ConfigError for the first problem, with the number of all problems.

    ``where`` is the file, ``raw`` its mapping, ``known_keys`` the keys to suggest for a typo.
    """
    # A misspelled key that is required is reported twice, as unknown and as missing; only the first
    # of these shows the spelling, so it is sorted to the front.
    problems = sorted(
        _drop_type_alternatives(error.errors(include_url=False, include_input=False)),
        key=_problem_rank,
    )
    first = problems[0]
    key = ".".join(_yaml_keys(first["loc"], raw, absent=first["type"] == "missing"))
    key = f"{first['ctx']['key']}, privacy.personal" if first["type"] == PERSONAL_COLUMN else key
    unknown = first["type"] == "extra_forbidden"
    fix = "see `leadscore schema` for all keys"
    if unknown:
        name = str(first["loc"][-1])
        # A key that other places know is no answer to itself.
        hint = did_you_mean(name, set(known_keys) - {name})
        fix = hint or "remove it; `leadscore schema` lists all keys"
    fix = first["ctx"]["fix"] if first["type"] == ADDRESS_ERROR else fix
    return ConfigError(
        # Pydantic puts this text before the message of a ValueError.
        "unknown key" if unknown else first["msg"].removeprefix("Value error, "),
        where=f"{where}: {key}" if key else where,
        found=f"{len(problems)} problems; this is the first" if len(problems) > 1 else "",
        fix=fix,
    )


def _yaml_keys(loc: tuple[str | int, ...], raw: Any, absent: bool) -> Iterator[str]:
    """Yield the parts of a location that are keys in the YAML.

    Pydantic's locations also contain the names of the types that it tried.
    """
    for depth, part in enumerate(loc, 1):
        present = (
            part in raw
            if isinstance(raw, dict)
            else isinstance(raw, list) and part in range(len(raw))
        )
        if present or (absent and depth == len(loc)):
            yield str(part)
        raw = raw[part] if present else raw


def _drop_type_alternatives(problems: list[Any]) -> list[Any]:
    """Drop “not a number” problems of values that are mappings with a problem of their own.

    Pydantic reports every type that a key accepts; the one that the user meant is the mapping.
    """
    mappings = {problem["loc"][:-2] for problem in problems if len(problem["loc"]) > 2}
    return [
        problem
        for problem in problems
        if not (problem["loc"][-1:] == (CONSTRAINED_INT,) and problem["loc"][:-1] in mappings)
    ]


def _problem_rank(problem: Any) -> int:
    """Return the sort key of a problem: unknown keys first, missing keys last."""
    return {"extra_forbidden": 0, "missing": 2}.get(problem["type"], 1)
