"""The marks and outcomes of simulated leads, given the path of each account."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from features.tools.instants import to_microseconds
from pipelines.simulated.committees import Boosts, build_no_boosts
from pipelines.simulated.company import CHANGE_AT, END, BusinessClock, CompanyLaw

# These functions are called by compiled code only: without wrappers for Python they compile faster.
# The stubs of numba 0.68 lack the two options.
_njit_inner = njit(no_cpython_wrapper=True, no_cfunc_wrapper=True)  # type: ignore[call-overload]


class MarkLog(NamedTuple):
    """The marks and outcomes of a block's leads, one element each.

    Attributes:
        lead: Row of the lead.
        tau: Time in business days.
        kind: Mark, or outcome after the marks.
        late: Whether the row is late.
    """

    lead: np.ndarray
    tau: np.ndarray
    kind: np.ndarray
    late: np.ndarray


def simulate_marks(
    rng: np.random.Generator,
    law: CompanyLaw,
    clock: BusinessClock,
    account: np.ndarray,
    arrival: np.ndarray,
    fits: np.ndarray,
    entry: np.ndarray,
    boosts: Boosts | None = None,
) -> MarkLog:
    """Simulate the marks and outcomes of leads from arrival (business days) to END.

    ``account`` numbers the accounts 0, 1, … in the order of the leads; ``boosts`` are factors of
    their rates of wins.
    """
    boosts = boosts or build_no_boosts(int(account.max(initial=-1)) + 1)
    change, end = clock.to_business_days(
        np.array([to_microseconds(CHANGE_AT), to_microseconds(END)])
    )
    return MarkLog(
        *_simulate_accounts(rng, law, account, arrival, fits, entry, (change, end), boosts)
    )


@njit(cache=True)
def _simulate_accounts(
    rng: np.random.Generator,
    law: CompanyLaw,
    account: np.ndarray,
    arrival: np.ndarray,
    fits: np.ndarray,
    entry: np.ndarray,
    span: tuple[float, float],
    boosts: Boosts,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Simulate each account's own path, then its leads given that path.

    The simulation is exact: Gillespie, "Exact stochastic simulation of coupled chemical reactions"
    (1977).
    """
    # numba infers the type of a list from an element, so each begins with one that is cut off.
    log = ([0], [0.0], [0])
    row = 0
    while row < len(account):
        last = row
        while last < len(account) and account[last] == account[row]:
            last += 1
        path = _account_path(rng, law, arrival[row:last].min(), span[1])
        steps = slice(boosts.first[account[row]], boosts.first[account[row] + 1])
        boost = (boosts.tau[steps], boosts.factor[steps])
        for lead in range(row, last):
            start = (lead, arrival[lead], fits[lead], entry[lead])
            _simulate_lead(rng, law, path, boost, start, span, log)
        row = last
    kind = np.array(log[2])[1:]
    late = np.zeros(len(kind), np.bool_)
    for i in range(len(kind)):
        late[i] = kind[i] < len(law.late) and rng.random() < law.late[kind[i]]
    return np.array(log[0])[1:], np.array(log[1])[1:], kind, late


@_njit_inner
def _account_path(
    rng: np.random.Generator, law: CompanyLaw, start: float, end: float
) -> tuple[np.ndarray, int]:
    """Return the times at which the account's state flips until ``end``, and its first state.

    The first state is drawn from the stationary distribution.
    """
    first = 1 if rng.random() < law.z_rate[0] / law.z_rate.sum() else 0
    z, time = first, start
    switches = [start]
    while time < end:
        time += rng.exponential(1 / law.z_rate[z])
        switches.append(time)
        z = 1 - z
    return np.array(switches)[1:], first


@_njit_inner
def _draw_index(rng: np.random.Generator, rates: np.ndarray) -> int:
    """Draw an index with probability in proportion to ``rates``."""
    left = rng.random() * rates.sum()
    for i in range(len(rates)):
        left -= rates[i]
        if left < 0:
            return i
    # Rounding may leave a rest. A rate of zero must not be drawn then; the largest is none.
    return int(np.argmax(rates))


@_njit_inner
def _simulate_lead(
    rng: np.random.Generator,
    law: CompanyLaw,
    path: tuple[np.ndarray, int],
    boost: tuple[np.ndarray, np.ndarray],
    lead: tuple[int, float, float, int],
    span: tuple[float, float],
    log: tuple[list[int], list[float], list[int]],
) -> None:
    """Simulate one lead (row, arrival, fit, entry) until it is done or ``span`` ends.

    Its marks and outcomes are appended to ``log`` (row, time, kind). ``boost`` holds steps (time,
    factor) of the rate of wins.
    """
    (switches, z), (row, time, fit, entry), (change, end) = path, lead, span
    intents, marks = law.x_rate.shape[1], law.mark_rate.shape[3]
    rates = np.empty(intents + marks + 2)
    x, phase, flip, step, factor = _draw_index(rng, law.entry[entry]), 0, 0, 0, 1.0
    while phase < 2 and time < end:
        while switches[flip] <= time:
            flip, z = flip + 1, 1 - z
        while step < len(boost[0]) and boost[0][step] <= time:
            step, factor = step + 1, boost[1][step]
        regime = 1 if time >= change else 0
        bound = min(switches[flip], end if regime == 1 else change)
        if step < len(boost[0]):
            bound = min(bound, boost[0][step])
        rates[:intents] = law.x_rate[z, x]
        rates[intents : intents + marks] = law.mark_rate[regime, phase, x]
        rates[intents + marks] = law.exit_rate[phase, 0, z, x] * fit * factor**phase
        rates[intents + marks + 1] = law.exit_rate[phase, 1, z, x]
        # Rates are constant up to the bound; past it the waiting time is drawn again, which is
        # exact because exponential waiting times are memoryless.
        time += rng.exponential(1 / rates.sum())
        if time >= bound:
            time = bound
            continue
        move = _draw_index(rng, rates)
        if move < intents:
            x = move
            continue
        kind = move - intents
        if kind >= marks:
            way = kind - marks
            kind += 2 * phase
            phase = 1 if phase == 0 and way == 0 else 2
        log[0].append(row)
        log[1].append(time)
        log[2].append(kind)
