"""Population and labels in plain Python, straight from their definitions.

Times are whole hours. Entities are rows of ``leads``: (created, known); events are tuples (entity,
time, known, type). Only what was known before a cutoff is ever looked at.
"""

from typing import NamedTuple

NEVER = 10**9


class World(NamedTuple):
    leads: list
    events: list


def known_before(world, cutoff):
    """Return the events known before a cutoff: nothing later is used for it."""
    return [event for event in world.events if event[2] < cutoff]


def entry_of(world, target, entity):
    """Return time and knowledge of the entry; NEVER without one."""
    created, known = world.leads[entity]
    if target.population.after == "created":
        return created, known
    times = [
        (event[2], event[1])
        for event in world.events
        if event[0] == entity and event[3] == target.population.after
    ]
    if not times:
        return NEVER, NEVER
    first_known, time = min(times)
    return time, max(first_known, known)


def standing(events, entity, target):
    """Return the times of the entity's outcomes in ``events`` that no event in it revokes."""
    own = [event for event in events if event[0] == entity]
    outcomes = {event[1] for event in own if event[3] in target.outcome_types}
    revoked = set()
    for event in own:
        if event[3] in target.outcome_revoked_by:
            before = [time for time in outcomes if time <= event[1]]
            revoked |= {max(before)} if before else set()
    return sorted(outcomes - revoked)


def is_open(world, target, entity, cutoff, *, published_from=None):
    """Return whether the entity has not ended, by the events known before the cutoff.

    With ``published_from``, the own cutoff of an entity of a delay target: whether its score may
    still be published.
    """
    population, (entry, _) = target.population, entry_of(world, target, entity)
    own = [e for e in known_before(world, cutoff) if e[0] == entity and e[1] >= entry]
    outcomes = standing(own, entity, target)
    if population.recurring:
        outcomes = [] if published_from is None else [t for t in outcomes if t >= published_from]
    closers = population.until + (population.closed_by if published_from is not None else ())
    # An outcome that is an end as well is one only as long as it stands.
    closers = set(closers) - (set() if population.recurring else set(target.outcome_types))
    ends = [e[1] for e in own if e[3] in closers] + outcomes
    reopened = [e[1] for e in own if e[3] in population.reopen]
    return all(any(again >= end for again in reopened) for end in ends)


def is_eligible(world, target, entity, cutoff, hours):
    """Return whether the entity is in the population at the cutoff; ``hours`` reads a duration."""
    entry, known = entry_of(world, target, entity)
    age = target.population.max_age
    young = age is None or cutoff <= entry + hours(age)
    return known < cutoff and young and is_open(world, target, entity, cutoff)


def training_rows(world, target, as_of, hours):
    """Return all (cutoff, entity) of the training spine."""
    rows = []
    for entity in range(len(world.leads)):
        if target.cutoffs.delay:
            entry = entry_of(world, target, entity)[0]
            cutoffs = [entry + hours(target.cutoffs.delay)] if entry < NEVER else []
        else:
            cutoffs = range(as_of - hours(target.cutoffs.every), -100, -hours(target.cutoffs.every))
        rows += [
            (cutoff, entity)
            for cutoff in cutoffs
            if cutoff < as_of and is_eligible(world, target, entity, cutoff, hours)
        ]
    return sorted(rows)


def rows_to_score(world, target, as_of, hours):
    """Return all (cutoff, entity) of the scoring spine."""
    rows = []
    for entity in range(len(world.leads)):
        if not target.cutoffs.delay:
            rows += [(as_of, entity)] if is_eligible(world, target, entity, as_of, hours) else []
            continue
        cutoff = entry_of(world, target, entity)[0] + hours(target.cutoffs.delay)
        if (
            cutoff <= as_of < cutoff + hours(target.horizon)
            and is_eligible(world, target, entity, cutoff, hours)
            and is_open(world, target, entity, as_of, published_from=cutoff)
        ):
            rows.append((cutoff, entity))
    return sorted(rows)


def outcome_after(world, target, entity, cutoff):
    """Return the first outcome at or after the cutoff that stands; None without one."""
    return min((t for t in standing(world.events, entity, target) if t >= cutoff), default=None)
