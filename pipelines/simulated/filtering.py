"""The compiled forward filter of the oracle, over the joint hidden state of each account's leads.

Time (tau) is in business days; instants that are compared are microseconds since 1970 (UTC). Source
of the method: Fischer and Meier-Hellstern, "The Markov-modulated Poisson process (MMPP) cookbook",
Performance Evaluation 18 (1993). Transients are computed by uniformization: Jensen, "Markoff chains
as an aid in the study of Markoff processes" (1953).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from pipelines.simulated.company import INTENTS

# These functions are called by compiled code only: without wrappers for Python they compile faster.
# The stubs of numba 0.68 lack the two options.
_njit_inner = njit(  # type: ignore[call-overload]
    error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True
)
# Relative weight at which the series of a uniformization is cut off, near the double's precision.
TOLERANCE = 1e-13
# A constant of four, so that the compiler decodes a lead's intent from a state's index by a shift.
INTENT_COUNT = len(INTENTS)
# Expected jumps of one uniformization: long silences are cut into chunks, so that the Poisson
# weight exp(-jumps) does not underflow.
MAX_JUMPS = 8.0


class Rates(NamedTuple):
    """The rates of a ``Law`` and sums of them; the axes are those of ``Law``.

    Attributes:
        z_rate: (Z,) as in ``Law``.
        x_rate: (Z, X, X) as in ``Law``.
        x_out: (Z, X) total rate of leaving an intent.
        mark_rate: (regime, phase, X, mark) as in ``Law``.
        seen: (recent, regime, phase, X) total rate of observable marks: recent 0 counts all rows,
            recent 1 only those that are not late.
        exit_rate: (phase, way, Z, X) as in ``Law``.
        entry: (row, X) as in ``Law``.
        change: Business time of CHANGE, from which regime 1 applies.
    """

    z_rate: np.ndarray
    x_rate: np.ndarray
    x_out: np.ndarray
    mark_rate: np.ndarray
    seen: np.ndarray
    exit_rate: np.ndarray
    entry: np.ndarray
    change: float


class AccountHistory(NamedTuple):
    """Leads ordered by (account, arrival) and events ordered by (account, time).

    Attributes:
        lead_us: Arrival of each lead in microseconds since 1970 (UTC).
        lead_tau: Arrival of each lead in business days.
        fit: Multiplier of each lead's onward rates.
        entry: Row of ``Law.entry`` of each lead.
        event_us: Time of each event in microseconds since 1970 (UTC).
        event_tau: Time of each event in business days.
        event_known: Instant at which each event became available, in microseconds since 1970.
        event_lead: Row of each event's lead.
        event_kind: Mark, or outcome after the marks, of each event.
    """

    lead_us: np.ndarray
    lead_tau: np.ndarray
    fit: np.ndarray
    entry: np.ndarray
    event_us: np.ndarray
    event_tau: np.ndarray
    event_known: np.ndarray
    event_lead: np.ndarray
    event_kind: np.ndarray


class Queries(NamedTuple):
    """Spine rows ordered by (account, cutoff).

    Attributes:
        lead: Row of each query's lead.
        cutoff_us: Cutoff in microseconds since 1970 (UTC).
        cutoff_tau: Cutoff in business days.
        settled_us: Instant LATE before the cutoff, before which late rows are available too.
        settled_tau: The same instant in business days.
        horizon_tau: Length of the horizon in business days.
    """

    lead: np.ndarray
    cutoff_us: np.ndarray
    cutoff_tau: np.ndarray
    settled_us: np.ndarray
    settled_tau: np.ndarray
    horizon_tau: np.ndarray


class Belief(NamedTuple):
    """The belief state of one account: the distribution of its joint hidden state.

    Attributes:
        chance: Probability of each joint state, at index
            ``z + 2 * (x of slot 0 + 4 * (x of slot 1 + …))``.
        slots: Active leads of the account (0, 1, …): arrived and not done.
        phase: Phase of each lead: -1 to come, 0 lead, 1 opportunity, 2 done.
        cursor: (number of slots, next lead, next event).
        time: (business time,).
    """

    chance: np.ndarray
    slots: np.ndarray
    phase: np.ndarray
    cursor: np.ndarray
    time: np.ndarray


@njit(cache=True, error_model="numpy")
def filter_accounts(
    law: Rates, history: AccountHistory, queries: Queries, bounds: np.ndarray, onward: int
) -> np.ndarray:
    """Return the probability of the outcome of each query.

    ``bounds`` (3, accounts) holds the end of each account's leads, events and queries. ``onward``
    is 0 for the outcome opportunity, 1 for won.
    """
    probability = np.empty(len(queries.lead))
    lead, event, row = 0, 0, 0
    for group in range(bounds.shape[1]):
        ends = (lead, bounds[0, group], bounds[1, group])
        last_row = bounds[2, group]
        # Two beliefs: the first advances only to where late rows are complete, and the second goes
        # on from there to the cutoff, where only rows that are not late are available.
        belief, recent = _start_belief(law, ends, event), _start_belief(law, ends, event)
        while row < last_row:
            cutoff = queries.cutoff_us[row]
            _advance_belief(
                law,
                history,
                belief,
                ends,
                queries.settled_us[row],
                queries.settled_tau[row],
                cutoff,
                0,
            )
            _copy_belief(belief, recent)
            _advance_belief(law, history, recent, ends, cutoff, queries.cutoff_tau[row], cutoff, 1)
            while row < last_row and queries.cutoff_us[row] == cutoff:
                i = queries.lead[row]
                ahead = _predict_outcome(law, history.fit[i], queries.horizon_tau[row], onward)
                probability[row] = _average_belief(recent, i - lead, ahead)
                row += 1
        lead, event = bounds[0, group], bounds[1, group]
    return probability


@_njit_inner
def _count_states(slots: int) -> int:
    """Return the number of joint states of an account with this many active leads."""
    return 2 << (2 * slots)


@_njit_inner
def _decode_intent(state: int, slot: int) -> int:
    """Return the intent of the lead in ``slot``: two bits of the joint state's index."""
    return (state >> (1 + 2 * slot)) % INTENT_COUNT


@_njit_inner
def _start_belief(law: Rates, ends: tuple[int, int, int], event: int) -> Belief:
    """Return the belief before the first lead: the stationary distribution of the account."""
    leads = ends[1] - ends[0]
    chance, phase = np.zeros(_count_states(leads)), np.empty(leads, np.int64)
    chance[0] = law.z_rate[1] / (law.z_rate[0] + law.z_rate[1])
    chance[1] = 1 - chance[0]
    for lead in range(leads):
        phase[lead] = -1
    cursor = np.zeros(3, np.int64)
    cursor[1], cursor[2] = ends[0], event
    return Belief(chance, np.zeros(leads, np.int64), phase, cursor, np.zeros(1))


@_njit_inner
def _copy_belief(source: Belief, destination: Belief) -> None:
    for i in range(len(source.chance)):
        destination.chance[i] = source.chance[i]
    for i in range(len(source.slots)):
        destination.slots[i] = source.slots[i]
        destination.phase[i] = source.phase[i]
    for i in range(3):
        destination.cursor[i] = source.cursor[i]
    destination.time[0] = source.time[0]


@_njit_inner
def _advance_belief(
    law: Rates,
    history: AccountHistory,
    belief: Belief,
    ends: tuple[int, int, int],
    stop_us: int,
    stop_tau: float,
    cutoff: int,
    recent: int,
) -> None:
    """Process the arrivals and events before ``stop_us``, then let time pass up to it.

    Events that become available at or after ``cutoff`` are skipped.
    """
    first = ends[0]
    while True:
        lead, event = belief.cursor[1], belief.cursor[2]
        arrival = history.lead_us[lead] if lead < ends[1] else stop_us
        occurred = history.event_us[event] if event < ends[2] else stop_us
        if arrival >= stop_us and occurred >= stop_us:
            break
        # At a tie the arrival comes first: the event may be one of the lead that arrives.
        if arrival <= occurred:
            _pass_time(law, history, belief, first, history.lead_tau[lead], recent)
            _add_lead(law, belief, lead - first, history.entry[lead])
            belief.cursor[1] += 1
            continue
        # Strictly before the cutoff, as for features.
        if history.event_known[event] < cutoff:
            _pass_time(law, history, belief, first, history.event_tau[event], recent)
            regime = 1 if history.event_tau[event] >= law.change else 0
            _observe_event(
                law, belief, history.event_lead[event] - first, history.event_kind[event], regime
            )
        belief.cursor[2] += 1
    _pass_time(law, history, belief, first, stop_tau, recent)


@_njit_inner
def _pass_time(
    law: Rates, history: AccountHistory, belief: Belief, first: int, until: float, recent: int
) -> None:
    """Let time pass to ``until`` without an event, split at CHANGE where the rates change."""
    while belief.time[0] < until:
        now = belief.time[0]
        stop = law.change if now < law.change < until else until
        _propagate_silence(
            law, history.fit, belief, first, stop - now, 1 if now >= law.change else 0, recent
        )
        belief.time[0] = stop


@_njit_inner
def _add_lead(law: Rates, belief: Belief, lead: int, entry: int) -> None:
    """Add a new lead in the next slot: its intent is independent of all other states."""
    slots, size = belief.cursor[0], _count_states(belief.cursor[0])
    # From the last block down: block 0 holds the old belief, from which all others are computed.
    for x in range(INTENT_COUNT - 1, -1, -1):
        for i in range(size):
            belief.chance[x * size + i] = belief.chance[i] * law.entry[entry, x]
    belief.slots[slots] = lead
    belief.phase[lead] = 0
    belief.cursor[0] += 1


@_njit_inner
def _find_slot(belief: Belief, lead: int) -> int:
    """Return the slot of a lead, or -1 if it has not arrived or is done."""
    for slot in range(belief.cursor[0]):
        if belief.slots[slot] == lead:
            return slot
    return -1


@_njit_inner
def _observe_event(law: Rates, belief: Belief, lead: int, kind: int, regime: int) -> None:
    """Update the belief with an event by Bayes' rule.

    The lead's fit is the same factor in all states and cancels. An impossible event gives NaN.
    """
    marks, phase, slot = law.mark_rate.shape[3], belief.phase[lead], _find_slot(belief, lead)
    way = kind - marks - 2 * phase
    possible = slot >= 0 and (kind < marks or 0 <= way < 2)
    size, total = _count_states(belief.cursor[0]), 0.0
    for i in range(size):
        z, x = i % 2, _decode_intent(i, max(slot, 0))
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
            _remove_lead(belief, slot)


@_njit_inner
def _remove_lead(belief: Belief, slot: int) -> None:
    """Marginalise out a lead that is done: its intent affects no further event."""
    stride, slots = _count_states(slot), belief.cursor[0]
    # In place: a target never lies above a source that is still to be read.
    for high in range(INTENT_COUNT ** (slots - slot - 1)):
        for low in range(stride):
            total = 0.0
            for x in range(INTENT_COUNT):
                total += belief.chance[(high * INTENT_COUNT + x) * stride + low]
            belief.chance[high * stride + low] = total
    for i in range(slot, slots - 1):
        belief.slots[i] = belief.slots[i + 1]
    belief.cursor[0] -= 1


@_njit_inner
def _propagate_silence(
    law: Rates, fits: np.ndarray, belief: Belief, first: int, days: float, regime: int, recent: int
) -> None:
    """Propagate the belief over ``days`` without an observable event, and normalise it.

    The absence of events is evidence too: the rates of all observable events leave the generator.
    """
    slots, size = belief.cursor[0], _count_states(belief.cursor[0])
    seen, leaving = np.zeros(size), np.empty(size)
    # The smallest rate is taken off all states: a constant cancels when the belief is normalised,
    # and smaller rates need fewer jumps.
    least = np.inf
    for i in range(size):
        z = i % 2
        leaving[i] = law.z_rate[z]
        for slot in range(slots):
            x, lead = _decode_intent(i, slot), belief.slots[slot]
            phase = belief.phase[lead]
            leaving[i] += law.x_out[z, x]
            seen[i] += law.seen[recent, regime, phase, x] + law.exit_rate[phase, 1, z, x]
            seen[i] += law.exit_rate[phase, 0, z, x] * fits[first + lead]
        least = min(least, seen[i])
    for i in range(size):
        leaving[i] += seen[i] - least
    _apply_exponential(law, belief.chance, slots, leaving, days)


@_njit_inner
def _apply_exponential(
    law: Rates, chance: np.ndarray, slots: int, leaving: np.ndarray, days: float
) -> None:
    """Multiply ``chance`` by exp(A days) in place and normalise; A has ``-leaving`` as diagonal."""
    size, top = len(leaving), leaving.max()
    chunks = int(np.ceil(top * days / MAX_JUMPS))
    jumps = top * days / max(chunks, 1)
    term, moved = np.empty(size), np.empty(size)
    for _ in range(chunks):
        weight, share, k = np.exp(-jumps), 1.0, 0
        total = weight
        for i in range(size):
            term[i] = chance[i]
            chance[i] *= weight
        # The weights grow until k reaches the expected jumps, so a small first weight ends nothing.
        while k < jumps or weight * share > TOLERANCE * total:
            k += 1
            weight *= jumps / k
            share = _apply_jump(law, term, moved, slots, leaving, top)
            total += weight * share
            term, moved = moved, term
            for i in range(size):
                chance[i] += weight * term[i]
        for i in range(size):
            chance[i] /= total


@_njit_inner
def _apply_jump(
    law: Rates, term: np.ndarray, moved: np.ndarray, slots: int, leaving: np.ndarray, top: float
) -> float:
    """Write the probabilities after one jump of the chain to ``moved``; return their sum."""
    share, rate = 0.0, 1 / top
    for i in range(len(term)):
        z = i % 2
        flow = term[i ^ 1] * law.z_rate[1 - z] - term[i] * leaving[i]
        for slot in range(slots):
            x, stride = _decode_intent(i, slot), 2 << (2 * slot)
            start = i - x * stride
            for y in range(INTENT_COUNT):
                flow += term[start + y * stride] * law.x_rate[z, y, x]
        moved[i] = term[i] + flow * rate
        share += moved[i]
    return share


@_njit_inner
def _predict_outcome(law: Rates, fit: float, days: float, onward: int) -> np.ndarray:
    """Return the probability (phase, Z, X) of the outcome within ``days``.

    ``onward`` is 0 for the outcome opportunity, 1 for won.
    """
    shape = (2, 2, INTENT_COUNT)
    value, total, before = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    # Uniformization needs one rate that is at least that of leaving any state.
    top = law.z_rate.max() + law.x_out.max() + law.exit_rate.max() * (1 + fit)
    chunks = int(np.ceil(top * days / MAX_JUMPS))
    jumps = top * days / max(chunks, 1)
    for _ in range(chunks):
        weight, k = np.exp(-jumps), 0
        _add_scaled(total, 0.0, value, weight)
        while k < jumps or weight > TOLERANCE:
            k += 1
            weight *= jumps / k
            _step_back(law, fit, value, before, onward, top)
            value, before = before, value
            _add_scaled(total, 1.0, value, weight)
        _add_scaled(value, 0.0, total, 1.0)
    return value


@_njit_inner
def _add_scaled(total: np.ndarray, keep: float, value: np.ndarray, weight: float) -> None:
    """Set ``total`` to ``keep * total + weight * value``."""
    for phase in range(value.shape[0]):
        for z in range(value.shape[1]):
            for x in range(value.shape[2]):
                total[phase, z, x] = keep * total[phase, z, x] + weight * value[phase, z, x]


@_njit_inner
def _step_back(
    law: Rates, fit: float, value: np.ndarray, before: np.ndarray, onward: int, top: float
) -> None:
    """Write the values one jump earlier to ``before``: 1 at the outcome, 0 if given up."""
    for phase in range(onward + 1):
        for z in range(value.shape[1]):
            for x in range(value.shape[2]):
                current = value[phase, z, x]
                reward = 1.0 if phase == onward else value[phase + 1, z, x]
                gain = (
                    law.exit_rate[phase, 0, z, x] * fit * (reward - current)
                    - law.exit_rate[phase, 1, z, x] * current
                )
                gain += law.z_rate[z] * (value[phase, 1 - z, x] - current)
                for y in range(value.shape[2]):
                    gain += law.x_rate[z, x, y] * (value[phase, z, y] - current)
                before[phase, z, x] = current + gain / top


@_njit_inner
def _average_belief(belief: Belief, lead: int, ahead: np.ndarray) -> float:
    """Return the mean of ``ahead`` under the belief; 0 for a lead that is done."""
    slot = _find_slot(belief, lead)
    if slot < 0:
        return 0.0
    mean = 0.0
    for i in range(_count_states(belief.cursor[0])):
        mean += belief.chance[i] * ahead[belief.phase[lead], i % 2, _decode_intent(i, slot)]
    return mean
