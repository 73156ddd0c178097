"""Removal of secrets from messages."""

import copy

import pytest

from configs.addresses.redaction import (
    mask_secrets,
    redact_addresses,
    redact_exception,
    redact_text,
)
from configs.errors import DataError


@pytest.mark.parametrize(
    "text",
    [
        "cannot open postgresql://u:secret@h/z: no route",
        "postgresql:/u:secret@h/z",
        "postgresql://u:sec ret@h/z",
        "postgresql://u:a@secret/b@h/z",
        "GET https://h/x.csv?token=secret failed",
        "https://secret@h/x",
        "s3://key:secret@bucket/x",
        "u:secret@h/z",
        "host=h password=secret dbname=z",
        "host=h password='sec ret' dbname=z",
        "DefaultEndpoints;AccountKey=secret;x",
        "x.csv?sv=2024&sig=secret",
        "https://h/x#access_token=secret",
        "sslpassword = secret",
    ],
)
def test_addresses_lose_their_secrets(text):
    redacted = redact_addresses(text)
    assert "secret" not in redacted
    assert "ret" not in redacted.replace("refused", "")


@pytest.mark.parametrize(
    "text",
    [
        "the Prefect API at http://127.0.0.1:4200/api does not answer, or mail x@y.org",
        "sqlite:////data/scores.db is locked",
        "write postgresql://… or sqlite:///file",
        "leads.csv: line 12: at 2024-01-01T12:30:00+02:00",
        "postgresql://u@h:5432/z",
        "read the key of value = 3 in column a:b",
    ],
)
def test_other_texts_stay_as_they_are(text):
    assert redact_addresses(text) == text


def test_known_secret_is_masked_in_every_spelling():
    text = "p@ss/wörd p%40ss%2Fw%C3%B6rd 'host \"ss/wörd@h\" not found'"
    masked = mask_secrets(text, ["p@ss/wörd"])
    assert masked == "*** *** 'host \"***@h\" not found'"


def test_ordinary_words_of_a_secret_stay():
    text = 'password authentication failed for user "u"'
    assert mask_secrets(text, ["passing-Time-7"]) == text


def test_values_of_secret_variables_are_masked(monkeypatch):
    monkeypatch.setenv("ACME_API_TOKEN", "value-of-it")
    monkeypatch.setenv("ACME_KEYWORDS", "plain-value")
    assert redact_text("value-of-it, plain-value") == "***, plain-value"


def test_exception_and_its_causes_are_redacted():
    try:
        try:
            raise OSError(2, "no file", "/x/secret/y")
        except OSError as cause:
            raise DataError("cannot read", where="secret.csv", found="a secret b") from cause
    except DataError as error:
        redact_exception(error, lambda text: text.replace("secret", "***"))
        assert str(error) == "data error: cannot read [***.csv]: a *** b"
        assert str(error.__cause__) == "[Errno 2] no file: '/x/***/y'"
        assert str(copy.copy(error)) == str(error)


def test_message_is_redacted_before_it_is_cut():
    long = DataError("x" * 780 + " postgresql://u:secret-that-is-cut@h/z")
    assert "sec" not in str(long)
