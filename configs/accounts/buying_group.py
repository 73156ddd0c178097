"""Buying group: the roles of people at an account, from their titles. Part of a project's YAML."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from configs.names import Name
from configs.source_rows import FrozenModel, Texts, find_duplicate_claim

# The role of a person whose title has none of the words.
OTHER_ROLE = "other"
# Name of the attribute of leads that holds the role.
ROLE_ATTRIBUTE = "role"
# Separates roles in a column of the accounts, so that no role may contain it.
ROLE_SEPARATOR = ", "
# Each role has features of its own, and a kernel keeps the roles as bits of a word.
MAX_ROLES = 20


def split_title_words(text: str) -> tuple[str, ...]:
    """Return the words of a title or of an entry of the config, without regard to case."""
    return tuple(re.findall(r"\w+", text.casefold()))


def _refuse_separator(role: str) -> str:
    if "," in role:
        raise ValueError(f"a role is listed with others, so {role!r} must have no comma")
    return role


RoleName = Annotated[Name, AfterValidator(_refuse_separator)]


class BuyingGroup(FrozenModel):
    """Titles of people, and the roles that words of them stand for."""

    title: str | None = Field(
        None,
        description="column of the leads source with a person's title; it may be personal, since "
        "only the role is kept",
    )
    roles: dict[RoleName, Texts] = Field(
        {},
        max_length=MAX_ROLES,
        description="words of titles by role, in any language; a title with words of several "
        "roles has the first of them, one without any the role “other”",
    )

    @field_validator("roles")
    @classmethod
    def _check_words(cls, roles: dict[str, Texts]) -> dict[str, Texts]:
        if OTHER_ROLE in {role.casefold() for role in roles}:
            raise ValueError(f"{OTHER_ROLE!r} is the role of all other titles: use another name")
        for role, entries in roles.items():
            if not entries:
                raise ValueError(f"{role} has no word: list words of titles, or remove the role")
            for text in entries:
                if not split_title_words(text):
                    raise ValueError(
                        f"{role} lists {text!r}, which has no letter or digit: remove it"
                    )
        claims = [
            (role, (" ".join(split_title_words(text)) for text in entries))
            for role, entries in roles.items()
        ]
        if duplicate := find_duplicate_claim(claims):
            word, first, second = duplicate
            twice = f"twice in {first}" if first == second else f"in {first} and in {second}"
            raise ValueError(f"the word {word!r} is {twice}: list each word once")
        return roles

    @model_validator(mode="after")
    def _check_completeness(self) -> Self:
        if (self.title is None) != (not self.roles):
            raise ValueError("accounts.title and accounts.roles must be given together")
        return self
