"""The columns of the leads source that are read, by the config."""

from __future__ import annotations

from configs.accounts.buying_group import ROLE_ATTRIBUTE
from configs.errors import ConfigError
from configs.schema import Project
from configs.source_rows import AllExcept, LeadRows
from configs.suggestions import did_you_mean, nearest_name
from configs.targets import ColumnOutcome
from features.contracts import LEADS
from features.intake.csv_text.header import is_unnamed
from features.intake.reading import RawRows

# Value of ``order`` that stands for the position of a row in its source.
ROW_ORDER = "rows"


def list_required_columns(project: Project, source: LeadRows) -> dict[str, str]:
    """Return the columns that the source must have, by the config key that names each."""
    where = "sources.leads"
    mapped = {
        "entity_id": source.entity_id,
        "created_at": source.created_at,
        "known_at": source.known_at,
    }
    mapped |= {
        "account_id": source.account_id,
        "order": None if source.order == ROW_ORDER else source.order,
    }
    needed = {f"{where}.{key}": name for key, name in mapped.items() if name is not None}
    listed = () if isinstance(source.attributes, AllExcept) else source.attributes
    needed |= {f"{where}.attributes.{name}": name for name in listed}
    # Sorted, so that the error for a missing column names the same one in every run.
    needed |= {
        f"targets: outcome column {name}": name for name in sorted(list_outcome_columns(project))
    }
    if owner := get_owner_column(project):
        needed["capacity.owner"] = owner
    if project.accounts.title:
        needed["accounts.title"] = project.accounts.title
    if project.privacy.suppress_where is not None:
        needed["privacy.suppress_where.column"] = project.privacy.suppress_where.column
    return needed


def list_outcome_columns(project: Project) -> set[str]:
    """Return the outcome columns: ``leads`` has them, and no feature may use them."""
    return {
        t.outcome.column for t in project.targets.values() if isinstance(t.outcome, ColumnOutcome)
    }


def list_carried_columns(project: Project) -> set[str]:
    """Return the columns that ``leads`` has and no feature may use.

    These are the outcome columns, and the owner's column if it is no attribute.
    """
    owner, chosen = (
        get_owner_column(project),
        project.sources.leads.attributes if project.sources.leads else (),
    )
    used = owner not in chosen.all_except if isinstance(chosen, AllExcept) else owner in chosen
    return list_outcome_columns(project) | ({owner} if owner and not used else set())


def get_owner_column(project: Project) -> str | None:
    """Return the column that says to whom a lead belongs; None where the config has none."""
    return project.capacity_config.owner if project.capacity_config else None


def select_columns(project: Project, source: LeadRows, raw: RawRows) -> list[str]:
    """Return the columns to keep: the attributes, the carried and the derived columns."""
    mapped = {source.entity_id, source.created_at, source.known_at, source.account_id, source.order}
    # All columns of a source may be attributes, and a title is none: each is nearly a name.
    mapped |= {project.accounts.title}
    chosen = source.attributes
    if isinstance(chosen, AllExcept):
        for name in chosen.all_except:
            raw.column(name, "sources.leads.attributes.all_except")
        left_out = {*mapped, *chosen.all_except, *list_unnamed_columns(raw)}
        names = [name for name in raw.names if name not in left_out]
    else:
        names = list(chosen)
    names = [name for name in names if name not in project.privacy.hidden_columns]
    _refuse_misspelled_personal(project, raw, names)
    # A carried column may be an attribute as well; it is read once.
    names = list(dict.fromkeys([*names, *sorted(list_carried_columns(project))]))
    if taken := [name for name in names if name in list_derived_columns(project)]:
        raise ConfigError(
            "accounts.roles gives the leads an attribute of this name",
            where=f"{project.path}: sources.leads.attributes",
            found=taken[0],
            fix="leave the column out, or remove accounts.roles and name it in features.role",
        )
    names += sorted(list_derived_columns(project))
    if taken := [name for name in names if name in LEADS.names]:
        raise ConfigError(
            "an attribute has the name of a column of the leads table",
            where=f"{project.path}: sources.leads.attributes",
            found=taken[0],
            fix="map it to that key, or list it in all_except",
        )
    _check_amounts(project, names)
    return names


def list_derived_columns(project: Project) -> set[str]:
    """Return the attributes that are computed from another column, and are in no source."""
    return {ROLE_ATTRIBUTE} if project.accounts.roles else set()


def list_plain_columns(project: Project) -> set[str]:
    """Return the columns that are read as they are written, not by the kind of most values."""
    return list_carried_columns(project) | list_derived_columns(project)


def list_unnamed_columns(raw: RawRows) -> list[str]:
    """Return the columns without a heading, whose meaning is unknown."""
    return [name for name in raw.names if is_unnamed(name)]


def _refuse_misspelled_personal(project: Project, raw: RawRows, names: list[str]) -> None:
    """Raise ConfigError if a personal column looks like a misspelled attribute.

    A misspelled personal column would not be hidden, without any message.
    """
    known = {name.lower(): name for name in names}
    for name in set(project.privacy.personal) - set(raw.names):
        # Stricter than the 0.5 of suggestions, since a similar name stops the run here.
        near = nearest_name(name.lower(), known, min_similarity=0.7)
        if near is not None:
            raise ConfigError(
                "unknown column, similar to a column in use",
                where=f"{project.path}: privacy.personal",
                found=f"{name!r}, similar to the attribute {known[near]!r}",
                fix=f"did you mean {known[near]}? If not, remove {known[near]} from the attributes",
            )


def _check_amounts(project: Project, names: list[str]) -> None:
    for key, target in project.targets.items():
        if isinstance(target.amount, str) and target.amount not in names:
            raise ConfigError(
                "the amount is not an attribute of the leads",
                where=f"{project.path}: targets.{key}.amount",
                found=repr(target.amount),
                fix=did_you_mean(target.amount, names, min_similarity=0.5)
                or "add it to sources.leads.attributes",
            )
