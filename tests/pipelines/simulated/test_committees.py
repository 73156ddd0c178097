"""Buying committees: their law, what is found of it, and contacts that were added late."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from configs.schema import load_project
from features.contracts import Dataset
from features.left_out import LeftOutColumns
from features.names.roles import find_role
from features.sources import read_sources
from features.tools.instants import column_to_microseconds, to_microseconds
from models.buying_roles import compute_odds_ratio
from models.clusters import number_clusters
from models.evaluation.metrics import evaluate_rows, paired_log_loss_gain
from models.learners.lightgbm import LightGbm
from models.training.results import tabulate_predictions
from models.training.settings import TrainingSettings
from models.training.train import predict_out_of_time
from pipelines.buying_group.roles import compare_roles, gather_role_rows
from pipelines.demo import COMMITTEES_PATH
from pipelines.simulated import company
from pipelines.simulated.committees import CommitteeLaw
from pipelines.simulated.company import END
from pipelines.simulated.simulate import simulate_block, write_company
from pipelines.training.audit import audit_rows, drop_suspects
from pipelines.training_data import Snapshot, build_training_rows

LAW = CommitteeLaw()
DAY = 86_400_000_000
BLOCKS = 2


def make_rare_law():
    """Return the demo's law with a seventh of its wins: odds ratios are near rate ratios then."""
    law = company.build_demo_law()
    rates = law.exit_rate.copy()
    rates[1, 0] *= 0.15
    return law._replace(exit_rate=rates)


@pytest.fixture(scope="module")
def project():
    return load_project(COMMITTEES_PATH)


@pytest.fixture(scope="module")
def data(project):
    blocks = [simulate_block(7, number, 5000, make_rare_law(), LAW) for number in range(BLOCKS)]
    leads = pa.concat_tables([block.leads for block in blocks]).sort_by("entity_id")
    titles = leads["title"].to_pylist()
    roles = pa.array([find_role(title or "", project.accounts.roles) for title in titles])
    hidden = ["title", "email", "billing_contact", "owner"]
    leads = leads.drop_columns(hidden).append_column("role", roles)
    events = pa.concat_tables([block.events for block in blocks]).drop_columns(["log"])
    return Dataset(leads, events, (), "committees")


def take_snapshot(project, data):
    snapshot = Snapshot(project, data, END, END, END)
    # The files of this company are not read: nothing is left out of them.
    snapshot.__dict__["left_out"] = LeftOutColumns(data.leads.select([]))
    return snapshot


@pytest.fixture(scope="module")
def honest(project, data):
    return take_snapshot(project, data)


@pytest.fixture(scope="module")
def leaky(project, data):
    """Return the company of somebody who maps the date of creation as known_at."""
    place = data.leads.column_names.index("available_at")
    field = data.leads.schema.field("available_at")
    leads = data.leads.set_column(place, field, data.leads["created_at"].cast(field.type))
    return take_snapshot(project, replace(data, leads=leads))


def test_committees_change_nothing_of_a_company_without_them():
    plain, group = (simulate_block(3, 0, 800, committees=law) for law in (None, LAW))
    own = group.leads.filter(pc.starts_with(group.leads["entity_id"], "L"))
    kept = ["entity_id", "account_id", "created_at", "industry", "source", "owner"]
    assert own.select(kept) == plain.leads.select(kept)
    assert "title" not in plain.leads.column_names


def test_contacts_are_known_as_the_law_says(data):
    leads = data.leads
    late = pc.greater(leads["available_at"], leads["created_at"]).to_numpy()
    assert set(leads["role"].filter(pa.array(late)).to_pylist()) == {LAW.late_role}
    assert late.sum() == pc.sum(pc.equal(leads["role"], LAW.late_role)).as_py() > 300
    won = pc.unique(data.events.filter(pc.equal(data.events["event_type"], "won"))["entity_id"])
    accounts = leads["account_id"].filter(pc.is_in(leads["entity_id"], value_set=won))
    with_late = leads["account_id"].filter(pa.array(late))
    share = pc.mean(pc.is_in(accounts.drop_null(), value_set=with_late)).as_py()
    assert LAW.late_chances[1] - 0.05 < share


def test_written_committees_are_read_with_roles_and_without_titles(project, tmp_path, monkeypatch):
    monkeypatch.setenv("LEADSCORE_WORKSPACE", str(tmp_path))
    write_company(tmp_path / "data", 300, committees=LAW)
    own = load_project(COMMITTEES_PATH)
    read = read_sources(own, tmp_path / "quarantine", tmp_path / "scratch", END)
    block = simulate_block(7, 0, 300, committees=LAW)
    truth = {
        name: (find_role(title or "", own.accounts.roles), known)
        for name, title, known in zip(
            *(block.leads[c].to_pylist() for c in ("entity_id", "title", "available_at")),
            strict=True,
        )
    }
    columns = (read.leads[name].to_pylist() for name in ("entity_id", "role", "available_at"))
    assert {name: (role, known) for name, role, known in zip(*columns, strict=True)} == truth
    assert "title" not in read.leads.column_names
    assert not any("CFO" in str(column.to_pylist()) for column in read.leads.columns)


def average_factors(data, rows, clock):
    """Return for each row the mean factor of the law over its horizon, from the contacts' events.

    The mean is over business time, in which rates are constant.
    """
    leads, events = data.leads, data.events
    roles = dict(zip(leads["entity_id"].to_pylist(), leads["role"].to_pylist(), strict=True))
    account_of = dict(
        zip(leads["entity_id"].to_pylist(), leads["account_id"].to_pylist(), strict=True)
    )
    acts = {}
    for name, us in zip(
        events["entity_id"].to_pylist(), column_to_microseconds(events["event_time"]), strict=True
    ):
        if LAW.factors.get(roles[name], 1) != 1:
            acts.setdefault(account_of[name], []).append(int(us))
    steps = np.arange(0.5, 30) * DAY
    factors = []
    for account, cutoff in rows:
        at = cutoff + steps
        times = np.array(acts.get(account, []))
        engaged = ((times[None] <= at[:, None]) & (at[:, None] < times[None] + 30 * DAY)).any(1)
        speed = np.diff(clock.to_business_days(np.append(at - DAY // 2, at[-1] + DAY // 2)))
        factors.append(np.average(np.where(engaged, LAW.factors["finance"], 1.0), weights=speed))
    return np.array(factors)


def test_comparison_finds_the_factor_of_the_law(project, data, honest):
    effects = {row["role"]: row for row in compare_roles(honest, "close").to_pylist()}
    rows = gather_role_rows(honest, "close")
    roles = list(project.accounts.roles)
    finance = rows.engaged[:, roles.index("finance")] & (rows.people > 0)
    others = ~rows.engaged[:, roles.index("finance")] & (rows.people > 0)
    assert effects["finance"]["proven"]
    assert not any(effects[role]["proven"] for role in ("it", "user", "legal"))
    clock = company.build_demo_clock()
    pairs = list(zip(rows.account.tolist(), find_cutoffs(honest), strict=True))
    drawn = np.random.default_rng(0).choice(len(pairs), 2000, replace=False)
    factor = np.full(len(pairs), np.nan)
    factor[drawn] = average_factors(data, [pairs[at] for at in drawn], clock)
    truth = np.nanmean(factor[finance]) / np.nanmean(factor[others])
    found = effects["finance"]
    assert found["odds_ratio_low"] < truth < found["odds_ratio_high"]
    assert 1.5 < truth < LAW.factors["finance"]


def find_cutoffs(snapshot):
    """Return the cutoffs of the rows of gather_role_rows, by the same selection."""
    from features.labels import compute_labels
    from features.spine import build_training_spine
    from models.encoding import sample_evenly
    from pipelines.buying_group.roles import MAX_ROWS

    target = snapshot.project.target_config("close")
    spine = build_training_spine(snapshot.dataset, target, snapshot.as_of)
    label = compute_labels(snapshot.dataset, spine, target, snapshot.observed)["label"]
    lead = pa.array(snapshot.dataset.find_leads(spine["entity_id"]))
    account = snapshot.dataset.leads["account_id"].take(lead)
    usable = np.flatnonzero(pc.and_(label.is_valid(), account.is_valid()).to_numpy())
    rows = usable[sample_evenly(len(usable), MAX_ROWS)]
    return column_to_microseconds(spine["cutoff"])[rows].tolist()


def predict(project, rows, without=()):
    """Return the out-of-time predictions of LightGBM, without features of these prefixes."""
    names = [n for n in rows.matrix.column_names if not n.startswith(tuple(without) or ("\0",))]
    settings = TrainingSettings(
        "close", timedelta(days=30), project.evaluation, learners=(LightGbm,)
    )
    return tabulate_predictions(
        predict_out_of_time(rows.matrix.select(names), rows.labels, settings), "lightgbm"
    )


def measure(predicted):
    label, probability = (predicted[name].to_numpy() for name in ("label", "probability"))
    clusters = number_clusters(predicted)
    return evaluate_rows(label, probability, clusters, stratum=predicted["fold"])["roc_auc"]


GROUP = ("account_role_", "account_engaged_", "account_top_", "account_any_roles_")


@pytest.fixture(scope="module")
def honest_rows(honest):
    return build_training_rows(honest, "close")


@pytest.fixture(scope="module")
def honest_predictions(project, honest_rows):
    return predict(project, honest_rows)


def test_model_finds_the_effect_of_the_law(project, honest_rows, honest_predictions):
    """With the group the model is better, and its odds for finance are near those of the law."""
    apart = predict(project, honest_rows, GROUP)
    label = honest_predictions["label"].to_numpy()
    pair = (honest_predictions["probability"].to_numpy(), apart["probability"].to_numpy())
    gain = paired_log_loss_gain(label, *pair, number_clusters(honest_predictions))
    assert gain.low > 0, gain
    keys = ["entity_id", "cutoff"]
    columns = ["account_engaged_people_30d", "account_role_finance_people_30d"]
    matrix = honest_rows.matrix.select([*keys, *columns])
    joined = honest_predictions.select([*keys, "probability"]).join(matrix, keys)
    people, finance, probability = (joined[name].to_numpy() for name in (*columns, "probability"))
    counts = np.zeros((5, 2, 2))
    for stratum in range(1, 5):
        for has in (0, 1):
            rows = (np.minimum(people, 4) == stratum) & ((finance > 0) == has)
            counts[stratum, has] = (1 - probability[rows]).sum(), probability[rows].sum()
    assert 1.4 < compute_odds_ratio(counts) < LAW.factors["finance"]


def test_late_contacts_do_not_leak_unless_known_at_is_wrong(
    project, honest, leaky, honest_rows, honest_predictions
):
    """With the wrong known_at the skill out of time is too high, and the audit names the role."""
    role = f"accounts.roles.{LAW.late_role}"
    audit = audit_rows(honest, "close", honest_rows)
    assert role not in {finding.suspect.column for finding in audit.findings}
    rows = build_training_rows(leaky, "close")
    audit = audit_rows(leaky, "close", rows)
    assert role in {finding.suspect.column for finding in audit.findings}
    true, false = measure(honest_predictions), measure(predict(project, rows))
    assert false.low > true.high
    # Training leaves it out by itself.
    kept, _ = drop_suspects(leaky, "close", rows)
    names = f"account_role_{LAW.late_role}_"
    assert not any(name.startswith(names) for name in kept.matrix.column_names)


def test_cutoff_ignores_whoever_was_entered_later(honest, honest_rows):
    """Without the people known at or after the cutoff all features of the group are the same."""
    cutoff = to_microseconds(END) - 200 * DAY
    at = pc.equal(honest_rows.matrix["cutoff"].cast(pa.int64()), nearest(honest_rows, cutoff))
    before = honest_rows.matrix.filter(at)
    known = pc.less(honest.dataset.leads["available_at"], before["cutoff"][0])
    fewer = replace(honest.dataset, leads=honest.dataset.leads.filter(known))
    from features.build import build_features

    again = build_features(fewer, before.select(["entity_id", "cutoff"]), honest_rows.catalog)
    names = [n for n in before.column_names if n.startswith(GROUP)]
    assert len(names) > 30 and again.select(names).equals(before.select(names))


def nearest(rows, instant):
    cutoffs = np.unique(rows.matrix["cutoff"].cast(pa.int64()).to_numpy())
    return int(cutoffs[np.argmin(np.abs(cutoffs - instant))])
