"""Attacks on the watcher: whatever is broken, `deploy --status` is an alarm and is posted."""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections import Counter
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import jsonschema
import pytest
from typer.testing import CliRunner

from configs.schema import load_project
from pipelines import cli
from pipelines.json_output.commands import build_output_schema
from pipelines.orchestration import alarm, watch
from serve.lock import lock_workspace
from tests.faults.conftest import is_full_attack
from tests.pipelines import tiny
from tests.pipelines.orchestration.test_watch import HOUR, night

SECRET = "s3cr3t-hook"
PASSWORD = "pass-w0rd-77"
PERSON = "ann@example.com"
CONFIG, FULL = Path("company.yaml"), Path("/dev/full")


@pytest.fixture
def webhook():
    """Keep the bodies that are posted; ``hook.behave`` answers each."""
    hook = SimpleNamespace(bodies=[], behave=lambda handler: handler.send_response(204))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            hook.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            hook.behave(self)
            self.end_headers()

        def log_message(self, *_):
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    hook.url = f"http://127.0.0.1:{server.server_port}/{SECRET}"
    yield hook
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def good_company(tmp_path_factory):
    """Return the folder of a company whose last night is good."""
    folder = tmp_path_factory.mktemp("good")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("LEADSCORE_WORKSPACE", raising=False)
        tiny.write(folder, leads=3)
        now = datetime.now(UTC)
        night(load_project("company.yaml"), now - 5 * HOUR, now - 2 * HOUR)
    return folder


@pytest.fixture
def company(good_company, tmp_path, monkeypatch, webhook):
    """A company whose last night is good, in the current folder."""
    for name in [name for name in os.environ if name.startswith(("PREFECT_", "LEADSCORE_W"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "no-prefect"))
    monkeypatch.setenv("LEADSCORE_WEBHOOK", webhook.url)
    shutil.copytree(good_company, tmp_path / "company", symlinks=True)
    monkeypatch.chdir(tmp_path / "company")
    return load_project("company.yaml")


def ask(*options):
    """Return the exit code and the object that --json prints, which fits its schema."""
    done = CliRunner().invoke(
        cli.app, ["deploy", "company.yaml", "--status", "--report", "--json", *options]
    )
    told = json.loads(done.stdout)
    jsonschema.validate(told, build_output_schema("deploy --status"))
    assert SECRET not in done.output and PASSWORD not in done.stdout
    return done.exit_code, told


def raise_error(error):
    def fail(*_, **__):
        raise error

    return fail


def damage(company, monkeypatch):
    path = company.workspace_path / "scores.db"
    content = path.read_bytes()
    path.write_bytes(content[:100] + b"\xff" * (len(content) - 100))


def truncate(company, monkeypatch):
    path = company.workspace_path / "scores.db"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def replace_by_text(company, monkeypatch):
    (company.workspace_path / "scores.db").write_text("not a database")


def drop_table(company, monkeypatch):
    import sqlite3

    with sqlite3.connect(company.workspace_path / "scores.db") as db:
        db.execute("alter table score_runs rename column status to state")


def replace_workspace(company, monkeypatch):
    company.workspace_path.rename("elsewhere")
    company.workspace_path.write_text("a file")


def loop_workspace(company, monkeypatch):
    company.workspace_path.rename("elsewhere")
    company.workspace_path.symlink_to(company.workspace_path)


def hide_workspace(company, monkeypatch):
    """As for another user: root may read each folder."""
    found = Path.stat

    def stat(self, *arguments, **named):
        if self.name == "scores.db":
            raise PermissionError(13, "Permission denied", str(self))
        return found(self, *arguments, **named)

    monkeypatch.setattr(Path, "stat", stat)


def stop_database(company, monkeypatch):
    change_config("publish:", f"  database: postgresql://u:{PASSWORD}@127.0.0.1:1/x")
    monkeypatch.setattr("pipelines.orchestration.ledger_checks.DATABASE_PATIENCE_SECONDS", 0.5)


def change_config(*lines):
    with CONFIG.open("a", encoding="utf-8") as file:
        file.write("\n" + "\n".join(lines) + "\n")


def hang(company, monkeypatch):
    monkeypatch.setattr(watch, "CHECK_SECONDS", 0.5)
    monkeypatch.setattr("pipelines.workspace.open_store", lambda *_: threading.Event().wait(60))


def break_manifest(company, monkeypatch):
    path = company.workspace_path / "exports/current/manifest.json"
    path.write_text(json.dumps({"as_of": "\ud800 \x1b[31m", "run_id": "x"}))


def list_manifest(company, monkeypatch):
    (company.workspace_path / "exports/current/manifest.json").write_text("[]")


def set_prefect(company, monkeypatch, **modules):
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:1/api")
    for name, value in modules.items():
        monkeypatch.setitem(sys.modules, name, value)


LOAD, OPEN = "configs.schema.load_project", "pipelines.workspace.open_store"
LATE = "pipelines.orchestration.ledger_checks.read_attempts"
# What is broken, and a part of the alarm that names it.
ATTACKS = {
    "config missing": (lambda *_: CONFIG.unlink(), "company.yaml"),
    "config is a folder": (
        lambda *_: (CONFIG.unlink(), CONFIG.mkdir()),
        "company.yaml",
    ),
    "config with a typo": (lambda *_: change_config("publishh: {}"), "company.yaml"),
    "config that is no YAML": (lambda *_: change_config("a: [", PERSON), "company.yaml"),
    "config of bytes": (
        lambda *_: CONFIG.write_bytes(b"\xff\xfe\x00"),
        "company.yaml",
    ),
    "variable not set": (lambda *_: change_config("words: {a: '${NOT_SET}'}"), "company.yaml"),
    "database damaged": (damage, "run ledger"),
    "database truncated": (truncate, "run ledger"),
    "database replaced": (replace_by_text, "run ledger"),
    "ledger of another shape": (drop_table, "run ledger"),
    "database down": (stop_database, "run ledger"),
    "ledger that hangs": (hang, "run ledger: no answer within"),
    "workspace is a file": (replace_workspace, "run ledger: NotADirectoryError"),
    "workspace is a loop": (loop_workspace, "run ledger: OSError"),
    "workspace unreadable": (hide_workspace, "run ledger: PermissionError"),
    "export of strange text": (break_manifest, "export is as of \\ud800"),
    "export is a list": (list_manifest, "export cannot be read (ValueError)"),
    "Prefect is missing": (
        lambda c, m: set_prefect(c, m, prefect=None, httpx=None),
        "Prefect server cannot be asked",
    ),
    "RuntimeError": (lambda c, m: m.setattr(OPEN, raise_error(RuntimeError(PERSON))), "RuntimeErr"),
    "MemoryError": (lambda c, m: m.setattr(OPEN, raise_error(MemoryError(PERSON))), "MemoryError"),
    "RecursionError": (lambda c, m: m.setattr(LOAD, raise_error(RecursionError())), "Recursion"),
    "SystemExit": (lambda c, m: m.setattr(OPEN, raise_error(SystemExit(0))), "SystemExit"),
    "library missing": (
        lambda c, m: m.setitem(sys.modules, "configs.schema", None),
        "ModuleNotFoundError: configs.schema",
    ),
    "broken watcher": (
        lambda c, m: m.setattr(watch, "watch_config", raise_error(RuntimeError(PERSON))),
        "RuntimeError",
    ),
    "watcher missing": (
        lambda c, m: m.setitem(sys.modules, "pipelines.orchestration.watch", None),
        "ModuleNotFoundError",
    ),
    "broken check": (
        lambda c, m: m.setattr(watch, "CHECKS", (("it", raise_error(KeyError(PERSON))),)),
        "cannot check it: KeyError",
    ),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_broken_part_is_an_alarm_and_posted(company, webhook, monkeypatch, name, record_attack):
    assert ask()[0] == 0 and webhook.bodies == []
    attack, part = ATTACKS[name]
    attack(company, monkeypatch)
    code, told = ask()
    seen = [line for line in told["alarms"] if part in line]
    silent = code != 5 or told["healthy"] or not seen or not webhook.bodies
    record_attack("broken part of the watched", {"silent" if silent else "alarm": 1})
    assert code == 5 and told["healthy"] is False
    assert seen, told["alarms"]
    (body,) = webhook.bodies
    assert body["state"] == "Alarm" and body["said"] == told["alarms"] + told["warnings"]
    assert all(word not in json.dumps(body) for word in (SECRET, PASSWORD, PERSON))


def test_broken_part_hides_no_other(company, webhook, monkeypatch):
    damage(company, monkeypatch)
    break_manifest(company, monkeypatch)
    set_prefect(company, monkeypatch, prefect=None)
    code, told = ask()
    assert code == 5 and len(told["alarms"]) == 3
    assert "run ledger" in told["alarms"][0] and "Prefect server" in told["alarms"][1]
    assert "database is damaged" in told["alarms"][2]
    CONFIG.unlink()
    code, told = ask()
    assert "company.yaml" in told["alarms"][0] and "Prefect server" in told["alarms"][1]
    assert told["project"] is None and told["config"] == "company.yaml"


def test_locked_ledger_is_an_alarm_within_bounds(company, webhook, monkeypatch):
    monkeypatch.setattr("pipelines.orchestration.ledger_checks.DATABASE_PATIENCE_SECONDS", 0.5)
    monkeypatch.setattr("serve.store.database.PRAGMAS", ("PRAGMA busy_timeout = 100",))
    # In another process: two copies of SQLite in one would release each other's locks.
    code = """import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("pragma journal_mode = delete")
db.execute("begin exclusive")
print("locked", flush=True)
time.sleep(100)"""
    path = company.workspace_path / "scores.db"
    command = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "locked\n"
        code, told = ask()
        holder.kill()
    assert code == 5 and "run ledger" in told["alarms"][0] and webhook.bodies
    # A run that only holds the workspace locks no ledger.
    with lock_workspace(company.workspace_path):
        assert ask()[0] == 0


@pytest.mark.parametrize(
    "address",
    [SECRET, f"file:///{SECRET}", f"http://[{SECRET}", f"http://h:{SECRET}/", f"https:///{SECRET}"],
)
def test_invalid_webhook_is_an_alarm(company, monkeypatch, address):
    monkeypatch.setenv("LEADSCORE_WEBHOOK", address)
    code, told = ask()
    assert code == 5
    assert told["alarms"] == ["LEADSCORE_WEBHOOK is no http or https address: no alarm can be sent"]


def drip(handler):
    """Answer one byte at a time, which a limit for each part of an answer lets pass."""
    for _ in range(100):
        handler.wfile.write(b"H")
        handler.wfile.flush()
        threading.Event().wait(0.1)


def answer(code):
    def behave(handler):
        handler.send_response(code)
        handler.send_header("Location", "/elsewhere")

    return behave


@pytest.mark.parametrize(
    "behave",
    [
        answer(500),
        answer(301),
        answer(302),
        answer(307),
        lambda h: threading.Event().wait(20),
        drip,
    ],
    ids=["500", "301", "302", "307", "hangs", "drips"],
)
def test_failing_webhook_changes_no_exit_code(company, webhook, monkeypatch, behave):
    monkeypatch.setattr(alarm, "TIMEOUT_SECONDS", 1.0)
    webhook.behave = behave
    assert ask()[0] == 0
    replace_by_text(company, monkeypatch)
    start = datetime.now(UTC)
    done = CliRunner().invoke(cli.app, ["deploy", "company.yaml", "--status", "--report"])
    assert done.exit_code == 5 and "the webhook " in done.stderr and SECRET not in done.output
    assert (datetime.now(UTC) - start).total_seconds() < 5


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full")
def test_full_disk_under_the_log_keeps_alarm_and_exit_code(company, webhook, record_attack):
    """A cron line appends to a file: where the disk is full, no line can be written."""
    # Where all is well, nobody was told so: the lost output alone makes the second code.
    attacks = [("elsewhere.yaml", 5), ("company.yaml", 1)]
    outcomes = Counter()
    for config, expected in attacks if is_full_attack() else attacks[:1]:
        with FULL.open("w") as full:
            command = [sys.executable, "-m", "pipelines.cli", "deploy", config]
            code = subprocess.run(
                [*command, "--status", "--report"], stdout=full, stderr=full, check=False
            ).returncode
        outcomes["right" if code == expected else "wrong"] += 1
    record_attack("status on a full disk", outcomes)
    assert not outcomes["wrong"] and len(webhook.bodies) == 1
