"""Backup and restore by the commands of docs/operations.md, and a backup without the lock."""

import os
import re
import shutil
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import psycopg
import pytest
import yaml

from configs.schema import load_project
from pipelines.nightly.night import score_night
from pipelines.runner import Runner, read_clock
from pipelines.state.verify import verify_project
from pipelines.workspace import open_store
from tests.faults.company import copy_and_publish
from tests.faults.conftest import is_full_attack

ROOT = Path(__file__).parents[2]
FIRST, SECOND = "2024-12-10", "2024-12-20"


@pytest.fixture(scope="module")
def published(trained, tmp_path_factory):
    """Return the folder of a company with one published night."""
    folder = tmp_path_factory.mktemp("backup") / "company"
    return copy_and_publish(trained, folder, FIRST)


def read_commands(word):
    """Return the first block of commands after a word in the section on backups."""
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    section = page.partition("## Backup and restore")[2].partition("\n## ")[0]
    return re.search(r"```\n(.*?)```", section[section.index(word) :], re.DOTALL)[1]


def run_commands(commands, folder, home, url=""):
    """Run the commands of the page, with their example folders replaced."""
    for stated, own in (("/backup", str(home / "kept")), ("/srv/acme", str(home / "acme"))):
        commands = commands.replace(stated, own)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "LEADSCORE_URL": url, "LEADSCORE_WORKSPACE": ""}
    environment.pop("LEADSCORE_WORKSPACE")
    done = subprocess.run(
        ["sh", "-ec", commands], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{commands}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def read_scores(folder, monkeypatch):
    monkeypatch.chdir(folder)
    project = load_project("company.yaml")
    return open_store(project).scores(project.project)


def check_backup(folder, home, monkeypatch, words, urls=("", "")):
    """Back the company up, lose it, restore it elsewhere, and score the next night there."""
    before = read_scores(folder, monkeypatch)
    (home / "kept").mkdir()
    (home / "acme").mkdir()
    run_commands(read_commands(words[0]), folder, home, urls[0])
    shutil.rmtree(folder / "workspace")
    # The sources are not part of the backup: they come from other systems.
    for name in folder.glob("*.csv"):
        shutil.copy(name, home / "acme")
    printed = run_commands(read_commands(words[1]), home / "acme", home, urls[1])
    lines = [line for line in printed.splitlines() if line.strip()]
    assert len(lines) == 13 and all(line.startswith("ok ") for line in lines), printed
    assert read_scores(home / "acme", monkeypatch).equals(before)
    project = load_project("company.yaml")
    score_night(project, SECOND, Runner())
    assert verify_project(project, read_clock()).alarms() == []


@pytest.fixture
def company(published, tmp_path, monkeypatch):
    monkeypatch.delenv("LEADSCORE_WORKSPACE", raising=False)
    shutil.copytree(published, tmp_path / "company", symlinks=True)
    return tmp_path / "company"


def test_backup_with_sqlite_is_restored(company, tmp_path, monkeypatch):
    check_backup(company, tmp_path, monkeypatch, ("With SQLite", "To restore"))


@pytest.mark.server
def test_backup_with_postgresql_is_restored(company, tmp_path, monkeypatch, postgresql_url):
    if not (shutil.which("pg_dump") and shutil.which("pg_restore")):
        pytest.skip("no pg_dump and pg_restore installed")
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS acme")
        connection.execute("CREATE DATABASE acme")
    url = f"{postgresql_url.rpartition('/')[0]}/acme"
    config = yaml.safe_load((company / "company.yaml").read_text(encoding="utf-8"))
    config["publish"] = config.get("publish", {}) | {"database": url}
    (company / "company.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    for name in ("scores.db", "exports", "champions.json"):
        path = company / "workspace" / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    monkeypatch.chdir(company)
    score_night(load_project("company.yaml"), FIRST, Runner())
    _check_with_new_database(company, tmp_path, monkeypatch, postgresql_url, url)


def _check_with_new_database(company, tmp_path, monkeypatch, server, url):
    """Restore into the same name, emptied after the dump: the config names it."""
    make_new = f'psql -q "{server}" -c "DROP DATABASE acme" -c "CREATE DATABASE acme"\n'
    original = read_commands

    def with_empty_database(word):
        commands = original(word)
        return make_new + commands if "pg_restore" in commands else commands

    monkeypatch.setattr(sys.modules[__name__], "read_commands", with_empty_database)
    words = ("With PostgreSQL", "into a new, empty database")
    check_backup(company, tmp_path, monkeypatch, words, (url, url))


def test_backup_without_the_lock_is_whole_or_named(company, tmp_path, monkeypatch, record_attack):
    """Copies that are taken while a night writes, by another process as a backup is."""
    monkeypatch.chdir(company)
    night = threading.Thread(
        target=score_night, args=(load_project("company.yaml"), SECOND, Runner())
    )
    night.start()
    copies = []
    while night.is_alive():
        copies.append(tmp_path / f"copy{len(copies)}")
        subprocess.run(["cp", "-a", company, copies[-1]], check=False, capture_output=True)
    night.join()
    # Each night takes a second.
    scored = copies[::5] if is_full_attack() else copies[-1:]
    outcomes = Counter()
    for copy in copies:
        monkeypatch.chdir(copy)
        # The process that held the original is this one; after a restore it is gone.
        Path("workspace/.lock").write_text("", encoding="utf-8")
        project = load_project("company.yaml")
        outcome = "named by verify"
        if not verify_project(project, read_clock()).alarms():
            outcome = "whole"
            if copy in scored:
                score_night(project, "2024-12-21", Runner())
                outcome = "whole, and scored the next night"
                assert verify_project(project, read_clock()).alarms() == []
        outcomes[outcome] += 1
    record_attack("backups without the lock while a night writes", outcomes)
    assert sum(outcomes.values()) == len(copies) > 0
