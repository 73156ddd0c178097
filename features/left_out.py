"""Columns of the leads source that the config offers to no feature, read for the leakage audit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from configs.accounts.buying_group import BuyingGroup
from configs.errors import ConfigError, DataError
from configs.schema import Project
from configs.source_rows import LeadRows
from features.contracts import LEADS, Dataset
from features.intake.csv_text.header import is_unnamed
from features.intake.formats.files import Selection
from features.intake.leads.columns import ROW_ORDER, list_carried_columns
from features.intake.leads.table import read_leads
from features.intake.objections import Objections
from features.intake.reading import SourceReader
from features.intake.time_limits import TimeLimits
from features.merges import Merges
from features.readings.columns import ColumnReading
from features.tools.id_index import IdIndex


@dataclass(frozen=True)
class LeftOutColumns:
    """Columns of the leads source that are no attribute in the config.

    Attributes:
        table: One row per lead of the data set, in its order; float64 or string columns.
        dates: Columns of ``table`` that hold dates, as days since 1970.
        order: Name of the column of ``table`` that only gives the order of the leads, if any.
        problem: Why the columns could not be read, empty if they were.
    """

    table: pa.Table
    dates: frozenset[str] = frozenset()
    order: str | None = None
    problem: str = ""


def read_left_out_columns(project: Project, dataset: Dataset) -> LeftOutColumns:
    """Read the columns of the leads source that ``dataset`` lacks.

    Left out stay columns with a role, personal columns, and those whose name an attribute with a
    history has. A column that cannot be read must not stop a training that does not use it, so an
    error is returned and not raised.
    """
    none, source = dataset.leads.select([]), project.sources.leads
    if source is None:
        return LeftOutColumns(none)
    order = None if source.order == ROW_ORDER else source.order
    try:
        names = _list_left_out(project, source, dataset)
        if order is not None and order not in dataset.attributes:
            names.append(order)
        if not names:
            return LeftOutColumns(none, order=order)
        table, readings = _read_columns(project, source, names)
    except (ConfigError, DataError) as error:
        return LeftOutColumns(none, order=order, problem=str(error))
    place = IdIndex.from_column(table["entity_id"]).find(dataset.leads["entity_id"])
    rows = pa.array(place.astype(np.int64), mask=place < 0)
    dates = frozenset(name for name in names if readings[name].stored.kind == "date")
    return LeftOutColumns(table.select(names).take(rows), dates, order)


def _list_left_out(project: Project, leads: LeadRows, dataset: Dataset) -> list[str]:
    """Return the names of the columns to read, in the source's order."""
    # An empty selection: only the names are of interest.
    blocks = SourceReader.open(leads).iter_blocks(Selection(frozenset()), {})
    names = next((list(block.names) for block in blocks), [])
    reserved = {leads.entity_id, leads.created_at, leads.known_at, leads.account_id, leads.order}
    # A column with a history shows each cutoff the value known then, so there is nothing to
    # suspect.
    dated = set(dataset.values["attribute"].unique().to_pylist())
    reserved |= {*LEADS.names, *dataset.attributes, *dated}
    reserved |= list_carried_columns(project) | project.privacy.hidden_columns
    # A title is personal, whether the config says so or not.
    reserved.add(project.accounts.title)
    # A column without a heading is no attribute either.
    return [name for name in names if name not in reserved and not is_unnamed(name)]


def _read_columns(
    project: Project, leads: LeadRows, names: list[str]
) -> tuple[pa.Table, dict[str, ColumnReading]]:
    """Return LEADS with these columns, read as attributes, and how each was read."""
    leads = leads.model_copy(update={"attributes": tuple(names)})
    sources = project.sources.model_copy(update={"leads": leads})
    # Their checks compare names with the config's own attributes, which are not read here.
    privacy = project.privacy.model_copy(update={"personal": ()})
    targets = {
        key: target.model_copy(update={"amount": None}) for key, target in project.targets.items()
    }
    changed = {"sources": sources, "privacy": privacy, "targets": targets}
    changed |= {"accounts": BuyingGroup()}
    asked = project.model_copy(update=changed)
    table, _, readings, _ = read_leads(
        asked, leads, None, Objections(asked, Merges()), TimeLimits()
    )
    return table, readings
