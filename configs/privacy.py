"""Suppressed entities and personal columns: part of a project's YAML."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from configs.source_rows import FrozenModel, SourceRows

# Spellings of true and false in a source: those that YAML accepts, their first letters, and 1 and
# 0.
BOOLEAN_TEXTS = {
    True: ("true", "yes", "on", "y", "t", "1"),
    False: ("false", "no", "off", "n", "f", "0"),
}

SuppressValue = bool | int | float | str | None


def _wrap_single_value(value: object) -> object:
    return value if isinstance(value, list | tuple) else [value]


class SuppressList(SourceRows):
    """A list of entities that must not be scored, one id per row; read again by every run."""

    entity_id: str = Field(description="column of the ids")


class SuppressWhere(FrozenModel):
    """A column of the leads source that marks entities which must not be scored."""

    column: str
    equals: Annotated[tuple[SuppressValue, ...], BeforeValidator(_wrap_single_value)] = Field(
        min_length=1,
        description="suppressing values: one or a list; null stands for a missing value",
    )

    @property
    def normalized_values(self) -> set[str]:
        """Return the suppressing values as trimmed, lower-case text."""
        texts = set[str]()
        for value in self.equals:
            # First, because Python counts True and False as integers.
            if isinstance(value, bool):
                texts.update(BOOLEAN_TEXTS[value])
            elif value is not None:
                # Without trailing zeros: 1.0 in the YAML suppresses the text 1 of the source.
                texts.add(f"{value:g}" if isinstance(value, float) else str(value).strip().lower())
        return texts

    @property
    def includes_missing(self) -> bool:
        """Return whether a lead without a value is suppressed."""
        return None in self.equals


class Privacy(FrozenModel):
    """Consent and personal data."""

    suppress: SuppressList | None = Field(None, description="ids that must not be scored")
    suppress_where: SuppressWhere | None = Field(
        None, description="column of the leads source that marks who must not be scored"
    )
    # Off: who objects to profiling has not agreed to be training data, which cannot be taken back
    # out of a model.
    learn: bool = Field(
        False, description="use suppressed entities for training (they are still not scored)"
    )
    personal: tuple[str, ...] = Field(
        (), description="columns of any source that must not be used or shown"
    )

    @property
    def hidden_columns(self) -> frozenset[str]:
        """Return the columns and attributes that no feature may use."""
        return frozenset(self.personal) | (
            {self.suppress_where.column} if self.suppress_where else set()
        )
