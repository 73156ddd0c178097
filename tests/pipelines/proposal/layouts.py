"""Exports of ten kinds of systems, made up after their public documentation, with planted leaks.

One simulated company is written in the columns, the language and the form of each system.
"""

from __future__ import annotations

import csv
import json
import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

START, DAYS = datetime.fromisoformat("2023-06-01"), 400
EPOCH = datetime.fromisoformat("1970-01-01")
END = START + timedelta(days=DAYS)
SOURCES = ("Organic Search", "Paid Search", "Referral", "Partner", "Cold Call")
INDUSTRIES = ("Retail", "Banking", "Farming", "Mining")
CITIES = ("Berlin", "Hamburg", "Paris", "Madrid", "Rome")
FIRST = ("Anna", "Boris", "Clara", "David", "Elena", "Felix", "Greta", "Henry")
LAST = ("Adler", "Brandt", "Costa", "Dumas", "Ender", "Fischer", "Garcia", "Huber")
TOUCHES = ("email_opened", "page_view", "webinar", "call")


@dataclass(frozen=True)
class Lead:
    """What really happened to one lead."""

    number: int
    created: datetime
    source: str
    industry: str
    city: str
    employees: int
    budget: int
    first: str
    last: str
    qualified: datetime | None
    won: datetime | None
    lost: datetime | None
    touches: tuple[tuple[datetime, str], ...] = ()

    @property
    def closed(self) -> datetime | None:
        return self.won or self.lost

    @property
    def email(self) -> str:
        return f"{self.first}.{self.last}{self.number}@example.com".lower()

    @property
    def phone(self) -> str:
        return f"+49 30 {1_000_000 + 7919 * self.number % 8_999_999}"

    @property
    def activity(self) -> datetime:
        """The last change: overwritten, so that it knows the outcome."""
        return self.closed or self.created + timedelta(days=1 + self.number % 5)

    @property
    def note(self) -> str:
        sign = "," if self.number % 3 else " and"
        return f"Spoke with {self.first} about the offer number {self.number}{sign} call next week"


@dataclass(frozen=True)
class Layout:
    """The files of one system and what a right proposal for them says."""

    files: list[str]
    entity_id: str
    created_at: str | None
    outcome: str
    leads: str | None = None
    forbidden: set[str] = field(default_factory=set)
    wanted: set[str] = field(default_factory=set)
    flags: list[str] = field(default_factory=list)


def simulate_leads(count: int, seed: int) -> list[Lead]:
    """Return leads; partners and large companies win more often, and touches precede a win."""
    draw = random.Random(seed)
    leads = []
    for number in range(count):
        created = START + timedelta(minutes=draw.randrange(DAYS * 1440))
        source, employees = draw.choice(SOURCES), int(10 ** draw.uniform(0.5, 4))
        won = draw.random() < 0.12 + 0.3 * (source == "Partner") + 0.25 * (employees > 1000)
        closed = created + timedelta(days=draw.uniform(3, 45), minutes=draw.randrange(60))
        if not won and draw.random() < 0.3:  # silent
            closed = END + timedelta(days=1)
        known = closed < END
        qualified = created + (closed - created) * draw.uniform(0.2, 0.6)
        qualified = qualified if qualified < END and draw.random() < (0.9 if won else 0.5) else None
        touches = tuple(
            (created + timedelta(hours=draw.uniform(1, 400)), draw.choice(TOUCHES))
            for _ in range(draw.randrange(8 if won else 4))
        )
        leads.append(
            Lead(
                number,
                created,
                source,
                draw.choice(INDUSTRIES),
                draw.choice(CITIES),
                employees,
                draw.randrange(10, 900) * 100,
                draw.choice(FIRST),
                draw.choice(LAST),
                qualified,
                closed if won and known else None,
                closed if not won and known else None,
                tuple(t for t in touches if t[0] < min(closed, END)),
            )
        )
    return leads


def write_csv(
    path: Path, rows: list[dict], *, delimiter=",", encoding="utf-8", tail: tuple[str, ...] = ()
) -> None:
    with path.open("w", newline="", encoding=encoding) as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
        file.writelines(f"{line}\r\n" for line in tail)


def stamp(time: datetime | None, form: str = "%Y-%m-%d %H:%M") -> str:
    return time.strftime(form) if time else ""


def write_hubspot(folder: Path, leads: list[Lead]) -> Layout:
    write_csv(
        folder / "hubspot-crm-exports-all-contacts.csv",
        [
            {
                "Record ID": 39779198735 + lead.number,
                "First Name": lead.first,
                "Last Name": lead.last,
                "Email": lead.email,
                "Phone Number": lead.phone,
                "Contact owner": f"{FIRST[lead.number % 3]} {LAST[2]}",
                "Lifecycle Stage": "Customer" if lead.won else "Lead",
                "Lead Status": "Closed" if lead.closed else "New",
                "Create Date": stamp(lead.created),
                "Became a Marketing Qualified Lead Date": stamp(lead.qualified),
                "Became a Customer Date": stamp(lead.won),
                "Last Activity Date": stamp(lead.activity),
                "Number of Sales Activities": 2 + 5 * bool(lead.won) + lead.number % 2,
                "Original Source": lead.source,
                "Industry": lead.industry,
                "Number of Employees": lead.employees,
                "City": lead.city,
                "Street Address": f"Weg {lead.number}",
                "Marketing contact status": "Marketing contact",
                "Favorite Content Topics": "",
            }
            for lead in leads
        ],
    )
    return Layout(
        ["hubspot-crm-exports-all-contacts.csv"],
        "Record ID",
        "Create Date",
        "customer",
        forbidden={
            "First Name",
            "Last Name",
            "Email",
            "Phone Number",
            "Contact owner",
            "Lifecycle Stage",
            "Lead Status",
            "Last Activity Date",
            "Street Address",
            "Number of Sales Activities",
            "Became a Customer Date",
            "Marketing contact status",
            "Favorite Content Topics",
        },
        wanted={"Original Source", "Number of Employees", "Industry"},
    )


def write_salesforce(folder: Path, leads: list[Lead]) -> Layout:
    def planned(lead):
        return lead.closed or lead.created + timedelta(days=90)

    rows = [
        {
            "Opportunity ID": f"0065e{lead.number:010d}AAA",
            "Opportunity Name": f"{lead.last} deal {lead.number}",
            "Account ID": f"0015e{lead.number // 2:010d}AAB",
            "Stage": "Closed Won" if lead.won else "Closed Lost" if lead.lost else "Prospecting",
            "Amount": lead.budget,
            "Close Date": stamp(planned(lead), "%Y-%m-%d"),
            "Created Date": stamp(lead.created, "%Y-%m-%dT%H:%M:%S.000+0000"),
            "Probability (%)": 100 if lead.won else 0 if lead.lost else 10,
            "Loss Reason": "Price" if lead.lost else "",
            "Lead Source": lead.source,
            "Industry": lead.industry,
            "Employees": lead.employees,
            "Owner": f"{FIRST[lead.number % 4]} {LAST[1]}",
            "Next Step": lead.note,
            "Last Modified Date": stamp(lead.activity, "%Y-%m-%dT%H:%M:%S.000+0000"),
        }
        for lead in leads
    ]
    tail = (
        "",
        "Confidential Information - Do Not Distribute",
        "Copyright (c) 2000-2024 salesforce.com, inc.",
    )
    write_csv(folder / "opportunities.csv", rows, tail=tail)
    history = []
    for lead in leads:
        steps = [(lead.created, "Prospecting"), (lead.qualified, "Proposal/Price Quote")]
        steps += [(lead.won, "Closed Won"), (lead.lost, "Closed Lost")]
        history += [
            {
                "Opportunity ID": f"0065e{lead.number:010d}AAA",
                "To Stage": stage,
                "Created Date": stamp(time, "%Y-%m-%dT%H:%M:%S.000+0000"),
            }
            for time, stage in steps
            if time
        ]
    write_csv(folder / "opportunity_history.csv", history)
    return Layout(
        ["opportunities.csv", "opportunity_history.csv"],
        "Opportunity ID",
        "Created Date",
        "Closed Won",
        leads="opportunities.csv",
        forbidden={
            "Opportunity Name",
            "Stage",
            "Close Date",
            "Probability (%)",
            "Loss Reason",
            "Owner",
            "Next Step",
            "Last Modified Date",
        },
        wanted={"Lead Source", "Employees"},
    )


def write_pipedrive(folder: Path, leads: list[Lead]) -> Layout:
    write_csv(
        folder / "deals-12345-1.csv",
        [
            {
                "Deal - ID": 100 + lead.number,
                "Deal - Title": f"{lead.last} {lead.number}",
                "Deal - Creator": f"{FIRST[lead.number % 4]} {LAST[3]}",
                "Deal - Owner": f"{FIRST[lead.number % 3]} {LAST[4]}",
                "Deal - Value": lead.budget if lead.won else 0,
                "Deal - Currency": "EUR",
                "Deal - Organization": f"{lead.last} GmbH {lead.number}",
                "Deal - Contact person": f"{lead.first} {lead.last}",
                "Deal - Stage": "Negotiations" if lead.closed else "Contact made",
                "Deal - Status": "Won" if lead.won else "Lost" if lead.lost else "Open",
                "Deal - Deal created": stamp(lead.created, "%Y-%m-%d %H:%M:%S"),
                "Deal - Update time": stamp(lead.activity, "%Y-%m-%d %H:%M:%S"),
                "Deal - Won time": stamp(lead.won, "%Y-%m-%d %H:%M:%S"),
                "Deal - Lost time": stamp(lead.lost, "%Y-%m-%d %H:%M:%S"),
                "Deal - Deal closed on": stamp(lead.closed, "%Y-%m-%d %H:%M:%S"),
                "Deal - Lost reason": "No budget" if lead.lost else "",
                "Deal - Expected close date": stamp(lead.created + timedelta(days=60), "%Y-%m-%d"),
                "Deal - Last activity date": stamp(lead.activity, "%Y-%m-%d"),
                "Deal - Done activities": 1 + 4 * bool(lead.won) + lead.number % 2,
                "Deal - Source channel": lead.source,
                "Deal - Industry": lead.industry,
                "Organization - People count": lead.employees,
                "Person - Email": lead.email,
                "Person - Phone": lead.phone,
            }
            for lead in leads
        ],
    )
    return Layout(
        ["deals-12345-1.csv"],
        "Deal - ID",
        "Deal - Deal created",
        "won",
        forbidden={
            "Deal - Title",
            "Deal - Creator",
            "Deal - Owner",
            "Deal - Value",
            "Deal - Currency",
            "Deal - Organization",
            "Deal - Contact person",
            "Deal - Stage",
            "Deal - Status",
            "Deal - Update time",
            "Deal - Lost reason",
            "Deal - Last activity date",
            "Deal - Done activities",
            "Deal - Deal closed on",
            "Person - Email",
            "Person - Phone",
        },
        wanted={"Deal - Source channel", "Organization - People count"},
    )


def write_zoho(folder: Path, leads: list[Lead]) -> Layout:
    write_csv(
        folder / "Leads_001.csv",
        [
            {
                "Record Id": f"zcrm_{4150868000000225000 + lead.number}",
                "Lead Owner.id": f"zcrm_{4150868000000225 + lead.number % 3}",
                "Lead Owner": f"{FIRST[lead.number % 3]} {LAST[0]}",
                "Company": f"{lead.last} SA {lead.number}",
                "First Name": lead.first,
                "Last Name": lead.last,
                "Email": lead.email,
                "Phone": lead.phone,
                "Mobile": lead.phone,
                "Lead Source": lead.source,
                "Lead Status": "Qualified" if lead.won else "Contacted",
                "Industry": lead.industry,
                "No. of Employees": lead.employees,
                "Rating": "Active" if lead.won else "",
                "Created Time": stamp(lead.created, "%Y-%m-%d %H:%M:%S"),
                "Modified Time": stamp(lead.activity, "%Y-%m-%d %H:%M:%S"),
                "Last Activity Time": stamp(lead.activity, "%Y-%m-%d %H:%M:%S"),
                "Is Converted": str(bool(lead.won)).lower(),
                "Converted Date Time": stamp(lead.won, "%Y-%m-%d %H:%M:%S"),
                "Street": f"Calle {lead.number}",
                "City": lead.city,
                "Zip Code": 10000 + lead.number,
                "Description": lead.note,
                "Email Opt Out": "false",
            }
            for lead in leads
        ],
    )
    return Layout(
        ["Leads_001.csv"],
        "Record Id",
        "Created Time",
        "converted",
        forbidden={
            "Lead Owner",
            "Lead Owner.id",
            "Company",
            "First Name",
            "Last Name",
            "Email",
            "Phone",
            "Mobile",
            "Lead Status",
            "Rating",
            "Modified Time",
            "Last Activity Time",
            "Is Converted",
            "Converted Date Time",
            "Street",
            "Zip Code",
            "Description",
        },
        wanted={"Lead Source", "No. of Employees"},
    )


def write_amocrm(folder: Path, leads: list[Lead]) -> Layout:
    write_csv(
        folder / "amocrm_export_leads.csv",
        [
            {
                "ID": 20_000_000 + lead.number,
                "Название сделки": f"Сделка {lead.number} {lead.last}",
                "Бюджет": f"{lead.budget},50",
                "Ответственный": f"{FIRST[lead.number % 3]} {LAST[5]}",
                "Дата создания сделки": stamp(lead.created, "%d.%m.%Y %H:%M:%S"),
                "Кем создана сделка": "Робот",
                "Дата редактирования": stamp(lead.activity, "%d.%m.%Y %H:%M:%S"),
                "Дата закрытия": stamp(lead.closed, "%d.%m.%Y %H:%M:%S"),
                "Теги сделки": "оплачено" if lead.won else "",
                "Примечание": lead.note,
                "Этап сделки": "Успешно реализовано"
                if lead.won
                else "Закрыто и не реализовано"
                if lead.lost
                else "Первичный контакт",
                "Воронка": "Продажи",
                "Основной контакт": f"{lead.first} {lead.last}",
                "Рабочий телефон": lead.phone,
                "Рабочий email": lead.email,
                "Причина отказа": "Дорого" if lead.lost else "",
                "Источник": {"Partner": "Партнёр", "Referral": "Рекомендация"}.get(
                    lead.source, "Реклама"
                ),
                "Отрасль": lead.industry,
                "Число сотрудников": lead.employees,
            }
            for lead in leads
        ],
        delimiter=";",
        encoding="cp1251",
    )
    return Layout(
        ["amocrm_export_leads.csv"],
        "ID",
        "Дата создания сделки",
        "Успешно реализовано",
        forbidden={
            "Название сделки",
            "Ответственный",
            "Дата редактирования",
            "Дата закрытия",
            "Теги сделки",
            "Примечание",
            "Этап сделки",
            "Основной контакт",
            "Рабочий телефон",
            "Рабочий email",
            "Причина отказа",
        },
        wanted={"Источник", "Число сотрудников"},
    )


def write_bitrix(folder: Path, leads: list[Lead]) -> Layout:
    write_csv(
        folder / "DEAL_20240705.csv",
        [
            {
                "ID": 500 + lead.number,
                "Название": f"{lead.last} №{lead.number}",
                "Стадия сделки": "Сделка успешна"
                if lead.won
                else "Сделка провалена"
                if lead.lost
                else "Новая",
                "Сделка закрыта": "да" if lead.closed else "нет",
                "Сумма": lead.budget if lead.won else 0,
                "Валюта": "Российский рубль",
                "Контакт": f"{lead.first} {lead.last}",
                "Контакт: Рабочий телефон": lead.phone,
                "Контакт: Рабочий e-mail": lead.email,
                "Ответственный": f"{FIRST[lead.number % 4]} {LAST[6]}",
                "Дата создания": stamp(lead.created, "%d.%m.%Y %H:%M:%S"),
                "Дата изменения": stamp(lead.activity, "%d.%m.%Y %H:%M:%S"),
                "Дата завершения": stamp(lead.closed, "%d.%m.%Y %H:%M:%S"),
                "Комментарий": lead.note,
                "Источник": lead.source,
                "Сфера деятельности": lead.industry,
                "Кол-во сотрудников": lead.employees,
            }
            for lead in leads
        ],
        delimiter=";",
        encoding="utf-8-sig",
    )
    return Layout(
        ["DEAL_20240705.csv"],
        "ID",
        "Дата создания",
        "Сделка успешна",
        forbidden={
            "Название",
            "Стадия сделки",
            "Сделка закрыта",
            "Сумма",
            "Контакт",
            "Контакт: Рабочий телефон",
            "Контакт: Рабочий e-mail",
            "Ответственный",
            "Дата изменения",
            "Дата завершения",
            "Комментарий",
            "Валюта",
        },
        wanted={"Источник", "Кол-во сотрудников"},
    )


def write_ga4(folder: Path, leads: list[Lead]) -> Layout:
    rows = []
    for lead in leads:
        touches = [(lead.created, "first_visit"), *lead.touches]
        touches += [(lead.won, "purchase")] if lead.won else []
        rows += [
            (
                time,
                {
                    "event_date": stamp(time, "%Y%m%d"),
                    "event_timestamp": int((time - EPOCH).total_seconds() * 1e6),
                    "event_name": name,
                    "user_pseudo_id": f"{1_000_000 + lead.number}.{1700000000 + lead.number}",
                    "platform": "WEB",
                    "device.category": ("mobile", "desktop")[lead.number % 2],
                    "geo.country": ("Germany", "France")[lead.number % 2],
                    "traffic_source.source": lead.source,
                    "ecommerce.purchase_revenue": float(lead.budget)
                    if name == "purchase"
                    else None,
                },
            )
            for time, name in touches
        ]
    with (folder / "events_20240705.jsonl").open("w") as file:
        file.writelines(json.dumps(row) + "\n" for _, row in sorted(rows, key=lambda r: r[0]))
    return Layout(
        ["events_20240705.jsonl"],
        "user_pseudo_id",
        None,
        "purchase",
        forbidden={"ecommerce.purchase_revenue"},
    )


def write_stripe(folder: Path, leads: list[Lead]) -> Layout:
    write_csv(
        folder / "customers.csv",
        [
            {
                "id": f"cus_{lead.number:014d}",
                "Description": lead.note,
                "Email": lead.email,
                "Name": f"{lead.first} {lead.last}",
                "Created (UTC)": stamp(lead.created),
                "Delinquent": "false",
                "Card ID": f"card_{lead.number}" if lead.won else "",
                "Total Spend": f"{lead.budget / 100:.2f}" if lead.won else "0.00",
                "Payment Count": 1 if lead.won else 0,
                "signup_source (metadata)": lead.source,
                "company_size (metadata)": lead.employees,
            }
            for lead in leads
        ],
    )
    charges = []
    for lead in leads:
        closed, paid = lead.closed, bool(lead.won)
        attempts = (
            [(closed, "Paid" if paid else "Failed")] if closed and (paid or lead.number % 3) else []
        )
        if paid and lead.number % 4 == 0:
            attempts.insert(0, (closed - timedelta(hours=5), "Failed"))
        charges += [
            {
                "id": f"ch_{lead.number:08d}{place}",
                "Created date (UTC)": stamp(time, "%Y-%m-%d %H:%M:%S"),
                "Amount": f"{lead.budget / 100:.2f}",
                "Currency": "eur",
                "Status": status,
                "Customer ID": f"cus_{lead.number:014d}",
                "Customer Email": lead.email,
            }
            for place, (time, status) in enumerate(attempts)
        ]
    write_csv(folder / "unified_payments.csv", charges)
    return Layout(
        ["customers.csv", "unified_payments.csv"],
        "id",
        "Created (UTC)",
        "Paid",
        leads="customers.csv",
        forbidden={
            "Description",
            "Email",
            "Name",
            "Card ID",
            "Total Spend",
            "Payment Count",
            "Delinquent",
        },
        wanted={"signup_source (metadata)", "company_size (metadata)"},
    )


def write_milestones(folder: Path, leads: list[Lead]) -> Layout:
    write_csv(
        folder / "funnel.csv",
        [
            {
                "lead_no": f"L-{lead.number:05d}",
                "created": stamp(lead.created, "%Y-%m-%d"),
                "mql_date": stamp(lead.qualified, "%Y-%m-%d"),
                "demo_date": stamp(
                    lead.qualified and lead.qualified + timedelta(days=1), "%Y-%m-%d"
                )
                if lead.number % 3
                else "",
                "won_date": stamp(lead.won, "%Y-%m-%d"),
                "lost_date": stamp(lead.lost, "%Y-%m-%d"),
                "channel": lead.source,
                "employees": lead.employees,
                "contract_value": lead.budget if lead.won else "",
                "lost_reason": "price" if lead.lost else "",
                "updated_at": stamp(lead.activity, "%Y-%m-%d"),
            }
            for lead in leads
        ],
    )
    return Layout(
        ["funnel.csv"],
        "lead_no",
        "created",
        "won",
        forbidden={
            "contract_value",
            "lost_reason",
            "updated_at",
            "mql_date",
            "demo_date",
            "won_date",
            "lost_date",
        },
        wanted={"channel", "employees"},
    )


def write_outcome_table(folder: Path, leads: list[Lead]) -> Layout:
    write_csv(
        folder / "prospects.csv",
        [
            {
                "prospect_id": 7000 + lead.number,
                "full_name": f"{lead.first} {lead.last}",
                "e-mail": lead.email,
                "channel": lead.source,
                "industry": lead.industry,
                "employees": lead.employees,
                "call_duration": (300 + lead.number % 60) if lead.won else lead.number % 60,
                "country": "Germany",
                "converted": "yes" if lead.won else "no",
            }
            for lead in sorted(leads, key=lambda lead: lead.created)
        ],
    )
    return Layout(
        ["prospects.csv"],
        "prospect_id",
        None,
        "converted",
        forbidden={"full_name", "e-mail", "call_duration", "country", "converted"},
        wanted={"channel", "employees"},
    )


WRITERS = {
    "hubspot": write_hubspot,
    "salesforce": write_salesforce,
    "pipedrive": write_pipedrive,
    "zoho": write_zoho,
    "amocrm": write_amocrm,
    "bitrix24": write_bitrix,
    "ga4": write_ga4,
    "stripe": write_stripe,
    "milestones": write_milestones,
    "outcome": write_outcome_table,
}
