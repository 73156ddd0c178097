"""Scorer metadata: stored keys of every version load and are saved with the same bytes."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from configs.errors import DataError
from models.scorer import Scorer
from models.scorer_metadata import ScorerMetadata
from tests.models.stored_scorer import CATALOG, save_base_rate

COLUMN = {"novel": 0.0, "recent": "2 1", "usual": 0.0, "weight": 1.0, "whole": "4 3"}
# The metadata of each earlier form, with the keys as they were stored.
FIRST_FORM = {
    "catalog": CATALOG,
    "horizon": "30d",
    "trained_as_of": "2024-05-01T02:00:00+00:00",
    "observation_date": "2024-04-30T20:04:19+00:00",
}
NO_HORIZON = FIRST_FORM | {"horizon": None}
FULL_FORM = FIRST_FORM | {
    "accounts": {"adds": 1.0, "accounts": 0, "alone": 0.0, "expected": 0.0, "happened": 0},
    "activity": {"least": {"event type won": 0}, "total": {"event type won": 70}, "weeks": 13},
    "audit": [],
    "facets": {"fit": {"chance": [-1.5, 0.25], "share": [0.5, 1.0]}},
    "population": {
        "columns": {
            "origin": COLUMN
            | {"kind": "category", "levels": ["ёлка"], "recent": "2 1 0", "whole": "4 3 0"}
        },
        "entities": [7, 3],
        "means": [0.25],
        "probability": COLUMN | {"edges": "", "kind": "number"},
        "tested": [7, 3],
    },
    "promise": {"roc_auc": {"value": 0.7, "low": 0.6, "high": 0.8, "n": 100}},
    "search": {"choice": {"parameters": {}}, "report": {"held": False, "gain": None}},
    "usual": {"middle": {"any_age": 1.18132}, "family": {}},
}
FORMS = {
    "empty": {},
    "first": FIRST_FORM,
    "no horizon": NO_HORIZON,
    "full": FULL_FORM,
    "later version": FULL_FORM | {"fairness": {"ё": [1, None]}, "facets": None},
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_metadata_round_trips_every_stored_form(form):
    assert ScorerMetadata.from_json(form).to_json() == form


def test_metadata_fields_hold_the_stored_values():
    metadata = ScorerMetadata.from_json(FULL_FORM)
    assert metadata == ScorerMetadata(
        catalog=CATALOG,
        horizon="30d",
        trained_as_of="2024-05-01T02:00:00+00:00",
        observation_date="2024-04-30T20:04:19+00:00",
        suspects=[],
        search=FULL_FORM["search"],
        feature_distribution=FULL_FORM["population"],
        event_volume=FULL_FORM["activity"],
        typical_lead=FULL_FORM["usual"],
        fit_engagement=FULL_FORM["facets"],
        within_account=FULL_FORM["accounts"],
        expectations=FULL_FORM["promise"],
    )


@pytest.mark.parametrize(("horizon", "stored"), [(timedelta(days=30), "30d"), (None, None)])
def test_metadata_of_a_training_has_the_keys_of_the_first_form(horizon, stored):
    as_of = datetime(2024, 5, 1, 2, tzinfo=UTC)
    metadata = ScorerMetadata.from_training(CATALOG, horizon, as_of, as_of, [])
    assert metadata.horizon == stored
    assert metadata.to_json() == {
        "catalog": CATALOG,
        "horizon": stored,
        "trained_as_of": "2024-05-01T02:00:00+00:00",
        "observation_date": "2024-05-01T02:00:00+00:00",
        "audit": [],
    }


def write_old_json(path, parts):
    """Write JSON as earlier versions did, spelled out here independently of the package."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, allow_nan=False, indent=1)
    path.write_bytes((text + "\n").encode())


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_scorer_json_of_an_earlier_version_is_saved_with_the_same_bytes(form, tmp_path):
    parts = save_base_rate(tmp_path)
    path = tmp_path / "scorer.json"
    assert set(parts) == {
        *("format", "target", "learner", "model_sha256", "features", "calibrator"),
        *("band", "scale", "timing", "worth", "meta"),
    }
    assert set(parts["scale"]) == {"chance", "share"}
    write_old_json(path, parts | {"meta": form})
    scorer = Scorer.load(tmp_path)
    scorer.save(tmp_path / "again")
    assert (tmp_path / "again" / "scorer.json").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("meta", [None, [], "text", 3])
def test_metadata_that_is_no_object_is_refused(meta, tmp_path):
    parts = save_base_rate(tmp_path)
    write_old_json(tmp_path / "scorer.json", parts | {"meta": meta})
    with pytest.raises(DataError, match="cannot read the stored model"):
        Scorer.load(tmp_path)


def test_scorer_without_a_catalog_names_the_missing_features(tmp_path):
    save_base_rate(tmp_path)
    with pytest.raises(DataError, match="does not list the features"):
        _ = Scorer.load(tmp_path).catalog


@pytest.mark.parametrize(
    "reading",
    [
        ["size", "number", ",", "."],
        ["born", "date", "", "", "%d.%m.%Y"],
        ["budget", "number", ".", "", "iso", "€"],
    ],
)
def test_readings_of_this_and_of_an_earlier_version_are_loaded(reading, tmp_path):
    parts = save_base_rate(tmp_path)
    catalog = CATALOG | {"readings": [reading]}
    write_old_json(tmp_path / "scorer.json", parts | {"meta": FIRST_FORM | {"catalog": catalog}})
    ((name, stored),) = Scorer.load(tmp_path).catalog.readings
    assert (name, stored.kind, stored.time_format) == (*reading[:2], (*reading[4:], "iso")[0])
    assert stored.unit == "".join(reading[5:])
