"""Training on a company with buying committees: the planted role, and contacts entered late."""

from dataclasses import replace
from datetime import UTC, timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from features.build import build_features
from features.contracts import EVENTS, SPINE
from pipelines.training.audit import OFFERED, audit_rows, drop_suspects
from pipelines.training_data import build_training_rows
from tests.pipelines.buying_group.companies import (
    LAW,
    load_committees,
    make_company,
    put_column,
    sort_events,
    take_snapshot,
)
from tests.pipelines.buying_group.models import GROUP, compare_predictions, predict_rows

SEED, BLOCKS = 7, 2
LATE = f"accounts.roles.{LAW.late_role}"
LATE_FEATURES = f"account_role_{LAW.late_role}_"


@pytest.fixture(scope="module")
def project():
    return load_committees()


@pytest.fixture(scope="module")
def honest(project):
    return take_snapshot(project, make_company(project, SEED, BLOCKS))


@pytest.fixture(scope="module")
def leaky(project, honest):
    """Return the company of somebody who maps the date of creation as known_at."""
    data = honest.dataset
    return take_snapshot(project, put_column(data, "available_at", data.leads["created_at"]))


@pytest.fixture(scope="module")
def honest_rows(honest):
    return build_training_rows(honest, "close")


@pytest.fixture(scope="module")
def leaky_rows(leaky):
    return build_training_rows(leaky, "close")


@pytest.fixture(scope="module")
def predicted(project, honest_rows):
    return predict_rows(project, honest_rows)


# The loss without finance was 0.004 (0.001 to 0.006) with seed 7, 0.005 (0.002 to 0.008) with 8 and
# 0.003 (0.000 to 0.006) with 1; without IT, which has no effect, -0.000 and 0.000 with 7 and 8.
# With 4,000 leads it is within the noise.
def test_model_finds_the_planted_role_alone(project, honest_rows, predicted):
    """Out of time it predicts worse without the features of finance, and as well without IT's."""
    features = honest_rows.matrix.column_names
    assert sum(name.startswith(GROUP) for name in features) > 15
    gains = {
        role: compare_predictions(
            predicted, predict_rows(project, honest_rows, [f"account_role_{role}_"])
        )
        for role in ("finance", "it")
    }
    assert gains["finance"].low > 0, gains
    assert gains["it"].low < 0 < gains["it"].high, gains


def test_audit_shows_that_late_contacts_do_not_leak(honest, leaky, honest_rows, leaky_rows):
    """It names the role whose people were entered at the win if known_at does not say so."""
    honest_audit, leaky_audit = (
        audit_rows(*pair) for pair in ((honest, "close", honest_rows), (leaky, "close", leaky_rows))
    )
    assert [finding.suspect.column for finding in honest_audit.findings] == []
    (finding,) = leaky_audit.findings
    assert finding.suspect.column == LATE and finding.state == OFFERED
    # Seen: 69 to 74 % of rows whose outcome came later, and 24 to 32 % of those without any.
    assert "people were entered because of the outcome" in finding.suspect.evidence


def test_training_leaves_the_leaking_role_out(leaky, leaky_rows):
    kept, _ = drop_suspects(leaky, "close", leaky_rows)
    dropped = set(leaky_rows.matrix.column_names) - set(kept.matrix.column_names)
    role_features = {n for n in leaky_rows.matrix.column_names if n.startswith(LATE_FEATURES)}
    assert dropped == role_features and len(role_features) == 3


def test_late_contacts_help_no_model_unless_known_at_is_wrong(
    project, leaky_rows, honest_rows, predicted
):
    """With their own known_at they are no better than nothing, with that of the account far."""
    foreseeing = predict_rows(project, leaky_rows)
    assert compare_predictions(foreseeing, predicted).low > 0
    apart = predict_rows(project, honest_rows, [LATE_FEATURES])
    gain = compare_predictions(predicted, apart)
    assert gain.low < 0 < gain.high, gain


def is_same(features, others):
    """Return whether two tables of features are equal; a missing value is NaN and equals itself."""
    return features.schema == others.schema and features.to_pandas().equals(others.to_pandas())


def test_cutoff_ignores_whoever_is_known_later(honest, honest_rows):
    """People known at or after a cutoff change no feature of it, whatever they are and did."""
    cutoffs = pc.unique(honest_rows.matrix["cutoff"]).sort()
    cutoff = cutoffs[len(cutoffs) // 2]
    at_cutoff = honest_rows.matrix.filter(pc.equal(honest_rows.matrix["cutoff"], cutoff))
    spine, catalog, data = at_cutoff.select(SPINE.names), honest_rows.catalog, honest.dataset
    later = pc.greater_equal(data.leads["available_at"], cutoff)
    ids = data.leads["entity_id"].filter(later)
    gone = pc.is_in(data.events["entity_id"], value_set=ids)
    fewer = replace(
        data,
        leads=data.leads.filter(pc.invert(later)),
        events=data.events.filter(pc.invert(gone)),
    )
    assert is_same(build_features(fewer, spine, catalog), at_cutoff)
    # All become somebody in finance who did much before the cutoff, as their events say.
    roles = pc.if_else(later, "finance", data.leads["role"])
    at = (cutoff.as_py() - timedelta(seconds=1)).astimezone(UTC)
    act = {"event_time": at, "available_at": at, "event_type": "page_view", "channel": "web"}
    rows = [act | {"entity_id": entity, "value": None} for entity in ids.to_pylist()]
    acts = pa.Table.from_pylist(rows, schema=EVENTS)
    busy = sort_events([data.events, acts])
    garbled = replace(put_column(data, "role", roles), events=busy)
    assert is_same(build_features(garbled, spine, catalog), at_cutoff)
    # The same people count once they are known.
    last = honest_rows.matrix.filter(pc.equal(honest_rows.matrix["cutoff"], cutoffs[-1]))
    names = ["account_role_finance_known", "account_engaged_people_all"]
    after = build_features(garbled, last.select(SPINE.names), catalog)
    assert not any(is_same(after.select([name]), last.select([name])) for name in names)
