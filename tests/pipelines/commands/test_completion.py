"""Words that a shell completes."""

from types import SimpleNamespace

import pytest

from pipelines.commands.completion import complete_config, complete_target

CONFIG = """project: p
targets:   # two

  propensity:
    outcome: won
  # a comment
  close-2: {outcome: won}
features: {windows: [7d]}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.yaml").write_text(CONFIG, encoding="utf-8")
    (tmp_path / "configs").mkdir()
    for name in ("configs/d.yml", "configs/.hidden.yaml", "notes.txt", "odd.yaml"):
        (tmp_path / name).write_bytes(b"\xff")


def complete(*words, incomplete="", config=None):
    context = SimpleNamespace(params={"config": config}, args=list(words))
    return complete_target(context, incomplete)


def test_targets_are_those_of_the_config():
    assert complete("c.yaml") == ["propensity", "close-2"]
    assert complete(config="c.yaml", incomplete="cl") == ["close-2"]


@pytest.mark.parametrize("words", [(), ("none.yaml",), ("odd.yaml",), ("notes.txt",), ("configs",)])
def test_unreadable_config_completes_nothing(words):
    assert complete(*words) == []


def test_configs_and_folders_are_completed():
    assert list(complete_config("")) == ["c.yaml", "configs/", "odd.yaml"]
    assert list(complete_config("c")) == ["c.yaml", "configs/"]
    assert list(complete_config("configs/")) == ["configs/d.yml"]
    assert list(complete_config("configs/.h")) == ["configs/.hidden.yaml"]
    assert list(complete_config("nowhere/")) == []
