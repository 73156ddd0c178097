"""All features in plain Python, straight from their definitions: slow, and as simple as possible.

Nothing is shared with the code under test except the catalog's declarations and the tables of a
data set. Instants and durations are whole microseconds, sums are fractions, local time is that of
``zoneinfo``. An event is seen if it was known before the cutoff; ``back`` is the time from the
event to the cutoff, and a window w contains ``0 < back <= w``.
"""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import groupby, pairwise, takewhile
from zoneinfo import ZoneInfo

import pyarrow as pa

from features.contracts import Dataset
from features.definitions.catalog import Catalog
from features.definitions.feature import Feature

EPOCH, DAY = datetime(1970, 1, 1, tzinfo=UTC), 86_400_000_000
MISSING = math.nan
FEWEST_VISITS = 20


def micros(length):
    return length // timedelta(microseconds=1)


def instant(moment):
    return micros(moment - EPOCH)


@dataclass(frozen=True)
class Event:
    entity: str
    time: int
    available: int
    type: str
    channel: str | None
    value: float | None

    @property
    def amount(self):
        """Return the value; None if it is missing or not a number."""
        return None if self.value is None or math.isnan(self.value) else self.value


class World:
    """The rows of a data set; events of entities without a lead row are ignored."""

    def __init__(self, data: Dataset, catalog: Catalog):
        self.catalog, self.values = catalog, data.values.to_pylist()
        self.zone = ZoneInfo(catalog.timezone)
        self.leads = {row["entity_id"]: row for row in data.leads.to_pylist()}
        self.joined = {name: instant(row["available_at"]) for name, row in self.leads.items()}
        alone = {name: ("alone", name) for name in self.leads}
        self.account = {
            name: alone[name] if row["account_id"] is None else row["account_id"]
            for name, row in self.leads.items()
        }
        rows = [
            list(row.values()) for row in data.events.to_pylist() if row["entity_id"] in self.leads
        ]
        events = [
            Event(name, instant(at), instant(known), *rest) for name, at, known, *rest in rows
        ]
        self.events = sorted(events, key=self.turn)
        self.past = [visit for name in self.leads for visit in self.past_visits(name)]

    def turn(self, event):
        """Return the sort key of an event; words unknown to the catalog are equal, and first."""
        known = (self.catalog.types, event.type), (self.catalog.channels, event.channel)
        places = [names.index(name) if name in names else -1 for names, name in known]
        return (
            event.entity,
            event.time,
            event.available,
            *places,
            -math.inf if event.amount is None else event.amount,
        )

    def known(self, event):
        """Return when an event of an entity could first be read as one of its account."""
        return max(event.available, self.joined[event.entity])

    def rank(self, event):
        """Return the rank of a stage event among the stages, None for any other event."""
        known = event.type in self.catalog.stages and event.type in self.catalog.types
        return self.catalog.stages.index(event.type) if known else None

    def past_visits(self, name):
        """Return rank, length and end of each finished visit, by order of availability."""
        own = [
            event for event in self.events if event.entity == name and self.rank(event) is not None
        ]
        arrived = sorted((self.known(event), event.time, self.rank(event)) for event in own)
        begins = [(rank, next(run)[0]) for rank, run in groupby(arrived, key=lambda each: each[2])]
        return [(rank, end - begin, end) for (rank, begin), (_, end) in pairwise(begins)]


class Row:
    """One (entity, cutoff) and the events seen there, oldest first."""

    def __init__(self, world: World, entity: str, cutoff: int):
        self.world, self.catalog, self.entity, self.cutoff = world, world.catalog, entity, cutoff
        self.lead = world.leads[entity]
        own = [
            event for event in world.events if event.entity == entity and event.available < cutoff
        ]
        mates = {
            name for name, account in world.account.items() if account == world.account[entity]
        }
        whole = [
            event for event in world.events if event.entity in mates and world.known(event) < cutoff
        ]
        whole.sort(key=lambda event: event.time)
        others = [event for event in whole if event.entity != entity]
        self.seen = {"entity": own, "account": whole, "others": others}
        stages = sorted(
            (event.time, world.rank(event)) for event in own if world.rank(event) is not None
        )
        self.visits = [
            (rank, next(run)[0]) for rank, run in groupby(stages, key=lambda each: each[1])
        ]

    def back(self, time):
        return self.cutoff - time

    def days(self, time):
        return self.back(time) / DAY

    def of(self, feature):
        """Return all seen events of the feature's scope and subject."""
        return [event for event in self.seen[feature.scope] if self.is_of(event, feature.subject)]

    def is_of(self, event, subject):
        kind, _, name = subject.partition(":")
        if kind == "group":
            return (
                event.type in self.catalog.outbound
                if name == "outbound"
                else event.channel in self.catalog.offline
            )
        return kind == "any" or (event.type if kind == "type" else event.channel) == name

    def within(self, feature, times=1):
        """Return those of them in the feature's window, or in a multiple of it."""
        return [each for each in self.of(feature) if self.inside(each, feature.span, times)]

    def inside(self, event, span, times=1):
        return span is None or self.back(event.time) <= times * micros(span)

    def amounts(self, feature):
        return [event.amount for event in self.within(feature) if event.amount is not None]

    def weight(self, event, feature):
        """Return the weight of an event: halved after each half-life."""
        return 2.0 ** (-self.back(event.time) / micros(feature.span))

    def local(self, time):
        return (EPOCH + timedelta(microseconds=time)).astimezone(self.world.zone)


def exact_sum(values):
    """Return the exact sum, rounded once."""
    infinite = {value for value in values if math.isinf(value)}
    if infinite:
        return infinite.pop() if len(infinite) == 1 else math.nan
    total = sum(map(Fraction, values), Fraction(0))
    try:
        return float(total)
    except OverflowError:
        return math.inf if total > 0 else -math.inf


def trend(row, feature):
    before = [each for each in row.within(feature, 2) if not row.inside(each, feature.span)]
    return len(row.within(feature)) - len(before)


def share(row, feature):
    whole = [event for event in row.seen[feature.scope] if row.inside(event, feature.span)]
    return len(row.within(feature)) / len(whole) if whole else MISSING


def mean(row, feature):
    amounts = row.amounts(feature)
    return exact_sum(amounts) / len(amounts) if amounts else MISSING


def decay(row, feature):
    return math.fsum(row.weight(event, feature) for event in row.of(feature))


def decay_total(row, feature):
    return exact_sum(
        [
            each.amount * row.weight(each, feature)
            for each in row.of(feature)
            if each.amount is not None
        ]
    )


def age(row, feature):
    return min((row.days(event.time) for event in row.of(feature)), default=MISSING)


def first(row, feature):
    return max((row.days(event.time) for event in row.of(feature)), default=MISSING)


def gaps(row, feature):
    return [later.time - earlier.time for earlier, later in pairwise(row.of(feature))]


def gap_mean(row, feature):
    lengths = gaps(row, feature)
    return float(Fraction(sum(lengths), len(lengths) * DAY)) if lengths else MISSING


def gap_std(row, feature):
    lengths = [Fraction(length, DAY) for length in gaps(row, feature)]
    if not lengths:
        return MISSING
    middle = sum(lengths) / len(lengths)
    return math.sqrt(sum((length - middle) ** 2 for length in lengths) / len(lengths))


def gap_max(row, feature):
    return max(gaps(row, feature), default=MISSING) / DAY


def silence(row, feature):
    usual = gap_mean(row, feature)
    return age(row, feature) / usual if usual > 0 else MISSING


def active_days(row, feature):
    return len({(row.back(event.time) - 1) // DAY for event in row.within(feature)})


def kinds(row, feature):
    return len({event.type for event in row.within(feature)} & {*row.catalog.types})


def ways(row, feature):
    return len({event.channel for event in row.within(feature)} & {*row.catalog.channels})


def people(row, feature):
    return len({event.entity for event in row.within(feature)})


def new_people(row, feature):
    oldest = {event.entity: event for event in reversed(row.of(feature))}
    return sum(row.inside(event, feature.span) for event in oldest.values())


def roles(row, feature):
    acting = {row.world.leads[event.entity][row.catalog.role] for event in row.within(feature)}
    return len(acting & {*row.catalog.roles})


def role_known(row, feature):
    world, role = row.world, row.catalog.roles[feature.index]
    home = world.account[row.entity]
    mates = [name for name, account in world.account.items() if account == home]
    return sum(
        world.joined[name] < row.cutoff and world.leads[name][row.catalog.role] == role
        for name in mates
    )


def engaged(row, feature):
    """Return the number of events that are no touch of ours in the window, by person."""
    whole = (event for event in row.seen["account"] if row.inside(event, feature.span))
    return Counter(event.entity for event in whole if event.type not in row.catalog.outbound)


def role_people(row, feature):
    role = row.catalog.roles[feature.index]
    return sum(row.world.leads[name][row.catalog.role] == role for name in engaged(row, feature))


def engaged_people(row, feature):
    return len(engaged(row, feature))


def top_share(row, feature):
    acts = engaged(row, feature).values()
    return max(acts) / sum(acts) if acts else MISSING


def nth_newest(row, index):
    """Return the entity's (index + 1)-th newest event, None if there are fewer."""
    own = row.seen["entity"]
    return own[-1 - index] if index < len(own) else None


def known_type(row, event):
    return event.type if event and event.type in row.catalog.types else None


def known_channel(row, event):
    return event.channel if event and event.channel in row.catalog.channels else None


def last_gap(row, feature):
    later, earlier = nth_newest(row, feature.index), nth_newest(row, feature.index + 1)
    return (later.time - earlier.time) / DAY if earlier else MISSING


def oldest(row):
    return row.seen["entity"][0] if row.seen["entity"] else None


def share_at(row, wanted):
    own = row.seen["entity"]
    return sum(bool(wanted(row.local(event.time))) for event in own) / len(own) if own else MISSING


def hour_of_week(local):
    return local.weekday() * 24 + local.hour


def last_hour(row, feature):
    newest = nth_newest(row, 0)
    return hour_of_week(row.local(newest.time)) if newest else MISSING


def is_ours(row, event):
    return event.type in row.catalog.outbound


def origin(row, feature):
    event = oldest(row)
    return None if event is None else "cold" if is_ours(row, event) else "warm"


def ours_in_a_row(row, events):
    return len(list(takewhile(lambda event: is_ours(row, event), events)))


def beginnings(row):
    """Return the times at which a spell of the entity began."""
    own, ends = row.seen["entity"], row.catalog.ends
    again = [new.time for old, new in pairwise(own) if old.type in ends and new.type not in ends]
    return [event.time for event in own[:1]] + again


def spell_age(row, feature):
    return row.days(beginnings(row)[-1]) if beginnings(row) else MISSING


def stage_name(row, place):
    return row.catalog.stages[row.visits[place][0]] if row.visits else None


def stage_age(row, feature):
    return row.days(row.visits[-1][1]) if row.visits else MISSING


def stages_age(row, feature):
    return row.days(row.visits[0][1]) if row.visits else MISSING


def skipped(row, feature):
    visited = {rank for rank, _ in row.visits}
    return len(set(range(max(visited))) - visited) if visited else MISSING


def returns(row, feature):
    steps = sum(later < earlier for (earlier, _), (later, _) in pairwise(row.visits))
    return steps if row.visits else MISSING


def moves(row, feature):
    return len(row.visits) - 1 if row.visits else MISSING


def visits(row, feature):
    return sum(rank == feature.index for rank, _ in row.visits)


def stage_days(row, feature):
    ends = [begin for _, begin in row.visits[1:]] + [row.cutoff]
    return (
        sum(
            e - begin
            for (rank, begin), e in zip(row.visits, ends, strict=False)
            if rank == feature.index
        )
        / DAY
    )


def stalled(row, feature):
    if not row.visits:
        return MISSING
    now, since = row.visits[-1]
    past = [length for rank, length, end in row.world.past if rank == now and end < row.cutoff]
    return (
        sum(length < row.back(since) for length in past) / len(past)
        if len(past) >= FEWEST_VISITS
        else MISSING
    )


def created_age(row, feature):
    return row.days(instant(row.lead["created_at"]))


def value_or_missing(value, feature):
    return value if feature.is_category or value is not None else MISSING


def attribute(row, feature):
    return value_or_missing(row.lead[feature.subject], feature)


def dated(row, feature):
    """Return the newest known value.

    Of values at one instant it is the one known last, then the greatest text; cleared ones last.
    """
    known = [
        (value["valid_from"], value["available_at"], value["value"] is not None, value["value"])
        for value in row.world.values
        if (value["entity_id"], value["attribute"]) == (row.entity, feature.subject)
        and instant(value["available_at"]) < row.cutoff
    ]
    text = max(known)[-1] if known else None
    return value_or_missing(text if feature.is_category or text is None else float(text), feature)


FIGURES = {
    "count": lambda row, feature: len(row.within(feature)),
    "total": lambda row, feature: exact_sum(row.amounts(feature)),
    "least": lambda row, feature: min(row.amounts(feature), default=MISSING),
    "most": lambda row, feature: max(row.amounts(feature), default=MISSING),
    **{each.__name__: each for each in (trend, share, mean, decay, decay_total)},
    **{
        each.__name__: each
        for each in (age, first, gap_mean, gap_std, gap_max, silence, active_days)
    },
    **{each.__name__: each for each in (kinds, ways, people, new_people, roles)},
    **{each.__name__: each for each in (role_known, role_people, engaged_people, top_share)},
    "last_type": lambda row, feature: known_type(row, nth_newest(row, feature.index)),
    "last_gap": last_gap,
    "first_type": lambda row, feature: known_type(row, oldest(row)),
    "first_channel": lambda row, feature: known_channel(row, oldest(row)),
    "last_channel": lambda row, feature: known_channel(row, nth_newest(row, 0)),
    "office_hours": lambda row, feature: share_at(
        row, lambda at: at.weekday() < 5 and 8 <= at.hour < 18
    ),
    "weekend": lambda row, feature: share_at(row, lambda at: at.weekday() >= 5),
    "last_hour": last_hour,
    "origin": origin,
    "unanswered": lambda row, feature: ours_in_a_row(row, reversed(row.seen["entity"])),
    "before_reply": lambda row, feature: ours_in_a_row(row, row.seen["entity"]),
    "spells": lambda row, feature: len(beginnings(row)),
    "spell_age": spell_age,
    "stage_now": lambda row, feature: stage_name(row, -1),
    "stage_entry": lambda row, feature: stage_name(row, 0),
    **{
        each.__name__: each
        for each in (stage_age, stages_age, skipped, returns, moves, visits, stage_days, stalled)
    },
    "created_age": created_age,
    "created_hour": lambda row, feature: hour_of_week(row.local(instant(row.lead["created_at"]))),
    "attribute": attribute,
    "dated": dated,
}
"""Each aggregate as a function of one row."""


def expected(
    data: Dataset, spine: pa.Table, catalog: Catalog, features: Iterable[Feature] | None = None
) -> dict[str, list]:
    """Return these features, or all of the catalog, with one value per spine row.

    Missing is NaN for numbers and None for categories.
    """
    world = World(data, catalog)
    rows = [Row(world, row["entity_id"], instant(row["cutoff"])) for row in spine.to_pylist()]
    asked = catalog.features if features is None else features
    return {each.name: [FIGURES[each.aggregate](row, each) for row in rows] for each in asked}
