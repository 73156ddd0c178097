"""A night's reasons in the company's words and language, and what they never name."""

import csv
import json
import re
import shutil
from pathlib import Path

import pytest

from configs.errors import ConfigError
from configs.schema import load_project
from features.wording.wording import load_wording
from models.learners import lightgbm
from pipelines.lead.explain import read_published_scores
from pipelines.lead.trace import trace_rows
from pipelines.nightly.night import score_night
from pipelines.runner import Runner
from pipelines.training.train import train_targets
from tests.pipelines import guarded, tiny

RUSSIAN = {"visit": ["визит", "визита", "визитов"], "country": "страна", "DE": "Германия"}
EXCLUDED = ("size", "met", "rating")


@pytest.fixture(scope="module")
def company(guarded_company, tmp_path_factory):
    return shutil.copytree(
        guarded_company, tmp_path_factory.mktemp("words") / "company", symlinks=True
    )


@pytest.fixture
def here(company, monkeypatch):
    monkeypatch.chdir(company)
    monkeypatch.delenv("LEADSCORE_WORKSPACE", raising=False)
    return company


def night(folder, **changes):
    """Publish a night with changes to the config; return its reasons by lead, and the project."""
    guarded.rewrite(folder, guarded.PRIVACY, **changes)
    project = load_project("company.yaml")
    scores = score_night(project, tiny.END, Runner()).published.scores
    texts = zip(scores["entity_id"].to_pylist(), scores["reasons"].to_pylist(), strict=True)
    return {entity: json.loads(text) for entity, text in texts}, project


def bare(reasons):
    return {entity: [one | {"sentence": ""} for one in found] for entity, found in reasons.items()}


def test_language_and_words_are_chosen_when_scores_are_made(here):
    english, plain = night(here)
    russian, spoken = night(here, publish={"language": "ru"}, words=RUSSIAN)
    assert bare(russian) == bare(english)
    said = [one["sentence"] for found in russian.values() for one in found]
    assert said and not [text for text in said if " event" in text or " ago" in text]
    assert any("визит" in text for text in said)
    assert plain.config_hash == spoken.config_hash  # words are no part of what scores mean


def test_lead_is_explained_in_the_words_of_its_company(here):
    russian, project = night(here, publish={"language": "ru"}, words=RUSSIAN)
    with Path("leads.csv").open(encoding="utf-8") as file:
        german = {row["id"] for row in csv.DictReader(file) if row["country"] == "DE"}
    entity = max(german & set(russian), key=lambda name: (len(russian[name]), name))
    found = read_published_scores(project, entity, None)
    (trace,) = trace_rows(project, found.newest, found.history, lambda _: None).values()
    assert trace.replay.reproduced
    assert trace.replay.reasons == russian[entity]
    said = [one["sentence"] for one in trace.replay.features]
    assert all(said) and "страна: Германия" in said


def test_lost_event_types_are_read_from_the_config(here):
    guarded.rewrite(here, guarded.PRIVACY)
    project = load_project("company.yaml")
    target = next(iter(project.targets.values()))
    until = target.population.model_copy(update={"until": ("away", *target.outcome_types)})
    given_up = target.model_copy(update={"population": until})
    features = project.features.model_copy(update={"ends": ("gone",)})
    changed = project.model_copy(update={"features": features, "targets": {"one": given_up}})
    assert load_wording(changed).ends == {"away", "gone"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"publish": {"language": "xx"}}, "no such language"),
        ({"words": {"visit": ["a", "b", "c"]}}, "words.visit"),
    ],
)
def test_words_that_do_not_fit_stop_the_night_before_it_begins(here, changes, words):
    guarded.rewrite(here, guarded.PRIVACY, **changes)
    (here / "leads.csv").rename(here / "away.csv")
    try:
        with pytest.raises(ConfigError, match=words):
            score_night(load_project("company.yaml"), tiny.END, Runner())
    finally:
        (here / "away.csv").rename(here / "leads.csv")


def test_personal_and_excluded_columns_are_never_named(here, tmp_path, monkeypatch):
    """The model is trained anew with an attribute and a type excluded that it would else use."""
    monkeypatch.setattr(lightgbm, "ROUNDS", 15)
    monkeypatch.setenv("LEADSCORE_WORKSPACE", str(tmp_path))
    guarded.rewrite(
        here, guarded.PRIVACY, features=tiny.LITTLE["features"] | {"exclude": list(EXCLUDED)}
    )
    project = load_project("company.yaml")
    (done,) = train_targets(project, tiny.END, ["buy"], Runner())
    assert done.error is None
    scores = score_night(project, tiny.END, Runner()).published.scores
    told = [one for text in scores["reasons"].to_pylist() for one in json.loads(text)]
    assert told
    names = " ".join(f"{one['feature']} {one['sentence']}" for one in told)
    for hidden in (*EXCLUDED, "email", "opt_out", "opt out"):
        assert not re.search(rf"(?<![a-z]){hidden}(?![a-z])", names), hidden
    # There is a channel called phone too: it is only the column that is hidden.
    assert "phone" not in {one["feature"] for one in told} and "phone is " not in names
    assert guarded.CANARY not in json.dumps(told)
