"""Addresses of databases and web servers: what is read out of them, and what is refused."""

import pytest

from configs.addresses.database import parse_database_address
from configs.addresses.local_path import check_local_path
from configs.addresses.object_store import is_object_address, parse_object_address
from configs.addresses.parser import AddressError
from configs.addresses.web import check_tracking_address, parse_web_address


@pytest.mark.parametrize(
    ("text", "shown", "rendered"),
    [
        ("postgresql://u:p@h/z", "postgresql://u:***@h/z", "postgresql://u:p@h/z"),
        ("postgres://h", "postgresql://h/", "postgresql://h/"),
        (" POSTGRESQL+psycopg://u@h:5/z\n", "postgresql://u@h:5/z", "postgresql://u@h:5/z"),
        ("postgresql:///z?host=/tmp", "postgresql:///z", "postgresql:///z?host=%2Ftmp"),
        ("postgresql://[::1]:5/z", "postgresql://[::1]:5/z", "postgresql://[::1]:5/z"),
        ("postgresql://a:1,b:2/z", "postgresql://a:1,b:2/z", "postgresql://a:1,b:2/z"),
        ("postgresql://u:a@b: c%@h/", "postgresql://u:***@h/", "postgresql://u:a%40b%3A%20c%25@h/"),
        ("postgresql://u:%40%2F@h/", "postgresql://u:***@h/", "postgresql://u:%40%2F@h/"),
        ("postgresql://h/z?sslpassword=a", "postgresql://h/z", "postgresql://h/z?sslpassword=a"),
        ("sqlite:///a%20b/c.db", "sqlite:///a b/c.db", None),
        ("sqlite:////a/c.db", "sqlite:////a/c.db", None),
    ],
)
def test_database_address_is_read_and_shown_without_secrets(text, shown, rendered):
    address = parse_database_address(text)
    assert str(address) == shown
    assert rendered is None or address.render() == rendered
    assert "secret" not in repr(parse_database_address("postgresql://u:secret@h/z"))


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("postgresql:/u:secret@h/z", "did you mean postgresql://?"),
        ("postgresql:u:secret@h/z", "did you mean postgresql://?"),
        ("postgressql://u:secret@h/z", "did you mean postgresql://?"),
        ("postgresql//u:secret@h/z", "did you mean postgresql://?"),
        ("jdbc:postgresql://h/z?password=secret", "did you mean postgresql://?"),
        ("sqlite:/secret.db", "did you mean sqlite://?"),
        ("sqlite://secret.db", "three|sqlite:///"),
        ("sqlite:///u:secret@h/z", "postgresql://…"),
        ("sqlite:///z.db?key=secret", "remove them"),
        ("sqlite:///", "sqlite:///relative/path"),
        ("mysql://u:secret@h/z", "write sqlite:///file or postgresql://…"),
        ("host=h password=secret", "write key=value as postgresql://…"),
        ("C:\\secret\\scores.db", "sqlite:///C:/folder/file.db"),
        ("secret/scores.db", "write sqlite:///file"),
        ("", "write sqlite:///file"),
        ("postgresql://u:secret@h:notaport/z", "percent-encode"),
        ("postgresql://u:secret@h:65536/z", "percent-encode"),
        ("postgresql://u:secret@[x/z", "percent-encode"),
        ("postgresql://u:secret@::1/z", "percent-encode"),
        ("postgresql://u:sec/ret@h/z", "@ as %40"),
        ("postgresql://u:sec?ret@h/z", "@ as %40"),
        ("postgresql://u:sec#ret@h/z", "# as %23"),
        ("postgresql://u:sec%zzret%41@h/z", "% as %25"),
        ("postgresql://u:secret%FF@h/z", "percent-encode"),
        ("postgresql://u:secret@h/z?token=secret", "remove it"),
        ("postgresql://u:secret@h/z?sslmod=secret", "did you mean sslmode?"),
        ("postgresql://u:secret@h/a/b", "percent-encode it as %2F"),
        ("postgresql://u:sec\nret@h/z", "percent-encode"),
    ],
)
def test_database_address_is_refused_with_a_fix_and_unquoted(text, fix):
    with pytest.raises(AddressError) as caught:
        parse_database_address(text)
    assert any(words in caught.value.fix for words in fix.split("|"))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["http:/h", "htps://h", "h:80", "https://", "https://h:x/", "file:///x"]
)
def test_odd_web_address_is_refused(text):
    with pytest.raises(AddressError):
        parse_web_address(text)


def test_web_address_shows_no_path():
    address = parse_web_address("https://h.example/webhookb2/secret@secret/x?sig=secret")
    assert str(address) == "https://h.example/"


@pytest.mark.parametrize(
    "text",
    [
        "http://h:5000",
        "https://u:p@h",
        "sqlite:////a/b.db",
        "mysql+pymysql://u:p@h/z",
        "databricks",
    ],
)
def test_tracking_address_is_accepted(text):
    check_tracking_address(text)


@pytest.mark.parametrize(
    "path", ["data/x.csv", "/a/b*.parquet", "C:\\data\\x.csv", "a b/[0-9].csv", "me@acme/x.csv"]
)
def test_local_path_is_accepted(path):
    check_local_path(path)


@pytest.mark.parametrize(
    "path",
    [
        *("ftp://h/x.csv", "https://h/x.csv", "file:///x.csv", "s3:/b/x.csv", "x.csv?sig=abcd"),
        *("postgresql://u@h/z", "u:secret@h/x.csv", "jdbc:postgresql://h/z", " http://b/x"),
        *("postgresql//u:secret@h/z", "a/u:secret@h/x.csv", "secret@h:5432/z", "C:/u:secret@h/z"),
    ],
)
def test_address_is_no_local_path(path):
    with pytest.raises(AddressError, match="no other address"):
        check_local_path(path)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("s3://my-bucket/a/b/*.parquet", ("s3", "my-bucket", "a/b/*.parquet", "")),
        (" gs://bucket/a//b/ ", ("gs", "bucket", "a/b", "")),
        ("AZ://box", ("az", "box", "", "")),
        ("abfss://box@acme.dfs.core.windows.net/x", ("abfss", "box", "x", "acme")),
    ],
)
def test_object_address_is_parsed(text, parts):
    found = parse_object_address(text)
    assert (found.scheme, found.bucket, found.key, found.account) == parts


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("s3a://bucket/x", "another name of s3://"),
        ("wasbs://box@acme.blob.core.windows.net/x", "another name of abfss://"),
        ("s3:/bucket/x", "two slashes"),
        ("s3://AKIA:QZXJ@bucket/x", "name of a bucket"),
        ("s3://bucket/x.csv?X-Amz-Signature=QZXJ", "neither"),
        ("s3://bucket/x.csv#QZXJ", "neither"),
        ("abfss://box/x", "container and account"),
        ("az://box@acme.dfs.core.windows.net/QZXJ", "name of a bucket"),
    ],
)
def test_malformed_object_address_is_refused_without_quoting_it(text, words):
    assert is_object_address(text)
    with pytest.raises(AddressError, match=words) as caught:
        parse_object_address(text)
    assert "QZXJ" not in str(caught.value)
