"""Whom not to score, and which columns nobody may see: part of a project's YAML."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from configs.source_rows import Frozen, Rows

READ_AS = {True: ("true", "yes", "on", "y", "t", "1"), False: ("false", "no", "off", "n", "f", "0")}
"""How a source may write true and false: what YAML itself reads so, their first letters, and 1 and 0."""

Value = bool | int | float | str | None


def _one_or_more(value: object) -> object:
    return value if isinstance(value, list | tuple) else [value]


class SuppressList(Rows):
    """Ids of entities that must not be scored, one a row; read anew by every run."""

    entity_id: str = Field(description="the column of the ids")


class SuppressWhere(Frozen):
    """A column of the leads source that says who must not be scored."""

    column: str
    equals: Annotated[tuple[Value, ...], BeforeValidator(_one_or_more)] = Field(
        min_length=1, description="values that suppress: one or a list; null is the missing one"
    )

    @property
    def texts(self) -> set[str]:
        """Return what a value that suppresses looks like, trimmed and in lower case."""
        found = set[str]()
        for value in self.equals:
            if isinstance(value, bool):
                found.update(READ_AS[value])
            elif value is not None:
                found.add(f"{value:g}" if isinstance(value, float) else str(value).strip().lower())
        return found

    @property
    def missing(self) -> bool:
        """Whether a lead without a value is suppressed."""
        return None in self.equals


class Privacy(Frozen):
    """Consent and personal data."""

    suppress: SuppressList | None = Field(None, description="ids that must not be scored")
    suppress_where: SuppressWhere | None = Field(
        None, description="a column of the leads that says who"
    )
    learn: bool = Field(
        False, description="whether models learn from suppressed entities all the same"
    )
    personal: tuple[str, ...] = Field(
        (), description="columns of any source that nothing may use or show"
    )

    @property
    def hidden(self) -> frozenset[str]:
        """Columns and attributes that no feature may use."""
        return frozenset(self.personal) | (
            {self.suppress_where.column} if self.suppress_where else set()
        )
