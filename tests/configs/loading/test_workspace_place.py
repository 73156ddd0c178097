"""Relative paths start at the folder of the YAML, and no upgrade begins a new workspace."""

import logging
import os
import re
from pathlib import Path

import pytest

from configs.errors import ConfigError, DataError
from configs.loading import workspace_place
from configs.schema import load_project
from features.intake.formats.listing import list_files

TEXT = """
project: acme
workspace: ws
sources:
  leads: {path: "data/leads*.csv", entity_id: id, created_at: born}
  events:
    - {path: "${workspace}/e.csv", entity_id: id, event_time: at, event_type: what}
    - {database: "sqlite:///crm.db", query: SELECT 1,
       entity_id: id, event_time: at, event_type: what}
targets: {close: {outcome: won, horizon: 30d, cutoffs: {every: 7d}}}
privacy: {suppress: {path: ../no.csv, entity_id: id}}
"""


@pytest.fixture(autouse=True)
def site(tmp_path, monkeypatch):
    """Work in ``site``, whose folder ``conf`` holds the YAML."""
    monkeypatch.delenv("LEADSCORE_WORKSPACE", raising=False)
    workspace_place._warn_once.cache_clear()
    (tmp_path / "site/conf").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "site")
    return tmp_path / "site"


def load(text=TEXT, path="conf/c.yaml"):
    Path(path).write_text(text, encoding="utf-8")
    return load_project(path)


def make_results(workspace, owner="acme"):
    """Make a folder that looks like the workspace of a project that has published."""
    (workspace / "exports").mkdir(parents=True)
    (workspace / "project.txt").write_text(owner, encoding="utf-8")


def show_places(project):
    sources = project.sources
    return (
        str(project.workspace_path),
        sources.leads.path,
        sources.events[0].path,
        sources.events[1].database.path,
        project.privacy.suppress.path,
    )


def test_relative_paths_start_at_the_folder_of_the_yaml(site, monkeypatch):
    places = ("conf/ws", "conf/data/leads*.csv", "conf/ws/e.csv", "conf/crm.db", "no.csv")
    assert show_places(load()) == places
    monkeypatch.chdir(site / "conf")
    places = ("ws", "data/leads*.csv", "ws/e.csv", "crm.db", "../no.csv")
    assert show_places(load_project("c.yaml")) == places
    monkeypatch.chdir("/")
    assert show_places(load_project(site / "conf/c.yaml")) == (
        *(f"{site}/conf/{place}" for place in places[:4]),
        f"{site}/no.csv",
    )


def test_workspace_lies_beside_the_yaml_by_default():
    assert load(TEXT.replace("workspace: ws\n", "")).workspace_path == Path("conf/workspace")


def test_absolute_paths_stay(tmp_path):
    text = TEXT.replace("workspace: ws", f"workspace: {tmp_path}/w").replace("/crm", f"/{tmp_path}")
    project = load(text)
    assert project.workspace_path == tmp_path / "w"
    assert project.sources.events[0].path == f"{tmp_path}/w/e.csv"
    assert project.sources.events[1].database.path == f"{tmp_path}.db"


def test_folders_of_variables_start_at_the_current_directory(site, monkeypatch):
    monkeypatch.setenv("LEADSCORE_DATA", "lake")
    project = load(TEXT.replace("data/leads", "${LEADSCORE_DATA}/leads"))
    assert project.sources.leads.path == f"{site}/lake/leads*.csv"
    monkeypatch.setenv("LEADSCORE_WORKSPACE", "elsewhere")
    project = load_project("conf/c.yaml")
    assert project.workspace_path == Path("elsewhere")
    assert project.sources.events[0].path == f"{site}/elsewhere/e.csv"


def test_signs_of_a_pattern_in_the_folder_of_the_yaml_are_no_pattern(site):
    folder = site / "a[1]*"
    (folder / "data").mkdir(parents=True)
    (folder / "data/leads1.csv").touch()
    project = load(path=folder / "c.yaml")
    assert [file.address for file in list_files(project.sources.leads.path)] == [
        str(folder / "data/leads1.csv")
    ]


def test_linked_yaml_counts_where_it_lies(site):
    load()
    (site / "link.yaml").symlink_to("conf/c.yaml")
    assert load_project("link.yaml").workspace_path == Path("ws")


def test_yaml_from_a_pipe_counts_as_in_the_current_directory():
    reader, writer = os.pipe()
    os.write(writer, TEXT.encode())
    os.close(writer)
    assert load_project(f"/dev/fd/{reader}").sources.leads.path == "data/leads*.csv"
    os.close(reader)


def test_workspace_of_the_current_directory_stays_in_use_with_a_warning(site, caplog):
    make_results(site / "ws")
    # As `check` leaves it: no results.
    (site / "conf/ws").mkdir()
    (site / "conf/ws/project.txt").write_text("acme", encoding="utf-8")
    with caplog.at_level(logging.WARNING):
        project = load()
        load_project("conf/c.yaml")
    assert project.workspace_path == site / "ws"
    assert project.sources.events[0].path == f"{site}/ws/e.csv"
    assert [record.getMessage() for record in caplog.records] == [
        f"the workspace {site}/ws is used, of the current directory; a relative workspace starts "
        f"at the folder of the YAML, {site}/conf: write `workspace: ../ws` into the YAML, or move "
        "it"
    ]
    caplog.clear()
    assert load(TEXT.replace("workspace: ws", "workspace: ../ws")).workspace_path == Path("ws")
    assert not caplog.records


def test_workspace_of_another_project_is_not_used(site):
    make_results(site / "ws", "other")
    assert load().workspace_path == Path("conf/ws")


@pytest.mark.parametrize("owner", [b"", b"\xff\xfe", None])
def test_workspace_whose_owner_is_damaged_stays_in_use(site, owner):
    make_results(site / "ws")
    (site / "ws/project.txt").unlink()
    if owner is not None:
        (site / "ws/project.txt").write_bytes(owner)
    assert load().workspace_path == site / "ws"


def test_workspace_beside_the_yaml_wins_with_a_warning(site, caplog):
    make_results(site / "ws")
    make_results(site / "conf/ws")
    assert load().workspace_path == Path("conf/ws")
    assert "holds results of this project too" in caplog.text


def test_workspace_by_two_paths_is_no_conflict(site, caplog):
    make_results(site / "ws")
    (site / "conf/ws").symlink_to(site / "ws")
    assert load().workspace_path == Path("conf/ws")
    assert not caplog.text


def test_database_of_the_current_directory_is_refused(site):
    (site / "scores.db").touch()
    text = TEXT + "publish: {database: 'sqlite:///scores.db'}\n"
    with pytest.raises(ConfigError, match=r"publish\.database[^$]*begin the path with \.\./"):
        load(text)
    assert load(text.replace("///s", "///../s")).publish.database.path == "conf/../scores.db"


def test_file_of_the_current_directory_is_named(site):
    (site / "data").mkdir()
    (site / "data/leads1.csv").touch()
    with pytest.raises(ConfigError) as refused:
        load()
    assert str(refused.value) == (
        f"config error: this path starts at the folder of the YAML, {site}/conf, where nothing has "
        f"its name, but something has in the current directory, {site} "
        "[conf/c.yaml: sources.leads.path]\n"
        "  fix: begin the path with ../, or move the files"
    )
    (site / "conf/data").mkdir()
    (site / "conf/data/leads2.csv").touch()
    assert len(list_files(load().sources.leads.path)) == 1


def test_missing_file_is_shown_with_its_absolute_path(site):
    with pytest.raises(DataError, match=re.escape(f"[{site}/conf/data/leads*.csv]")):
        list_files(load().sources.leads.path)
    with pytest.raises(ConfigError, match=re.escape(f"[{site}/none.yaml]")):
        load_project("none.yaml")
