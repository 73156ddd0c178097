"""Cases calculated by hand, for the oracle and the matrix alike."""

from datetime import UTC, datetime, timedelta
from itertools import permutations
from math import inf, nan, sqrt

import pytest

from features.build import build_features
from features.definitions.catalog import Catalog
from features.definitions.feature import AGGREGATES
from tests.features.agreement import agree
from tests.features.logs import TICK, of, spine_of
from tests.features.oracle import FIGURES, expected

# A Monday, 02:00 in Berlin, where summer time began the day before at 01:00 UTC.
CUTOFF = datetime(2024, 4, 1, tzinfo=UTC)

CATALOG = Catalog(
    types=("call", "demo", "lead", "lost", "mail", "offer", "won"),
    channels=("phone", "web"),
    valued=("call",),
    stages=("lead", "demo", "trial", "offer", "won"),
    attributes=(("size", "number"), ("role", "category")),
    dated=(("plan", "category"), ("seats", "number")),
    windows=(timedelta(days=1), timedelta(days=7)),
    half_lives=(timedelta(days=1),),
    outbound=("mail",),
    offline=("phone",),
    ends=("lost", "won"),
    role="role",
    roles=("buyer", "user"),
    role_features=True,
    timezone="Europe/Berlin",
    accounts=True,
)
BY_NAME = {feature.name: feature for feature in CATALOG.features}


def at(days):
    """Return the instant this many days before the cutoff."""
    return CUTOFF - timedelta(days=days)


def lead(entity="a", account=None, days=100, known=None, **attributes):
    times = {"created_at": at(days), "available_at": at(days if known is None else known)}
    return {
        "entity_id": entity,
        "account_id": account,
        **times,
        "size": None,
        "role": None,
    } | attributes


def event(days, kind="call", channel=None, value=None, known=None, entity="a"):
    times = {"event_time": at(days), "available_at": at(days if known is None else known)}
    return {"entity_id": entity, **times, "event_type": kind, "channel": channel, "value": value}


def value(attribute, days, text, known=None, entity="a"):
    times = {"valid_from": at(days), "available_at": at(days if known is None else known)}
    return {"entity_id": entity, "attribute": attribute, **times, "value": text}


def table(data, spine, catalog):
    return (
        build_features(data, spine, catalog).select([f.name for f in catalog.features]).to_pydict()
    )


@pytest.fixture(params=[expected, table], ids=["oracle", "matrix"])
def holds(request):
    """Assert the features of one row."""

    def check(answers, events, leads=None, values=(), entity="a", days=0.0):
        data = of([lead()] if leads is None else leads, events, values)
        found = request.param(data, spine_of([(entity, at(days))]), CATALOG.select(answers))
        assert set(found) == set(answers)
        wrong = {
            name: (found[name], answer)
            for name, answer in answers.items()
            if not agree(BY_NAME[name].aggregate, found[name][0], answer)
        }
        assert not wrong

    return check


def test_windows_are_half_open(holds):
    day, tick = 1.0, TICK / timedelta(days=1)
    edges = [
        event(days) for days in (-tick, 0, tick, day, day + tick, 2 * day, 2 * day + tick, 7, 14)
    ]
    counts = {
        "any_count_1d": 2,
        "any_count_7d": 6,
        "any_count_all": 7,
        "call_trend_1d": 0,
        "call_trend_7d": 5,
    }
    days = {"any_days_active_1d": 1, "any_days_active_7d": 4, "any_days_active_all": 5}
    holds(counts | days | {"any_age": tick, "any_first_age": 14, "mail_count_all": 0}, edges)


def test_row_counts_from_just_after_it_was_known(holds):
    tick = TICK / timedelta(days=1)
    late = [
        event(2, known=0),
        event(3, known=tick),
        event(9, known=1, kind="mail"),
        event(0.5, known=-1),
    ]
    answers = {
        "any_count_1d": 0,
        "any_count_7d": 1,
        "any_count_all": 2,
        "any_age": 3,
        "mail_age": 9,
        "mail_count_7d": 0,
    }
    holds(answers | {"any_trend_7d": 0, "last_gap_1": 6}, late)


def test_amounts_by_hand(holds):
    log = [
        event(0.5, value=0.5),
        event(1, value=-2.0),
        event(6, "mail", "web", 10.0),
        event(30, "gone", "fax", 1.5),
    ]
    answers = {
        "any_sum_value_1d": -1.5,
        "any_sum_value_7d": 8.5,
        "any_sum_value_all": 10,
        "any_mean_value_all": 2.5,
    }
    answers |= {
        "any_min_value_1d": -2,
        "any_max_value_1d": 0.5,
        "any_max_value_all": 10,
        "any_mean_value_1d": -0.75,
    }
    answers |= {
        "call_sum_value_all": -1.5,
        "web_channel_sum_value_1d": 0,
        "web_channel_mean_value_all": 10,
    }
    answers |= {
        "phone_channel_sum_value_all": 0,
        "phone_channel_mean_value_all": nan,
        "phone_channel_min_value_all": nan,
    }
    holds(
        answers
        | {"call_max_value_all": 0.5, "outbound_sum_value_7d": 10, "account_any_sum_value_all": 10},
        log,
    )


@pytest.mark.parametrize(
    ("values", "total", "mean"),
    [
        ([1e300, 0.1, -1e300], 0.1, 0.1 / 3),
        ([0.1] * 10, 1.0, 0.1),
        ([1e16, 1.0, -1e16, 5e-324], 1.0, 0.25),
        ([1e300, 1e16, -1e300, 1.0], 1e16, 2.5e15),
        ([1e300, 1e16, -1e300, 3.0], 1.0000000000000004e16, 2.500000000000001e15),
        ([1e300, 1e16, 0.1, -1e300, -1e16], 0.1, 0.02),
        ([1e300, 1e16, 1.0, -1e300, 1.0], 1.0000000000000002e16, 2.0000000000000005e15),
        ([1.7e308, 1.7e308, -1.7e308], 1.7e308, 1.7e308 / 3),
        ([1.7e308, 1.7e308], inf, inf),
        ([-1.7e308, -1.7e308, None], -inf, -inf),
        ([inf, 1.0, -1e300], inf, inf),
        ([inf, -inf], nan, nan),
        ([nan, 2.0, None], 2.0, 2.0),
        ([nan, None], 0.0, nan),
        ([5e-324, 5e-324], 1e-323, 5e-324),
    ],
)
def test_sums_are_exact_in_any_order(values, total, mean, holds):
    totals = {
        "any_sum_value_7d": total,
        "call_sum_value_all": total,
        "account_any_sum_value_all": total,
    }
    for mixed in {*permutations(values[:4])}:
        log = [
            event(2 + place / 10, value=each) for place, each in enumerate((*mixed, *values[4:]))
        ]
        holds(totals | {"any_mean_value_all": mean}, log)


def test_fading_halves_each_half_life(holds):
    log = [
        event(1, value=8.0),
        event(3, value=-4.0),
        event(2, "mail", "web", 1.0),
        event(0.5, "mail", value=nan),
    ]
    answers = {
        "call_decay_1d": 0.625,
        "any_decay_1d": 0.875 + sqrt(0.5),
        "any_decay_value_1d": 3.75,
    }
    answers |= {
        "call_decay_value_1d": 3.5,
        "web_channel_decay_1d": 0.25,
        "phone_channel_decay_value_1d": 0,
    }
    holds(answers | {"won_decay_1d": 0, "account_call_decay_1d": 0.625}, log)


def test_rhythm(holds):
    log = [event(10), event(7), event(6, "mail"), event(6), event(1, "won")]
    answers = {
        "call_gap_mean": 2,
        "call_gap_std": 1,
        "call_gap_max": 3,
        "call_silence": 3,
        "call_days_active_all": 3,
    }
    answers |= {
        "any_gap_mean": 2.25,
        "any_gap_std": sqrt(59) / 4,
        "any_gap_max": 5,
        "any_silence": 4 / 9,
    }
    answers |= {"won_gap_mean": nan, "won_gap_std": nan, "won_gap_max": nan, "won_silence": nan}
    holds(answers, log)
    holds(
        {"any_gap_mean": 0, "any_gap_std": 0, "any_gap_max": 0, "any_silence": nan},
        [event(2), event(2, "mail")],
    )


def test_breadth_knows_the_catalogue_only(holds):
    log = [
        event(0.5, "gone", "fax"),
        event(0.6, "gone"),
        event(2, "mail", "web"),
        event(3, "call", "web"),
        event(8),
    ]
    answers = {
        "any_distinct_type_1d": 0,
        "any_distinct_type_7d": 2,
        "any_distinct_channel_1d": 0,
        "any_count_1d": 2,
    }
    answers |= {
        "any_distinct_channel_all": 1,
        "web_channel_distinct_type_all": 2,
        "call_distinct_channel_all": 1,
    }
    answers |= {
        "outbound_distinct_channel_all": 1,
        "outbound_share_1d": 0,
        "outbound_share_all": 0.2,
    }
    holds(
        answers
        | {
            "offline_share_all": 0,
            "offline_distinct_type_all": 0,
            "account_any_distinct_type_7d": 2,
        },
        log,
    )


def test_entity_without_events(holds):
    zero = dict.fromkeys(
        [
            "any_count_all",
            "any_trend_7d",
            "any_sum_value_all",
            "any_decay_1d",
            "any_days_active_all",
        ],
        0,
    )
    zero |= dict.fromkeys(
        ["any_distinct_type_all", "any_distinct_channel_1d", "spells", "stage_demo_visits"], 0
    )
    zero |= dict.fromkeys(
        ["stage_demo_days", "touches_unanswered", "touches_before_reply", "others_any_people_all"],
        0,
    )
    zero |= dict.fromkeys(
        ["account_any_people_all", "account_any_new_people_7d", "account_any_roles_all"], 0
    )
    none = [
        "last_type_1",
        "last_type_3",
        "first_type",
        "first_channel",
        "last_channel",
        "origin",
        "stage_now",
    ]
    answers = {
        name: None if name in none else nan for name, f in BY_NAME.items() if f.scope != "lead"
    } | zero
    asked = {
        *zero,
        *none,
        "any_age",
        "any_first_age",
        "outbound_share_7d",
        "any_mean_value_all",
        "any_gap_max",
    }
    asked |= {
        "last_gap_1",
        "any_office_hours_share",
        "any_weekend_share",
        "last_hour_of_week",
        "spell_age",
    }
    asked |= {
        "stage_age",
        "stages_age",
        "stages_skipped",
        "stages_returns",
        "stages_moves",
        "stage_stalled",
    }
    holds({name: answers[name] for name in asked}, [])


def test_last_and_first_events(holds):
    log = [
        event(9, "gone", "web"),
        event(4, "mail", "fax"),
        event(1.5, "won"),
        event(1, "call", "phone"),
    ]
    answers = {
        "last_type_1": "call",
        "last_type_2": "won",
        "last_type_3": "mail",
        "first_type": None,
    }
    answers |= {
        "last_gap_1": 0.5,
        "last_gap_2": 2.5,
        "first_channel": "web",
        "last_channel": "phone",
    }
    holds(answers, log)
    holds(
        {"last_type_2": "won", "last_type_3": None, "last_gap_1": 0.5, "last_gap_2": nan}, log[2:]
    )


def test_ties_are_in_the_order_of_the_columns(holds):
    known_last = [event(2, "won", "web", known=2), event(2, "call", "phone", known=1)]
    holds({"last_type_1": "call", "first_channel": "web", "last_gap_1": 0}, known_last)
    of_one_time = [event(2, "mail", "phone"), event(2, "mail"), event(2, "call", "web")]
    holds(
        {"first_type": "call", "last_type_1": "mail", "last_channel": "phone", "origin": "warm"},
        of_one_time,
    )


@pytest.mark.parametrize(
    ("local", "hour", "office", "weekend"),
    [
        ("2024-03-29T06:59:59.999999+00:00", 103, 0, 0),  # Friday 07:59 in winter time
        ("2024-03-29T07:00:00+00:00", 104, 1, 0),
        ("2024-03-29T16:59:59.999999+00:00", 113, 1, 0),
        ("2024-03-29T17:00:00+00:00", 114, 0, 0),
        ("2024-03-29T23:00:00+00:00", 120, 0, 1),  # Saturday 00:00
        ("2024-03-31T00:59:59.999999+00:00", 145, 0, 1),  # the last tick of winter, Sunday 01:59
        ("2024-03-31T01:00:00+00:00", 147, 0, 1),  # the first of summer, 03:00
        ("2024-03-31T21:59:59.999999+00:00", 167, 0, 1),
        ("2024-03-31T22:00:00+00:00", 0, 0, 0),
        ("2023-10-29T00:30:00+00:00", 146, 0, 1),  # 02:30, and once more an hour later
        ("2023-10-29T01:30:00+00:00", 146, 0, 1),
        ("2023-07-03T06:00:00+00:00", 8, 1, 0),
        ("1969-12-31T23:59:59.999999+00:00", 72, 0, 0),  # Thursday 00:59
    ],
)
def test_hours_are_local(local, hour, office, weekend, holds):
    days = (CUTOFF - datetime.fromisoformat(local)) / timedelta(days=1)
    moment = {
        "event_time": datetime.fromisoformat(local),
        "available_at": datetime.fromisoformat(local),
    }
    answers = {
        "last_hour_of_week": hour,
        "any_office_hours_share": office,
        "any_weekend_share": weekend,
    }
    holds(answers, [event(days) | moment])
    holds({"created_hour_of_week": hour}, [], [lead() | {"created_at": moment["event_time"]}])


def test_touches(holds):
    log = [
        event(9, "mail"),
        event(8, "mail"),
        event(7, "gone"),
        event(6, "mail"),
        event(5),
        event(2, "mail"),
    ]
    holds(
        {
            "touches_unanswered": 1,
            "touches_before_reply": 2,
            "origin": "cold",
            "outbound_count_all": 4,
        },
        log,
    )
    holds({"touches_unanswered": 2, "touches_before_reply": 2, "origin": "cold"}, log[:2])
    holds({"touches_unanswered": 0, "touches_before_reply": 0, "origin": "warm"}, log[2:5])


def test_spells(holds):
    log = [
        event(9, "won"),
        event(8, "lost"),
        event(7),
        event(6, "mail"),
        event(5, "lost"),
        event(4, "gone"),
        event(3),
    ]
    holds({"spells": 3, "spell_age": 4}, log)
    holds({"spells": 1, "spell_age": 9}, log[:2])
    holds({"spells": 1, "spell_age": 7}, log[2:5])


def test_journey_through_stages(holds):
    log = [
        event(days, kind)
        for days, kind in [(20, "demo"), (15, "lead"), (12, "offer"), (12, "lead"), (5, "demo")]
    ]
    log += [event(2, "demo"), event(1, "trial"), event(0.5, "mail")]
    answers = {
        "stage_now": "demo",
        "stage_entry": "demo",
        "stage_age": 5,
        "stages_age": 20,
        "stages_skipped": 1,
    }
    answers |= {
        "stages_returns": 2,
        "stages_moves": 3,
        "stage_demo_visits": 2,
        "stage_lead_visits": 1,
    }
    answers |= {
        "stage_offer_days": 7,
        "stage_demo_days": 10,
        "stage_lead_days": 3,
        "stage_trial_visits": 0,
    }
    holds(answers | {"stage_won_days": 0, "stage_won_visits": 0, "stage_stalled": nan}, log)
    answers = {
        "stage_now": "won",
        "stage_entry": "lead",
        "stages_skipped": 3,
        "stages_returns": 0,
        "stages_moves": 1,
    }
    holds(
        answers | {"stage_lead_days": 2, "stage_won_days": 1}, [event(3, "lead"), event(1, "won")]
    )


def test_stalled_against_the_past(holds):
    leads = [
        lead("a"),
        lead("z"),
        lead("late", known=20),
        *(lead(f"p{days:02}") for days in range(1, 23)),
    ]
    log = [event(5, "demo"), event(60, "demo", entity="z")]
    for days in range(1, 21):  # past visits of 1 to 20 days
        log += [
            event(40, "demo", entity=f"p{days:02}"),
            event(40 - days, "offer", entity=f"p{days:02}"),
        ]
    log += [
        event(40, "demo", known=38, entity="p21"),
        event(37, "offer", entity="p21"),
    ]  # known for 1 day
    log += [
        event(40, "demo", entity="late"),
        event(19, "offer", entity="late"),
    ]  # known for 1 day too
    log += [
        event(10, "demo", entity="p22"),
        event(6, "offer", known=0, entity="p22"),
    ]  # not known to have ended
    holds({"stage_stalled": 6 / 22, "stage_age": 5}, log, leads)
    holds({"stage_stalled": 1.0, "stage_age": 40}, log, leads, entity="z", days=20)
    holds({"stage_stalled": nan, "stage_age": 39}, log, leads, entity="z", days=21)
    holds({"stage_stalled": nan, "stage_now": "offer"}, log, leads, entity="p01")


def test_account_and_peers(holds):
    leads = [
        lead("a", "x", role="buyer"),
        lead("b", "x", role="buyer"),
        lead("c", "x", known=2, role="user"),
    ]
    leads += [lead("d"), lead("e", "x", known=0), lead("f", "y", role="it")]
    log = [
        event(10, "mail"),
        event(3, value=2.0),
        event(6, "mail", entity="b"),
        event(0.5, "won", entity="b"),
    ]
    log += [
        event(5, value=3.0, entity="c"),
        event(1, entity="e"),
        event(1, entity="d"),
        event(2, entity="f"),
    ]
    account = {"account_any_count_1d": 1, "account_any_count_7d": 4, "account_any_count_all": 5}
    account |= {"account_any_people_1d": 1, "account_any_people_7d": 3, "account_any_people_all": 3}
    account |= {
        "account_any_new_people_1d": 0,
        "account_any_new_people_7d": 2,
        "account_any_new_people_all": 3,
    }
    account |= {
        "account_any_roles_1d": 1,
        "account_any_roles_7d": 2,
        "account_any_age": 0.5,
        "account_mail_age": 6,
    }
    account |= {
        "account_any_gap_mean": 2.375,
        "account_any_gap_max": 4,
        "account_call_sum_value_all": 5,
    }
    account |= {
        "account_any_first_age": 10,
        "account_any_silence": 0.5 / 2.375,
        "account_any_trend_1d": 1,
    }
    # The mail of 10 and 6 days ago is ours, and e was not known yet.
    account |= {
        "account_role_buyer_known": 2,
        "account_role_user_known": 1,
        "account_role_buyer_people_1d": 1,
        "account_role_buyer_people_7d": 2,
        "account_role_user_people_1d": 0,
        "account_role_user_people_7d": 1,
        "account_engaged_people_1d": 1,
        "account_engaged_people_7d": 3,
        "account_top_share_1d": 1,
        "account_top_share_7d": 1 / 3,
    }
    others = {
        "others_any_count_7d": 3,
        "others_any_people_all": 2,
        "others_any_age": 0.5,
        "others_call_age": 5,
    }
    others |= {
        "others_call_count_all": 1,
        "others_mail_age": 6,
        "others_won_count_1d": 1,
        "others_any_people_1d": 1,
    }
    holds(account | others, log, leads)
    apart = {
        "any_count_all": 1,
        "others_any_count_all": 5,
        "others_any_people_all": 3,
        "account_any_people_all": 3,
    }
    holds(account | apart, log, leads, entity="e")
    alone = {
        "account_any_count_all": 1,
        "others_any_count_all": 0,
        "others_any_age": nan,
        "account_any_age": 1,
    }
    holds(alone | {"account_any_roles_all": 0}, log, leads, entity="d")
    before = {
        "account_any_count_all": 2,
        "others_any_count_all": 1,
        "others_any_age": 3,
        "account_any_count_7d": 2,
    }
    holds(before | {"account_any_new_people_7d": 2, "account_any_age": 3}, log, leads, days=3)


def test_lead_row_and_its_values(holds):
    values = [
        value("plan", 9, "free"),
        value("plan", 5, "gold", known=4),
        value("plan", 3, None, known=0),
    ]
    values += [
        value("plan", 5, "silver", known=4.5),
        value("seats", 5, "12"),
        value("seats", 1, "7", entity="b"),
    ]
    answers = {"created_age": 12.25, "size": 2.5, "role": "it", "plan": "gold", "seats": 12}
    leads = [lead(days=12.25, size=2.5, role="it"), lead("b")]
    holds(answers, [], leads, values)
    holds({"plan": "silver"}, [], leads, values, days=4)
    holds({"plan": "free", "seats": nan}, [], leads, values, days=5)
    empty = {"size": nan, "role": None, "plan": None, "seats": 7, "created_age": 100}
    holds(empty, [], leads, values, entity="b")


def test_single_event_is_first_and_last(holds):
    answers = {
        "any_count_1d": 1,
        "any_age": 0.25,
        "any_first_age": 0.25,
        "any_gap_max": nan,
        "first_type": "call",
    }
    answers |= {
        "last_type_1": "call",
        "last_type_2": None,
        "last_gap_1": nan,
        "spells": 1,
        "spell_age": 0.25,
    }
    holds(
        answers | {"account_any_people_all": 1, "origin": "warm", "any_trend_1d": 1},
        [event(0.25, "call", "web")],
    )


def test_oracle_covers_all_aggregates():
    declared = {feature.aggregate for feature in CATALOG.features}
    assert declared == set(FIGURES)
    assert set(AGGREGATES) <= declared
