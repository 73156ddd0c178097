"""What runs leave behind is private, whatever the umask; a group can be let in to the exports."""

import grp
import os
import shutil
import stat
from collections import Counter
from pathlib import Path

import pytest
import yaml

import leadscore
from tests.faults.commands import run_commands
from tests.pipelines import tiny

NEXT = "2024-12-02"


@pytest.fixture(scope="module")
def used(published, tmp_path_factory):
    """Return the folders of a company after each kind of command, under umask 022.

    Those of ``private`` name no readers, ``shared`` a group, and ``loose`` is private after all its
    files were readable. With the text that the last step printed.
    """
    home = tmp_path_factory.mktemp("modes")
    private = home / "private"
    shutil.copytree(published, private, symlinks=True)
    config = yaml.safe_load((private / "company.yaml").read_text(encoding="utf-8"))
    config["publish"]["readers"] = str(find_group())
    (private / "shared.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    run_commands(
        private,
        ["export", "company.yaml"],
        ["outcomes", "company.yaml", "--as-of", tiny.END, "--direct"],
        ["features", "company.yaml", "--out", "matrix.parquet"],
        ["forget", "company.yaml", "L0007", "--and-suppress"],
        ["copy", "../shared"],
        ["score", "shared.yaml", "--as-of", NEXT, "--direct"],
    )
    loose = home / "loose"
    shutil.copytree(home / "shared", loose, symlinks=True)
    for path in [loose, *loose.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() else 0o644)
    messages = run_commands(loose, ["export", "company.yaml"], ["export", "company.yaml"])
    return home, messages


def find_group():
    """Return a group that this user may give files to, and is not the one that files get."""
    own = os.getegid()
    groups = [g.gr_gid for g in grp.getgrall()] if os.geteuid() == 0 else os.getgroups()
    return next((group for group in sorted(groups) if group != own), own)


def list_shared(folder: Path, bits=stat.S_IRWXG | stat.S_IRWXO):
    """Return the mode of each path, and of the folder itself, that has some of the bits."""
    paths = [folder, *folder.rglob("*")]
    return {
        str(path.relative_to(folder)): stat.S_IMODE(path.lstat().st_mode)
        for path in paths
        if not path.is_symlink() and path.lstat().st_mode & bits
    }


def test_files_of_all_commands_are_private(used, trained, record_attack):
    home, _ = used
    workspace = home / "private" / "workspace"
    found = {folder: list_shared(folder) for folder in (trained / "workspace", workspace)}
    record_attack(
        "file modes",
        Counter(
            private=sum(1 for folder in found for _ in folder.rglob("*")),
            shared=sum(len(shared) for shared in found.values()),
        ),
    )
    assert not any(found.values()), found
    # The files that hold personal data are among those that were looked at.
    for name in ("scores.db", "mlflow.db", "suppressed.csv", "reports/outcomes.json", "quarantine"):
        assert (workspace / name).exists(), name
    assert stat.S_IMODE((home / "private" / "matrix.parquet").stat().st_mode) == 0o600


def test_group_of_readers_gets_the_exports_only(used):
    workspace, group = used[0] / "shared" / "workspace", find_group()
    shared = list_shared(workspace)
    assert shared.pop(".") == 0o710
    assert {name.partition("/")[0] for name in shared} == {"exports"}
    exports = workspace / "exports"
    everything = [exports, *(path for path in exports.rglob("*") if not path.is_symlink())]
    assert len(shared) == len(everything)
    for path in everything:
        assert stat.S_IMODE(path.stat().st_mode) == (0o750 if path.is_dir() else 0o640), path
        assert path.stat().st_gid == group, path
    # Those written before the config named the group, and those of this night.
    for folder in (exports, exports / "crm"):
        assert len([path for path in folder.iterdir() if path.name.startswith("2024")]) >= 2
    assert (exports / "current" / "scores.csv").stat().st_gid == group


def test_workspace_of_an_earlier_version_is_closed_once(used):
    home, messages = used
    assert not list_shared(home / "loose" / "workspace")
    assert messages.count("could be read by other users and are private now") == 1
    # What the user put there keeps its mode.
    assert stat.S_IMODE((home / "loose" / "leads.csv").stat().st_mode) == 0o644


def test_files_of_the_python_api_are_private(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LEADSCORE_WORKSPACE", raising=False)
    tiny.write(tmp_path, leads=50)
    previous = os.umask(0o022)
    try:
        leadscore.load("company.yaml").check()
        (tmp_path / "own").write_text("", encoding="utf-8")
    finally:
        os.umask(previous)
    assert (tmp_path / "workspace" / "quarantine" / "leads.csv").exists()
    assert not list_shared(tmp_path / "workspace")
    # The umask of the program that calls it is as before.
    assert stat.S_IMODE((tmp_path / "own").stat().st_mode) == 0o644
