"""Web visitors of the simulated company: at each as-of a visit is the lead's of its story."""

from collections import Counter
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pytest
from pandas.testing import assert_frame_equal

from configs.errors import ConfigError
from configs.schema import load_project
from features.build import build_features
from features.contracts import SPINE, Dataset
from features.definitions.catalog import Catalog
from features.intake.visitors.web_visits import read_web_visits
from features.sources import read_sources
from features.tools.instants import column_to_microseconds, to_microseconds
from pipelines import demo
from pipelines.simulated.company import END
from pipelines.simulated.simulate import simulate_block, write_company
from pipelines.simulated.visitor_truth import MOST_LEADS, TRUE_VISITS, list_true_visits
from pipelines.simulated.visitors import (
    LOGINS_FILE,
    VISIT_TYPE,
    VISITS_FILE,
    VisitorLaw,
    draw_browsers,
)
from tests.pipelines.buying_group.companies import sort_events
from tests.pipelines.simulated.test_costs import hash_files

LEADS, SEED = 300, 5
# More of the rare stories, so that a small company has each of them often.
LAW = VisitorLaw(strangers=2.0, late=0.2, never=0.1, pairs=0.2, wrong=0.2, shared=0.03)
AS_OFS = [END - timedelta(days=days) for days in (400, 250, 120, 30)]
CATALOG = Catalog(types=("call", VISIT_TYPE), windows=(timedelta(days=30),), accounts=False)


@pytest.fixture(scope="module")
def company(tmp_path_factory):
    """Return the config, the data read from the files, and TRUE_VISITS with ids of leads."""
    folder = tmp_path_factory.mktemp("visitors")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LEADSCORE_WORKSPACE", str(folder))
        write_company(folder / "data", LEADS, SEED, customers=None, visitors=LAW)
        project = load_project(demo.VISITORS_PATH)
        data = read_sources(project, folder / "quarantine", folder / "scratch", END)
    block = simulate_block(SEED, 0, LEADS)
    browsers, _ = draw_browsers(block.leads, SEED, 0, LAW)
    truth = list_true_visits(browsers, 0)
    ids = block.leads["entity_id"].combine_chunks().take(truth["lead"].combine_chunks())
    return project, data, truth.append_column("entity_id", ids), browsers


def take_true_visits(truth, as_of):
    """Return the visits that are a lead's at an as-of."""
    instant = to_microseconds(as_of)
    return truth.filter(
        pc.and_(pc.less(truth["since"], instant), pc.less_equal(instant, truth["until"]))
    )


def list_visits(events):
    visits = events.filter(pc.equal(events["event_type"], VISIT_TYPE))
    names = ("entity_id", "event_time", "available_at")
    return Counter(zip(*(visits[name].to_pylist() for name in names), strict=True))


def make_events(truth):
    """Return visits as events of leads whose rows said so from when they were known."""
    columns = {
        "entity_id": truth["entity_id"],
        "event_time": truth["visited_at"],
        "available_at": truth["since"].cast(TRUE_VISITS.field("visited_at").type),
        "event_type": pa.array([VISIT_TYPE] * len(truth), pa.string()),
        "channel": pa.nulls(len(truth), pa.string()),
        "value": pa.nulls(len(truth), pa.float64()),
    }
    return pa.table(columns)


def test_stories_are_all_planted(company):
    _, _, truth, browsers = company
    kinds = Counter(browser.kind for browser in browsers)
    assert min(kinds.values()) >= 8
    assert kinds.keys() == {"stranger", "own", "late", "never", "pair", "wrong", "shared"}
    late = [b for b in browsers if b.kind == "late"]
    assert all((b.visits[:, 0] < b.logins[0].at).any() for b in late)
    undone = truth.filter(pc.less(truth["until"], to_microseconds(END)))
    assert set(undone["kind"].to_pylist()) == {"wrong", "shared"}


def test_visits_are_at_each_as_of_those_of_the_stories(company):
    _, data, truth, _ = company
    seen = 0
    for as_of in AS_OFS:
        right = take_true_visits(truth, as_of)
        wanted = list_visits(make_events(right))
        assert list_visits(data.cut_at(as_of).events) == wanted
        seen += len(wanted)
    assert seen > 2_000


@pytest.mark.parametrize("as_of", AS_OFS)
def test_features_see_a_visitors_past_from_the_link_on_and_never_before(company, as_of):
    _, data, truth, _ = company
    plain = data.events.filter(pc.not_equal(data.events["event_type"], VISIT_TYPE))
    right = take_true_visits(truth, as_of)
    stated = sort_events([plain, make_events(right).cast(plain.schema)])
    ids = data.cut_at(as_of).leads["entity_id"].to_pylist()
    spine = pa.table([ids, [as_of] * len(ids)], names=SPINE.names).cast(SPINE)
    linked, direct, without = (
        build_features(source, spine, CATALOG).drop_columns(["cutoff"])
        for source in (
            data.cut_at(as_of),
            Dataset(data.leads, stated, (), "direct"),
            Dataset(data.leads, plain, (), "without"),
        )
    )
    assert_frame_equal(linked.to_pandas(), direct.to_pandas(), check_exact=True)
    owners = set(right["entity_id"].to_pylist())
    anonymous = pa.array([lead not in owners for lead in linked["entity_id"].to_pylist()])
    anonymous_rows = (table.filter(anonymous).to_pandas() for table in (linked, without))
    assert_frame_equal(*anonymous_rows, check_exact=True)
    counts = f"{VISIT_TYPE}_count_all"
    assert pc.sum(linked[counts]).as_py() == len(right) > 300
    assert 5 < pc.sum(anonymous).as_py() < len(ids)


def test_identified_and_undone_rows_are_counted(company):
    project, data, truth, browsers = company
    (count,) = (count for count in data.counts if count.source == "events_3")
    end = to_microseconds(END)
    known = truth.filter(pc.less(truth["since"], end))
    visits = {(row["browser"], row["visited_at"]) for row in known.to_pylist()}
    assert (count.identified, count.anonymous) == (len(visits), count.rows_in - len(visits))
    undone = take_true_visits(truth, END)
    assert data.withdrawn.num_rows == len(known) - len(undone)
    shared = sum(
        sum(login.at < end for login in browser.logins) > MOST_LEADS for browser in browsers
    )
    assert data.links.shared == shared > 0
    rows = read_web_visits(project, data.cut_at(END), END)
    units = {browser.kind for browser in browsers if browser.kind == "stranger"}
    assert units and rows["identified"].null_count > LAW.strangers * LEADS


def test_visitors_leave_every_other_file_as_it_is(tmp_path):
    write_company(tmp_path / "with", 200, 7, visitors=LAW)
    write_company(tmp_path / "without", 200, 7)
    files = hash_files(tmp_path / "with")
    assert files.pop(VISITS_FILE) and files.pop(LOGINS_FILE)
    assert files == hash_files(tmp_path / "without")


def test_seed_fixes_the_files_and_blocks_have_their_own_browsers(tmp_path, monkeypatch):
    monkeypatch.setattr("pipelines.simulated.simulate.BLOCK_LEADS", 60)
    paths = [tmp_path / name for name in ("first", "again")]
    for path in paths:
        write_company(path, 120, 7, customers=None, visitors=LAW)
    first, again = (path / VISITS_FILE for path in paths)
    assert first.read_bytes() == again.read_bytes()
    visits = pacsv.read_csv(first)
    assert len(np.unique(visits["visit_id"].to_pylist())) == len(visits)
    assert {name[:5] for name in visits["browser"].to_pylist()} == {"B0000", "B0001"}


def test_demo_has_committees_or_visitors(tmp_path, monkeypatch):
    monkeypatch.setenv("LEADSCORE_WORKSPACE", str(tmp_path))
    with pytest.raises(ConfigError, match="two companies"):
        demo.create_company(100, 7, print, committees=True, visitors=True)
    project = demo.create_company(100, 7, lambda line: None, visitors=True)
    assert (project.workspace_path / "data" / LOGINS_FILE).exists()
    times = column_to_microseconds(read_sources(project, clock=END).leads["created_at"])
    assert len(times) == 100
