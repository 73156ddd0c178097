"""Salted hashes that stand for ids where ids are personal.

A key is the SHA-256 of the salt and the id, ``sha256(salt + id)`` in UTF-8, as 64 hexadecimal
digits. The salt is a file of the workspace that is never logged elsewhere: without it, a key cannot
be traced to an id by hashing all likely ids; with it, the same id always has the same key.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path

import pyarrow as pa

SALT_FILE = "key_salt.txt"
SALT_BYTES = 16


def read_salt(workspace: Path) -> str | None:
    """Return the salt of a workspace; None if it has hashed no id yet."""
    path = workspace / SALT_FILE
    return path.read_text(encoding="utf-8") if path.exists() else None


def make_salt(workspace: Path) -> str:
    """Return the salt of a workspace, drawn the first time; only its owner may read the file."""
    if salt := read_salt(workspace):
        return salt
    # A secret, and no number that a result depends on: it needs no seed.
    salt = secrets.token_hex(SALT_BYTES)
    draft = workspace / f".{SALT_FILE}.{os.getpid()}"
    draft.touch(mode=0o600)
    draft.write_text(salt, encoding="utf-8")
    draft.replace(workspace / SALT_FILE)
    return salt


def hash_key(key: str, salt: str) -> str:
    """Return the hash of one id."""
    return hashlib.sha256((salt + key).encode()).hexdigest()


def hash_keys(keys: pa.ChunkedArray, salt: str) -> pa.Array:
    """Return the hash of each id; null stays null."""
    encoded = keys.combine_chunks().dictionary_encode()
    hashes = [
        None if key is None else hash_key(key, salt) for key in encoded.dictionary.to_pylist()
    ]
    return pa.array(hashes, pa.string()).take(encoded.indices)
