"""The page docs/json.md, as it follows from the models: ``python -m`` this module writes it."""

from pathlib import Path
from types import NoneType, UnionType
from typing import Literal, Union, get_args, get_origin

from pipelines.json_output.commands import OUTPUTS
from pipelines.json_output.nightly import ErrorOutput
from pipelines.json_output.shared import INSTANT_PATTERN, JsonObject

PAGE = Path(__file__).parents[3] / "docs" / "json.md"
HEAD = """# JSON output

`--json` prints one object on standard output and nothing else there; progress and errors go to
standard error. This page is written from the models in
[pipelines/json_output/](../pipelines/json_output/). The tests validate the output of every command
against their JSON Schema, which `pipelines.json_output.commands.build_output_schema` returns.

- Instants are ISO 8601 texts in UTC, such as `2024-05-01T22:00:00+00:00`.
- NaN and infinity never appear; what is undefined is null.
- An object has exactly the keys of its table. Keys marked *optional* may be absent.
- Where the encoding of the output lacks a character, JSON's own escape stands for it.
- An object that could not be printed completely is no failure of a command that has stored its
  result, and exit code 1 of one that has not:
  [how to react](operations.md#how-to-react).

## A command that fails

It prints this object instead. A command that has printed its result before, such as a training
that the gate refused, prints the error on standard error alone.
"""
NAMES = {str: "text", int: "whole number", float: "number", bool: "true or false", NoneType: "null"}


def main():
    PAGE.write_text(render_page(), encoding="utf-8")


def render_page():
    """Return docs/json.md."""
    parts = [HEAD, table(ErrorOutput)]
    for command, models in OUTPUTS.items():
        parts.append(f"## leadscore {command}\n")
        for model in models:
            parts += [f"{first_line(model)}\n", table(model)]
    parts.append("## Objects inside\n")
    for model in shared_models():
        parts += [f"### {label(model)}\n", f"{first_line(model)}\n", table(model)]
    return "\n".join(parts).rstrip() + "\n"


def table(model):
    """Return the keys of an object as a Markdown table."""
    rows = ["| key | value | meaning |", "|---|---|---|"]
    for name, field in model.model_fields.items():
        key = field.alias or name
        optional = "" if field.is_required() else ", *optional*"
        kind = describe(field.annotation)
        if any(getattr(part, "pattern", None) == INSTANT_PATTERN for part in field.metadata):
            kind = kind.replace("text", "instant")
        rows.append(f"| `{key}` | {kind}{optional} | {field.description} |")
    return "\n".join(rows) + "\n"


def describe(annotation):
    """Return a type in words, with links to the tables of objects."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        return " or ".join(describe(part) for part in arguments)
    if origin is Literal:
        return " or ".join(f'"{value}"' for value in arguments)
    if origin is list:
        return f"list of {describe(arguments[0])}"
    if origin is dict:
        return f"object: {describe(arguments[1])} by name"
    if isinstance(annotation, type) and issubclass(annotation, JsonObject):
        return f"[{label(annotation)}](#{label(annotation).lower().replace(' ', '-')})"
    return NAMES[annotation]


def shared_models():
    """Return the models inside others, in the order in which they are met."""
    seen = {}
    waiting = [model for models in OUTPUTS.values() for model in models]
    while waiting:
        for field in waiting.pop(0).model_fields.values():
            for model in models_in(field.annotation):
                if model not in seen:
                    seen[model] = None
                    waiting.append(model)
    return list(seen)


def models_in(annotation):
    if isinstance(annotation, type) and issubclass(annotation, JsonObject):
        return [annotation]
    return [model for part in get_args(annotation) for model in models_in(part)]


def label(model):
    """Return the name of an object in words: ``SourceCountJson`` is “source count”."""
    name = model.__name__.removesuffix("Json")
    return "".join(f" {c.lower()}" if c.isupper() else c for c in name).strip()


def first_line(model):
    return model.__doc__.splitlines()[0]


if __name__ == "__main__":
    main()
