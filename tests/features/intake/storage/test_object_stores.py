"""Sources in object stores: equal to local ones in every format, and each failure is explained."""

import gzip
import io
import re

import pyarrow as pa
import pytest
from pyarrow import csv as arrow_csv
from pyarrow import parquet

from configs.errors import DataError
from features.intake.formats.listing import list_files
from features.intake.storage.objects import StoredObject
from features.sources import read_sources
from tests.features.company import EVENT, LEAD, project
from tests.object_stores import SECRET, STORES, set_environment

pytestmark = pytest.mark.server

LEADS = pa.table(
    {
        "id": [f"L{i}" for i in range(50)],
        "born": ["2024-01-02"] * 50,
        "size": [str(i) for i in range(50)],
    }
)
EVENTS = pa.table(
    {
        "lead": [f"L{i % 50}" for i in range(400)],
        "at": [f"2024-02-{1 + i % 28:02} 10:00:00" for i in range(400)],
        "what": ["won" if i % 40 == 0 else "visit" for i in range(400)],
    }
)


@pytest.fixture(scope="module", params=list(STORES))
def any_store(request):
    with STORES[request.param]() as store:
        yield store


@pytest.fixture(scope="module")
def shared_s3():
    with STORES["s3"]() as store:
        yield store


@pytest.fixture
def s3(shared_s3, monkeypatch):
    set_environment(monkeypatch, shared_s3)
    shared_s3.faults.answer = lambda method, path: None
    shared_s3.faults.requests.clear()
    return shared_s3


def encode(table: pa.Table, ending: str) -> bytes:
    sink = io.BytesIO()
    if ending == ".parquet":
        parquet.write_table(table, sink, row_group_size=300)
    elif ending.startswith(".csv"):
        arrow_csv.write_csv(table, sink)
    else:
        lines = (str(row).replace("'", '"') for row in table.to_pylist())
        sink.write("\n".join(lines).encode())
    return gzip.compress(sink.getvalue()) if ending.endswith(".gz") else sink.getvalue()


def company(leads: str, events: str, **changes):
    source = {"path": leads, **LEAD, "attributes": ["size"], **changes}
    return project(leads=source, events=[{"path": events, **EVENT}])


def read_events(path: str):
    return read_sources(project(events=[{"path": path, **EVENT}]))


def refuse(path: str) -> DataError:
    with pytest.raises(DataError) as caught:
        read_events(path)
    text = str(caught.value)
    assert path.startswith(caught.value.where)
    assert caught.value.found
    assert caught.value.fix
    assert SECRET not in text
    assert "AKIDQZXJ0000" not in text
    return caught.value


@pytest.mark.parametrize("ending", [".parquet", ".csv", ".csv.gz", ".jsonl.gz"])
def test_objects_are_read_as_local_files(any_store, ending, tmp_path, monkeypatch):
    set_environment(monkeypatch, any_store)
    folder = f"same{ending}"
    (tmp_path / folder / "parts").mkdir(parents=True)
    files = {
        f"{folder}/leads{ending}": LEADS,
        f"{folder}/parts/b{ending}": EVENTS.slice(0, 150),
        f"{folder}/parts/a{ending}": EVENTS.slice(150),
        f"{folder}/parts/_old{ending}": EVENTS.slice(0, 9),
    }
    for key, table in files.items():
        (tmp_path / key).write_bytes(encode(table, ending))
        any_store.put(key, encode(table, ending))
    any_store.put(f"{folder}/parts/_SUCCESS", b"")
    found = []
    for root in (str(tmp_path), any_store.root):
        for events in (f"{folder}/parts", f"{folder}/**/[ab]{ending}"):
            dataset = read_sources(company(f"{root}/{folder}/leads{ending}", f"{root}/{events}"))
            found.append((dataset.fingerprint, dataset.leads.num_rows, dataset.events.num_rows))
    assert len(set(found)) == 1
    assert found[0][1:] == (50, 400)


def test_files_are_sorted_and_hidden_ones_left_out(s3, tmp_path):
    names = ["b.csv", "a/c.csv", "a.csv", "a-1/x.csv", ".x.csv", "_tmp/y.csv", "a/.z/q.csv", "n.md"]
    for name in names:
        s3.put(f"sorted/{name}", b"lead,at,what\n")
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"lead,at,what\n")
    local = [file.address.removeprefix(str(tmp_path)) for file in list_files(str(tmp_path))]
    stored = [
        file.address.removeprefix(f"{s3.root}/sorted") for file in list_files(f"{s3.root}/sorted/")
    ]
    assert stored == local == ["/a/c.csv", "/a-1/x.csv", "/a.csv", "/b.csv"]


@pytest.mark.parametrize("sign", ["_delta_log/0.json", ".hoodie/x", "metadata/v1.metadata.json"])
@pytest.mark.parametrize("pattern", ["", "/*.csv", "/**"])
def test_table_format_is_refused(s3, tmp_path, sign, pattern):
    folder = f"lake/{sign.partition('/')[0]}"
    for name in (sign, "part.csv"):
        s3.put(f"{folder}/{name}", b"lead,at,what\n")
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"lead,at,what\n")
    for root in (str(tmp_path), f"{s3.root}/{folder}"):
        if pattern == "/*.csv" and sign.startswith("metadata"):
            continue
        with pytest.raises(DataError, match=r"table of (Delta|Apache)"):
            list_files(root + pattern)


def test_column_of_a_folder_is_read_where_the_config_names_it(s3, tmp_path):
    for key in ("land=a%20b/x.csv", "land=__HIVE_DEFAULT_PARTITION__/y.csv"):
        data = f"id,born\n{key[-5]},2024-01-01\n".encode()
        s3.put(f"hive/{key}", data)
        (tmp_path / key).parent.mkdir()
        (tmp_path / key).write_bytes(data)
    for root in (str(tmp_path), f"{s3.root}/hive"):
        for folder, values in (("", ["a b", None]), ("/land=a%20b", ["a b"])):
            config = project(leads={"path": root + folder, **LEAD, "attributes": ["land"]})
            leads = read_sources(config).leads.sort_by("entity_id")
            assert leads["land"].to_pylist() == values
        config = project(leads={"path": root, **LEAD, "attributes": {"all_except": []}})
        assert "land" not in read_sources(config).leads.column_names
    with pytest.raises(DataError, match="no such column"):
        read_sources(project(leads={"path": f"{s3.root}/hive", **LEAD, "attributes": ["lend"]}))


def test_missing_bucket_and_missing_key_are_told_apart(s3):
    s3.put("there/events.csv", b"lead,at,what\n")
    assert "bucket not found" in refuse("s3://no-such-bucket/x.csv").what
    assert "events.csv" in refuse(f"{s3.root}/there/event.csv").found
    assert "nothing found" in refuse(f"{s3.root}/nowhere/*.csv").what
    s3.put("other/x.xml", b"<x/>")
    assert "other objects" in refuse(f"{s3.root}/other").found


@pytest.mark.parametrize(
    ("status", "words"), [(403, "access denied"), (401, "access denied"), (500, "cannot read")]
)
def test_refusal_of_the_store_is_explained(s3, status, words):
    s3.put("refused/events.csv", encode(EVENTS, ".csv"))
    for method in ("HEAD", "GET"):
        s3.faults.requests.clear()
        s3.faults.answer = lambda m, path, method=method: (
            status if m == method and path.endswith("events.csv") else None
        )
        assert words in refuse(f"{s3.root}/refused/events.csv").what
        asked = [m for m, path in s3.faults.requests if path.endswith("events.csv")]
        assert asked.count(method) <= 8


def test_passing_failure_is_tried_again(s3):
    s3.put("passing/events.csv", encode(EVENTS, ".csv"))
    failures = iter([500, 503, None])
    s3.faults.answer = lambda method, path: (
        next(failures, None) if method == "GET" and path.endswith("events.csv") else None
    )
    assert read_events(f"{s3.root}/passing/events.csv").events.num_rows == 400


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_body_that_is_cut_is_no_shorter_source(s3, ending):
    address = s3.put(f"cut/events{ending}", encode(EVENTS, ending))
    s3.faults.answer = lambda method, path: "cut" if path.endswith(ending) else None
    refuse(address)
    s3.faults.answer = lambda method, path: None
    assert read_events(address).events.num_rows == 400


@pytest.mark.parametrize("ending", [".csv.gz", ".parquet"])
def test_damaged_object_is_named_as_such(s3, ending):
    data = encode(EVENTS, ending)
    address = s3.put(f"damaged/events{ending}", data[: len(data) // 2])
    assert refuse(address).what in ("cannot read the file", "the file is not Parquet")


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
def test_object_that_is_replaced_while_it_is_read_is_refused(s3, ending, monkeypatch):
    address = s3.put(f"replaced/events{ending}", encode(EVENTS, ending))
    opened = StoredObject.open

    def replace_after_opening(self):
        stream = opened(self)
        if len(self.versions) == 2:
            s3.put(f"replaced/events{ending}", encode(EVENTS.slice(0, 200), ending))
        return stream

    monkeypatch.setattr(StoredObject, "open", replace_after_opening)
    error = refuse(address)
    assert error.what == "the object changed while it was read"
    assert re.search("version .*, before it was ", error.found)


def test_server_that_ends_while_it_is_read(monkeypatch):
    with STORES["s3"]() as store:
        set_environment(monkeypatch, store)
        address = store.put("ends/events.csv", encode(EVENTS, ".csv"))
        opened = StoredObject.open

        def stop_after_opening(self):
            stream = opened(self)
            if len(self.versions) == 2:
                store.stop()
            return stream

        monkeypatch.setattr(StoredObject, "open", stop_after_opening)
        assert "cannot read from S3" in refuse(address).what


def test_access_without_credentials_is_not_tried(s3, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert refuse(f"{s3.root}/x.csv").what == "no credentials for S3"
    assert not s3.faults.requests
