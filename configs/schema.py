"""One project's YAML as frozen, typed models that forbid unknown keys; loading; and their JSON Schema."""

from __future__ import annotations

import difflib
import hashlib
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import (
    Field,
    PrivateAttr,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from configs.checks import Checks
from configs.durations import Duration
from configs.errors import ConfigError
from configs.learning import Audit, Evaluation, Learning
from configs.night import Capacity, Publish, Schedule
from configs.privacy import Privacy
from configs.source_rows import AttributeRows, EventRows, Frozen, LeadRows, Rows, claimed_twice
from configs.targets import ColumnOutcome, Target
from configs.yaml_file import fill_variables, read_yaml

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=60)]


NUMBER, PERSONAL = "constrained-int", "personal"
"""Pydantic's name for a number that could also be a mapping, and ours for a personal column that a key needs."""


class Sources(Frozen):
    """All tables of the company."""

    leads: LeadRows | None = None
    events: tuple[EventRows, ...] = ()
    attributes: tuple[AttributeRows, ...] = Field(
        (), description="histories of attributes that change"
    )
    max_quarantine: float = Field(
        0.02, ge=0, le=1, description="share of bad rows of a source that stops a run"
    )
    complete_after: Duration = Field(
        timedelta(0), description="an outcome is surely in the data after this long"
    )
    max_staleness: Duration = Field(
        timedelta(days=7), description="as-of may lie this far behind the last row"
    )

    @model_validator(mode="after")
    def _something_to_read(self) -> Self:
        if self.leads is None and not self.events:
            raise ValueError("name a leads source, an events source, or both")
        return self

    @model_validator(mode="after")
    def _one_home_an_attribute(self) -> Self:
        listed = (
            self.leads.attributes if self.leads and isinstance(self.leads.attributes, tuple) else ()
        )
        claims = [("leads.attributes", tuple(dict.fromkeys(listed)))]
        claims += [(f"attributes[{i}]", source.named) for i, source in enumerate(self.attributes)]
        if twice := claimed_twice(claims):
            name, first, second = twice
            raise ValueError(
                f"the attribute {name!r} of {second} is named in {first} already: give it one home"
            )
        return self


Family = Literal[
    "counts",
    "amounts",
    "recency",
    "fading",
    "rhythm",
    "breadth",
    "sequence",
    "journey",
    "account",
    "lead",
]


class Features(Frozen):
    """What to compute beside what the sources imply."""

    windows: tuple[Duration, ...] = tuple(timedelta(days=n) for n in (1, 7, 30, 90))
    half_lives: tuple[Duration, ...] = tuple(timedelta(days=n) for n in (3, 14, 60))
    stages: tuple[str, ...] = Field(
        (), description="event types that are stages, from first to last"
    )
    exclude: tuple[str, ...] = Field(
        (), description="event types or attributes that no feature may use"
    )
    outbound: tuple[str, ...] = Field(
        (), description="event types that are touches of ours: e-mails sent, calls made"
    )
    offline: tuple[str, ...] = Field((), description="channels that are not online: phone, meeting")
    ends: tuple[str, ...] = Field(
        (), description="event types after which a lead that returns is a recycled one"
    )
    role: str | None = Field(
        None, description="the attribute that says what someone is at the account"
    )
    families: tuple[Family, ...] = Field(
        (), description="feature families to compute; left out, all"
    )


class Project(Frozen):
    """One company or data set."""

    project: Name
    timezone: str = "UTC"
    workspace: str = Field(description="where state goes; LEADSCORE_WORKSPACE overrides it")
    sources: Sources
    targets: dict[Name, Target] = Field(min_length=1)
    features: Features = Features()
    evaluation: Evaluation = Evaluation()
    learning: Learning = Learning()
    audit: Audit = Audit()
    publish: Publish = Publish()
    checks: Checks = Checks()
    privacy: Privacy = Privacy()
    schedule: Schedule = Schedule()
    words: dict[str, str | tuple[str, ...]] = Field(
        {},
        description="own nouns of event types, channels, stages, attributes and values, in the language's forms",
    )
    capacity: Annotated[int, Field(ge=1)] | Capacity | None = Field(
        None, description="leads a week that sales can work, or how its places are given"
    )
    _path: str = PrivateAttr("")
    _text: str = PrivateAttr("")
    _hash: str = PrivateAttr("")

    @field_validator("targets")
    @classmethod
    def _in_the_zone(cls, targets: dict[str, Target], info: ValidationInfo) -> dict[str, Target]:
        """Read a naive ``observed_from`` in the config's zone; ``timezone`` stands before the targets."""
        zone = ZoneInfo(info.data.get("timezone", "UTC"))
        return {name: _zoned(target, zone) for name, target in targets.items()}

    @field_validator("workspace")
    @classmethod
    def _can_be_a_path(cls, value: str) -> str:
        if "\0" in value:
            raise ValueError("a path holds no NUL")
        return value

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(f"{value!r} is not a time zone name such as Europe/Berlin") from error
        return value

    @model_validator(mode="after")
    def _outcomes_fit_sources(self) -> Self:
        if self.sources.leads is None and any(
            isinstance(t.outcome, ColumnOutcome) for t in self.targets.values()
        ):
            raise ValueError("an outcome column needs a leads source")
        if not self.timed and any(t.outcomes for t in self.targets.values()):
            raise ValueError("an outcome event needs times: give sources.leads.created_at")
        if not any(source.value for source in self.sources.events):
            for name in (name for name, target in self.targets.items() if target.learns_amount):
                raise ValueError(
                    f"targets.{name}.amount is the outcome's value: name that column in sources.events"
                )
        if not self.timed and self.sources.attributes:
            raise ValueError("a history of attributes needs times: give sources.leads.created_at")
        return self

    @model_validator(mode="after")
    def _half_life_fits_sources(self) -> Self:
        half_life, leads = self.learning.recency_half_life, self.sources.leads
        if half_life is None or self.timed or leads is None:
            return self
        if leads.order is None:
            raise ValueError("learning.recency_half_life needs times, or an order in sources.leads")
        if isinstance(half_life, timedelta):
            raise ValueError(
                "learning.recency_half_life as a duration needs times: give a share of the rows, such as 0.1"
            )
        return self

    @model_validator(mode="after")
    def _personal_stays_hidden(self) -> Self:
        if self.privacy.suppress_where and self.sources.leads is None:
            raise ValueError(
                "privacy.suppress_where needs a leads source; without one list ids in privacy.suppress"
            )
        _refuse_personal(self)
        return self

    @model_validator(mode="after")
    def _kept_until_they_matured(self) -> Self:
        keep, horizons = (
            self.publish.keep,
            [target.horizon for target in self.targets.values() if target.horizon],
        )
        if keep is not None and horizons and keep <= max(horizons):
            raise ValueError(
                "publish.keep must be longer than every horizon, or no score is there when its outcome is"
            )
        return self

    @model_validator(mode="after")
    def _lists_can_be_made(self) -> Self:
        if self.places and self.places.owner and self.sources.leads is None:
            raise ValueError("capacity.owner needs a leads source with that column")
        if self.places and self.publish.keep is not None and self.publish.keep < timedelta(days=7):
            raise ValueError(
                "publish.keep must be 7d at least, or the week's list is forgotten before its week is over"
            )
        return self

    @property
    def places(self) -> Capacity | None:
        """The capacity, however it was written."""
        return Capacity(per_week=self.capacity) if isinstance(self.capacity, int) else self.capacity

    @property
    def timed(self) -> bool:
        """Whether the data has times at all."""
        return self.sources.leads is None or self.sources.leads.created_at is not None

    @property
    def ordered(self) -> bool:
        """Whether the rows have an order in time, by instants or by where they stand."""
        return self.timed or (
            self.sources.leads is not None and self.sources.leads.order is not None
        )

    @property
    def zone(self) -> ZoneInfo:
        """The zone in which naive times and dates of this company are read."""
        return ZoneInfo(self.timezone)

    @property
    def path(self) -> str:
        """The file this config was read from, for messages."""
        return self._path

    @property
    def text(self) -> str:
        """The YAML as written, with variables unfilled and the password of any database address blanked."""
        return re.sub(r"(://[^:/@\s]*):[^@\s]*@", r"\1:***@", self._text)

    @property
    def config_hash(self) -> str:
        """Hash of the config's meaning: all but where state goes, where files lie, when it runs, and its words."""
        return self._hash

    @property
    def root(self) -> Path:
        """The workspace directory."""
        return Path(os.environ.get("LEADSCORE_WORKSPACE") or self.workspace)

    def instant(self, text: str) -> datetime:
        """Read an ISO date or instant, a naive one in the config's zone; raise ConfigError for anything else."""
        try:
            return self.aware(datetime.fromisoformat(text))
        except (ValueError, OverflowError) as error:
            raise ConfigError(
                "not an instant",
                where="--as-of",
                found=repr(text),
                fix="write 2025-07-01 or 2025-07-01T06:00:00+02:00",
            ) from error

    def aware(self, moment: datetime) -> datetime:
        """Return a moment in UTC; a naive one is read in the config's zone."""
        return (moment if moment.tzinfo else moment.replace(tzinfo=self.zone)).astimezone(UTC)

    def target(self, name: str) -> Target:
        """Return a target by name; raise ConfigError with the nearest name for a typo."""
        if name in self.targets:
            return self.targets[name]
        near = difflib.get_close_matches(name, self.targets, 1)
        raise ConfigError(
            "no such target",
            where=f"{self.path}: targets",
            found=f"{name!r}, the targets are {', '.join(self.targets)}",
            fix=f"did you mean {near[0]}?" if near else "name one of them",
        )


def _refuse_personal(project: Project) -> None:
    """Raise PydanticCustomError where a key needs a column that ``privacy.personal`` hides; an id may be one."""
    for key, column in _named(project):
        if column in project.privacy.personal:
            text = (
                f"privacy.personal hides the column {column!r}, and {key} needs it: name another column there, or take "
                "it off privacy.personal"
            )
            raise PydanticCustomError(PERSONAL, "{text}", {"text": text, "key": key})


def _named(project: Project) -> Iterator[tuple[str, str]]:
    """Yield the keys that name columns whose values are used or shown, with the columns."""
    sources = project.sources
    keys = (
        "created_at",
        "known_at",
        "order",
        "event_time",
        "event_type",
        "channel",
        "value",
        "valid_from",
        "attribute",
    )
    places: dict[str, Rows] = {"sources.leads": sources.leads} if sources.leads else {}
    places |= {f"sources.events[{i}]": source for i, source in enumerate(sources.events)}
    places |= {f"sources.attributes[{i}]": source for i, source in enumerate(sources.attributes)}
    for where, source in places.items():
        found = ((key, getattr(source, key, None)) for key in keys)
        yield from ((f"{where}.{key}", column) for key, column in found if isinstance(column, str))
    for name, target in project.targets.items():
        outcome = getattr(target.outcome, "column", None)
        yield from ((f"targets.{name}.outcome", column) for column in [outcome] if column)
        yield from (
            (f"targets.{name}.amount", column)
            for column in [target.amount]
            if isinstance(column, str)
        )
    yield from (
        ("capacity.owner", column)
        for column in [project.places.owner if project.places else None]
        if column
    )
    yield from (("evaluation.segments", column) for column in project.evaluation.segments)
    yield from (("audit.allow", column) for column in project.audit.allow)
    yield from (("features.role", column) for column in [project.features.role] if column)


def _zoned(target: Target, zone: ZoneInfo) -> Target:
    moment = target.observed_from
    if moment is None:
        return target
    try:
        moment = (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
    except OverflowError as error:
        raise ValueError("observed_from lies beyond the calendar in UTC") from error
    return target.model_copy(update={"observed_from": moment})


def load(path: str | Path) -> Project:
    """Read one project's YAML. ``${NAME}`` becomes the environment variable, ``${workspace}`` the workspace.

    Raises ConfigError, with file and key, for a file that is not there, YAML that does not parse, an unset
    variable, an unknown key or a value that does not fit.
    """
    where = str(path)
    text, raw = read_yaml(Path(path))
    environment = {
        **os.environ,
        "workspace": os.environ.get("LEADSCORE_WORKSPACE") or str(raw.get("workspace", "")),
    }
    try:
        project = Project.model_validate(fill_variables(raw, environment, where))
    except ValidationError as error:
        raise _explain(error, where, raw) from error
    project._path, project._text, project._hash = where, text, _hash(raw)
    return project


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a project's YAML."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Project.model_json_schema(),
    }


def _hash(raw: dict[str, Any]) -> str:
    """Hash before variables are filled in: where files lie is no part of it, and no secret can be."""
    meaning = {
        key: value
        for key, value in raw.items()
        if key not in ("workspace", "publish", "schedule", "words")
    }
    return hashlib.sha256(yaml.safe_dump(meaning, sort_keys=True).encode()).hexdigest()[:16]


def _explain(error: ValidationError, where: str, raw: dict[str, Any]) -> ConfigError:
    """Turn Pydantic's list into one error: the first problem in words, and how many more there are."""
    problems = sorted(_meant(error.errors(include_url=False, include_input=False)), key=_weight)
    first = problems[0]
    key = ".".join(_written(first["loc"], raw, absent=first["type"] == "missing"))
    key = f"{first['ctx']['key']}, privacy.personal" if first["type"] == PERSONAL else key
    unknown = first["type"] == "extra_forbidden"
    return ConfigError(
        "unknown key" if unknown else first["msg"].removeprefix("Value error, "),
        where=f"{where}: {key}" if key else where,
        found=f"{len(problems)} problems, this is the first" if len(problems) > 1 else "",
        fix=_nearest_key(str(first["loc"][-1]))
        if unknown
        else "see `leadscore schema` for every key",
    )


def _written(loc: tuple[str | int, ...], raw: Any, absent: bool) -> Iterator[str]:
    """Yield the keys of a place as the YAML has them: Pydantic names the types that it tried among them."""
    for depth, part in enumerate(loc, 1):
        there = (
            part in raw
            if isinstance(raw, dict)
            else isinstance(raw, list) and part in range(len(raw))
        )
        if there or (absent and depth == len(loc)):
            yield str(part)
        raw = raw[part] if there else raw


def _meant(problems: list[Any]) -> list[Any]:
    """Leave out that a value is not a number, where it was read as keys of its own too and these are wrong."""
    read = {problem["loc"][:-2] for problem in problems if len(problem["loc"]) > 2}
    return [
        one for one in problems if not (one["loc"][-1:] == (NUMBER,) and one["loc"][:-1] in read)
    ]


def _weight(problem: Any) -> int:
    """Put unknown keys first, then what is wrong, then what is missing."""
    return {"extra_forbidden": 0, "missing": 2}.get(problem["type"], 1)


def _nearest_key(key: str) -> str:
    schema = Project.model_json_schema()
    known = sorted(
        {
            name
            for part in (schema, *schema["$defs"].values())
            for name in part.get("properties", {})
        }
    )
    near = difflib.get_close_matches(key, known, 1)
    return f"did you mean {near[0]}?" if near else "remove it; `leadscore schema` lists every key"
