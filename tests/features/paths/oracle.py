"""Paths of leads in plain Python, straight from the definition in ``features.paths.visits``.

Times are whole hours; events are (entity, time, known, type).
"""

from tests.features.population_oracle import standing


def list_visits(created, events, states, target):
    """Return visits and spells of one lead: [stage, start, end, exit] and [start, end, exit].

    ``events`` are those known, of this lead alone; end and exit are None while a visit lasts.
    """
    won_at = set(standing(events, events[0][0], target)) if events else set()
    own = sorted(
        (time, kind)
        for _, time, _, kind in events
        if kind not in target.outcome_types or time in won_at
    )
    stage = ("created", created)
    for time, kind in own:
        if time < created and kind in states.stages[1:] and kind != stage[0]:
            stage = (kind, time)
    at_birth = [kind for time, kind in own if time == created]
    if stage[0] == "created":
        reached = [name for name in states.stages[1:] if name in at_birth]
        stage = (reached[0], created) if reached else stage
    visits, spells = [[*stage, None, None]], [[created, None, None]]
    for time in sorted({time for time, _ in own if time >= created}):
        kinds = [kind for at, kind in own if at == time]
        take_instant(time, kinds, states, visits, spells)
    return visits, spells


def take_instant(time, kinds, states, visits, spells):
    """Add what happens to one lead at one instant."""
    is_open = spells[-1][1] is None
    back = [kind for kind in kinds if kind in states.reopens]
    ends = [name for name in ("won", *states.losses) if name in name_ends(kinds, states)]
    moves = [name for name in states.stages[1:] if name in kinds]
    if back and not is_open:
        reopen(time, back, states, visits, spells)
        ends, back = [], []
        is_open = True
    if is_open:
        for name in moves:
            if name != visits[-1][0]:
                visits[-1][2:] = [time, name]
                visits.append([name, time, None, None])
        if ends:
            visits[-1][2:] = [time, ends[0]]
            spells[-1][1:] = [time, ends[0]]
            if back:
                reopen(time, back, states, visits, spells)


def name_ends(kinds, states):
    return {"won" if kind in states.wins else kind for kind in kinds}


def reopen(time, back, states, visits, spells):
    """Begin a spell, in the latest stage among the reopening events or in the last one."""
    stages = [name for name in states.stages if name in back]
    visits.append([stages[-1] if stages else visits[-1][0], time, None, None])
    spells.append([time, None, None])
