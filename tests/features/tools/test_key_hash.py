"""Salted hashes of ids: one salt for each workspace, one key for each id."""

import hashlib
import stat

import pyarrow as pa

from features.tools.key_hash import SALT_FILE, hash_key, hash_keys, make_salt, read_salt


def test_salt_is_drawn_once_and_only_its_owner_reads_it(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    first.mkdir()
    second.mkdir()
    assert read_salt(first) is None
    salt = make_salt(first)
    assert make_salt(first) == read_salt(first) == salt != make_salt(second)
    assert len(salt) == 32 and stat.S_IMODE((first / SALT_FILE).stat().st_mode) == 0o600
    assert [path.name for path in first.iterdir()] == [SALT_FILE]


def test_key_is_the_documented_hash():
    expected = hashlib.sha256("saltäüé".encode()).hexdigest()
    assert hash_key("äüé", "salt") == expected
    column = pa.chunked_array([["äüé", None], ["b", "äüé"]])
    assert hash_keys(column, "salt").to_pylist() == [
        expected,
        None,
        hash_key("b", "salt"),
        expected,
    ]
