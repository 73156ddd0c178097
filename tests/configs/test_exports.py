"""Validation of CRM exports in the config."""

import pytest

from configs.errors import ConfigError
from configs.schema import load_project
from tests.pipelines import tiny


@pytest.mark.parametrize(
    ("exports", "message"),
    [
        (
            {"crm": {"format": "hubspott"}},
            "'hubspott' is not one of csv, jsonl, parquet, salesforce, hubspot, dynamics, "
            "dynamics_scores, amocrm, bitrix24: ",
        ),
        ({"crm": {"format": "hubspott"}}, "did you mean hubspot?"),
        ({"crm": {"format": "zoho"}}, "'zoho' is not one of csv"),
        (
            {"../x": {"format": "csv"}},
            "'../x' is not a valid folder name: start with a letter, then use letters, digits",
        ),
        ({"2x": {"format": "csv"}}, "'2x' is not a valid folder name"),
        ({"x" * 61: {"format": "csv"}}, "at most 60 characters"),
        ({"Current": {"format": "csv"}}, "the folder of the plain export"),
    ],
)
def test_invalid_export_name_or_format_is_explained(tmp_path, exports, message):
    with pytest.raises(ConfigError) as caught:
        load_project(tiny.write(tmp_path, leads=1, publish={"exports": exports}))
    assert message in str(caught.value) and "pattern" not in str(caught.value)


def test_valid_export_names_are_accepted(tmp_path):
    names = ["x" * 60, "Sales_2-b"]
    project = load_project(
        tiny.write(
            tmp_path, leads=1, publish={"exports": {name: {"format": "csv"} for name in names}}
        )
    )
    assert list(project.publish.exports) == names
