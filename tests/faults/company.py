"""A small company whose nights are disturbed, and the state that they leave."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
import yaml

from configs.schema import load_project
from pipelines.nightly.night import score_night
from pipelines.runner import Runner
from pipelines.workspace import open_store
from serve.crm.stored_deliveries import list_stored_deliveries
from tests.pipelines import tiny

FIRST, SECOND = "2024-12-01", "2024-12-15"
QUICK = (
    "from models.learners import lightgbm; lightgbm.ROUNDS = 15; "
    "from pipelines.cli import main; main()"
)
EXPORTS = {
    "crm": {"format": "csv", "columns": {"score": "buy.score", "status": "status"}, "delta": True}
}


def train_company(folder: Path) -> None:
    """Write a company into a folder and train its champion; nothing is published."""
    tiny.write(folder, **tiny.LITTLE, publish={"exports": EXPORTS})
    command = [
        *(sys.executable, "-c", QUICK),
        *("train", "company.yaml", "--as-of", tiny.END, "--direct"),
    ]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, umask=0o022
    )
    assert done.returncode == 0, done.stderr


def copy_and_publish(template: Path, folder: Path, *nights: str) -> Path:
    """Copy a trained company into a folder, publish nights there, and return the folder."""
    shutil.copytree(template, folder, symlinks=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("LEADSCORE_WORKSPACE", raising=False)
        for night in nights:
            score_night(load_project("company.yaml"), night, Runner())
    return folder


class Place:
    """Copies of a company after its first night, each with its own folder and database."""

    def __init__(self, home: Path, url: str | None) -> None:
        self.home, self.url, self.made = home, url, 0

    def copy(self, template: Path, database: str) -> Path:
        """Return a new copy of a template folder.

        ``database`` is the template of its PostgreSQL database.
        """
        self.made += 1
        folder = self.home / f"night{self.made}"
        shutil.copytree(template, folder, symlinks=True)
        if self.url:
            self.admin(f"CREATE DATABASE {folder.name} TEMPLATE {database}")
            self.configure(folder, folder.name)
        return folder

    def drop(self, folder: Path) -> None:
        shutil.rmtree(folder)
        if self.url:
            self.admin(f"DROP DATABASE {folder.name} WITH (FORCE)")

    def configure(self, folder: Path, database: str) -> None:
        config = yaml.safe_load((folder / "company.yaml").read_text(encoding="utf-8"))
        config["publish"] |= {"database": f"{self.url.rpartition('/')[0]}/{database}"}
        (folder / "company.yaml").write_text(
            yaml.safe_dump(config, sort_keys=False), encoding="utf-8"
        )

    def admin(self, statement: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement)


def left(folder: Path) -> dict:
    """Return the visible state after nights, without ids and times that differ per run."""
    home = Path.cwd()
    os.chdir(folder)
    try:
        project = load_project("company.yaml")
        store = open_store(project)
        rows = [
            store.scores(project.project, project.parse_instant(night)) for night in (FIRST, SECOND)
        ]
        tables = [
            store.night_tables(run) if run else {}
            for run in (
                store.last_published_run(project.project, project.parse_instant(night))
                for night in (FIRST, SECOND)
            )
        ]
        own = ["run_id", "scored_at"]
        runs = store.runs(project.project).to_pylist()
        return {
            "rows": sum(table.num_rows for table in rows),
            "scores": [table.drop_columns(own).to_pylist() for table in rows],
            "current": store.scores(project.project).drop_columns(own).to_pylist(),
            "tables": [
                {name: table.drop_columns("run_id").to_pylist() for name, table in night.items()}
                for night in tables
            ],
            "export": exported(project.workspace_path),
            "delivered": delivered(project.workspace_path / "exports" / "crm"),
            "published": sorted(
                {str(run["as_of"]) for run in runs if run["status"] == "published"}
            ),
            "started": [run for run in runs if run["status"] == "started"],
            "files": sorted(
                str(path.relative_to(project.workspace_path))
                for path in leftovers(project.workspace_path)
            ),
        }
    finally:
        os.chdir(home)


def exported(root: Path) -> str:
    """Return the hashes of all files after checking them against the manifest."""
    folder = (root / "exports" / "current").resolve(strict=True)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    for name, file in manifest["files"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == file["sha256"]
    assert {"scores.csv", "index.html"} < manifest["files"].keys()
    return " ".join(f"{name} {file['sha256']}" for name, file in sorted(manifest["files"].items()))


def delivered(folder: Path) -> list[str]:
    """Return the contents of the deliveries in order, after checking their parts."""
    contents = []
    for stored in list_stored_deliveries(folder):
        for part in stored.manifest["parts"]:
            assert (
                hashlib.sha256((stored.folder / part["file"]).read_bytes()).hexdigest()
                == part["sha256"]
            )
        contents.append(stored.manifest["content"])
    return contents


def leftovers(root: Path) -> list[Path]:
    """Return all files but those of databases and of finished exports."""
    files = [path for path in root.rglob("*") if path.is_file() or path.is_symlink()]
    folders = [*(root / "exports").glob("2*/*"), *(root / "exports" / "crm").glob("2*/*")]
    done = {path for path in folders if path.parent.name[:4].isdigit()}
    return [path for path in files if path not in done and not path.name.startswith("scores.db")]
