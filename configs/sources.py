"""All sources of a company, and limits on their quality: part of a project's YAML."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, field_validator, model_validator

from configs.channels.cost_rows import CostRows
from configs.contract import SourceContract
from configs.durations import Duration, localize_instant, read_date_as_midnight
from configs.source_rows import (
    AttributeRows,
    EventRows,
    FrozenModel,
    LeadRows,
    MergeRows,
    find_duplicate_claim,
)
from configs.suggestions import did_you_mean
from configs.uplift.experiment_rows import ExperimentRows
from configs.visitors.identities import IdentityRows, check_visitors


def _wrap_single_source(value: object) -> object:
    return (value,) if isinstance(value, dict) else value


def _allow_single(rows: type[FrozenModel]) -> BeforeValidator:
    """Return what reads one source as a list; the schema that editors read allows both."""
    # The types are built here, for the schema alone, so that a type checker has nothing to check.
    many: Any = tuple[rows, ...]  # type: ignore[valid-type]
    return BeforeValidator(_wrap_single_source, json_schema_input_type=many | rows)


class Sources(FrozenModel):
    """All sources of a company."""

    leads: LeadRows | None = None
    events: tuple[EventRows, ...] = ()
    attributes: tuple[AttributeRows, ...] = Field(
        (), description="histories of changing attributes"
    )
    same_as: Annotated[tuple[MergeRows, ...], _allow_single(MergeRows)] = Field(
        (), description="merged records: ids that became another one; one source or a list"
    )
    costs: Annotated[tuple[CostRows, ...], _allow_single(CostRows)] = Field(
        (), description="what was spent on each channel; one source or a list"
    )
    identities: Annotated[tuple[IdentityRows, ...], _allow_single(IdentityRows)] = Field(
        (), description="links of web visitors to leads; one source or a list"
    )
    experiments: Annotated[tuple[ExperimentRows, ...], _allow_single(ExperimentRows)] = Field(
        (), description="assignments of outreach at random; one source or a list"
    )
    # Two: a device that was handed on, or is shared by two people, still says something about
    # them; one of a shop floor or a reception says nothing about anyone.
    max_identities: int = Field(
        2, ge=1, description="most leads that one visitor may be; one with more is never merged"
    )
    max_quarantine: float = Field(
        0.02, ge=0, le=1, description="maximum share of bad rows in a source; more stop the run"
    )
    max_unreadable_cells: float = Field(
        0.05,
        ge=0,
        lt=0.5,
        description="maximum share of a column's values that do not fit its kind; they are missing",
    )
    # Half: a log that was delivered twice is used once, as before.
    max_duplicates: float = Field(
        0.5,
        ge=0,
        le=1,
        description="maximum share of rows of a source that repeat another row; more count as bad",
    )
    complete_after: Duration = Field(
        timedelta(0), description="delay after which all outcomes have arrived in the data"
    )
    max_staleness: Duration = Field(
        timedelta(days=7), description="maximum time from the end of the data to the as-of"
    )
    earliest: datetime | None = Field(
        None,
        description="earliest plausible time of a lead or event; earlier rows are set aside",
    )
    contract: dict[str, SourceContract] = Field(
        {},
        description="what the data must be like, by source: leads, or events_1 … and attributes_1 "
        "… in the config's order",
    )
    latest: datetime | None = Field(
        None, description="latest plausible time of a lead or event; later rows are set aside"
    )

    @field_validator("earliest", "latest", mode="before")
    @classmethod
    def _read_date_as_midnight(cls, value: object) -> object:
        return read_date_as_midnight(value)

    @model_validator(mode="after")
    def _check_any_source(self) -> Self:
        if self.leads is None and not self.events:
            raise ValueError("give leads, events, or both")
        if self.leads is None and self.same_as:
            raise ValueError("same_as needs sources.leads, which says which ids there are")
        return self

    @model_validator(mode="after")
    def _check_visitors(self) -> Self:
        check_visitors(self.leads is not None, self.events, self.identities)
        return self

    @model_validator(mode="after")
    def _check_contract_sources(self) -> Self:
        names = ["leads"] if self.leads else []
        names += [f"events_{i + 1}" for i in range(len(self.events))]
        names += [f"attributes_{i + 1}" for i in range(len(self.attributes))]
        if unknown := sorted(set(self.contract) - set(names)):
            hint = did_you_mean(unknown[0], names) or f"name one of {', '.join(names)}"
            raise ValueError(f"contract: there is no source {unknown[0]!r}; {hint}")
        return self

    @model_validator(mode="after")
    def _check_attribute_owners(self) -> Self:
        # Names that only the data gives (`all_except`, a long history without `only`) are compared
        # when the sources are read.
        attributes = (
            self.leads.attributes if self.leads and isinstance(self.leads.attributes, tuple) else ()
        )
        # A name that is listed twice in one place has one origin, so it is no conflict.
        claims = [("leads.attributes", tuple(dict.fromkeys(attributes)))]
        claims += [
            (f"attributes[{i}]", source.declared_attributes)
            for i, source in enumerate(self.attributes)
        ]
        if duplicate := find_duplicate_claim(claims):
            name, first, second = duplicate
            raise ValueError(
                f"attribute {name!r} of {second} is already defined in {first}: define it once"
            )
        return self

    def localize(self, zone: ZoneInfo) -> Self:
        """Return the sources with ``earliest`` and ``latest`` in UTC, naive ones read in ``zone``.

        Raises ValueError for a time outside the years 1 to 9999, and for an empty span.
        """
        keys = ("earliest", "latest")
        instants = {
            key: instant if instant is None else localize_instant(instant, zone, key)
            for key, instant in ((key, getattr(self, key)) for key in keys)
        }
        earliest, latest = instants["earliest"], instants["latest"]
        if earliest and latest and latest <= earliest:
            raise ValueError("sources.latest must be later than sources.earliest")
        return self.model_copy(update=instants)
