"""The exact probability of the demo company's outcomes given everything known, by forward filtering.

An account's hidden state is its own (quiet or buying) and the intent of each of its leads that has come and is not done.
Between events the chance of each state moves by the generator with the rates of everything observable taken out of it
(what was not seen is evidence too); at an event it is multiplied by the event's rate. Because the account's state moves by
itself, what becomes of one lead depends on the account's state and its own intent alone: the other leads matter for what is
believed at the cutoff, and no longer after it.

In the last LATE days before a cutoff only rows that were not late can be known. So there the filter starts from what it
believed LATE days before the cutoff and takes each mark's rate times its share of rows that are not late.

Source of the method: Fischer and Meier-Hellstern, "The Markov-modulated Poisson process (MMPP) cookbook", Performance
Evaluation 18 (1993); transients by uniformization, Jensen, "Markoff chains as an aid in the study of Markoff processes"
(1953).
"""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from numba import njit

from configs.errors import DataError
from features.contracts import US_PER_DAY, Dataset, to_us
from pipelines import company
from pipelines.company import CHANGE, LATE, MARKS, OUTCOME_OF_TARGET, OUTCOMES, Clock, Law

LATE_US = LATE.days * US_PER_DAY
MAX_GROUP = 6
TOLERANCE = 1e-13
CHUNK = 8.0
"""Expected jumps of one uniformization: long silences are cut in chunks, so that no weight underflows."""


class _History(NamedTuple):
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


class _Asked(NamedTuple):
    """Spine rows ordered by (account, cutoff): ``since`` is LATE before the cutoff, ``ahead`` the horizon's length."""

    lead: np.ndarray
    us: np.ndarray
    tau: np.ndarray
    since_us: np.ndarray
    since_tau: np.ndarray
    ahead: np.ndarray


class _Belief(NamedTuple):
    """What is believed of one account.

    ``chance`` of each joint state: index ``z + 2 * (x of slot 0 + X * (x of slot 1 + …))``. ``slots`` holds the account's
    leads (0, 1, …) that are neither to come nor done; ``phase`` of each lead is -1 to come, 0 lead, 1 opportunity, 2 done.
    ``cursor`` is (number of slots, next lead, next event). ``now`` is (business time,).
    """

    chance: np.ndarray
    slots: np.ndarray
    phase: np.ndarray
    cursor: np.ndarray
    now: np.ndarray


def oracle(
    dataset: Dataset, spine: pa.Table, target: str, horizon: timedelta, law: Law | None = None
) -> np.ndarray:
    """Return the exact chance, for each row of ``spine``, of the outcome in ``[cutoff, cutoff + horizon)``.

    It is given all of the account (attributes, arrivals, events) with ``available_at < cutoff``. ``target`` is a key of
    ``OUTCOME_OF_TARGET``. Raises DataError for data or a target that are not the simulated company's.
    """
    if target not in OUTCOME_OF_TARGET:
        known = ", ".join(OUTCOME_OF_TARGET)
        raise DataError(
            "no such target in the simulated company", where=target, mend=f"ask for one of {known}"
        )
    law, clock = law or company.demo_law(), company.demo_clock()
    leads = _ordered_leads(dataset.leads)
    history, event_ends = _history(dataset.events, leads, clock)
    asked, order, asked_ends = _asked(spine, leads, clock, horizon)
    change = float(clock.business(np.array([to_us(CHANGE)]))[0])
    onward = OUTCOME_OF_TARGET[target] == "won"
    bounds = np.stack([np.cumsum(np.bincount(leads["group"])), event_ends, asked_ends])
    found = np.empty(len(order))
    found[order] = _answer(law, history, asked, bounds, change, onward)
    if np.isnan(found).any():
        raise DataError(
            "a history that the law holds to be impossible", found=f"{np.isnan(found).sum()} spine rows"
        )
    return found


def _us(column: pa.ChunkedArray) -> np.ndarray:
    return column.cast(pa.int64()).to_numpy()


def _ordered_leads(table: pa.Table) -> pd.DataFrame:
    """Return leads by (account, arrival), with ``group`` 0, 1, …: those without an account are alone."""
    ids, accounts = (table[name].to_pandas().astype(object) for name in ("entity_id", "account_id"))
    name = ("a" + accounts).where(accounts.notna(), "e" + ids)
    frame = pd.DataFrame(
        {
            "group": pd.factorize(name)[0],
            "id": ids,
            "us": _us(table["created_at"]),
            "fit": company.fit(table),
            "entry": company.entry_row(table),
        }
    )
    largest = int(frame["group"].value_counts().max())
    if largest > MAX_GROUP:
        raise DataError(
            "too many leads in one account", found=f"{largest}, at most {MAX_GROUP} can be filtered"
        )
    return frame.sort_values(["group", "us"], kind="stable", ignore_index=True)


def _place(ids: pa.ChunkedArray, leads: pd.DataFrame, what: str) -> np.ndarray:
    """Return the row in ``leads`` of each id; raise DataError for an id that is not there."""
    place = pd.Index(leads["id"]).get_indexer(ids.to_pandas().astype(object))
    if (place < 0).any():
        raise DataError(f"{what} of leads that are not in the leads table", found=f"{(place < 0).sum()} rows")
    return place


def _history(events: pa.Table, leads: pd.DataFrame, clock: Clock) -> tuple[_History, np.ndarray]:
    """Return the history and, for each account, where its events end."""
    names = [*((m.event_type, m.channel) for m in MARKS), *((name, None) for name in OUTCOMES)]
    kinds = pd.Index([f"{kind}|{channel or ''}" for kind, channel in names])
    types, channels = (events[name].to_pandas().astype(object) for name in ("event_type", "channel"))
    kind = kinds.get_indexer(types + "|" + channels.where(channels.notna(), ""))
    if (kind < 0).any():
        raise DataError(
            "events that the law does not know", found=f"{(kind < 0).sum()}, as {types[kind < 0].iloc[0]!r}"
        )
    lead = _place(events["entity_id"], leads, "events")
    group = leads["group"].to_numpy()
    us, known = _us(events["event_time"]), _us(events["available_at"])
    order = np.lexsort((us, group[lead]))
    arrays = (us[order], clock.business(us[order]), known[order], lead[order], kind[order])
    arrivals = leads["us"].to_numpy()
    history = _History(
        arrivals, clock.business(arrivals), leads["fit"].to_numpy(), leads["entry"].to_numpy(), *arrays
    )
    return history, np.cumsum(np.bincount(group[lead], minlength=group.max() + 1))


def _asked(
    spine: pa.Table, leads: pd.DataFrame, clock: Clock, horizon: timedelta
) -> tuple[_Asked, np.ndarray, np.ndarray]:
    """Return what is asked, the spine row of each question, and for each account where its questions end."""
    lead, us, group = (
        _place(spine["entity_id"], leads, "spine rows"),
        _us(spine["cutoff"]),
        leads["group"].to_numpy(),
    )
    unborn = int((leads["us"].to_numpy()[lead] >= us).sum())
    if unborn:
        raise DataError("spine rows whose lead is not yet known at the cutoff", found=f"{unborn} rows")
    order = np.lexsort((us, group[lead]))
    lead, us = lead[order], us[order]
    tau, ends = clock.business(us), clock.business(us + horizon // timedelta(microseconds=1))
    since = us - LATE_US
    since_tau = clock.business(np.maximum(since, to_us(company.START)))
    asked = _Asked(lead, us, tau, since, since_tau, ends - tau)
    return asked, order, np.cumsum(np.bincount(group[lead], minlength=group.max() + 1))


@njit(cache=True)
def _answer(law, history, asked, bounds, change, onward):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
    """Filter account after account; ``bounds`` (3, accounts) is where its leads, events and questions end."""
    found = np.empty(len(asked.lead))
    lead, event, row = 0, 0, 0
    for group in range(bounds.shape[1]):
        last_lead, last_event, last_row = bounds[:, group]
        belief = _fresh(law, last_lead - lead, lead, event)
        recent = _fresh(law, last_lead - lead, lead, event)
        ends = (lead, last_lead, last_event)
        while row < last_row:
            cutoff = asked.us[row]
            _advance(
                law, history, belief, ends, asked.since_us[row], asked.since_tau[row], cutoff, change, False
            )
            _copy(belief, recent)
            _advance(law, history, recent, ends, cutoff, asked.tau[row], cutoff, change, True)
            while row < last_row and asked.us[row] == cutoff:
                i = asked.lead[row]
                ahead = _ahead(law, history.fit[i], asked.ahead[row], onward)
                found[row] = _expected(recent, i - lead, ahead)
                row += 1
        lead, event = last_lead, last_event
    return found


@njit(cache=True)
def _fresh(law, leads, first_lead, first_event):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
    """Return what is believed before the first lead: the account's stationary law."""
    chance = np.zeros(2 * law.x_rate.shape[1] ** leads)
    chance[0] = law.z_rate[1] / law.z_rate.sum()
    chance[1] = 1 - chance[0]
    cursor = np.array([0, first_lead, first_event])
    return _Belief(chance, np.zeros(leads, np.int64), np.full(leads, -1), cursor, np.zeros(1))


@njit(cache=True)
def _copy(source, destination):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
    destination.chance[:] = source.chance
    destination.slots[:] = source.slots
    destination.phase[:] = source.phase
    destination.cursor[:] = source.cursor
    destination.now[:] = source.now


@njit(cache=True)
def _advance(law, history, belief, ends, stop_us, stop_tau, cutoff, change, recent):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
    """Take in all arrivals and events before ``stop_us`` that are known before ``cutoff``; then let time run to it."""
    first, last_lead, last_event = ends
    while True:
        _, lead, event = belief.cursor
        arrival = history.lead_us[lead] if lead < last_lead else stop_us
        happened = history.event_us[event] if event < last_event else stop_us
        if min(arrival, happened) >= stop_us:
            break
        if arrival <= happened:
            _pass(law, history, belief, first, history.lead_tau[lead], change, recent)
            _arrive(law, belief, lead - first, history.entry[lead])
            belief.cursor[1] += 1
            continue
        if history.event_known[event] < cutoff:
            _pass(law, history, belief, first, history.event_tau[event], change, recent)
            regime = 1 if history.event_tau[event] >= change else 0
            _observe(law, belief, history.event_lead[event] - first, history.event_kind[event], regime)
        belief.cursor[2] += 1
    _pass(law, history, belief, first, stop_tau, change, recent)


@njit(cache=True)
def _pass(law, history, belief, first, until, change, recent):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
    """Let time run to ``until`` while nothing is seen, the rates changing on the way where they do."""
    now = belief.now[0]
    if now < change < until:
        _wait(law, history, belief, first, change - now, 0, recent)
        now = change
    if until > now:
        _wait(law, history, belief, first, until - now, 1 if now >= change else 0, recent)
        belief.now[0] = until


@njit(cache=True)
def _arrive(law, belief, lead, entry):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
    """Give a new lead the next slot: its intent is independent of all else."""
    intents, slots = law.x_rate.shape[1], belief.cursor[0]
    size = 2 * intents**slots
    for x in range(intents - 1, -1, -1):
        for i in range(size):
            belief.chance[x * size + i] = belief.chance[i] * law.entry[entry, x]
    belief.slots[slots] = lead
    belief.phase[lead] = 0
    belief.cursor[0] += 1


@njit(cache=True)
def _slot(belief, lead):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
    """Return the slot of a lead, or -1 if it is to come or done."""
    for slot in range(belief.cursor[0]):
        if belief.slots[slot] == lead:
            return slot
    return -1


@njit(cache=True)
def _observe(law, belief, lead, kind, regime):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
    """Multiply by the event's rate (Bayes); a lead's fit is the same in all states and cancels."""
    intents, marks, slot = law.x_rate.shape[1], law.mark_rate.shape[3], _slot(belief, lead)
    way = kind - marks - 2 * belief.phase[lead]
    if slot < 0 or (kind >= marks and not 0 <= way < 2):
        belief.chance[:] = np.nan
        return
    phase, stride, size = belief.phase[lead], 2 * intents**slot, 2 * intents ** belief.cursor[0]
    total = 0.0
    for i in range(size):
        z, x = i % 2, i // stride % intents
        belief.chance[i] *= (
            law.mark_rate[regime, phase, x, kind] if kind < marks else law.exit_rate[phase, way, z, x]
        )
        total += belief.chance[i]
    belief.chance[:size] /= total if total > 0 else np.nan
    if kind >= marks:
        belief.phase[lead] = 1 if phase == 0 and way == 0 else 2
    if belief.phase[lead] == 2:
        _leave(intents, belief, slot)


@njit(cache=True)
def _leave(intents, belief, slot):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
    """Sum a done lead out: it does nothing any more, so its intent no longer matters."""
    stride, slots = 2 * intents**slot, belief.cursor[0]
    for high in range(intents ** (slots - slot - 1)):
        for low in range(stride):
            total = 0.0
            for x in range(intents):
                total += belief.chance[(high * intents + x) * stride + low]
            belief.chance[high * stride + low] = total
    belief.slots[slot : slots - 1] = belief.slots[slot + 1 : slots].copy()
    belief.cursor[0] -= 1


@njit(cache=True)
def _wait(law, history, belief, first, days, regime, recent):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
    """Move the chances over ``days`` in which nothing observable happened, and scale them to 1."""
    intents, slots = law.x_rate.shape[1], belief.cursor[0]
    size = 2 * intents**slots
    seen = np.zeros(size)
    moving = np.empty(size)
    for i in range(size):
        moving[i] = law.z_rate[i % 2]
    for slot in range(slots):
        lead, stride = belief.slots[slot], 2 * intents**slot
        visible = _visible(law, belief.phase[lead], history.fit[first + lead], regime, recent)
        for i in range(size):
            z, x = i % 2, i // stride % intents
            seen[i] += visible[z, x]
            moving[i] += law.x_rate[z, x].sum()
    leaving = moving + (seen - seen.min())
    _uniformize(law, belief.chance[:size], slots, leaving, days)


@njit(cache=True)
def _visible(law, phase, fit, regime, recent):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
    """Return the total rate (Z, X) of what would have been seen of one lead."""
    rate = law.exit_rate[phase, 0] * fit + law.exit_rate[phase, 1]
    for x in range(rate.shape[1]):
        for mark in range(law.late.shape[0]):
            known = 1 - law.late[mark] if recent else 1.0
            rate[:, x] += law.mark_rate[regime, phase, x, mark] * known
    return rate


@njit(cache=True)
def _uniformize(law, chance, slots, leaving, days):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
    """Multiply ``chance`` by exp(A days), where A has ``-leaving`` on its diagonal, and scale to 1, in place."""
    top = leaving.max()
    chunks = int(np.ceil(top * days / CHUNK))
    jumps = top * days / max(chunks, 1)
    stay = 1 - leaving / top
    for _ in range(chunks):
        term = chance.copy()
        weight = np.exp(-jumps)
        chance *= weight
        total, k, share = weight, 0, 1.0
        while k < jumps or weight * share > TOLERANCE * total:
            k += 1
            term = _step(law, term, slots, stay, top)
            weight *= jumps / k
            share = term.sum()
            total += weight * share
            chance += weight * term
        chance /= total


@njit(cache=True)
def _step(law, term, slots, stay, top):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
    """Return the chances after one jump of the uniformized chain."""
    intents = law.x_rate.shape[1]
    moved = np.empty_like(term)
    for i in range(len(term)):
        z = i % 2
        flow = term[i ^ 1] * law.z_rate[1 - z]
        stride = 2
        for _ in range(slots):
            x = i // stride % intents
            start = i - x * stride
            for y in range(intents):
                flow += term[start + y * stride] * law.x_rate[z, y, x]
            stride *= intents
        moved[i] = term[i] * stay[i] + flow / top
    return moved


@njit(cache=True)
def _ahead(law, fit, days, onward):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
    """Return the chance (phase, Z, X) that the outcome happens within ``days``: opportunity, or ``onward`` to won."""
    goal, intents = (1 if onward else 0), law.x_rate.shape[1]
    leaving = law.exit_rate[:, 0] * fit + law.exit_rate[:, 1]
    for z in range(2):
        for x in range(intents):
            leaving[:, z, x] += law.z_rate[z] + law.x_rate[z, x].sum()
    top = leaving.max()
    value, total = np.zeros_like(leaving), np.zeros_like(leaving)
    chunks = int(np.ceil(top * days / CHUNK))
    jumps = top * days / max(chunks, 1)
    for _ in range(chunks):
        weight, k = np.exp(-jumps), 0
        total[:] = weight * value
        while k < jumps or weight > TOLERANCE:
            k += 1
            value = _back(law, fit, value, goal, leaving, top)
            weight *= jumps / k
            total += weight * value
        value[:] = total
    return value


@njit(cache=True)
def _back(law, fit, value, goal, leaving, top):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
    """Return the values one jump of the uniformized chain earlier; reaching the goal is worth 1, giving up 0."""
    before = np.zeros_like(value)
    for phase in range(goal + 1):
        for z in range(value.shape[1]):
            for x in range(value.shape[2]):
                onward = 1.0 if phase == goal else value[phase + 1, z, x]
                gain = law.z_rate[z] * value[phase, 1 - z, x] + law.exit_rate[phase, 0, z, x] * fit * onward
                for y in range(value.shape[2]):
                    gain += law.x_rate[z, x, y] * value[phase, z, y]
                before[phase, z, x] = value[phase, z, x] * (1 - leaving[phase, z, x] / top) + gain / top
    return before


@njit(cache=True)
def _expected(belief, lead, ahead):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
    """Return the mean of ``ahead`` under what is believed of one lead and its account; 0 for a lead that is done."""
    slot = _slot(belief, lead)
    if slot < 0:
        return 0.0
    intents, phase = ahead.shape[2], belief.phase[lead]
    stride, mean = 2 * intents**slot, 0.0
    for i in range(2 * intents ** belief.cursor[0]):
        mean += belief.chance[i] * ahead[phase, i % 2, i // stride % intents]
    return mean
