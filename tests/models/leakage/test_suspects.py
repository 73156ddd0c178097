"""Each rule of the audit finds its planted leak and leaves honest columns alone."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.contracts import INSTANT, LABELS
from features.tools.instants import US_PER_DAY
from models.leakage.origins import LeadColumns
from models.leakage.strength import (
    AuditColumn,
    cross_fit_rates,
    measure_single_strength,
    measure_strength,
)
from models.leakage.suspects import MIN_CLASS_ROWS, ColumnOrigins, find_suspects

N = 3_000


class Company:
    """Rows in order of time, one an entity, with honest columns that tell something each; leaks are
    added by name.
    """

    def __init__(self, n=N, seed=0):
        self.n, self.random = n, np.random.default_rng(seed)
        size, visits = self.random.normal(size=n), self.random.poisson(3, n).astype(float)
        source = self.random.integers(0, 4, n)
        odds = 0.8 * size + 0.25 * (visits - 3) + np.array([-0.5, 0, 0.3, 0.6])[source] - 0.7
        self.label = (self.random.random(n) < 1 / (1 + np.exp(-odds))).astype(int)
        asked = self.random.random(n) < np.where(self.label == 1, 0.8, 0.6)
        self.columns = {
            "size": size,
            "visits": visits,
            "source": np.array(["ad", "fair", "web", "friend"], object)[source],
            "job": np.where(asked, self.random.choice(["boss", "clerk"], n), None),
            "rate of the market": np.repeat(self.random.normal(size=20), n // 20)[:n],
            "noise": self.random.normal(size=n),
        }
        self.entity = [f"lead-{i}" for i in range(n)]
        self.unlabelled = np.zeros(n, bool)

    def flipped(self, share):
        """Return the label, wrong in a share of the rows."""
        return np.where(self.random.random(self.n) < share, 1 - self.label, self.label)

    def suspects(self, **changes):
        spine = {
            "entity_id": self.entity,
            "cutoff": pa.array(np.arange(self.n) * US_PER_DAY, INSTANT),
        }
        columns = {
            name: pa.array(values, pa.string() if values.dtype == object else pa.float64())
            for name, values in self.columns.items()
        }
        label = pa.array(self.label, pa.int8(), mask=self.unlabelled)
        truth = {
            "mature": pa.array(~self.unlabelled),
            "label": label,
            "outcome_at": pa.nulls(self.n, INSTANT),
        }
        labels = pa.table({**spine, **truth}).cast(LABELS)
        origins = ColumnOrigins(**({"current": {name: name for name in self.columns}} | changes))
        return find_suspects(pa.table({**spine, **columns}), labels, "close", origins)

    def suspect_names(self, **changes):
        return [suspect.column for suspect in self.suspects(**changes)]


@pytest.mark.parametrize("seed", range(3))
def test_honest_columns_are_left_alone(seed):
    company = Company(seed=seed)
    assert company.suspect_names() == []
    assert company.suspect_names(ordered=False) == []


def test_decisive_column_is_named_with_strength():
    company = Company()
    company.columns["stage"] = np.where(company.flipped(0.02) == 1, "won", "lost").astype(object)
    (suspect,) = company.suspects()
    assert (suspect.target, suspect.column, suspect.allowed) == ("close", "stage", False)
    assert "alone it reduces" in suspect.evidence and "%" in suspect.evidence
    assert set(suspect.to_json()) == {"target", "column", "evidence"}


def test_standout_column_and_its_copy_are_named():
    company = Company()
    company.columns["length of the call"] = company.flipped(0.15) + company.random.normal(0, 0.3, N)
    assert company.suspect_names() == ["length of the call"]
    company.columns["the same in minutes"] = company.columns["length of the call"] / 60
    assert company.suspect_names() == ["length of the call", "the same in minutes"]


def test_strong_column_among_strong_ones_is_left_alone():
    company = Company()
    for k in range(4):
        company.columns[f"visits to page {k}"] = company.label * 1.2 + company.random.normal(size=N)
    assert company.suspect_names() == []


def test_dated_features_raise_bar_for_standouts():
    company = Company()
    company.columns["length of the call"] = company.flipped(0.13) + company.random.normal(0, 0.3, N)
    company.columns["visits last week"] = company.flipped(0.08) + company.random.normal(0, 0.3, N)
    attributes = {name: name for name in company.columns if name != "visits last week"}
    assert company.suspect_names(current=attributes) == ["length of the call"]
    assert company.suspect_names(current=attributes, dated={"visits last week": "visit"}) == []


def test_decisive_event_is_named_by_type():
    company = Company()
    company.columns["approved_count_all"] = company.flipped(0.01).astype(float)
    today = {name: name for name in company.columns if name != "approved_count_all"}
    assert company.suspect_names(current=today, dated={"approved_count_all": "approved"}) == [
        "approved"
    ]


def test_proxy_of_time_does_not_stand_out():
    company = Company()
    company.label = np.where(np.arange(N) < N // 2, 0, company.label)
    season = np.where(np.arange(N) < N // 2, 1.0, 5.0)
    company.columns = {"season": season, "noise": company.random.normal(size=N)}
    assert company.suspect_names() == []
    assert company.suspect_names(ordered=False) == ["season"]


def test_column_filled_where_outcome_occurred_is_named():
    company = Company()
    filled = company.random.random(N) < np.where(company.label == 1, 0.85, 0.1)
    company.columns["contact of the bill"] = np.where(
        filled, company.random.choice(["Ann", "Bob"], N), None
    )
    (suspect,) = company.suspects()
    assert suspect.column == "contact of the bill"
    rate = company.label[filled].mean()
    assert f"{rate:.1%} of these have the outcome" in suspect.evidence


def test_column_that_later_rows_lack_is_named():
    company = Company()
    known = np.arange(N) < N // 2
    company.columns["score of the tool"] = np.where(
        known, company.label + company.random.normal(0, 2, N), np.nan
    )
    company.columns["asked since then"] = np.where(
        known, np.nan, company.label + company.random.normal(0, 2, N)
    )
    assert company.suspect_names() == ["score of the tool"]
    assert company.suspect_names(ordered=False) == []


def test_column_filled_only_with_suspect_is_named():
    company = Company()
    worked = company.random.random(N) < 0.6
    tag = np.where(company.flipped(0.04) == 1, "good", "bad").astype(object)
    company.columns["tag"] = np.where(worked, tag, None)
    rated = worked & (company.random.random(N) < 0.5)
    company.columns["quality"] = np.where(
        rated, np.where(company.flipped(0.3) == 1, "A", "B"), None
    ).astype(object)
    assert company.suspect_names() == ["quality", "tag"]
    assert [(s.column, s.allowed) for s in company.suspects(allowed=frozenset({"tag"}))] == [
        ("tag", True)
    ]


def test_overwritten_pair_of_columns_is_named():
    company = Company()
    first = company.random.integers(1, 30, N).astype(float)
    company.columns |= {
        "days to offer": first,
        "days to close": first + 9 * (company.label * company.random.random(N) > 0.7),
    }
    assert company.suspect_names() == ["days to close"]
    company.columns["days to close"] = first + 9 * (company.random.random(N) > 0.7)
    assert company.suspect_names() == []


def test_pair_is_named_unless_config_says_which_is_known_in_time():
    company = Company()
    first = np.array([f"page {k}" for k in company.random.integers(1, 9, N)], object)
    changed = np.where(
        (company.label == 1) & (company.random.random(N) > 0.6),
        company.random.permutation(first),
        first,
    )
    company.columns |= {"first page": first, "last page": changed}
    assert company.suspect_names() == ["first page", "last page"]
    kept = {name: name for name in company.columns if name != "last page"}
    leads = LeadColumns(
        pa.table({name: company.columns[name] for name in ("first page", "last page")}),
        np.arange(N),
        np.arange(0),
        np.arange(N),
    )
    assert company.suspect_names(current=kept, leads=leads) == ["last page"]


def test_parts_of_whole_are_named():
    company = Company()
    parts = company.random.dirichlet([0.5, 0.5, 0.5], N)
    parts[company.label == 1] = company.random.dirichlet([0.9, 0.5, 0.4], int(company.label.sum()))
    company.columns |= {f"share {k}": parts[:, k] for k in range(3)}
    assert company.suspect_names() == ["share 0", "share 1", "share 2"]
    company.columns["share 2"] = company.random.random(N)
    assert company.suspect_names() == []


def test_still_growing_number_is_named():
    company = Company()
    age = np.arange(N)[::-1] / 100
    company.columns["days in stage"] = np.round(
        age + 8 * company.random.random(N) - 4 * company.label, 2
    )
    company.columns["days since the outcome"] = company.random.permutation(
        company.columns["days in stage"]
    )
    assert company.suspect_names() == ["days in stage"]
    company.entity = [str(1000 + i) for i in range(N)]
    assert company.suspect_names(ordered=False) == ["days in stage"]


def test_number_explained_by_suspects_is_named():
    company = Company()
    parts = company.random.dirichlet([0.3, 0.3, 0.3], N)
    parts[company.label == 1] = company.random.dirichlet([0.9, 0.4, 0.3], int(company.label.sum()))
    company.columns |= {f"share {k}": parts[:, k] for k in range(3)}
    company.columns["changes"] = np.round(3 + 9 * parts[:, 0] + company.random.normal(0, 0.5, N))
    assert company.suspect_names() == ["changes", "share 0", "share 1", "share 2"]


def test_identifier_of_entity_or_account_is_named():
    company = Company()
    luck = company.random.integers(0, 2, 150)
    firm = np.repeat(np.arange(150), N // 150)
    company.label = np.where(company.random.random(N) < 0.1, 1 - luck[firm], luck[firm])
    company.columns = {
        "site": np.array([f"www.{k}.com" for k in firm], object),
        "noise": company.random.normal(size=N),
    }
    accounts = pa.chunked_array([[f"firm-{k}" for k in firm]])
    assert company.suspect_names(account_id=accounts) == ["site"]
    assert company.suspect_names(account_id=accounts, ordered=False) == ["account_id", "site"]
    company.entity = [f"lead-{k}" for k in firm]
    assert company.suspect_names() == ["site"]


def test_category_that_many_entities_share_identifies_none():
    company = Company()
    lead = np.repeat(np.arange(N // 8), 8)
    source = company.random.integers(0, 5, N // 8)
    won = company.random.random(N // 8) < 0.1 + 0.3 * (source == 0)
    company.label = won[lead].astype(int)
    company.entity = [f"lead-{k}" for k in lead]
    company.columns = {
        "source": np.array([f"source {k}" for k in source[lead]], object),
        "noise": company.random.normal(size=N),
    }
    assert company.suspect_names() == []


def test_columns_that_never_differ_are_no_overwritten_pair():
    company = Company()
    kind = company.random.integers(0, 6, N)
    filled = company.random.random(N) < 0.3 + 0.3 * company.label
    names = np.array([f"kind {k}" for k in kind], object)
    company.columns = {"a": names, "b": np.where(filled, names, None)}
    assert company.suspect_names() == []


def test_unlabelled_rows_are_ignored():
    company = Company()
    company.columns["tag"] = company.flipped(0.05).astype(float)
    company.unlabelled[::3] = True
    before = company.suspects()
    for values in company.columns.values():
        values[::3] = None if values.dtype == object else 1e9
    assert [s.column for s in before] == ["tag"]
    assert company.suspects() == before


def test_few_outcomes_give_no_suspects():
    company = Company()
    company.columns["tag"] = company.label.astype(float)
    outcomes = company.random.permutation(np.flatnonzero(company.label))
    company.unlabelled[outcomes[MIN_CLASS_ROWS - 1 :]] = True
    assert company.suspect_names() == []
    company.unlabelled[outcomes[MIN_CLASS_ROWS - 1]] = False
    assert company.suspect_names() == ["tag"]


@settings(max_examples=5)
@given(st.permutations(list("abcdefgh")))
def test_column_names_are_irrelevant(names):
    company = Company(1_000)
    company.columns["tag"] = company.flipped(0.03).astype(float)
    new = dict(zip(company.columns, names, strict=False))
    company.columns = {new[name]: values for name, values in company.columns.items()}
    assert company.suspect_names() == [new["tag"]]


@given(
    st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.booleans()), min_size=8, max_size=40)
)
def test_rates_come_from_other_half(rows):
    steps, label, half = (np.array(part).astype(int) for part in zip(*rows, strict=True))
    half = half.astype(bool)
    if half.all() or not half.any():
        return
    counts = np.bincount(steps, minlength=4)
    largest = 1 + int(np.argmax(counts[1:]))
    group = np.where(steps == 0, 0, np.where(steps == largest, 1, 2))
    for i, rate in enumerate(cross_fit_rates(steps, label, half)):
        other = half != half[i]
        expected = label[other].mean()
        for same in (other & (group == group[i]), other & (steps == steps[i])):
            expected = (label[same].sum() + 10 * expected) / (same.sum() + 10)
        assert rate == pytest.approx(expected)


def test_strength_equals_relative_log_loss_reduction():
    label = np.array([1, 0, 0, 0])
    chance = np.array([0.7, 0.2, 0.1, 0.4])
    loss = -np.mean(np.log(np.where(label == 1, chance, 1 - chance)))
    base = -np.mean(np.log(np.where(label == 1, 0.25, 0.75)))
    assert measure_strength(chance, label) == pytest.approx(1 - loss / base)
    assert measure_strength(np.full(4, 0.25), label) == pytest.approx(0)


def test_noise_of_many_values_has_no_strength():
    random = np.random.default_rng(4)
    label, half = random.integers(0, 2, N), random.random(N) < 0.5
    names = AuditColumn.from_arrow("name", pa.chunked_array([[f"n{i}" for i in range(N)]]))
    numbers = AuditColumn.from_arrow("number", pa.chunked_array([random.normal(size=N)]))
    assert names.distinct_count == numbers.distinct_count == N
    assert (
        max(measure_single_strength(column.bins, label, half) for column in (names, numbers))
        < 0.005
    )


def test_event_and_column_of_one_name_are_distinct_suspects():
    company = Company()
    company.columns["proposal_count_all"] = company.flipped(0.01).astype(float)
    company.columns["proposal"] = company.random.normal(size=N)
    today = {name: name for name in company.columns if name != "proposal_count_all"}
    found = company.suspects(current=today, dated={"proposal_count_all": "proposal"})
    assert [(suspect.column, suspect.dated) for suspect in found] == [("proposal", True)]
