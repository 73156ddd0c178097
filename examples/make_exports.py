"""Write the two files of the tutorial: leads and activities, as a CRM exports them.

usage: python make_exports.py us | eu | ru

``us`` writes commas, MM/DD/YYYY with AM and PM, and $1,234.50; ``eu`` semicolons, DD.MM.YYYY and
decimal commas; ``ru`` the same in windows-1251 with Russian words. The company is made up and
always the same.
"""

from __future__ import annotations

import csv
import random
import sys
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

BEGIN, END = datetime(2024, 7, 1), datetime(2025, 7, 1)  # noqa: DTZ001 - local times, as in a CRM
LEADS = 700


@dataclass(frozen=True)
class Form:
    """How a CRM writes its exports."""

    encoding: str
    delimiter: str
    time: str
    leads: tuple[str, ...]
    activities: tuple[str, ...]
    industries: tuple[str, ...]
    sources: tuple[str, ...]
    kinds: tuple[str, ...]

    def write_money(self, amount: float) -> str:
        """Return an amount of money as text."""
        if self.delimiter == ",":
            return f"${amount:,.2f}"
        grouping = "." if self.encoding.startswith("utf") else " "
        return f"{amount:,.2f}".translate(str.maketrans({",": grouping, ".": ","}))

    def write_time(self, moment: datetime) -> str:
        """Return a local time as text."""
        return moment.strftime(self.time)


FORMS = {
    "us": Form(
        "utf-8",
        ",",
        "%m/%d/%Y %I:%M %p",
        (
            "Lead ID",
            "Created Date",
            "Industry",
            "Employees",
            "Lead Source",
            "Annual Revenue",
            "Email",
        ),
        ("Lead ID", "Activity Date", "Activity", "Amount"),
        ("Retail", "Banking", "Farming", "Mining"),
        ("Web", "Trade Show", "Referral"),
        ("Page View", "Email Opened", "Meeting", "Deal Won"),
    ),
    "eu": Form(
        "utf-8-sig",
        ";",
        "%d.%m.%Y %H:%M",
        ("Lead-ID", "Erstellt am", "Branche", "Mitarbeiter", "Quelle", "Jahresumsatz", "E-Mail"),
        ("Lead-ID", "Datum", "Aktivität", "Betrag"),
        ("Handel", "Bank", "Landwirtschaft", "Bergbau"),
        ("Web", "Messe", "Empfehlung"),
        ("Seitenaufruf", "Mail geöffnet", "Termin", "Gewonnen"),
    ),
    "ru": Form(
        "windows-1251",
        ";",
        "%d.%m.%Y %H:%M",
        (
            "ID лида",
            "Дата создания",
            "Отрасль",
            "Сотрудников",
            "Источник",
            "Годовой оборот",
            "E-mail",
        ),
        ("ID лида", "Дата", "Событие", "Сумма"),
        ("Торговля", "Банк", "Сельское хозяйство", "Добыча"),
        ("Сайт", "Выставка", "Рекомендация"),
        ("Просмотр страницы", "Письмо открыто", "Встреча", "Сделка выиграна"),
    ),
}


def main(form: Form) -> None:
    """Write leads.csv and activities.csv into the current folder."""
    rng = random.Random(7)
    leads, activities = [], []
    for number in range(1, LEADS + 1):
        lead, keen = f"L-{number:05}", rng.random() < 0.35
        created = BEGIN + (END - BEGIN) * rng.random()
        industry = rng.randrange(4)
        employees = int(10 ** rng.uniform(0.7, 4))
        revenue = employees * rng.uniform(40_000, 90_000)
        leads.append(
            [
                lead,
                form.write_time(created),
                form.industries[industry],
                employees,
                rng.choice(form.sources),
                form.write_money(revenue),
                f"buyer{number}@example.com",
            ]
        )
        for moment, kind, amount in live(rng, created, keen=keen or industry == 1):
            money = form.write_money(amount) if amount else ""
            activities.append((moment, [lead, form.write_time(moment), form.kinds[kind], money]))
    activities.sort()
    write(form, "leads.csv", form.leads, leads)
    write(form, "activities.csv", form.activities, [row for _, row in activities])


def live(rng: random.Random, created: datetime, *, keen: bool) -> list[tuple[datetime, int, float]]:
    """Return the activities of a lead: keen ones are busier, and buy more often."""
    moment, found = created, []
    for _ in range(25):
        moment += timedelta(days=rng.expovariate(1 / (5 if keen else 12)))
        if moment >= min(END, created + timedelta(days=100)):
            break
        found.append((moment, rng.choices((0, 1, 2), (6, 3, 1))[0], 0.0))
        if rng.random() < (0.09 if keen else 0.02):
            won = moment + timedelta(hours=3)
            if won < END:
                found.append((won, 3, rng.uniform(2_000, 60_000)))
            break
    return found


def write(form: Form, name: str, header: tuple[str, ...], rows: list[list[object]]) -> None:
    """Write one export."""
    with Path(name).open("w", newline="", encoding=form.encoding) as file:
        csv.writer(file, delimiter=form.delimiter).writerows([header, *rows])


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in FORMS:
        sys.exit(__doc__)
    main(FORMS[sys.argv[1]])
