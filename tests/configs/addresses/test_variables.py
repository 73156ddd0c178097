"""Variables of the environment in an address, and configs that are stored without secrets."""

import pytest

from configs.addresses.database import parse_database_address
from configs.addresses.variables import encode_value, expand_address, redact_written_address
from configs.loading.yaml_file import redact_config_text
from configs.schema import load_project

CONFIG = """project: p
workspace: w
# former: postgresql://u:hidden@h/z
sources:
  leads: {path: leads.csv, entity_id: id, created_at: born}
  events: [{database: "DATABASE", query: SELECT 1, entity_id: l, event_time: t, event_type: e}]
targets: {win: {outcome: won, horizon: 30d, cutoffs: {every: 7d}}}
publish: {database: "DATABASE"}
"""


@pytest.mark.parametrize(
    "value", ["a@b", "a/b", "100%", "a%zz", "a b", "ж", "a:b", "a?b#c", "[x]", "a%41@", "plain"]
)
def test_raw_value_arrives_as_it_is(value):
    address = expand_address("postgresql://u:${PW}@h:1/z?sslpassword=${PW}", {"PW": value})
    parsed = parse_database_address(address)
    assert (parsed.password, parsed.parameters["sslpassword"]) == (value, value)
    assert (parsed.hosts, parsed.path) == ((("h", "1"),), "z")


def test_encoded_value_is_not_encoded_again():
    assert encode_value("p%40ss%2F") == "p%40ss%2F"
    assert encode_value("p%40ss/") == "p%2540ss%2F"


def test_reference_for_a_whole_address_or_host_stays_as_it_is():
    values = {"URL": "postgresql://u:p@h/z", "AT": "h:5432", "DIR": "/a b/%41"}
    assert expand_address("${URL}", values) == values["URL"]
    assert expand_address("postgresql://u@${AT}/z", values) == "postgresql://u@h:5432/z"
    sqlite = parse_database_address(expand_address("sqlite:///${DIR}/x.db", values))
    assert sqlite.path == "/a b/%41/x.db"


@pytest.mark.parametrize(
    "written",
    [
        "${URL}",
        "postgresql://u:${PW}@${HOST}:${PORT}/${DB}",
        "sqlite:///${DIR}/x.db",
        "sqlite:///x",
    ],
)
def test_address_without_written_secret_is_stored_as_written(written):
    assert redact_written_address(written) == written


@pytest.mark.parametrize(
    "address",
    [
        *(
            "postgresql://u:hidden@h/z",
            "postgresql://h/z?password=hidden",
            "postgresql:/u:hidden@h",
        ),
        *("postgresql://u:hid den@h/z", "postgresql://u:hid\\x64en@h/z", "u:hidden@h"),
    ],
)
def test_config_is_stored_without_written_secrets(address):
    text = redact_config_text(CONFIG.replace("DATABASE", address))
    assert "hid" not in text
    assert "event_time: t" in text


def test_written_secret_does_not_enter_the_hash(tmp_path):
    hashes = set()
    for password in ("one", "two"):
        address = f"postgresql://u:{password}@h/z"
        (tmp_path / "c.yaml").write_text(CONFIG.replace("DATABASE", address))
        hashes.add(load_project(tmp_path / "c.yaml").config_hash)
    assert len(hashes) == 1
