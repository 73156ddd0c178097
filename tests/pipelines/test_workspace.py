"""Who may read a workspace: errors and warnings of ``publish.readers``."""

import os

import pytest

from configs.errors import ConfigError
from configs.schema import load_project
from pipelines import workspace
from pipelines.workspace import find_readers, open_workspace
from tests.pipelines import tiny


def load(folder, readers):
    publish = {"readers": readers} if readers else {}
    return load_project(tiny.write(folder, leads=2, publish=publish))


@pytest.fixture(autouse=True)
def in_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LEADSCORE_WORKSPACE", raising=False)


def test_unknown_group_is_refused_before_anything_is_made(tmp_path):
    project = load(tmp_path, "no such group")
    with pytest.raises(ConfigError) as error, open_workspace(project):
        pass
    assert str(error.value).startswith("config error: no such group on this machine [")
    assert "publish.readers]: no such group" in str(error.value)
    assert "fix: create it: groupadd 'no such group' && usermod -aG" in str(error.value)
    assert not (tmp_path / "workspace").exists()


def test_group_of_others_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(workspace.os, "geteuid", lambda: 12_345)
    project = load(tmp_path, str(max([os.getegid(), *os.getgroups()]) + 1))
    with pytest.raises(ConfigError, match="this user is not in the group") as error:
        find_readers(project)
    assert "usermod -aG" in error.value.fix
    assert "12345" in error.value.fix


def test_groups_are_found_by_name_and_by_number(tmp_path):
    import grp

    own = os.getegid()
    assert find_readers(load(tmp_path, str(own))) == own
    assert find_readers(load(tmp_path, grp.getgrgid(own).gr_name)) == own
    assert find_readers(load(tmp_path, None)) is None


def test_workspace_with_the_config_leaves_the_users_files_alone(tmp_path, caplog):
    publish = {"readers": str(os.getegid())}
    project = load_project(tiny.write(tmp_path, leads=2, workspace=".", publish=publish))
    (tmp_path / "exports" / "one").mkdir(parents=True)
    (tmp_path / "exports").chmod(0o755)
    (tmp_path / "leads.csv").chmod(0o644)
    for times in (1, 1):
        with open_workspace(project):
            pass
        assert caplog.text.count("private now") == times
    assert (tmp_path / "leads.csv").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "exports" / "one").stat().st_mode & 0o777 == 0o750


def test_closed_folder_above_is_named(tmp_path, caplog):
    project = load(tmp_path, str(os.getegid() + 1 if os.geteuid() == 0 else os.getegid()))
    tmp_path.chmod(0o700)
    with open_workspace(project):
        pass
    assert f"cannot enter {tmp_path}; chmod o+x {tmp_path}" in caplog.text
