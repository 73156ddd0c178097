"""The YAML of a proposal reads back to what was proposed."""

from pathlib import Path

import yaml
from hypothesis import given
from hypothesis import strategies as st

from pipelines.proposal.config_text import format_yaml, wrap_item, write_path_from

NAMES = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp", "Cn", "Co"]), min_size=1, max_size=20
)


@given(st.lists(NAMES, min_size=1, max_size=30), st.sampled_from([40, 98, 400]))
def test_list_of_any_names_reads_back(names, width):
    lines = list(wrap_item("attributes: ", names, width))
    assert yaml.safe_load("\n".join(lines)) == {"attributes": names}


@given(st.dictionaries(NAMES, NAMES | st.lists(NAMES, max_size=5), min_size=1, max_size=6))
def test_mapping_of_any_names_reads_back(values):
    lines = list(wrap_item("  - ", values, 60))
    assert yaml.safe_load("\n".join(lines)) == [values]


@given(NAMES)
def test_value_of_any_text_reads_back(name):
    text = format_yaml(name)
    assert "\n" not in text
    assert yaml.safe_load(f"key: {text} # comment") == {"key": name}


def test_lines_are_cut_at_their_width():
    names = [f"column number {i}" for i in range(40)]
    lines = list(wrap_item("    attributes: ", names, 98))
    assert len(lines) > 5
    assert max(map(len, lines)) <= 98


def test_paths_start_at_the_folder_of_the_config(tmp_path, monkeypatch):
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    write_path = write_path_from(Path("a/b"))
    assert write_path("data/leads.csv") == "../../data/leads.csv"
    assert write_path("/data/leads.csv") == "/data/leads.csv"
    assert write_path("s3://bucket/leads.csv") == "s3://bucket/leads.csv"
    assert write_path("${DATA}/leads.csv") == "${DATA}/leads.csv"
