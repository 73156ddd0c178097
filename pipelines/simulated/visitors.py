"""Web visitors of the simulated company: an option, with browsers of leads and of strangers.

Leads read pages before they are known, from one browser or two, and log in then, late or never.
Some browsers are used by a second lead, some are shared by five, and some are
linked to a wrong lead until that is corrected. No outcome depends on what is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from features.contracts import INSTANT
from features.tools.instants import US_PER_DAY, column_to_microseconds, to_microseconds
from pipelines.simulated.company import END

# The random stream of visitors, beside those of leads, untidy rows, owners, amounts and so on.
VISITOR_STREAM = 8
VISIT_TYPE = "visit"
VISITS_FILE, LOGINS_FILE = "visits.csv", "logins.csv"
# Pages and calls to action, with the chances of visits by people who become leads, and by others.
PAGES = ("home", "prices", "guide", "jobs")
PAGE_CHANCES = ((0.35, 0.35, 0.28, 0.02), (0.40, 0.10, 0.35, 0.15))
ACTIONS = ("", "book a demo", "newsletter")
ACTION_CHANCES = ((0.80, 0.12, 0.08), (0.965, 0.005, 0.03))
CHANNELS = ("search", "ads", "direct")
# Share of visits whose rows arrive a day late.
LATE_SHARE = 0.03

VISITS = pa.schema(
    [pa.field(name, pa.string()) for name in ("visit_id", "browser")]
    + [pa.field(name, INSTANT) for name in ("visited_at", "loaded_at")]
    + [pa.field(name, pa.string()) for name in ("page", "action", "source")]
)
LOGINS = pa.schema(
    [pa.field(name, pa.string()) for name in ("browser", "lead_id")]
    + [pa.field(name, INSTANT) for name in ("logged_in_at", "corrected_at")]
)


@dataclass(frozen=True)
class VisitorLaw:
    """How browsers are used and linked; days are means of exponential times.

    Attributes:
        strangers: Browsers of people who never become leads, per lead.
        second: Share of leads with a second browser.
        late, never: Shares of browsers on which the lead logs in late, and never.
        pairs: Share of browsers on which a second lead logs in later.
        wrong: Share of browsers that are linked to a wrong lead until that is corrected.
        shared: Browsers of five leads each, per lead.
        visits: Mean number of visits before the first contact, beside one, and after it.
        before_days, after_days: Days from a visit to the first contact, and from that to a visit.
        late_days: Days from the first contact to a late log-in, or that of a second lead.
        wrong_days: Days until a wrong link is corrected.
    """

    strangers: float = 5.0
    second: float = 0.3
    late: float = 0.25
    never: float = 0.15
    pairs: float = 0.06
    wrong: float = 0.04
    shared: float = 0.01
    visits: tuple[float, float] = (3.0, 3.0)
    before_days: float = 30.0
    after_days: float = 40.0
    late_days: float = 40.0
    wrong_days: float = 20.0


class Login(NamedTuple):
    """A link of a browser to a lead, from ``at`` on; ``corrected`` is 0 if it stands.

    Instants are microseconds since 1970.
    """

    lead: int
    at: int
    corrected: int = 0


class Browser(NamedTuple):
    """One browser.

    Attributes:
        kind: stranger, own, late, never, pair, wrong or shared.
        logins: Its links in the order of time, those after END included.
        visits: Time and time of arrival of each visit, (visits, 2) int64, ordered by time.
    """

    kind: str
    logins: tuple[Login, ...]
    visits: np.ndarray


def draw_browsers(
    leads: pa.Table, seed: int, number: int, law: VisitorLaw
) -> tuple[list[Browser], np.random.Generator]:
    """Return the browsers around the leads of a block, and the random stream after them."""
    rng = np.random.default_rng([seed, number, VISITOR_STREAM])
    created = column_to_microseconds(leads["created_at"])
    browsers = list[Browser]()
    for lead in range(len(created)):
        for _ in range(1 + (rng.random() < law.second)):
            browsers.append(_draw_lead_browser(rng, law, created, lead))
    for _ in range(round(law.shared * len(created))):
        browsers.append(_draw_shared(rng, law, created))
    for _ in range(round(law.strangers * len(created))):
        first = int(rng.integers(created.min(), to_microseconds(END)))
        after = _draw_days(rng, law.after_days, rng.poisson(1.0))
        browsers.append(Browser("stranger", (), _add_arrivals(rng, first + np.append(0, after))))
    return browsers, rng


def _draw_days(rng: np.random.Generator, mean: float, count: int) -> np.ndarray:
    """Draw exponential times in whole microseconds, of at least a second."""
    return 1_000_000 + (rng.exponential(mean, count) * US_PER_DAY).astype(np.int64)


def _add_arrivals(rng: np.random.Generator, times: np.ndarray) -> np.ndarray:
    times = np.sort(times)
    delay = np.where(rng.random(len(times)) < LATE_SHARE, US_PER_DAY, 0)
    visits = np.column_stack([times, times + delay])
    # As known at END, as all rows of the company are.
    return visits[visits[:, 1] < to_microseconds(END)]


def _draw_lead_browser(
    rng: np.random.Generator, law: VisitorLaw, created: np.ndarray, lead: int
) -> Browser:
    contact = int(created[lead])
    before = contact - _draw_days(rng, law.before_days, 1 + rng.poisson(law.visits[0]))
    after = contact + _draw_days(rng, law.after_days, rng.poisson(law.visits[1]))
    visits = _add_arrivals(rng, np.concatenate([before, after]))
    shares = (law.never, law.late, law.pairs, law.wrong)
    kind = np.searchsorted(np.cumsum(shares), rng.random(), side="right")
    later, other = int(_draw_days(rng, law.late_days, 1)[0]), int(rng.integers(len(created)))
    if kind == 0:
        return Browser("never", (), visits)
    if kind == 1:
        return Browser("late", (Login(lead, contact + later),), visits)
    if kind == 2 and other != lead:
        second = Login(other, max(contact, int(created[other])) + later)
        return Browser("pair", (Login(lead, contact), second), visits)
    if kind == 3 and created[other] < contact:
        corrected = contact + int(_draw_days(rng, law.wrong_days, 1)[0])
        logins = Login(other, contact, corrected), Login(lead, corrected)
        return Browser("wrong", logins, visits)
    return Browser("own", (Login(lead, contact),), visits)


def _draw_shared(rng: np.random.Generator, law: VisitorLaw, created: np.ndarray) -> Browser:
    """Return a browser on which five leads, or all there are, log in one after the other."""
    chosen = rng.choice(len(created), min(5, len(created)), replace=False)
    logins = sorted(
        (int(created[lead]) + int(_draw_days(rng, law.late_days, 1)[0]), int(lead))
        for lead in chosen
    )
    first, last = logins[0][0], logins[-1][0]
    times = rng.integers(first - 30 * US_PER_DAY, last + 30 * US_PER_DAY, 40)
    return Browser(
        "shared", tuple(Login(lead, at) for at, lead in logins), _add_arrivals(rng, times)
    )


class VisitorFiles:
    """Collects the visitors of blocks, and writes them as visits.csv and logins.csv."""

    def __init__(self, law: VisitorLaw) -> None:
        self.law = law
        self.visits, self.logins = [VISITS.empty_table()], [LOGINS.empty_table()]

    def add_block(self, leads: pa.Table, seed: int, number: int) -> None:
        """Draw the visitors of a block's leads."""
        browsers, rng = draw_browsers(leads, seed, number, self.law)
        self.visits.append(_lay_out_visits(browsers, rng, number))
        self.logins.append(_lay_out_logins(browsers, leads, number))

    def write(self, directory: Path) -> None:
        """Write both files, with the rows ordered by time."""
        for name, parts in ((VISITS_FILE, self.visits), (LOGINS_FILE, self.logins)):
            rows = pa.concat_tables(parts)
            order = [(column, "ascending") for column in reversed(rows.column_names[:3])]
            pacsv.write_csv(rows.sort_by(order), directory / name)


def name_browser(number: int, place: int) -> str:
    """Return the id of a block's browser."""
    return f"B{number:04d}{place:06d}"


def _lay_out_visits(browsers: list[Browser], rng: np.random.Generator, number: int) -> pa.Table:
    sizes = [len(browser.visits) for browser in browsers]
    place = np.repeat(np.arange(len(browsers)), sizes)
    stranger = np.array([browser.kind == "stranger" for browser in browsers])[place]
    times = np.concatenate([browser.visits for browser in browsers])
    count = [np.arange(size) for size in sizes]
    names = [name_browser(number, p) for p in range(len(browsers))]
    ids = [f"{names[p]}-{n}" for p, n in zip(place, np.concatenate(count), strict=True)]
    texts = [
        _draw_names(rng, names, chances, stranger)
        for names, chances in ((PAGES, PAGE_CHANCES), (ACTIONS, ACTION_CHANCES))
    ]
    source = pa.array(rng.choice(CHANNELS, len(place), p=(0.5, 0.2, 0.3)))
    instants = [pa.array(times[:, i]).cast(INSTANT) for i in (0, 1)]
    columns = [pa.array(ids), pa.array(names).take(pa.array(place)), *instants, *texts, source]
    return pa.table(columns, schema=VISITS)


def _draw_names(
    rng: np.random.Generator,
    names: tuple[str, ...],
    chances: tuple[tuple[float, ...], ...],
    stranger: np.ndarray,
) -> pa.Array:
    """Draw a name for each visit by the chances of leads or of strangers."""
    edges = np.cumsum(chances, axis=1)[stranger.astype(int)]
    drawn = (rng.random(len(stranger))[:, None] >= edges).sum(axis=1)
    return pa.array(names).take(pa.array(np.minimum(drawn, len(names) - 1)))


def _lay_out_logins(browsers: list[Browser], leads: pa.Table, number: int) -> pa.Table:
    rows = list(_iter_logins(browsers, number))
    names, lead, at, corrected = zip(*rows, strict=True) if rows else ((), (), (), ())
    ids = leads["entity_id"].combine_chunks().take(pa.array(lead, pa.int64()))
    times = [pa.array(column, pa.int64()).cast(INSTANT) for column in (at, corrected)]
    return pa.table([pa.array(names, pa.string()), ids, *times], schema=LOGINS)


def _iter_logins(
    browsers: list[Browser], number: int
) -> Iterator[tuple[str, int, int, int | None]]:
    """Yield the rows of links known before END; a correction after it is not in them."""
    end = to_microseconds(END)
    for place, browser in enumerate(browsers):
        for login in browser.logins:
            if login.at < end:
                corrected = login.corrected if 0 < login.corrected < end else None
                yield name_browser(number, place), login.lead, login.at, corrected
