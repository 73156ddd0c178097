"""Nights ended at each of their writes, by SIGKILL or by a full disk, are completed by the next.

Each write, rename, creation and removal below the workspace is such a point, and with PostgreSQL
everything sent to the server, down to half a write. LEADSCORE_KILLS is the number of points tried
per mode and store, spread evenly, or ``all``.
"""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import psycopg
import pytest
import yaml

from configs.schema import load_project
from pipelines.workspace import open_store
from serve.crm.stored_deliveries import list_stored_deliveries
from tests.faults.nights import Nights
from tests.pipelines import tiny

KILLS = os.environ.get("LEADSCORE_KILLS", "3")
FIRST, SECOND = "2024-12-01", "2024-12-15"
QUICK = (
    "from models.learners import lightgbm; lightgbm.ROUNDS = 15; "
    "from pipelines.cli import main; main()"
)
EXPORTS = {
    "crm": {"format": "csv", "columns": {"score": "buy.score", "status": "status"}, "delta": True}
}
MODES = {"k": "killed before it", "t": "killed half-way or after it", "f": "no space from it on"}

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux") or not shutil.which("cc"), reason="needs Linux, cc"
)


@pytest.fixture(scope="module")
def nights(tmp_path_factory):
    with Nights(tmp_path_factory.mktemp("shim")) as process:
        yield process


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return the folder of a company with a champion and nothing published."""
    folder = tmp_path_factory.mktemp("trained")
    tiny.write(folder, **tiny.LITTLE, publish={"exports": EXPORTS})
    command = [
        sys.executable,
        "-c",
        QUICK,
        "train",
        "company.yaml",
        "--as-of",
        tiny.END,
        "--direct",
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
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


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.server)]
)
def place(request, tmp_path_factory):
    url = request.getfixturevalue("postgresql_url") if request.param == "postgresql" else None
    return Place(tmp_path_factory.mktemp(request.param), url)


@pytest.fixture(scope="module")
def after_first(place, trained, nights):
    """Return a company after its first night, and what its second night writes and leaves."""
    first = place.home / "first"
    shutil.copytree(trained, first, symlinks=True)
    if place.url:
        place.admin("CREATE DATABASE first")
        place.configure(first, "first")
    assert nights.run(first, FIRST)["error"] is None
    second = place.copy(first, "first")
    before = left(second)
    writes = nights.run(second, SECOND)
    assert writes["error"] is None
    expected = left(second)
    assert expected["rows"] > before["rows"]
    assert len(expected["delivered"]) == len(before["delivered"]) + 1 == 2
    return first, before, expected, writes["names"].split()


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
        own = ["run_id", "scored_at"]
        runs = store.runs(project.project).to_pylist()
        return {
            "rows": sum(table.num_rows for table in rows),
            "scores": [table.drop_columns(own).to_pylist() for table in rows],
            "current": store.scores(project.project).drop_columns(own).to_pylist(),
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
    """Return the CSV's hash after checking it against its manifest."""
    folder = (root / "exports" / "current").resolve(strict=True)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    for name, file in manifest["files"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == file["sha256"]
    return manifest["sha256"]


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


def points(count: int) -> list[int]:
    """Return points of 1 to ``count``, spread evenly, with the first and the last."""
    chosen = count if KILLS == "all" else min(int(KILLS), count)
    return sorted({1 + round(i * (count - 1) / max(1, chosen - 1)) for i in range(chosen)})


@pytest.mark.parametrize("mode", MODES)
def test_night_killed_at_any_write_is_completed_by_next(mode, place, after_first, nights, capsys):
    first, before, expected, writes = after_first
    chosen, tried = points(len(writes)), Counter()
    for at in chosen:
        folder = place.copy(first, "first")
        ended = nights.run(folder, SECOND, at, mode)
        point = f"write {at} of {len(writes)} ({writes[at - 1]}), {MODES[mode]}: {ended}"
        assert ended["signal"] == (0 if mode == "f" else signal.SIGKILL), point
        assert not str(ended["error"]).startswith("traceback"), point
        state = left(folder)
        assert state["current"] in (before["current"], expected["current"]), f"a mixture at {point}"
        assert state["export"] in (before["export"], expected["export"]), f"a mixture at {point}"
        assert state["delivered"] in (before["delivered"], expected["delivered"]), (
            f"a mixture at {point}"
        )
        again = nights.run(folder, SECOND)
        assert again["error"] is None, f"{again} after {point}"
        assert left(folder) == expected, point
        tried[writes[at - 1]] += 1
        place.drop(folder)
    with capsys.disabled():
        kinds = ", ".join(f"{name} {count}" for name, count in sorted(tried.items()))
        store = "PostgreSQL" if place.url else "SQLite"
        summary = (
            f"{store}, {MODES[mode]}: {len(chosen)} of {len(writes)} points, "
            f"0 lost, 0 twice, 0 partial ({kinds})"
        )
        sys.stdout.write(f"\n{summary}\n")
