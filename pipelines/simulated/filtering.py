"""The compiled forward filter behind the oracle: one account after another, over the joint hidden state of its leads.

Time is in business days, instants to compare are microseconds since 1970. Source of the method: Fischer and
Meier-Hellstern, "The Markov-modulated Poisson process (MMPP) cookbook", Performance Evaluation 18 (1993); transients by
uniformization, Jensen, "Markoff chains as an aid in the study of Markoff processes" (1953).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from pipelines.simulated.company import INTENTS

_inner = njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)  # type: ignore[call-overload]  # the stubs lack them
"""Called by compiled code only: without doors to Python it compiles sooner."""
TOLERANCE = 1e-13
X = len(INTENTS)
"""A constant of four, so that the compiler turns finding a lead's intent in the index of a state into a shift."""
CHUNK = 8.0
"""Expected jumps of one uniformization: long silences are cut in chunks, so that no weight underflows."""


class Rates(NamedTuple):
    """A law's rates, and sums of them: ``x_out`` (Z, X), ``seen`` (all rows or not late, regime, phase, X).

    ``change`` is the business time from which mark rates are those after the change.
    """

    z_rate: np.ndarray
    x_rate: np.ndarray
    x_out: np.ndarray
    mark_rate: np.ndarray
    seen: np.ndarray
    exit_rate: np.ndarray
    entry: np.ndarray
    change: float


class History(NamedTuple):
    """Leads ordered by (account, arrival), events by (account, time); us are microseconds, tau business days."""

    lead_us: np.ndarray
    lead_tau: np.ndarray
    fit: np.ndarray
    entry: np.ndarray
    event_us: np.ndarray
    event_tau: np.ndarray
    event_known: np.ndarray
    event_lead: np.ndarray
    event_kind: np.ndarray


class Asked(NamedTuple):
    """Spine rows ordered by (account, cutoff): ``since`` is LATE before the cutoff, ``ahead`` the horizon's length."""

    lead: np.ndarray
    us: np.ndarray
    tau: np.ndarray
    since_us: np.ndarray
    since_tau: np.ndarray
    ahead: np.ndarray


class Belief(NamedTuple):
    """What is believed of one account.

    ``chance`` of each joint state: index ``z + 2 * (x of slot 0 + 4 * (x of slot 1 + …))``. ``slots`` holds the
    account's leads (0, 1, …) that are neither to come nor done; ``phase`` of each lead is -1 to come, 0 lead,
    1 opportunity, 2 done. ``cursor`` is (number of slots, next lead, next event). ``now`` is (business time,).
    """

    chance: np.ndarray
    slots: np.ndarray
    phase: np.ndarray
    cursor: np.ndarray
    now: np.ndarray


@njit(cache=True, error_model="numpy")
def answer(
    law: Rates, history: History, asked: Asked, bounds: np.ndarray, onward: int
) -> np.ndarray:
    """Filter account after account; ``bounds`` (3, accounts) is where its leads, events and questions end."""
    found = np.empty(len(asked.lead))
    lead, event, row = 0, 0, 0
    for group in range(bounds.shape[1]):
        ends = (lead, bounds[0, group], bounds[1, group])
        last_row = bounds[2, group]
        belief, recent = _fresh(law, ends, event), _fresh(law, ends, event)
        while row < last_row:
            cutoff = asked.us[row]
            _advance(
                law, history, belief, ends, asked.since_us[row], asked.since_tau[row], cutoff, 0
            )
            _copy(belief, recent)
            _advance(law, history, recent, ends, cutoff, asked.tau[row], cutoff, 1)
            while row < last_row and asked.us[row] == cutoff:
                i = asked.lead[row]
                ahead = _ahead(law, history.fit[i], asked.ahead[row], onward)
                found[row] = _expected(recent, i - lead, ahead)
                row += 1
        lead, event = bounds[0, group], bounds[1, group]
    return found


@_inner
def _size(slots: int) -> int:
    """Return the number of joint states with so many leads."""
    return 2 << (2 * slots)


@_inner
def _intent(state: int, slot: int) -> int:
    """Return the intent that a joint state gives to the lead in ``slot``: two bits of its index."""
    return (state >> (1 + 2 * slot)) % X


@_inner
def _fresh(law: Rates, ends: tuple[int, int, int], event: int) -> Belief:
    """Return what is believed before the first lead: the account's stationary law."""
    leads = ends[1] - ends[0]
    chance, phase = np.zeros(_size(leads)), np.empty(leads, np.int64)
    chance[0] = law.z_rate[1] / (law.z_rate[0] + law.z_rate[1])
    chance[1] = 1 - chance[0]
    for lead in range(leads):
        phase[lead] = -1
    cursor = np.zeros(3, np.int64)
    cursor[1], cursor[2] = ends[0], event
    return Belief(chance, np.zeros(leads, np.int64), phase, cursor, np.zeros(1))


@_inner
def _copy(source: Belief, destination: Belief) -> None:
    for i in range(len(source.chance)):
        destination.chance[i] = source.chance[i]
    for i in range(len(source.slots)):
        destination.slots[i] = source.slots[i]
        destination.phase[i] = source.phase[i]
    for i in range(3):
        destination.cursor[i] = source.cursor[i]
    destination.now[0] = source.now[0]


@_inner
def _advance(
    law: Rates,
    history: History,
    belief: Belief,
    ends: tuple[int, int, int],
    stop_us: int,
    stop_tau: float,
    cutoff: int,
    recent: int,
) -> None:
    """Take in all arrivals and events before ``stop_us`` that are known before ``cutoff``; then let time run to it."""
    first = ends[0]
    while True:
        lead, event = belief.cursor[1], belief.cursor[2]
        arrival = history.lead_us[lead] if lead < ends[1] else stop_us
        happened = history.event_us[event] if event < ends[2] else stop_us
        if arrival >= stop_us and happened >= stop_us:
            break
        if arrival <= happened:
            _pass(law, history, belief, first, history.lead_tau[lead], recent)
            _arrive(law, belief, lead - first, history.entry[lead])
            belief.cursor[1] += 1
            continue
        if history.event_known[event] < cutoff:
            _pass(law, history, belief, first, history.event_tau[event], recent)
            regime = 1 if history.event_tau[event] >= law.change else 0
            _observe(
                law, belief, history.event_lead[event] - first, history.event_kind[event], regime
            )
        belief.cursor[2] += 1
    _pass(law, history, belief, first, stop_tau, recent)


@_inner
def _pass(
    law: Rates, history: History, belief: Belief, first: int, until: float, recent: int
) -> None:
    """Let time run to ``until`` while nothing is seen, the rates changing on the way where they do."""
    while belief.now[0] < until:
        now = belief.now[0]
        stop = law.change if now < law.change < until else until
        _wait(law, history.fit, belief, first, stop - now, 1 if now >= law.change else 0, recent)
        belief.now[0] = stop


@_inner
def _arrive(law: Rates, belief: Belief, lead: int, entry: int) -> None:
    """Give a new lead the next slot: its intent is independent of all else."""
    slots, size = belief.cursor[0], _size(belief.cursor[0])
    for x in range(X - 1, -1, -1):
        for i in range(size):
            belief.chance[x * size + i] = belief.chance[i] * law.entry[entry, x]
    belief.slots[slots] = lead
    belief.phase[lead] = 0
    belief.cursor[0] += 1


@_inner
def _slot(belief: Belief, lead: int) -> int:
    """Return the slot of a lead, or -1 if it is to come or done."""
    for slot in range(belief.cursor[0]):
        if belief.slots[slot] == lead:
            return slot
    return -1


@_inner
def _observe(law: Rates, belief: Belief, lead: int, kind: int, regime: int) -> None:
    """Multiply by the event's rate (Bayes); a lead's fit is the same in all states and cancels."""
    marks, phase, slot = law.mark_rate.shape[3], belief.phase[lead], _slot(belief, lead)
    way = kind - marks - 2 * phase
    possible = slot >= 0 and (kind < marks or 0 <= way < 2)
    size, total = _size(belief.cursor[0]), 0.0
    for i in range(size):
        z, x = i % 2, _intent(i, max(slot, 0))
        if possible:
            rate = (
                law.mark_rate[regime, phase, x, kind]
                if kind < marks
                else law.exit_rate[phase, way, z, x]
            )
            belief.chance[i] *= rate
            total += belief.chance[i]
    for i in range(size):
        belief.chance[i] = belief.chance[i] / total if total > 0 else np.nan
    if possible and kind >= marks:
        belief.phase[lead] = 1 if phase == 0 and way == 0 else 2
        if belief.phase[lead] == 2:
            _leave(belief, slot)


@_inner
def _leave(belief: Belief, slot: int) -> None:
    """Sum a done lead out: it does nothing any more, so its intent no longer matters."""
    stride, slots = _size(slot), belief.cursor[0]
    for high in range(X ** (slots - slot - 1)):
        for low in range(stride):
            total = 0.0
            for x in range(X):
                total += belief.chance[(high * X + x) * stride + low]
            belief.chance[high * stride + low] = total
    for i in range(slot, slots - 1):
        belief.slots[i] = belief.slots[i + 1]
    belief.cursor[0] -= 1


@_inner
def _wait(
    law: Rates, fits: np.ndarray, belief: Belief, first: int, days: float, regime: int, recent: int
) -> None:
    """Move the chances over ``days`` in which nothing observable happened, and scale them to 1."""
    slots, size = belief.cursor[0], _size(belief.cursor[0])
    seen, leaving = np.zeros(size), np.empty(size)
    least = np.inf
    for i in range(size):
        z = i % 2
        leaving[i] = law.z_rate[z]
        for slot in range(slots):
            x, lead = _intent(i, slot), belief.slots[slot]
            phase = belief.phase[lead]
            leaving[i] += law.x_out[z, x]
            seen[i] += law.seen[recent, regime, phase, x] + law.exit_rate[phase, 1, z, x]
            seen[i] += law.exit_rate[phase, 0, z, x] * fits[first + lead]
        least = min(least, seen[i])
    for i in range(size):
        leaving[i] += seen[i] - least
    _uniformize(law, belief.chance, slots, leaving, days)


@_inner
def _uniformize(
    law: Rates, chance: np.ndarray, slots: int, leaving: np.ndarray, days: float
) -> None:
    """Multiply ``chance`` by exp(A days), where A has ``-leaving`` on its diagonal, and scale to 1, in place."""
    size, top = len(leaving), leaving.max()
    chunks = int(np.ceil(top * days / CHUNK))
    jumps = top * days / max(chunks, 1)
    term, moved = np.empty(size), np.empty(size)
    for _ in range(chunks):
        weight, share, k = np.exp(-jumps), 1.0, 0
        total = weight
        for i in range(size):
            term[i] = chance[i]
            chance[i] *= weight
        while k < jumps or weight * share > TOLERANCE * total:
            k += 1
            weight *= jumps / k
            share = _step(law, term, moved, slots, leaving, top)
            total += weight * share
            term, moved = moved, term
            for i in range(size):
                chance[i] += weight * term[i]
        for i in range(size):
            chance[i] /= total


@_inner
def _step(
    law: Rates, term: np.ndarray, moved: np.ndarray, slots: int, leaving: np.ndarray, top: float
) -> float:
    """Write to ``moved`` the chances after one jump of the uniformized chain; return their sum."""
    share, rate = 0.0, 1 / top
    for i in range(len(term)):
        z = i % 2
        flow = term[i ^ 1] * law.z_rate[1 - z] - term[i] * leaving[i]
        for slot in range(slots):
            x, stride = _intent(i, slot), 2 << (2 * slot)
            start = i - x * stride
            for y in range(X):
                flow += term[start + y * stride] * law.x_rate[z, y, x]
        moved[i] = term[i] + flow * rate
        share += moved[i]
    return share


@_inner
def _ahead(law: Rates, fit: float, days: float, onward: int) -> np.ndarray:
    """Return the chance (phase, Z, X) that the outcome happens within ``days``: ``onward`` 0 opportunity, 1 won."""
    shape = (2, 2, X)
    value, total, before = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    top = law.z_rate.max() + law.x_out.max() + law.exit_rate.max() * (1 + fit)
    chunks = int(np.ceil(top * days / CHUNK))
    jumps = top * days / max(chunks, 1)
    for _ in range(chunks):
        weight, k = np.exp(-jumps), 0
        _add(total, 0.0, value, weight)
        while k < jumps or weight > TOLERANCE:
            k += 1
            weight *= jumps / k
            _back(law, fit, value, before, onward, top)
            value, before = before, value
            _add(total, 1.0, value, weight)
        _add(value, 0.0, total, 1.0)
    return value


@_inner
def _add(total: np.ndarray, keep: float, value: np.ndarray, weight: float) -> None:
    """Set ``total`` to ``keep * total + weight * value``."""
    for phase in range(value.shape[0]):
        for z in range(value.shape[1]):
            for x in range(value.shape[2]):
                total[phase, z, x] = keep * total[phase, z, x] + weight * value[phase, z, x]


@_inner
def _back(
    law: Rates, fit: float, value: np.ndarray, before: np.ndarray, onward: int, top: float
) -> None:
    """Write to ``before`` the values one jump of the chain earlier; reaching the outcome is worth 1, giving up 0."""
    for phase in range(onward + 1):
        for z in range(value.shape[1]):
            for x in range(value.shape[2]):
                here = value[phase, z, x]
                worth = 1.0 if phase == onward else value[phase + 1, z, x]
                gain = (
                    law.exit_rate[phase, 0, z, x] * fit * (worth - here)
                    - law.exit_rate[phase, 1, z, x] * here
                )
                gain += law.z_rate[z] * (value[phase, 1 - z, x] - here)
                for y in range(value.shape[2]):
                    gain += law.x_rate[z, x, y] * (value[phase, z, y] - here)
                before[phase, z, x] = here + gain / top


@_inner
def _expected(belief: Belief, lead: int, ahead: np.ndarray) -> float:
    """Return the mean of ``ahead`` under what is believed of one lead and its account; 0 for a lead that is done."""
    slot = _slot(belief, lead)
    if slot < 0:
        return 0.0
    mean = 0.0
    for i in range(_size(belief.cursor[0])):
        mean += belief.chance[i] * ahead[belief.phase[lead], i % 2, _intent(i, slot)]
    return mean
