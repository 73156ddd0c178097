"""Files that no config can be made of end `leadscore init` with a message, never a traceback."""

import random
from datetime import datetime, timedelta

import pytest
from typer.testing import CliRunner

from configs.errors import LeadscoreError
from pipelines.cli import app
from tests.faults.conftest import is_full_attack

START = datetime.fromisoformat("2023-01-01")


def write_rows(path, rows):
    path.write_text("\n".join(",".join(map(str, row)) for row in rows) + "\n", encoding="utf-8")


def write_good_leads(path, count=200):
    rows = [("lead_id", "created", "source", "won_date")]
    for i in range(count):
        created = START + timedelta(days=i)
        won = (created + timedelta(days=9)).date() if i % 4 == 0 else ""
        rows.append((f"L{i}", created.date(), ("web", "phone")[i % 2], won))
    write_rows(path, rows)


def empty_file(folder):
    (folder / "a.csv").write_bytes(b"")


def blank_lines(folder):
    (folder / "a.csv").write_bytes(b"\n\n\n")


def headings_only(folder):
    (folder / "a.csv").write_text("lead_id,created,won\n")


def single_column(folder):
    write_rows(folder / "a.csv", [("name",), *((f"n{i}",) for i in range(50))])


def single_row(folder):
    write_rows(folder / "a.csv", [("lead_id", "created", "won_date"), ("L1", "2024-01-01", "")])


def binary_file(folder):
    (folder / "a.csv").write_bytes(random.Random(1).randbytes(5_000))


def binary_parquet(folder):
    (folder / "a.parquet").write_bytes(b"PAR1" + random.Random(2).randbytes(500))


def many_columns(folder):
    names = ["lead_id", "created", *(f"c{i}" for i in range(5_000))]
    rows = [[f"L{i}", (START + timedelta(days=i)).date(), *[i % 7] * 5_000] for i in range(40)]
    write_rows(folder / "a.csv", [names, *rows])


def future_dates(folder):
    rows = [(f"L{i}", f"2150-01-{1 + i % 28:02}", "") for i in range(100)]
    write_rows(folder / "a.csv", [("lead_id", "created", "won_date"), *rows])


def same_headings(folder):
    rows = [(i, i, i % 3) for i in range(100)]
    write_rows(folder / "a.csv", [("id", "id", "id"), *rows])


def strangers(folder):
    write_good_leads(folder / "a.csv")
    rows = [(f"X{i}", (START + timedelta(days=i)).date(), "visit") for i in range(100)]
    write_rows(folder / "b.csv", [("lead_id", "time", "event"), *rows])


def no_outcome(folder):
    rows = [(f"L{i}", (START + timedelta(days=i)).date(), i % 5) for i in range(100)]
    write_rows(folder / "a.csv", [("lead_id", "created", "size"), *rows])


def nul_bytes(folder):
    (folder / "a.csv").write_bytes(b"lead_id,created\n" + b"L\x001,2024-01-01\n" * 30)


def missing_file(folder):
    pass


def nested_lists(folder):
    (folder / "a.jsonl").write_text('{"id": [1, {"a": [2]}]}\n[1, 2]\n"text"\n' * 20)


GARBAGE = [
    empty_file,
    blank_lines,
    headings_only,
    single_column,
    single_row,
    binary_file,
    binary_parquet,
    many_columns,
    future_dates,
    same_headings,
    strangers,
    no_outcome,
    nul_bytes,
    missing_file,
    nested_lists,
]


def run_init(folder, *options):
    """Return exit code and message of `init` on the files of a folder."""
    files = sorted(p.name for p in folder.iterdir() if p.suffix in (".csv", ".jsonl", ".parquet"))
    done = CliRunner().invoke(app, ["init", *(files or ["a.csv"]), *options])
    error = done.exception
    if isinstance(error, LeadscoreError):
        return error.exit_code, str(error)
    assert error is None or isinstance(error, SystemExit), repr(error)
    return done.exit_code, done.output


def test_garbage_ends_with_a_message(tmp_path, monkeypatch, record_attack):
    outcomes = {"refused": 0, "written": 0}
    wrong = []
    for make in GARBAGE:
        folder = tmp_path / make.__name__
        folder.mkdir()
        monkeypatch.chdir(folder)
        make(folder)
        code, message = run_init(folder, "--yes")
        outcomes["written" if code == 0 else "refused"] += 1
        if code not in (2, 3) or not message.strip() or "Traceback" in message:
            wrong.append((make.__name__, code, message[-300:]))
    record_attack("`init` on files that are no leads", outcomes)
    # Of few leads without any outcome a config can still be proposed, which `check` refuses.
    assert wrong == []


def test_config_is_never_overwritten(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_good_leads(tmp_path / "a.csv")
    (tmp_path / "company.yaml").write_text("mine")
    code, message = run_init(tmp_path, "--yes")
    assert code == 2 and "exists already" in message and "--force" in message
    assert (tmp_path / "company.yaml").read_text() == "mine"
    code, message = run_init(tmp_path, "--yes", "--force")
    assert code == 0, message
    assert "project: company" in (tmp_path / "company.yaml").read_text()


@pytest.mark.parametrize(
    "option, value, text",
    [
        ("--timezone", "Berlin", "Europe/Berlin"),
        ("--horizon", "soon", "30d"),
        ("--outcome", "wonn", "did you mean"),
        ("--entity-id", "leadid", "did you mean"),
        ("--leads", "b.csv", "a.csv"),
        ("--order", "rows", "have times"),
    ],
)
def test_wrong_answer_is_named(tmp_path, monkeypatch, option, value, text):
    monkeypatch.chdir(tmp_path)
    write_good_leads(tmp_path / "a.csv")
    code, message = run_init(tmp_path, "--yes", option, value)
    assert code == 2, message
    assert option in message and text in message
    assert not (tmp_path / "company.yaml").exists()


def test_damaged_exports_never_end_in_a_traceback(tmp_path, monkeypatch, record_attack):
    monkeypatch.chdir(tmp_path)
    write_good_leads(tmp_path / "a.csv", 60)
    good = (tmp_path / "a.csv").read_bytes()
    draw, outcomes = random.Random(5), {"refused": 0, "written": 0}
    for _ in range(60 if is_full_attack() else 6):
        damaged = bytearray(good)
        for _ in range(draw.randrange(1, 12)):
            place = draw.randrange(len(damaged))
            damaged[place : place + draw.randrange(3)] = draw.randbytes(draw.randrange(3))
        (tmp_path / "a.csv").write_bytes(bytes(damaged))
        code, message = run_init(tmp_path, "--yes", "--force")
        assert code in (0, 2, 3) and message.strip(), (code, bytes(damaged))
        outcomes["written" if code == 0 else "refused"] += 1
    record_attack("`init` on exports with changed bytes", outcomes)
