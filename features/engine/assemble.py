"""Assembly of the feature matrix: columns of the lead row, and codes decoded to categories."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import DataError
from features.contracts import Dataset
from features.definitions.attributes import AttributeKind, as_of_join
from features.definitions.catalog import Catalog
from features.definitions.feature import Feature
from features.definitions.sequences import ORIGINS
from features.engine.kernels.sequence import to_hour_of_week
from features.intake.column_kinds import parse_as, settle_reading
from features.readings.columns import StoredReading
from features.tools.id_index import IdIndex
from features.tools.instants import US_PER_DAY, column_to_microseconds


def build_lead_columns(
    dataset: Dataset, spine: pa.Table, catalog: Catalog, entity: np.ndarray
) -> dict[str, pa.Array]:
    """Return the features of the lead row and its value histories, one element per spine row.

    ``entity`` is the row of each spine row in ``leads``. Raises DataError for an attribute that is
    missing or was a number when the model was trained.
    """
    columns = {
        feature.name: _compute_lead_column(dataset, feature, catalog, entity, spine)
        for feature in catalog.features
        if feature.scope == "lead"
    }
    # Numbers of the matrix are NaN where missing, as those of the history; categories stay null.
    return {name: _fill_missing(column) for name, column in columns.items()}


def build_feature_table(
    spine: pa.Table, catalog: Catalog, history: np.ndarray, lead: dict[str, pa.Array]
) -> pa.Table:
    """Return SPINE and then the catalogue's features.

    ``history`` is (history features in the catalogue's order, rows), ``lead`` the other columns.
    """
    table = {name: spine[name] for name in ("entity_id", "cutoff")}
    levels = {
        "types": catalog.types,
        "channels": catalog.channels,
        "stages": catalog.stages,
        "origins": ORIGINS,
    }
    # Advances only at history features, whose order is that of the catalogue.
    columns = iter(history)
    for feature in catalog.features:
        if feature.scope == "lead":
            table[feature.name] = lead[feature.name]
        else:
            values = next(columns)
            table[feature.name] = (
                _decode_levels(levels[feature.levels], values)
                if feature.is_category
                else pa.array(values)
            )
    return pa.table(table)


def _decode_levels(levels: tuple[str, ...], code: np.ndarray) -> pa.Array:
    return pa.array(levels, pa.string()).take(pa.array(code.astype(np.int64), mask=code < 0))


def _compute_lead_column(
    dataset: Dataset, feature: Feature, catalog: Catalog, entity: np.ndarray, spine: pa.Table
) -> pa.Array:
    created, cutoff = (
        column_to_microseconds(dataset.leads["created_at"]),
        column_to_microseconds(spine["cutoff"]),
    )
    if feature.aggregate == "created_age":
        return pa.array((cutoff - created[entity]) / US_PER_DAY)
    if feature.aggregate == "created_hour":
        return pa.array(to_hour_of_week(created, catalog.timezone)[entity].astype(float))
    if feature.aggregate == "dated":
        kind: AttributeKind = "category" if feature.is_category else "number"
        return as_of_join(
            dataset.values,
            feature.subject,
            kind,
            entity,
            cutoff,
            dataset.lead_ids,
            _settle_reading(dataset, feature, catalog),
        )
    return _read_attribute(dataset, feature, catalog, entity)


def _fill_missing(column: pa.Array) -> pa.Array:
    return pc.fill_null(column, np.nan) if pa.types.is_floating(column.type) else column


def _settle_reading(dataset: Dataset, feature: Feature, catalog: Catalog) -> StoredReading | None:
    """Return how the catalogue's model reads an attribute; None if it was never read from a source.

    Raises DataError if more of its values than the config allows do not fit the model's kind.
    """
    reading = dataset.readings.columns.get(feature.subject)
    stored = dict(catalog.readings).get(feature.subject)
    if reading is None:
        return stored
    if stored is None or (stored.kind == "category") != feature.is_category:
        # A model of an earlier version keeps the kind of the feature alone.
        stored = StoredReading("category" if feature.is_category else "number")
        if reading.problem is None and not feature.is_category and reading.stored.kind == "date":
            stored = reading.stored
    return settle_reading(reading, stored)


def _read_attribute(
    dataset: Dataset, feature: Feature, catalog: Catalog, entity: np.ndarray
) -> pa.Array:
    if feature.subject not in dataset.leads.column_names:
        fix = "restore the column, or train again; columns listed in privacy.personal are not read"
        raise DataError(
            "an attribute that the model uses is missing",
            where=f"sources.leads: {feature.subject}",
            found=f"{len(dataset.attributes)} other attributes",
            fix=fix,
        )
    settled = _settle_reading(dataset, feature, catalog)
    reading = dataset.readings.columns.get(feature.subject)
    if settled and reading and (reading.problem or settled.kind != reading.stored.kind):
        # Rare: the whole column is parsed once more, and its rows are found by the leads' ids.
        ids = IdIndex.from_column(dataset.readings.entities)
        rows = ids.find(dataset.leads["entity_id"])
        return parse_as(reading.written, settled).take(pa.array(rows[entity]))
    target_type = pa.string() if feature.is_category else pa.float64()
    try:
        return (
            pc.cast(dataset.leads[feature.subject], target_type)
            .take(pa.array(entity))
            .combine_chunks()
        )
    # One text among the numbers makes the whole column text, so the cast fails.
    except pa.ArrowInvalid as error:
        raise DataError(
            "attribute was a number and is text now", where=feature.subject, found=str(error)
        ) from error
