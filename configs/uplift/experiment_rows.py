"""The source of experiments: who was assigned which arm at random, and when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from configs.names import Name
from configs.source_rows import Constant, NamedRows


def _wrap_name(value: object) -> object:
    return (value,) if isinstance(value, str) else value


ArmNames = Annotated[
    tuple[Name, ...],
    BeforeValidator(_wrap_name, json_schema_input_type=tuple[Name, ...] | Name),
]
Probability = Annotated[float, Field(gt=0, lt=1)]


class ExperimentRows(NamedRows):
    """A source of experiments: one row per lead and assignment, made at random."""

    entity_id: str | None = Field(
        None, description="column; default: the row number, as in leads without an id"
    )
    assigned_at: str | None = Field(
        None,
        description="column: when the arm was drawn; features look back from here and outcomes "
        "count from here. Required unless the data has no times",
    )
    arm: str = Field(description="column with the name of the arm")
    control: ArmNames = Field(("control",), description="arms without outreach; a name or a list")
    treated: ArmNames = Field(
        (), description="arms with outreach; default: all others. Rows of other arms are skipped"
    )
    propensity: str | Probability | None = Field(
        None,
        description="probability of an arm with outreach: a column, or a number for all rows; "
        "default: the share of such rows, by channel",
    )
    channel: str | Constant | None = Field(
        None, description="channel of the outreach: column, or {constant: text}"
    )
    known_at: str | None = Field(None, description="column: when the row arrived in the source")
    missing_time: Literal["quarantine", "skip"] = Field(
        "quarantine", description="skip: ignore rows without assigned_at: nothing was drawn yet"
    )

    @model_validator(mode="after")
    def _check_arms(self) -> Self:
        if not self.control:
            raise ValueError("control: name the arm without outreach")
        if both := sorted({*self.control} & {*self.treated}):
            raise ValueError(f"treated: {both[0]!r} is a control arm too")
        if self.known_at is not None and self.assigned_at is None:
            raise ValueError("known_at needs assigned_at")
        return self


def check_experiments(
    experiments: Sequence[ExperimentRows], leads_have_id: bool, timed: bool
) -> None:
    """Check that assignments have ids and times where the leads have them.

    Raises ValueError for the first that has not.
    """
    for i, source in enumerate(experiments):
        if timed and source.assigned_at is None:
            raise ValueError(
                f"sources.experiments[{i}].assigned_at is missing: give the column with the time "
                "at which the arm was drawn"
            )
        if not timed and source.assigned_at is not None:
            raise ValueError(
                f"sources.experiments[{i}].assigned_at requires times: give "
                "sources.leads.created_at"
            )
        if leads_have_id and source.entity_id is None:
            raise ValueError(
                f"sources.experiments[{i}].entity_id is missing: give the column with the lead"
            )
