"""Writes a page as one HTML file that needs no network and runs no script but its own.

The Content-Security-Policy names each script and style by its hash, so a text that was not escaped
could not run either. Data lie in compressed blocks, which are no scripts.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from serve.page.blocks import pack_block
from serve.page.content.parts import Block, Section
from serve.page.content.words import PageWords

ASSETS = Path(__file__).parent / "assets"
# In the order in which they run; each file has one responsibility.
SCRIPTS = (
    "blocks.js",
    "theme.js",
    "charts.js",
    "lead_data.js",
    "lead_cells.js",
    "leads.js",
    "one_lead.js",
    "main.js",
)
# The frame first; a section with contents of its own adds a file.
STYLES = (
    "page.css",
    "lead_list.css",
    "one_lead.css",
    "funnel.css",
    "forecast.css",
    "customers.css",
    "summary.css",
)


def render_page(
    title: str,
    facts: Mapping[str, str],
    sections: Sequence[Section],
    words: PageWords,
    intro: str,
    library: str,
) -> bytes:
    """Return the HTML of a page, UTF-8; the same contents give the same bytes.

    ``facts`` are shown beside the title: a value by its label. ``intro`` says in a sentence what
    the page is for; ``library`` is the script of ``bundle_chart_library``.
    """
    blocks = [*_collect_blocks(sections), Block("words", words.script_texts())]
    scripts = [library, "\n".join(map(_read_asset, SCRIPTS))]
    style = "\n".join(map(_read_asset, STYLES))
    template = _create_environment().get_template("page.html.j2")
    text = template.render(
        title=title,
        intro=intro,
        facts=facts,
        groups=_group_sections(sections),
        words=words,
        policy=_build_policy(scripts, style),
        # Our own files and the library's, which hold no text of a user.
        scripts=[Markup(script) for script in scripts],
        style=Markup(style),
        blocks={block.name: pack_block(block.content) for block in blocks},
    )
    return text.encode()


def _group_sections(sections: Iterable[Section]) -> list[dict[str, Any]]:
    """Return the groups in the order of their sections, with ``name`` and ``sections``."""
    groups = groupby(sections, key=lambda section: section.group)
    return [{"name": name, "sections": list(members)} for name, members in groups]


def _collect_blocks(sections: Iterable[Section]) -> Iterable[Block]:
    for section in sections:
        yield from section.blocks
        for chart in section.charts:
            yield Block(f"chart-{chart.name}", {**chart.spec, "data": {"values": [*chart.rows]}})


def _create_environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(ASSETS),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _build_policy(scripts: Iterable[str], style: str) -> str:
    """Return the Content-Security-Policy (CSP level 3, W3C) of a page with these contents."""
    hashes = " ".join(map(_hash_source, scripts))
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src {hashes}",
            f"style-src {_hash_source(style)}",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def _hash_source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _read_asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")
