"""Properties of the generated log."""

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tests.benchmarks import log


@pytest.fixture(scope="module", params=[200_000, 10_000])
def generated(request, tmp_path_factory, module_patch):
    """Logs of one batch and of several."""
    module_patch.setattr(log, "BATCH", 60_000)
    path = tmp_path_factory.mktemp("log") / "events.parquet"
    return log.write(path, request.param), pq.read_table(path)


@pytest.fixture(scope="module")
def module_patch():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


def test_leads_have_a_geometric_number_of_events(generated):
    leads, events = generated
    counts = pc.value_counts(events["entity_id"].combine_chunks()).field("counts").to_numpy()
    assert len(counts) == leads
    for few in (1, 5, 20, 60):
        assert np.mean(counts <= few) == pytest.approx(1 - 0.95**few, abs=4 / np.sqrt(leads))


def test_events_are_spread_over_18_months_in_the_order_of_time(generated):
    _, events = generated
    time = events["event_time"].cast("int64").to_numpy()
    assert (np.diff(time) >= 0).all()
    assert time[0] >= log.START and time[-1] < log.START + log.SPAN
    share = np.histogram(time, bins=18, range=(log.START, log.START + log.SPAN))[0] / len(time)
    assert share == pytest.approx(np.full(18, 1 / 18), rel=0.2)


def test_types_channels_and_values(generated):
    _, events = generated
    assert sorted(pc.unique(events["event_type"]).to_pylist()) == log.TYPES and len(log.TYPES) == 8
    assert (
        sorted(pc.unique(events["channel"]).to_pylist()) == log.CHANNELS and len(log.CHANNELS) == 6
    )
    valued = events.filter(pc.is_valid(events["value"]))["event_type"]
    plain = events.filter(pc.is_null(events["value"]))["event_type"]
    assert sorted(pc.unique(valued).to_pylist()) == log.TYPES[:2]
    assert sorted(pc.unique(plain).to_pylist()) == log.TYPES[2:]
