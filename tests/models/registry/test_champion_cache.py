"""Champions are read from the cache while the registry is unreachable."""

import json

import pytest

from configs.errors import ConfigError
from models.registry import champion_cache
from models.registry.records import RegisteredVersion


class Registry:
    """Answers with what it is given, and not at all where that is an error."""

    def __init__(self, root, **answers):
        self.root, self.answers = root, answers

    def champion(self, target):
        answer = self.answers.get(target)
        if isinstance(answer, Exception):
            raise answer
        return answer


SEVEN = RegisteredVersion(
    "close", 7, "r1", {"gate": "passed"}, ("challenger", "champion"), "file:///models/7"
)
SILENT = ConfigError("the model registry does not answer")


def test_cache_answers_while_registry_is_unreachable(tmp_path):
    targets = ["close", "propensity"]
    answer = {"close": SEVEN, "propensity": None}
    assert champion_cache.read_champions(Registry(tmp_path, close=SEVEN), targets) == (answer, None)
    assert champion_cache.read_champions(Registry(tmp_path, close=SILENT), targets) == (
        answer,
        SILENT,
    )


def test_cache_forgets_removed_champion(tmp_path):
    champion_cache.read_champions(Registry(tmp_path, close=SEVEN), ["close"])
    champion_cache.read_champions(Registry(tmp_path), ["close"])
    with pytest.raises(ConfigError):
        champion_cache.read_champions(Registry(tmp_path, close=SILENT), ["close"])


@pytest.mark.parametrize(
    "text", ["", "[]", "{", json.dumps({"close": {"number": 7}}), json.dumps({"close": None})]
)
def test_cache_ignores_damaged_file(tmp_path, text):
    (tmp_path / champion_cache.CACHE_FILE).write_text(text)
    with pytest.raises(ConfigError):
        champion_cache.read_champions(Registry(tmp_path, close=SILENT), ["close"])
