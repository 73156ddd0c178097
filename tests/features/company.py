"""A small company for the tests of its sources: a config from parts, and its files."""

import csv
import io
from datetime import UTC, datetime
from pathlib import Path

from configs.schema import Project

EVENT = {"entity_id": "lead", "event_time": "at", "event_type": "what"}
FULL_EVENT = {**EVENT, "known_at": "known", "channel": "via", "value": "amount"}
LEAD = {"entity_id": "id", "created_at": "born"}


def project(leads=None, events=(), targets=None, zone="UTC", **sources):
    timed = targets or {"win": {"outcome": "won", "horizon": "30d", "cutoffs": {"every": "7d"}}}
    raw = {"leads": leads, "events": list(events), **sources}
    whole = {"project": "p", "workspace": "w", "timezone": zone, "sources": raw, "targets": timed}
    return Project.model_validate(whole)


def write(path: Path, text: str | bytes) -> str:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return str(path)


def csv_text(rows, names=None, **options):
    text = io.StringIO()
    writer = csv.DictWriter(
        text, names or list(rows[0]), lineterminator="\n", quoting=csv.QUOTE_ALL, **options
    )
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def at(*parts):
    return datetime(*parts, tzinfo=UTC)
