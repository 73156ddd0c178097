"""Exports of a made-up installer of heating systems, with headings that no list of words knows."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from pathlib import Path

from tests.pipelines.proposal.layouts import write_csv

START = datetime.fromisoformat("2024-01-08")
STEPS = ("Anruf", "Besichtigung", "Offerte versandt", "Rückfrage")
STAFF = ("Meier", "Keller", "Huber")
WON, LOST = "Auftrag erteilt", "Absage"
REASONS = ("Preis", "Termin", "Mitbewerber")


def write_installer(folder: Path, heading: str = "Schritt", count: int = 240) -> list[str]:
    """Write leads and a log whose column of types has a heading, and return their paths."""
    draw = random.Random(11)
    leads, log = [], []
    for number in range(count):
        created = START + timedelta(minutes=draw.randrange(500 * 1440))
        won, lost = draw.random() < 0.3, draw.random() < 0.6
        end = created + timedelta(days=draw.uniform(10, 60))
        steps = sorted(
            (created + (end - created) * draw.random(), draw.choice(STEPS))
            for _ in range(draw.randrange(1, 7))
        )
        closed = won or lost
        steps += [(end, WON if won else LOST)] if closed else []
        key = f"I-{number:04d}"
        leads.append(
            {
                "Nummer": key,
                "Erstellt am": f"{created:%d.%m.%Y %H:%M}",
                "Kanton": draw.choice(("ZH", "BE", "AG", "SG")),
                "Objekt": draw.choice(("EFH", "MFH", "Gewerbe")),
                "Erledigungsart": draw.choice(REASONS) if closed else "",
            }
        )
        log += [
            {
                "Interessent": key,
                "Zeitpunkt": f"{time:%d.%m.%Y %H:%M}",
                heading: step,
                "Mitarbeiter": draw.choice(STAFF),
                "Kanton": leads[-1]["Kanton"],
            }
            for time, step in steps
        ]
    write_csv(folder / "kunden.csv", leads, delimiter=";")
    write_csv(folder / "journal.csv", log, delimiter=";")
    return [str(folder / "kunden.csv"), str(folder / "journal.csv")]


def write_wide(
    folder: Path,
    created_at: str = "Erfasst am",
    end: str = "Absage am",
    unit: int = 1000,
    count: int = 300,
) -> list[str]:
    """Write a table with a date for each step; the creation counts ``unit`` in each second."""
    draw = random.Random(5)
    rows = []
    for number in range(count):
        created = START + timedelta(minutes=draw.randrange(400 * 1440))
        visit = created + timedelta(days=draw.uniform(1, 9))
        closed = visit + timedelta(days=draw.uniform(2, 30))
        draws = draw.random()
        rows.append(
            {
                "Nummer": f"W{number:04d}",
                created_at: int(created.timestamp()) * unit,
                "Besichtigung am": f"{visit:%Y-%m-%d}" if draw.random() < 0.8 else "",
                "Unterschrieben am": f"{closed:%Y-%m-%d}" if draws < 0.3 else "",
                end: f"{closed:%Y-%m-%d}" if draws > 0.5 else "",
                "Budget": f"CHF {draw.randrange(10_000, 90_000)}.–",
                "Kanton": draw.choice(("ZH", "BE", "AG", "SG")),
            }
        )
    write_csv(folder / "anfragen.csv", rows, delimiter=";")
    return [str(folder / "anfragen.csv")]


def write_flags(folder: Path, count: int = 200) -> list[str]:
    """Write a table without times, with two columns of yes and no."""
    draw = random.Random(3)
    rows = [
        {
            "Nummer": f"K{number:04d}",
            "Kanton": draw.choice(("ZH", "BE", "AG", "SG")),
            "Solar vorhanden": draw.choice(("ja", "nein")),
            "Abgemacht": draw.choice(("ja", "nein", "nein")),
            "Weg": draw.choice(("Brief", "Telefon")),
        }
        for number in range(count)
    ]
    write_csv(folder / "kunden.csv", rows, delimiter=";")
    return [str(folder / "kunden.csv")]
