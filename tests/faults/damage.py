"""Damage to the files of a workspace, and what a night must not have lost by it."""

import os
import random
import shutil
from pathlib import Path

from configs.errors import LeadscoreError
from configs.schema import load_project
from pipelines.nightly.night import score_night
from pipelines.runner import Runner, read_clock
from pipelines.state.verify import verify_project
from pipelines.workspace import open_store
from serve.crm.stored_deliveries import list_stored_deliveries


def delete(path):
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def empty(path):
    path.write_bytes(b"")


def halve(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path):
    """Invert sixteen bytes at each of four places, in a small file at its start."""
    content, rng = bytearray(path.read_bytes()), random.Random(path.name)
    for start in {rng.randrange(max(1, len(content) - 16)) // 16 * 16 for _ in range(4)}:
        content[start : start + 16] = bytes(255 - byte for byte in content[start : start + 16])
    path.write_bytes(content)


def put_folder(path):
    delete(path)
    path.mkdir()


def put_link(path):
    delete(path)
    path.symlink_to("nowhere")


def put_file(path):
    delete(path)
    path.write_text("a file\n")


def put_copy(path):
    """Replace a link by a copy of what it leads to, as a tool that follows links does."""
    copy = path.resolve()
    path.unlink()
    shutil.copytree(copy, path)


OF_FILES = (delete, empty, halve, flip, put_folder, put_link)
OF_FOLDERS = (delete, put_file, put_link)
OF_LINKS = (delete, put_link, put_folder, put_file, put_copy)


def list_damage(root: Path):
    """Return each damage as (path below the workspace, function)."""
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root)
        # MLflow's own records of a training: no night reads them, a backup restores them.
        if name.parts[0] == "artifacts" and "models" not in name.parts:
            continue
        if path.is_symlink():
            kinds = OF_LINKS
        elif path.is_dir():
            kinds = OF_FOLDERS
        else:
            kinds = OF_FILES if path.stat().st_size else (delete, put_folder, put_link)
        for kind in kinds:
            yield name, kind


def read_past(project):
    """Return what no night may lose: published runs, deliveries, and versions in use."""
    runs = open_store(project).runs(project.project).to_pylist()
    published = {(run["run_id"], run["target"]) for run in runs if run["status"] == "published"}
    folder = project.workspace_path / "exports" / "crm"
    delivered = {
        stored.manifest["sequence"]: stored.id for stored in list_stored_deliveries(folder)
    }
    return published, delivered


def try_damage(folder: Path, name: Path, kind, night: str):
    """Damage one path of a company's workspace; return the outcome and what to read of it.

    The outcome is ``named`` by verify, ``refused`` by the night, ``went on``, or a fault: ``wrong
    message``, ``traceback``, ``begun anew`` or ``silent``.
    """
    home = Path.cwd()
    os.chdir(folder)
    try:
        project = load_project("company.yaml")
        past = read_past(project)
        kind(project.workspace_path / name)
        before = list_entries(project.workspace_path)
        named = verify_project(project, read_clock()).alarms()
        if list_entries(project.workspace_path) != before:
            return "changed by verify", str(named)
        outcome, text = run_night(project, night, past)
        if outcome == "went on" and not named:
            after = verify_project(project, read_clock()).alarms()
            return ("silent", str(after)) if after else ("went on", "")
        if outcome in ("went on", "refused") and named:
            return f"named, {outcome}", named[0]
        return outcome, text
    finally:
        os.chdir(home)


def run_night(project, night, past):
    try:
        score_night(project, night, Runner())
    except LeadscoreError as error:
        misleading = "free disk space" in str(error) or "train` first" in str(error)
        has_fix = bool(error.fix) and not misleading
        return ("refused" if has_fix else "wrong message"), str(error)
    except Exception as error:  # noqa: BLE001 - a traceback is a fault that the test reports
        return "traceback", f"{type(error).__name__}: {error}"
    published, delivered = read_past(project)
    if not past[0] <= published or max(delivered) != max(past[1]) + 1:
        return "begun anew", f"{len(published)} runs, deliveries {delivered}"
    return "went on", ""


def list_entries(root: Path):
    """Return each entry below a folder with its kind, size and time of change."""
    return {
        path.relative_to(root): (path.is_symlink(), path.lstat().st_size, path.lstat().st_mtime_ns)
        for path in root.rglob("*")
    }
