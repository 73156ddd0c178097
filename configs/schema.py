"""A project's YAML as one frozen, typed model; its loading, and its JSON Schema."""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Self
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

from configs.accounts.buying_group import ROLE_ATTRIBUTE, BuyingGroup
from configs.addresses.fields import FOLDER
from configs.addresses.redaction import MIN_SECRET
from configs.addresses.variables import REFERENCE
from configs.channels.channels import Channels
from configs.checks import Checks
from configs.customers.customers import Customers
from configs.durations import localize_instant
from configs.errors import ConfigError
from configs.feature_options import Features
from configs.goals.goals import Goals
from configs.learning import Audit, EvaluationConfig, FitOptions, Learning
from configs.loading.consistency import check_consistency
from configs.loading.validation_errors import to_config_error
from configs.loading.workspace_place import (
    DEFAULT_WORKSPACE,
    WORKSPACE_VARIABLE,
    find_config_folder,
    place_workspace,
    read_environment,
)
from configs.loading.yaml_file import expand_variables, read_yaml, redact_config, redact_config_text
from configs.night import Capacity, Publish, Schedule
from configs.privacy import Privacy
from configs.qualification.handovers import Qualification
from configs.source_rows import FrozenModel
from configs.sources import Sources
from configs.suggestions import did_you_mean
from configs.targets import Target
from configs.touches.touches import Touches
from configs.uplift.uplift import Uplift

Identifier = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=60)
]


# Variables that name a place or a person; messages show their values.
SHOWN_VARIABLES = frozenset(
    {"workspace", "LEADSCORE_DATA", "LEADSCORE_WORKSPACE", "HOME", "PWD", "TMPDIR", "USER"}
)


# Keys that affect neither features nor models nor scores.
UNHASHED_KEYS = (
    "workspace",
    "publish",
    "schedule",
    "words",
    "goals",
    "fit",
    "qualification",
    "customers",
    "channels",
    "touches",
    "uplift",
)
# They reach no feature: a new source of them must not make a champion that of another config.
UNHASHED_SOURCES = ("costs", "experiments")


class Project(FrozenModel):
    """The configuration of one company or data set."""

    project: Identifier
    timezone: str = "UTC"
    workspace: str = Field(
        DEFAULT_WORKSPACE,
        description="directory of all state; LEADSCORE_WORKSPACE overrides it",
    )
    sources: Sources
    targets: dict[Identifier, Target] = Field(min_length=1)
    features: Features = Features()
    evaluation: EvaluationConfig = EvaluationConfig()
    learning: Learning = Learning()
    audit: Audit = Audit()
    publish: Publish = Publish()
    checks: Checks = Checks()
    privacy: Privacy = Privacy()
    schedule: Schedule = Schedule()
    goals: Goals = Goals()
    qualification: Qualification | None = Field(
        None, description="hand-overs to sales: MQL, SAL and SQL; default: none"
    )
    fit: FitOptions = FitOptions()
    accounts: BuyingGroup = Field(
        BuyingGroup(), description="roles of the people at an account, from their titles"
    )
    customers: Customers | None = Field(
        None, description="customers after the win, who buy again; default: none"
    )
    channels: Channels | None = Field(
        None, description="channels that touch accounts: cost and credit; default: none"
    )
    touches: Touches | None = Field(
        None, description="own touches of leads, and their replies; default: none"
    )
    uplift: Uplift | None = Field(
        None, description="incremental effect of outreach, from experiments; default: none"
    )
    words: dict[str, str | tuple[str, ...]] = Field(
        {},
        description="own words for event types, channels, stages, attributes and values, in the "
        "grammatical forms of the language",
    )
    capacity: Annotated[int, Field(ge=1)] | Capacity | None = Field(
        None,
        description="leads per week that sales can work; long form: per_week, owner and explore",
    )
    # Set by load_project.
    _path: str = PrivateAttr("")
    _text: str = PrivateAttr("")
    _hash: str = PrivateAttr("")
    _values: dict[str, str] = PrivateAttr({})

    @field_validator("targets")
    @classmethod
    def _localize_targets(
        cls, targets: dict[str, Target], info: ValidationInfo
    ) -> dict[str, Target]:
        """Read a naive ``observed_from`` in the config's time zone.

        ``timezone`` is declared before ``targets``, so Pydantic has validated it already.
        """
        # A time zone that failed its own validation is absent here, and is reported anyway.
        zone = ZoneInfo(info.data.get("timezone", "UTC"))
        return {name: _localize_observed_from(target, zone) for name, target in targets.items()}

    @field_validator("sources")
    @classmethod
    def _localize_sources(cls, sources: Sources, info: ValidationInfo) -> Sources:
        """Read a naive ``earliest`` or ``latest`` in the config's time zone."""
        return sources.localize(ZoneInfo(info.data.get("timezone", "UTC")))

    @field_validator("workspace")
    @classmethod
    def _check_workspace_path(cls, value: str) -> str:
        if "\0" in value:
            raise ValueError("a path must not contain a NUL character")
        return value

    @field_validator("timezone")
    @classmethod
    def _check_timezone(cls, value: str) -> str:
        try:
            # It opens a file of this name: a folder, such as Europe, is an OSError.
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(f"{value!r} is not a time zone name, such as Europe/Berlin") from error
        return value

    @model_validator(mode="after")
    def _check_consistency(self) -> Self:
        check_consistency(self)
        return self

    @property
    def capacity_config(self) -> Capacity | None:
        """Return the capacity in its long form, or None."""
        return Capacity(per_week=self.capacity) if isinstance(self.capacity, int) else self.capacity

    @property
    def role_attribute(self) -> str | None:
        """Return the attribute with a person's role at the account, as given or from titles."""
        return ROLE_ATTRIBUTE if self.accounts.roles else self.features.role

    @property
    def timed(self) -> bool:
        """Return whether the data has times."""
        return self.sources.leads is None or self.sources.leads.created_at is not None

    def follows_up(self, target: str) -> bool:
        """Return whether a target's outcomes have times, so that immature rows can be used."""
        return self.timed and bool(self.target_config(target).outcome_types)

    @property
    def ordered(self) -> bool:
        """Return whether the rows have an order in time, by instants, a column or position."""
        return self.timed or (
            self.sources.leads is not None and self.sources.leads.order is not None
        )

    @property
    def zone(self) -> ZoneInfo:
        """Return the zone in which the company's naive times and dates are read."""
        return ZoneInfo(self.timezone)

    @property
    def path(self) -> str:
        """Return the file that this config was loaded from, for messages."""
        return self._path

    @property
    def text(self) -> str:
        """Return the YAML as written, with unexpanded variables and no secret in an address."""
        # The text is stored with each training in MLflow, which others may read.
        return redact_config_text(self._text)

    def hide_values(self, text: str) -> str:
        """Return a text in which each value of the environment is ``${NAME}`` again.

        The config may use any variable for a secret, and a path or a query is quoted in messages.
        """
        for value, name in sorted(self._values.items(), key=lambda item: -len(item[0])):
            text = text.replace(value, f"${{{name}}}")
        return text

    @property
    def config_hash(self) -> str:
        """Return the hash of the keys that affect features, models and scores.

        Excluded are those of UNHASHED_KEYS, and the UNHASHED_SOURCES.
        """
        return self._hash

    @property
    def workspace_path(self) -> Path:
        """Return the workspace directory."""
        return Path(os.environ.get(WORKSPACE_VARIABLE) or self.workspace)

    def parse_instant(self, text: str) -> datetime:
        """Parse an ISO date or instant into UTC; a naive one is read in the config's zone.

        Raises ConfigError for any other text.
        """
        try:
            return self.to_utc(datetime.fromisoformat(text))
        except (ValueError, OverflowError) as error:
            raise ConfigError(
                "not a date or instant",
                where="--as-of",
                found=repr(text),
                fix="write 2025-07-01 or 2025-07-01T06:00:00+02:00",
            ) from error

    def to_utc(self, instant: datetime) -> datetime:
        """Return a datetime in UTC; a naive one is read in the config's zone."""
        return (instant if instant.tzinfo else instant.replace(tzinfo=self.zone)).astimezone(UTC)

    def target_config(self, target: str) -> Target:
        """Return a target's config; raise ConfigError with a suggestion for an unknown name."""
        if target in self.targets:
            return self.targets[target]
        raise ConfigError(
            "unknown target",
            where=f"{self.path}: targets",
            found=f"{target!r}, the targets are {', '.join(self.targets)}",
            fix=did_you_mean(target, self.targets) or "name one of them",
        )


def _localize_observed_from(target: Target, zone: ZoneInfo) -> Target:
    if target.observed_from is None:
        return target
    instant = localize_instant(target.observed_from, zone, "observed_from")
    return target.model_copy(update={"observed_from": instant})


def load_project(path: str | Path) -> Project:
    """Load a project from its YAML file.

    ``${NAME}`` becomes the environment variable NAME, ``${workspace}`` the workspace. A relative
    path starts at the folder of the file. Raises ConfigError, with file and key, for a missing
    file, invalid YAML, an unset variable, an unknown key or an invalid value.
    """
    where = str(path)
    text, raw = read_yaml(Path(path))
    folder = find_config_folder(Path(path))
    environment = read_environment()
    values, environment["workspace"] = place_workspace(raw, environment, where, folder)
    try:
        project = Project.model_validate(
            expand_variables(values, environment, where), context={FOLDER: folder}
        )
    except ValidationError as error:
        raise to_config_error(error, where, raw, _list_keys()) from error
    project._path, project._text, project._hash = where, text, _hash_meaning(raw)
    project._values = {
        environment[name]: name
        for name in REFERENCE.findall(text)
        if name not in SHOWN_VARIABLES and len(environment.get(name, "")) >= MIN_SECRET
    }
    return project


def build_json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a project's YAML."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Project.model_json_schema(),
    }


def _hash_meaning(raw: dict[str, Any]) -> str:
    """Hash the keys that affect features, models and scores, as written.

    Variables are not expanded: neither the location of files nor a secret may enter the hash.
    """
    hashed_keys = {key: value for key, value in raw.items() if key not in UNHASHED_KEYS}
    if isinstance(sources := hashed_keys.get("sources"), dict):
        kept = {key: rows for key, rows in sources.items() if key not in UNHASHED_SOURCES}
        hashed_keys["sources"] = kept
    # Sorted: the order of the keys in the YAML means nothing, so it must not change the hash.
    hashed_keys = redact_config(hashed_keys)
    return hashlib.sha256(yaml.safe_dump(hashed_keys, sort_keys=True).encode()).hexdigest()[:16]


@cache
def _list_keys() -> set[str]:
    schema = Project.model_json_schema()
    parts = (schema, *schema["$defs"].values())
    return {name for part in parts for name in part.get("properties", {})}
