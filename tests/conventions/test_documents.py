"""The documents name files, code and commands that exist."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


def defined_names(path):
    """Return the module-level names of a Python file."""
    names = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names.update(n.id for t in node.targets for n in ast.walk(t) if isinstance(n, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return names


def glossary_rows():
    text = (ROOT / "docs" / "glossary.md").read_text("utf-8")
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return [(row[0].strip("| "), row[-1]) for row in rows if row[0] != "| term"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_and_headings(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if "://" in target or target.startswith("mailto:"):
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        assert path.exists(), f"{page.name}: {target}"
        if anchor and path.suffix == ".md":
            assert anchor in headings_of(path), f"{page.name}: {target}"


def headings_of(path):
    """Return the anchors that GitHub makes of a page's headings."""
    lines = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in lines}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_of_the_code_exist(page):
    named = re.findall(
        r"`((?:configs|features|models|serve|pipelines|leadscore|tests|examples)/[\w/.]+)`",
        page.read_text("utf-8"),
    )
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_glossary_has_about_forty_terms():
    assert len(glossary_rows()) >= 40


@pytest.mark.parametrize(("term", "home"), glossary_rows(), ids=lambda value: value[:20])
def test_glossary_terms_live_where_it_says(term, home):
    path, *names = re.findall(r"`([^`]+)`", home)
    assert set(names) <= defined_names(ROOT / path), f"{term}: {home}"
