"""The steps from a typical lead to one lead add up."""

import itertools
from math import exp, isclose, isfinite, log

from hypothesis import given
from hypothesis import strategies as st

from serve.page.one_lead.waterfall import build_waterfall, to_share

CONTRIBUTIONS = st.lists(st.floats(-30, 30), max_size=8)
LOG_ODDS = st.floats(-30, 30)


def make_reasons(contributions):
    return [
        {"feature": f"f{place}", "contribution": contribution, "sentence": f"reason {place}"}
        for place, contribution in enumerate(contributions)
    ]


@given(CONTRIBUTIONS, LOG_ODDS, st.floats(1e-12, 1 - 1e-12))
def test_steps_lead_from_the_base_to_the_probability(contributions, base, probability):
    steps = build_waterfall(make_reasons(contributions), base, probability)
    assert [step.kind for step in steps[:1]] == ["typical"]
    assert [step.kind for step in steps[-2:]] == ["rest", "lead"]
    assert steps[0].start == steps[0].end == base
    # Each begins where the one before it ends, so nothing is lost on the way.
    for before, after in itertools.pairwise(steps):
        assert after.start == before.end
    assert isclose(to_share(steps[-1].end), probability, rel_tol=1e-9)
    # The rest is what the published reasons leave.
    rest = steps[-2].end - steps[-2].start
    total = log(probability / (1 - probability))
    assert isclose(base + sum(contributions) + rest, total, abs_tol=1e-9)
    for step, contribution in zip(steps[1:-2], contributions, strict=True):
        assert isclose(step.end - step.start, contribution, abs_tol=1e-9)
        assert step.kind == ("for" if contribution > 0 else "against")


@given(CONTRIBUTIONS, st.sampled_from([(None, 0.3), (-1.0, 0.0), (-1.0, 1.0)]))
def test_steps_without_a_base_are_the_reasons_alone(contributions, case):
    base, probability = case
    steps = build_waterfall(make_reasons(contributions), base, probability)
    assert [(step.start, step.end) for step in steps] == [(0.0, c) for c in contributions]
    assert {step.kind for step in steps} <= {"for", "against"}


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_share_of_any_log_odds_is_a_probability(log_odds):
    share = to_share(log_odds)
    assert isfinite(share)
    assert 0 <= share <= 1
    if abs(log_odds) < 30:
        assert isclose(share, 1 / (1 + exp(-log_odds)), rel_tol=1e-12)
