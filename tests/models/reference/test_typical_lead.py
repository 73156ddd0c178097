"""The typical lead: medians, effects of absence and group families against plain Python."""

from dataclasses import dataclass
from datetime import timedelta
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from features.definitions.catalog import Catalog
from models.reference.typical_lead import MIN_LEADS, TypicalLead

WEEK = timedelta(days=7)
CATALOG = Catalog(
    types=("call", "mail"), channels=("phone",), windows=(WEEK,), attributes=(("size", "number"),)
)
FEATURES = {feature.name: feature for feature in CATALOG.features}
USED = [
    "any_count_7d",
    "any_age",
    "call_count_all",
    "call_age",
    "mail_count_all",
    "phone_channel_count_all",
    "size",
]


@dataclass
class AdditiveScorer:
    """A model whose contribution of each number is ten times the number, missing being -1."""

    names: list[str]

    @property
    def encoding(self):
        return SimpleNamespace(names=self.names)

    def explain(self, matrix):
        x = np.column_stack(
            [matrix[name].to_numpy() for name in self.names] + [np.zeros(matrix.num_rows)]
        )
        return 10 * np.where(np.isnan(x), -0.1, x)


@pytest.fixture(scope="module")
def sample():
    rng = np.random.default_rng(5)
    calls, mails = rng.integers(0, 3, 300), rng.integers(1, 4, 300)
    columns = {"any_count_7d": rng.integers(0, 3, 300), "any_age": rng.uniform(1, 9, 300)}
    columns |= {
        "call_count_all": calls,
        "call_age": np.where(calls > 0, rng.uniform(1, 9, 300), np.nan),
    }
    columns |= {"mail_count_all": mails, "phone_channel_count_all": calls + (mails > 3)}
    columns |= {
        "size": np.where(rng.random(300) < 0.2, np.nan, rng.uniform(1, 50, 300)),
        "entity_id": calls,
    }
    return pa.table(
        {name: pa.array(column.astype(float), from_pandas=True) for name, column in columns.items()}
    )


def test_medians_ignore_missing_numbers(sample):
    typical = TypicalLead.from_matrix(AdditiveScorer(USED), sample, CATALOG.features)
    for name in USED:
        known = [value for value in sample[name].to_pylist() if value is not None]
        assert typical.medians[name] == pytest.approx(np.median(known))


def test_groups_of_same_events_form_family(sample):
    family = TypicalLead.from_matrix(AdditiveScorer(USED), sample, CATALOG.features).group_families
    assert set(family["entity.type:call"]) == {
        "entity.type:call",
        "entity.channel:phone",
    }  # calls come by phone
    assert family["entity.type:mail"] == ["entity.type:mail"]  # some mails do not
    everything = {FEATURES[name].meaning.group for name in USED[:-1]}
    assert set(family["entity.activity"]) == set(family["entity.recency"]) == everything
    assert family["entity.activity"][0] == "entity.activity"
    assert "attribute.size" not in family


def test_absence_effect_is_mean_of_leads_without_events(sample):
    typical = TypicalLead.from_matrix(AdditiveScorer(USED), sample, CATALOG.features)
    rows = sample.to_pylist()
    none = [row for row in rows if row["call_count_all"] == 0]
    assert len(none) >= MIN_LEADS
    by_hand = np.mean(
        [10 * (0 + row["phone_channel_count_all"]) - 1 for row in none]
    )  # the age is missing
    assert (
        typical.absence_effects["call_count_all"]
        == typical.absence_effects["call_age"]
        == pytest.approx(by_hand)
    )
    quiet = [row for row in rows if row["any_count_7d"] == 0]
    parts = [[-1 if row[name] is None else 10 * row[name] for name in USED[:-1]] for row in quiet]
    assert typical.absence_effects["any_count_7d"] == pytest.approx(np.mean(np.sum(parts, axis=1)))


def test_absence_effect_falls_back_to_blank_history(sample):
    typical = TypicalLead.from_matrix(AdditiveScorer(USED), sample, CATALOG.features)
    assert typical.absence_effects["mail_count_all"] == 0.0  # of a blank lead, whose count is 0
    assert typical.absence_effects["any_age"] == pytest.approx(
        -2.0
    )  # both ages are missing, all counts 0
    assert "size" not in typical.absence_effects


def test_typical_lead_survives_json(sample):
    typical = TypicalLead.from_matrix(AdditiveScorer(USED), sample, CATALOG.features)
    again = TypicalLead.from_json(typical.to_json())
    assert again.group_families == typical.group_families
    assert again.absence_effects == pytest.approx(typical.absence_effects, rel=1e-5)
    assert TypicalLead.from_json({}) == TypicalLead()
