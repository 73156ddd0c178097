"""Seeded corrupt companies: small valid ones in all source formats, with one to three corruptions.

A case is identified by its number: the same number gives the same files, byte for byte, and config.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import yaml

from tests.faults.wild_config import spoil_tree, spoil_yaml
from tests.faults.wild_files import ENCODERS, Source, place
from tests.faults.wild_files import WRONG as WRONG_FILES
from tests.faults.wild_rows import WRONG as WRONG_ROWS

SEED = 20250701
LEADS = 60
START = datetime(2024, 1, 1)  # noqa: DTZ001 - naive on purpose: the config's zone gives it meaning
END = "2024-07-01"

CONFIG = {
    "project": "tiny",
    "timezone": "Europe/Berlin",
    "workspace": "workspace",
    "sources": {
        "leads": {
            "entity_id": "id",
            "created_at": "created",
            "account_id": "firm",
            "attributes": ["country", "size"],
        },
        "events": [
            {
                "entity_id": "lead",
                "event_time": "at",
                "event_type": "what",
                "channel": "via",
                "value": "amount",
            },
        ],
        "attributes": [
            {"entity_id": "id", "valid_from": "since", "attribute": "field", "value": "new"}
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
    "features": {"windows": ["7d", "30d"], "half_lives": ["14d"], "stages": ["met", "bought"]},
    "capacity": 20,
}

# Shares of cases with a corrupt config, with a value history, and with lenient limits, where bad
# rows do not stop the reading.
CONFIG_SHARE, HISTORY_SHARE, LENIENT_SHARE = 0.2, 0.3, 0.65


@dataclass
class Case:
    """One corrupt company.

    Attributes:
        number: Number of the case, which seeds it.
        wrong: Names of its corruptions.
        config: Path of the config.
        sources: The sources as they were meant.
    """

    number: int
    wrong: list[str] = field(default_factory=list)
    config: Path = Path()
    sources: list[Source] = field(default_factory=list)

    @property
    def during(self) -> str:
        """Return what happens while the sources are read: files vanish or change, or nothing."""
        return next((source.during for source in self.sources if source.during), "")


def make(number: int, folder: Path) -> Case:
    """Write the files of a case into an empty folder; a negative number has no corruption."""
    rng = random.Random(f"{SEED} {number}")
    sources = company(rng, with_history=rng.random() < HISTORY_SHARE)
    case = Case(number, config=folder / "company.yaml", sources=sources)
    wrongs, on_config = rng.choices((1, 2, 3), (6, 3, 1))[0], rng.random() < CONFIG_SHARE
    if number < 0:
        on_config, wrongs = False, 0
    if not on_config:
        case.wrong += [
            _spoil(rng, rng.choices(sources, [3, 3, 2][: len(sources)])[0]) for _ in range(wrongs)
        ]
    for source in sources:
        place(source, folder, rng)
    tree = config_of(sources, 1.0 if rng.random() < LENIENT_SHARE else 0.02)
    case.config.write_bytes(
        _config_bytes(tree, case, rng, wrongs) if on_config else _text(tree).encode()
    )
    return case


def _config_bytes(tree: dict, case: Case, rng: random.Random, wrongs: int) -> bytes:
    in_text = rng.random() < 0.5
    case.wrong += [spoil_tree(tree, rng) for _ in range(wrongs - in_text)]
    if not in_text:
        return _text(tree).encode("utf-8", "surrogatepass")
    name, data = spoil_yaml(_text(tree), rng)
    case.wrong.append(name)
    return data


def _text(tree: dict) -> str:
    return yaml.safe_dump(tree, sort_keys=False, allow_unicode=True)


def company(rng: random.Random, with_history: bool) -> list[Source]:
    """Return the sources of a plausible company, each in a random format."""
    leads, events, values = [], [], []
    for number in range(LEADS):
        lead, born = f"L{number:04}", START + timedelta(seconds=rng.randrange(170 * 86_400))
        leads.append(
            [
                lead,
                born.isoformat(" "),
                f"F{number // 3}",
                rng.choice(["DE", "FR"]),
                str(rng.randrange(99)),
            ]
        )
        at = born
        for _ in range(rng.randrange(6)):
            at += timedelta(seconds=rng.randrange(1, 20 * 86_400))
            what = rng.choices(["visit", "met", "bought", "lost"], [6, 2, 1, 1])[0]
            events.append(
                [
                    lead,
                    at.isoformat(" "),
                    what,
                    rng.choice(["web", "phone"]),
                    str(rng.randrange(500) / 4),
                ]
            )
        values.append([lead, born.isoformat(" "), "rating", rng.choice(["hot", "cold"])])
    events = [event for event in events if event[1] < END]
    sources = [
        Source("leads", ["id", "created", "firm", "country", "size"], leads),
        Source("events", ["lead", "at", "what", "via", "amount"], events),
    ]
    if with_history:
        sources.append(Source("attributes", ["id", "since", "field", "new"], values))
    for source in sources:
        source.meant = frozenset(",".join(map(str, row)) for row in source.rows)
        source.form = rng.choice(list(ENCODERS))
        source.parts = rng.choice([1, 1, 1, 2, 3]) if source.form != "sqlite" else 1
    return sources


def config_of(sources: list[Source], limit: float) -> dict:
    """Return the config that names the files of the sources."""
    shape = yaml.safe_load(yaml.safe_dump(CONFIG))
    roles = {source.role: source.where for source in sources}
    described = {"leads": shape["sources"]["leads"] | roles["leads"]}
    described["events"] = [shape["sources"]["events"][0] | roles["events"]]
    if "attributes" in roles:
        described["attributes"] = [shape["sources"]["attributes"][0] | roles["attributes"]]
    shape["sources"] = described | {"max_quarantine": limit}
    return shape


def _spoil(rng: random.Random, source: Source) -> str:
    """Corrupt a source in a way that its format allows; return the name of the corruption."""
    corruptions: dict[str, tuple[tuple[str, ...], Callable]] = WRONG_ROWS | WRONG_FILES
    names = [name for name, (forms, _) in corruptions.items() if source.form in forms]
    # Corruptions of one or two formats only would be rare otherwise.
    name = rng.choices(names, [4 if len(corruptions[name][0]) < 3 else 1 for name in names])[0]
    corruptions[name][1](source, rng)
    return name
