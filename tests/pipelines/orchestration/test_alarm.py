"""Alarms: the body that a webhook gets, and that a failing webhook does no harm."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace

import pytest

from configs.errors import DataError, NotFitToPublish
from pipelines.orchestration import alarm

SECRET = "hook-token-77"


@pytest.fixture
def webhook():
    """A web server that answers ``answer.status`` after ``answer.wait`` s and keeps the bodies."""
    answer = SimpleNamespace(status=204, wait=0, bodies=[], url="")
    done = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            answer.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            done.wait(answer.wait)
            self.send_response(answer.status)
            self.end_headers()

        def log_message(self, *_):
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    answer.url = f"http://127.0.0.1:{server.server_port}/{SECRET}"
    yield answer
    done.set()
    server.shutdown()
    server.server_close()


def test_alarm_is_posted_as_json(webhook, monkeypatch):
    monkeypatch.setenv("LEADSCORE_WEBHOOK", webhook.url)
    assert alarm.post_alarm({"text": "a night failed"}, print)
    assert webhook.bodies == [{"text": "a night failed"}]


def test_alarm_without_an_address_is_not_sent(monkeypatch):
    monkeypatch.delenv("LEADSCORE_WEBHOOK", raising=False)
    notes = []
    assert not alarm.post_alarm({}, notes.append) and not notes


@pytest.mark.parametrize("status", [400, 404, 500])
def test_webhook_that_refuses_is_one_line_without_its_address(webhook, monkeypatch, status):
    webhook.status = status
    monkeypatch.setenv("LEADSCORE_WEBHOOK", webhook.url)
    notes = []
    assert not alarm.post_alarm({}, notes.append)
    assert len(notes) == 1 and str(status) in notes[0] and SECRET not in notes[0]


@pytest.mark.parametrize(
    "address",
    [
        f"http://127.0.0.1:1/{SECRET}",
        f"http://no-such-host.invalid/{SECRET}",
        f"file:///etc/{SECRET}",
        f"{SECRET}",
        f"http://[{SECRET}",
        f"http://127.0.0.1:port/{SECRET}",
        f"http://127.0.0.1:1/{SECRET} {SECRET}",
    ],
)
def test_webhook_that_is_missing_is_one_line_without_its_address(monkeypatch, address):
    monkeypatch.setenv("LEADSCORE_WEBHOOK", address)
    notes = []
    assert not alarm.post_alarm({}, notes.append)
    assert len(notes) == 1 and SECRET not in notes[0]


def test_webhook_that_does_not_answer_is_abandoned(webhook, monkeypatch):
    webhook.wait = 30
    monkeypatch.setattr(alarm, "TIMEOUT_SECONDS", 0.3)
    monkeypatch.setenv("LEADSCORE_WEBHOOK", webhook.url)
    notes = []
    assert not alarm.post_alarm({}, notes.append) and len(notes) == 1


def test_alarm_leaves_out_examples_and_places():
    """An example in an error is a row of somebody's data, a place may be a server."""
    error = DataError(
        "too many bad rows",
        where="db.internal: leads",
        found="3 of 5, such as ann@example.com",
        fix="x",
    )
    described = alarm.describe_failure(error)
    assert described == {"what": "data error: too many bad rows", "exit_code": 3}
    described = alarm.describe_failure(ValueError("ann@example.com"))
    assert described == {"what": "ValueError", "exit_code": 1}
    assert alarm.describe_failure(NotFitToPublish("no champion"))["exit_code"] == 5
