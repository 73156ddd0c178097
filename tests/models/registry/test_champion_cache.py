"""Champions are read from the cache while the registry is unreachable."""

import json

import pytest

from configs.errors import ConfigError
from models.registry import champion_cache
from models.registry.records import RegisteredVersion


class Registry:
    """Answers with what it is given, and not at all where that is an error."""

    def __init__(self, root, withdrawn=(), former=(), **answers):
        self.root, self.answers = root, answers
        self.withdrawn, self.former = withdrawn, list(former)

    def champion(self, target):
        answer = self.answers.get(target)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def is_withdrawn(self, target):
        return target in self.withdrawn

    def former_champions(self, target):
        return self.former


SEVEN = RegisteredVersion(
    "close", 7, "r1", {"gate": "passed"}, ("challenger", "champion"), "file:///models/7"
)
SILENT = ConfigError("the model registry does not answer")


def test_cache_answers_while_registry_is_unreachable(tmp_path):
    targets = ["close", "propensity"]
    answer = {"close": SEVEN, "propensity": None}
    read = champion_cache.read_champions(Registry(tmp_path, close=SEVEN), targets)
    assert (read.versions, read.lost, read.unreachable) == (answer, {}, None)
    read = champion_cache.read_champions(Registry(tmp_path, close=SILENT), targets)
    assert (read.versions, read.lost, read.unreachable) == (answer, {}, SILENT)


def test_cache_forgets_withdrawn_champion(tmp_path):
    champion_cache.read_champions(Registry(tmp_path, close=SEVEN), ["close"])
    read = champion_cache.read_champions(Registry(tmp_path, withdrawn=["close"]), ["close"])
    assert read.withdrawn == {"close"} and not read.lost
    with pytest.raises(ConfigError):
        champion_cache.read_champions(Registry(tmp_path, close=SILENT), ["close"])


def test_lost_champion_is_named_and_stays_in_the_cache(tmp_path):
    champion_cache.read_champions(Registry(tmp_path, close=SEVEN), ["close"])
    for _ in range(2):
        lost = champion_cache.read_champions(Registry(tmp_path), ["close"]).lost
        assert lost == {"close": "champions.json names version 7"}
    (tmp_path / champion_cache.CACHE_FILE).unlink()
    lost = champion_cache.read_champions(Registry(tmp_path, former=[7, 3]), ["close"]).lost
    assert lost == {"close": "version 7 was its champion"}
    assert champion_cache.read_champions(Registry(tmp_path), ["close"]).lost == {}


@pytest.mark.parametrize(
    "text", ["", "[]", "{", json.dumps({"close": {"number": 7}}), json.dumps({"close": None})]
)
def test_cache_ignores_damaged_file(tmp_path, text):
    (tmp_path / champion_cache.CACHE_FILE).write_text(text)
    with pytest.raises(ConfigError):
        champion_cache.read_champions(Registry(tmp_path, close=SILENT), ["close"])
