"""Links between web visitors and leads: sources of a project's YAML."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from pydantic import Field, model_validator

from configs.source_rows import EventRows, TimedRows


class IdentityRows(TimedRows):
    """Links of web visitors to leads: one row per link.

    A later row of the same visitor, lead and ``valid_from`` replaces the earlier one.
    """

    visitor_id: str = Field(description="column: the visitor, such as a cookie or a device")
    entity_id: str = Field(description="column: the lead that the visitor turned out to be")
    known_at: str = Field(description="column: when the link became known, such as the log-in")
    valid_from: str | None = Field(
        None,
        description="column: first instant whose events belong to the lead; default: all earlier "
        "ones do",
    )
    valid_to: str | None = Field(
        None,
        description="column: end of the link, which is not part of it, such as the log-out; empty: "
        "still valid",
    )
    revoked_at: str | None = Field(
        None, description="column: when the link turned out to be wrong; empty: it was not"
    )

    @model_validator(mode="after")
    def _check_columns(self) -> Self:
        if self.visitor_id == self.entity_id:
            raise ValueError(
                f"visitor_id and entity_id are both {self.visitor_id!r}: name the column of the "
                "visitor and that of the lead"
            )
        return self


def check_visitors(
    has_leads: bool, events: Sequence[EventRows], identities: Sequence[IdentityRows]
) -> None:
    """Check that visitors have both events and links.

    Raises ValueError if one is without the other, or if there is no leads source.
    """
    visited = [i for i, source in enumerate(events) if source.visitor_id]
    if identities and not has_leads:
        raise ValueError("identities needs sources.leads, which says which ids there are")
    if identities and not visited:
        raise ValueError(
            "identities links visitors to leads, but no source of events has visitor_id: map the "
            "column with the visitor in that of the web events"
        )
    if visited and not identities:
        raise ValueError(
            f"events[{visited[0]}].visitor_id needs sources.identities, which links visitors to "
            "leads"
        )
