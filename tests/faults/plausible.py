"""Seeded plausible but wrong inputs: each file is valid, but something in it means another thing.

A variant is identified by its number: the same number gives the same kind and the same files.
"""

import copy
import csv
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import yaml

SEED = 20251129
LEADS = 400
START = datetime(2024, 1, 1)  # noqa: DTZ001 - naive on purpose: the config's zone gives it meaning
# The as-of of the training, of the published nights, and of the night that reads a variant.
TRAINED, NIGHTS, VARIANT_NIGHT = (
    "2024-11-25",
    ("2024-11-26", "2024-11-27", "2024-11-28"),
    "2024-11-29",
)
LEAD_HEAD = ["id", "created", "firm", "country", "budget", "newsletter", "staff"]
EVENT_HEAD = ["lead", "at", "what", "via", "amount"]

CONFIG = {
    "project": "plausible",
    "timezone": "Europe/Berlin",
    "workspace": "workspace",
    "sources": {
        "leads": {
            "path": "leads.csv",
            "entity_id": "id",
            "created_at": "created",
            "account_id": "firm",
            "attributes": ["country", "budget", "newsletter", "staff"],
        },
        "events": [
            {
                "path": "events.csv",
                "entity_id": "lead",
                "event_time": "at",
                "event_type": "what",
                "channel": "via",
                "value": "amount",
            }
        ],
    },
    "targets": {
        "buy": {
            "population": {"after": "created", "until": ["lost"], "max_age": "90d"},
            "outcome": "bought",
            "horizon": "21d",
            "cutoffs": {"every": "14d"},
        }
    },
    "features": {
        "windows": ["7d", "30d"],
        "half_lives": ["14d"],
        "families": ["counts", "recency", "lead"],
    },
    "evaluation": {"folds": 1},
    "capacity": 20,
}


@dataclass
class Files:
    """The files of a night, as texts of cells; the first row of each holds the headers."""

    leads: list[list[str]]
    events: list[list[str]]

    def column(self, table: str, name: str) -> tuple[list[list[str]], int]:
        """Return the rows of a table without its header, and the place of a column."""
        rows = getattr(self, table)
        return rows[1:], rows[0].index(name)

    def change(self, table: str, name: str, new: Callable[[str], str]) -> None:
        """Replace each filled value of a column."""
        rows, place = self.column(table, name)
        for row in rows:
            row[place] = new(row[place]) if row[place] else ""

    def write(self, folder: Path) -> None:
        for name in ("leads", "events"):
            with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows(getattr(self, name))


def make_company() -> Files:
    """Return the files of the right company, up to VARIANT_NIGHT."""
    rng = random.Random(SEED)
    end = datetime.fromisoformat(VARIANT_NIGHT)
    leads, events = [LEAD_HEAD], [EVENT_HEAD]
    for number in range(LEADS):
        born = _to_working_hours(START + timedelta(days=rng.uniform(0, 333)))
        name, budget = f"L{number:04}", round(rng.uniform(1000, 9000), 2)
        news, country = rng.choice(["yes", "no"]), rng.choice(["DE", "FR", "PL"])
        leads.append(
            [
                name,
                born.isoformat(" ", "seconds"),
                f"F{number // 3}",
                country,
                f"{budget:.2f}",
                news,
                str(rng.randrange(1, 90)),
            ]
        )
        chance = 0.01 + 0.05 * (news == "yes") + 0.05 * (budget > 5000) + 0.03 * (country == "DE")
        events += _make_life(rng, name, born, chance, end)
    leads[1:] = [row for row in leads[1:] if row[1] < VARIANT_NIGHT]
    return Files(leads, events)


def _to_working_hours(at: datetime, after: datetime = START) -> datetime:
    """Return the time between 8 and 18 o'clock on the same day, but later than ``after``."""
    day = at.replace(hour=0, minute=0, second=0)
    return max(day + timedelta(hours=8) + (at - day) * 10 / 24, after + timedelta(minutes=1))


def _make_life(rng, name, born, chance, end):
    at, rows = born, []
    while True:
        at = _to_working_hours(at + timedelta(days=rng.expovariate(0.15)), at)
        if at >= end or at > born + timedelta(days=100):
            return rows
        what = rng.choices(["visit", "met", "lost"], [8, 2, 0.4])[0]
        if rng.random() < chance:
            what = "bought"
        amount = f"{rng.uniform(10, 500):.2f}"
        rows.append(
            [name, at.isoformat(" ", "seconds"), what, rng.choice(["web", "phone"]), amount]
        )
        if what in ("bought", "lost"):
            return rows


def write_config(folder: Path) -> Path:
    """Write the config of the company; its paths are absolute."""
    tree = copy.deepcopy(CONFIG)
    tree["workspace"] = str(folder / "workspace")
    tree["sources"]["leads"]["path"] = str(folder / "leads.csv")
    tree["sources"]["events"][0]["path"] = str(folder / "events.csv")
    path = folder / "company.yaml"
    path.write_text(yaml.safe_dump(tree, sort_keys=False), "utf-8")
    return path


def make_variant(number: int, company: Files) -> tuple[str, Files]:
    """Return the kind of a variant and its files; the kinds follow each other."""
    kind = list(KINDS)[number % len(KINDS)]
    files = copy.deepcopy(company)
    KINDS[kind](files, random.Random(f"{SEED} {number}"))
    return kind, files


def _format_european(text: str) -> str:
    return f"{float(text):,.2f}".translate(str.maketrans(",.", ".,"))


def _shift_columns(files: Files, rng: random.Random) -> None:
    """Move all cells of a table right of a place by one, the last one to that place."""
    table = rng.choice(["leads", "events"])
    start = rng.randrange(3, 5) if table == "leads" else rng.choice([2, 3])
    for row in getattr(files, table)[1:]:
        row[start:] = [row[-1], *row[start:-1]]


def _swap_day_and_month(text: str) -> str:
    """Return a date as a spreadsheet that reads month first writes it, where that is a date."""
    year, month, day = text[:10].split("-")
    return f"{year}-{day}-{month}{text[10:]}" if int(day) <= 12 else text


def _move(text: str, **span: float) -> str:
    return (datetime.fromisoformat(text) + timedelta(**span)).isoformat(" ", "seconds")


def _move_year(text: str, years: int) -> str:
    return f"{int(text[:4]) + years}{text[4:]}".replace("-02-29", "-02-28")


def _repeat_leads(files: Files, rng: random.Random, other_ids: bool) -> None:
    rows = rng.sample(files.leads[1:], rng.choice([len(files.leads) - 1, 60, 20]))
    rows = [[f"X{row[0][1:]}", *row[1:]] if other_ids else list(row) for row in rows]
    files.leads += rows


def _take_night(files: Files, rng: random.Random, table: str) -> None:
    """Leave what the file of an earlier night held."""
    night, at = rng.choice(["2024-11-28", "2024-11-27", "2024-11-20"]), 1
    rows = getattr(files, table)
    setattr(files, table, [rows[0], *(row for row in rows[1:] if row[at] < night)])


def _rename_header(files: Files, rng: random.Random) -> None:
    table = rng.choice(["leads", "events"])
    head = getattr(files, table)[0] = list(getattr(files, table)[0])
    place = rng.randrange(len(head))
    head[place] = rng.choice([head[place].upper(), f"{head[place]}_c", f"{head[place]} "])


def _cut_file(files: Files, rng: random.Random) -> None:
    table = rng.choice(["leads", "events"])
    rows = getattr(files, table)
    # An export in the order of an id or of time, cut where the transfer ended.
    place = rng.choice([0, 1])
    kept = int(len(rows) * rng.uniform(0.5, 0.95))
    rows[1:] = sorted(rows[1:], key=lambda row: row[place])[:kept]


def _permute_column(files: Files, rng: random.Random) -> None:
    table, name = rng.choice(
        [
            *(("leads", name) for name in ("budget", "country", "newsletter", "created")),
            *(("events", name) for name in ("lead", "at", "what")),
        ]
    )
    rows, place = files.column(table, name)
    values = [row[place] for row in rows]
    rng.shuffle(values)
    for row, value in zip(rows, values, strict=True):
        row[place] = value


def _write_ids_otherwise(files: Files, rng: random.Random, table: str) -> None:
    name = "id" if table == "leads" else "lead"
    forms = [
        lambda text: text.lower(),
        lambda text: str(int(text[1:])),
        lambda text: f"{text}-DE",
        lambda text: f"00{text}",
    ]
    files.change(table, name, rng.choice(forms))


def _rename_values(files: Files, rng: random.Random, table: str, name: str) -> None:
    rows, place = files.column(table, name)
    old = rng.choice(sorted({row[place] for row in rows}))
    files.change(table, name, lambda text: f"{old} (new)" if text == old else text)


def _scale(table: str, name: str, factors: list[float]) -> Callable[[Files, random.Random], None]:
    def scale(files: Files, rng: random.Random) -> None:
        factor = rng.choice(factors)
        files.change(table, name, lambda text: f"{float(text) * factor:.2f}")

    return scale


def _shift_hours(table: str, name: str) -> Callable[[Files, random.Random], None]:
    def shift(files: Files, rng: random.Random) -> None:
        hours = rng.choice([-9, -1, 2, 6])
        files.change(table, name, lambda text: _move(text, hours=hours))

    return shift


def _shift_years(files: Files, rng: random.Random) -> None:
    leads, events, years = ("leads", "created"), ("events", "at"), rng.choice([-1, 1])
    for table, name in rng.choice([[leads], [events], [leads, events]]):
        files.change(table, name, lambda text: _move_year(text, years))


def _empty_column(files: Files, rng: random.Random) -> None:
    table, name = rng.choice([("leads", "budget"), ("leads", "country"), ("events", "via")])
    files.change(table, name, lambda _: "")


def _rewrite(table: str, name: str, new: Callable[[str], str]) -> Callable:
    return lambda files, _: files.change(table, name, new)


KINDS: dict[str, Callable[[Files, random.Random], None]] = {
    "decimal comma": _rewrite("leads", "budget", lambda text: text.replace(".", ",")),
    "thousands signs": _rewrite("leads", "budget", lambda text: f"{float(text):,.2f}"),
    "European numbers": _rewrite("leads", "budget", _format_european),
    "thousands as decimals": _rewrite("leads", "budget", lambda text: f"{float(text) / 1e3:.3f}"),
    "units": _scale("leads", "budget", [1000, 0.001, 100]),
    "units of events": _scale("events", "amount", [1000, 0.001, 100]),
    "currency": _scale("leads", "budget", [1.1, 7.5, 160]),
    "day and month of leads": _rewrite("leads", "created", _swap_day_and_month),
    "day and month of events": _rewrite("events", "at", _swap_day_and_month),
    "time zone of leads": _shift_hours("leads", "created"),
    "time zone of events": _shift_hours("events", "at"),
    "moved by a year": _shift_years,
    "shifted columns": _shift_columns,
    "doubled leads": lambda files, rng: _repeat_leads(files, rng, other_ids=False),
    "doubled leads with other ids": lambda files, rng: _repeat_leads(files, rng, other_ids=True),
    "doubled events": lambda files, rng: files.events.extend(
        list(row) for row in rng.sample(files.events[1:], rng.choice([len(files.events) - 1, 200]))
    ),
    "leads of an earlier night": lambda files, rng: _take_night(files, rng, "leads"),
    "events of an earlier night": lambda files, rng: _take_night(files, rng, "events"),
    "renamed column": _rename_header,
    "ids of leads": lambda files, rng: _write_ids_otherwise(files, rng, "leads"),
    "ids of events": lambda files, rng: _write_ids_otherwise(files, rng, "events"),
    "renamed event type": lambda files, rng: _rename_values(files, rng, "events", "what"),
    "renamed category": lambda files, rng: _rename_values(
        files, rng, *rng.choice([("leads", "country"), ("events", "via")])
    ),
    "yes and no inverted": _rewrite(
        "leads", "newsletter", lambda text: {"yes": "no", "no": "yes"}[text]
    ),
    "yes as 1": _rewrite("leads", "newsletter", lambda text: {"yes": "1", "no": "0"}[text]),
    "cut at a line": _cut_file,
    "permuted column": _permute_column,
    "emptied column": _empty_column,
}
