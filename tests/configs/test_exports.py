"""What a wrong delivery in the config is told."""

import pytest

from configs.errors import ConfigError
from configs.schema import load
from tests.pipelines import tiny


@pytest.mark.parametrize(
    ("exports", "said"),
    [
        (
            {"crm": {"format": "hubspott"}},
            "'hubspott' is none of csv, jsonl, parquet, salesforce, hubspot, dynamics: ",
        ),
        ({"crm": {"format": "hubspott"}}, "did you mean hubspot?"),
        ({"crm": {"format": "zoho"}}, "'zoho' is none of csv"),
        (
            {"../x": {"format": "csv"}},
            "'../x' cannot be a folder's name: write a letter, then letters, digits",
        ),
        ({"2x": {"format": "csv"}}, "'2x' cannot be a folder's name"),
        ({"x" * 61: {"format": "csv"}}, "60 at most"),
        ({"Current": {"format": "csv"}}, "the folder of the plain export"),
    ],
)
def test_a_wrong_name_or_format_is_told_in_words(tmp_path, exports, said):
    with pytest.raises(ConfigError) as caught:
        load(tiny.write(tmp_path, leads=1, publish={"exports": exports}))
    assert said in str(caught.value) and "pattern" not in str(caught.value)


def test_any_plain_name_is_taken(tmp_path):
    names = ["x" * 60, "Sales_2-b"]
    project = load(
        tiny.write(
            tmp_path, leads=1, publish={"exports": {name: {"format": "csv"} for name in names}}
        )
    )
    assert list(project.publish.exports) == names
