"""The columns of the list of leads, encoded for the page's script."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.tools.instants import US_PER_DAY, to_microseconds
from serve.export.export import reason_columns
from serve.page.content.packed_columns import null_of, pack_columns, round_as_shown, to_array
from serve.page.content.page_data import PageData
from serve.page.content.reason_changes import (
    KINDS,
    MAX_CHANGES,
    compare_reasons,
    join_key,
    match_rows,
    pair_reasons,
)
from serve.page.content.shown_leads import find_at_risk, find_fallen, find_new_best
from serve.page.content.target_names import name_outcomes, round_up_days

GRADES = ("A", "B", "C", "D")
LISTS = ("pick", "explore")
LITTLE_EVIDENCE = "too little"
# Expected values are shown in whole units from this size on, and with two decimals below.
WHOLE_UNITS_FROM = 1_000
# By name: the decimals of its per cent.
PROBABILITIES = ("probability", "probability_low", "probability_high")
PERCENT_DIGITS = 1
TREND_COLUMNS = ("trend", "trend_7d", "trend_30d")
OUTCOME_COLUMNS = ("outcome_days_50", "outcome_days_80")


def pack_leads(data: PageData, rows: np.ndarray, texts: Mapping[str, Any]) -> bytes:
    """Return these rows of the page's scores, in their order, as ``pack_columns`` does.

    ``texts`` are added to the header.
    """
    places = pa.array(rows)
    shown = data.scores if len(rows) == data.scores.num_rows else data.scores.take(places)
    arrays: dict[str, np.ndarray] = {
        "new_best": np.asarray(find_new_best(data.scores)).astype(np.uint8)[rows]
    }
    header: dict[str, Any] = dict(texts) | {"targets": _find_targets(data, shown)}
    header["ids"] = shown["entity_id"].to_pylist()
    for name, column in _select_texts(data, shown).items():
        header[name], arrays[name] = _encode_texts(column)
    arrays |= _encode_numbers(shown) | _encode_marks(shown)
    header["value_digits"], arrays["value"] = _encode_values(shown)
    sentences, coded = _encode_sentences(data, shown)
    header |= {"sentences": sentences, "kinds": KINDS}
    return pack_columns(header, arrays | coded | _encode_history(data, shown))


def _find_targets(data: PageData, shown: pa.Table) -> list[dict[str, Any]]:
    """Return each target with its meaning, the place of its first row, and its leads."""
    counts = {name: _count_by_target(table) for name, table in (("all", data.scores), ("", shown))}
    firsts, labels = dict(zip(*_find_starts(shown), strict=True)), name_outcomes(data)
    return [
        {
            "name": target,
            "label": labels[target],
            "first": firsts.get(target, 0),
            "count": counts[""].get(target, 0),
            "all": counts["all"].get(target, 0),
        }
        for target in data.targets
    ]


def _count_by_target(scores: pa.Table) -> dict[str, int]:
    counts = pc.value_counts(scores["target"].combine_chunks())
    return {count["values"]: count["counts"] for count in counts.to_pylist()}


def _find_starts(scores: pa.Table) -> tuple[list[str], list[int]]:
    """Return the targets of rows sorted by target, and the place of the first row of each."""
    encoded = pc.run_end_encode(scores["target"].combine_chunks())
    return encoded.values.to_pylist(), [0, *encoded.run_ends.to_pylist()][:-1]


def _select_texts(data: PageData, shown: pa.Table) -> dict[str, pa.ChunkedArray]:
    """Return the columns of repeated texts."""
    days = pc.unique(shown["review_at"]).to_pylist()
    shown_days = pa.array([day and data.words.day(day) for day in days], pa.string())
    place = pc.index_in(shown["review_at"], value_set=pa.array(days, shown["review_at"].type))
    return {
        "owner": shown["owner"],
        "account": shown["account_id"],
        "review": shown_days.take(place),
    }


def _encode_texts(column: pa.ChunkedArray | pa.Array) -> tuple[list[str], np.ndarray]:
    """Return the distinct texts of a column, and the place of each row's text."""
    chunk = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    encoded = chunk.dictionary_encode()
    texts = encoded.dictionary.to_pylist()
    return texts, to_array(encoded.indices, _smallest_type(len(texts)))


def _smallest_type(count: int) -> type[np.unsignedinteger[Any]]:
    """Return the type of the places of so many values, and of null."""
    return next(kind for kind in (np.uint8, np.uint16, np.uint32) if count <= int(null_of(kind)))


def _encode_numbers(shown: pa.Table) -> dict[str, np.ndarray]:
    """Return probabilities in tenths of a per cent, days, scores and their changes."""
    arrays: dict[str, np.ndarray] = {"score": to_array(shown["score"], np.uint8)}
    for name in PROBABILITIES:
        percent = 100 * shown[name].to_numpy()
        arrays[name] = round_as_shown(percent, PERCENT_DIGITS).astype(np.uint16)
    for name in TREND_COLUMNS:
        arrays[name] = to_array(shown[name], np.int8)
    for name in OUTCOME_COLUMNS:
        days = round_up_days(shown[name].to_numpy())
        arrays[name] = np.where(np.isnan(days), null_of(np.uint16), days).astype(np.uint16)
    return arrays


def _encode_values(shown: pa.Table) -> tuple[int, np.ndarray]:
    """Return the decimals of the expected values, and the values as shown."""
    values = shown["expected_value"].to_numpy()
    digits = 0 if np.nanmax(np.abs(values), initial=0) >= WHOLE_UNITS_FROM else 2
    # Not integers: an amount may exceed what a script's integers hold.
    return digits, round_as_shown(values, digits)


def _encode_marks(shown: pa.Table) -> dict[str, np.ndarray]:
    """Return grades, lists and flags."""
    grades, lists = pa.array(GRADES), pa.array(LISTS)
    flags = {
        "fallen": find_fallen(shown),
        "at_risk": find_at_risk(shown),
        "kept": pc.is_valid(shown["falling_since"]),
        "little_evidence": pc.equal(shown["evidence"], LITTLE_EVIDENCE),
    }
    return {
        "grade": to_array(pc.index_in(shown["grade"], value_set=grades), np.uint8),
        "previous_grade": to_array(
            pc.index_in(shown["previous_grade"], value_set=grades), np.uint8
        ),
        "listed": to_array(pc.index_in(shown["listed"], value_set=lists), np.uint8),
        **{name: np.asarray(flag).astype(np.uint8) for name, flag in flags.items()},
    }


def _encode_sentences(data: PageData, shown: pa.Table) -> tuple[list[str], dict[str, np.ndarray]]:
    """Return all sentences, and for each row the places of its reasons and of their changes."""
    reasons = reason_columns(shown["reasons"])
    changes, kinds, is_other_model = _find_changes(data, shown)
    named = reasons | {f"change_{place}": column for place, column in enumerate(changes)}
    merged = pa.chunked_array(list(named.values())).unify_dictionaries()
    texts = merged.chunk(0).dictionary.to_pylist() if shown.num_rows else []
    kind = _smallest_type(len(texts))
    arrays = {
        name: to_array(chunk.indices, kind)
        for name, chunk in zip(named, merged.chunks, strict=True)
    }
    return texts, arrays | kinds | {"other_model": is_other_model}


def _find_changes(
    data: PageData, shown: pa.Table
) -> tuple[list[pa.DictionaryArray], dict[str, np.ndarray], np.ndarray]:
    """Return the sentences and the kinds of the changed reasons of each row, and which rows were
    scored by another model version the night before.
    """
    kinds = {f"kind_{place}": np.zeros(shown.num_rows, np.uint8) for place in range(MAX_CHANGES)}
    rows, place = match_rows(data.previous, shown)
    is_other_model = np.zeros(shown.num_rows, np.uint8)
    versions = shown["model_version"].take(rows)
    is_other = pc.not_equal(versions, data.previous["model_version"].take(place))
    is_other_model[rows.to_numpy()] = np.asarray(is_other)
    changes = compare_reasons(pair_reasons(data.previous, shown))
    columns = []
    encoded = changes["sentence"].combine_chunks().dictionary_encode()
    found_row, found_place = changes["row"].to_numpy(), changes["place"].to_numpy()
    found_kind, sentence = changes["kind"].to_numpy(), encoded.indices.to_numpy()
    for number, name in enumerate(kinds):
        here = found_place == number
        kinds[name][found_row[here]] = found_kind[here]
        index = np.full(shown.num_rows, -1, np.int32)
        index[found_row[here]] = sentence[here]
        columns.append(
            pa.DictionaryArray.from_arrays(pa.array(index, mask=index < 0), encoded.dictionary)
        )
    return columns, kinds, is_other_model


def _encode_history(data: PageData, shown: pa.Table) -> dict[str, np.ndarray]:
    """Return the scores of earlier nights of the leads with details, sorted by row and time."""
    past = data.past
    if not past.num_rows or not shown.num_rows:
        row, days, score = np.array([], np.int64), np.array([]), np.array([], np.int64)
    else:
        places = pc.index_in(join_key(past), value_set=join_key(shown).combine_chunks())
        past = past.filter(pc.is_valid(places))
        row = places.drop_null().to_numpy()
        time = past["as_of"].cast(pa.int64()).to_numpy()
        order = np.lexsort((time, row))
        row, score = row[order], past["score"].to_numpy()[order]
        days = (to_microseconds(data.as_of) - time[order]) / US_PER_DAY
    return {
        "past_row": row.astype(np.uint32),
        "past_days": days.astype(np.float32),
        "past_score": score.astype(np.uint8),
    }
