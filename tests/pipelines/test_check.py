"""The data check: counts of attribute histories, and warnings about names and values."""

import io

import pytest
from rich.console import Console

from configs.errors import ConfigError
from configs.schema import load_project
from pipelines.check import examine_data
from pipelines.reports import terminal
from tests.pipelines import tiny

HISTORY = {
    "path": "h.csv",
    "entity_id": "id",
    "valid_from": "at",
    "attribute": "field",
    "value": "new",
}


def test_histories_are_counted_and_their_oddities_reported(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sources = tiny.CONFIG["sources"] | {"attributes": [{**HISTORY, "only": ["staff", "stagee"]}]}
    config = load_project(tiny.write(tmp_path, leads=120, sources=sources))
    rows = [f"L{number:04},2024-06-01,staff,{number}" for number in range(99)]
    rows += ["L0000,2024-07-01,staff,many", "L0000,2024-07-01,stage,x", "L0000,soon,staff,1"]
    (tmp_path / "h.csv").write_text("\n".join(["id,at,field,new", *rows]))
    found = examine_data(config, tiny.END)
    count = found.counts[-1]
    assert (count.source, count.rows_in, count.used, count.skipped) == ("attributes_1", 102, 100, 1)
    assert count.quarantined == {"unreadable time": 1}
    warned = "\n".join(found.warnings)
    assert "sources.attributes[0].only: no value of stagee" in warned
    found_at = f"1 of 100 values, such as 'many' in {tmp_path / 'h.csv'}, row 101"
    assert f"attribute staff is read as numbers: {found_at}" in warned
    shown = Console(file=io.StringIO(), width=120)
    shown.print(*terminal.render_data_check(found))
    assert "attributes_1" in shown.file.getvalue() and "unreadable time 1" in shown.file.getvalue()


def test_invalid_cron_line_is_named_before_the_data_are_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = load_project(tiny.write(tmp_path, leads=3, schedule={"score": "every night at five"}))
    (tmp_path / "leads.csv").unlink()
    with pytest.raises(ConfigError, match=r"schedule\.score.*every night at five"):
        examine_data(config, tiny.END)


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"publish": {"language": "de"}}, "publish.language"),
        ({"publish": {"language": "ru"}, "words": {"visit": ["a", "b"]}}, "words.visit"),
    ],
)
def test_words_that_would_stop_the_night_are_refused_before_the_data_are_read(
    tmp_path, monkeypatch, changes, where
):
    monkeypatch.chdir(tmp_path)
    config = load_project(tiny.write(tmp_path, leads=3, **changes))
    (tmp_path / "leads.csv").unlink()
    with pytest.raises(ConfigError) as refused:
        examine_data(config, tiny.END)
    assert refused.value.where == where


def test_words_for_unknown_names_are_reported_with_the_nearest(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    known = (
        "visit",
        "type:visit",
        "channel:web",
        "met",
        "country",
        "DE",
        "any",
        "group:outbound",
        "bought",
    )
    words = dict.fromkeys([*known, "vissit", "channel:fone", "Mars"], "word")
    config = load_project(tiny.write(tmp_path, leads=60, words=words))
    found = examine_data(config, tiny.END).warnings
    assert [line for line in found if line.startswith("words.")] == [
        "words.Mars: nothing in the data has this name",
        "words.channel:fone: nothing in the data has this name; did you mean phone?",
        "words.vissit: nothing in the data has this name; did you mean visit?",
    ]
