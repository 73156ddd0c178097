"""Alarms about failed runs: a small JSON body for a webhook, without data and without secrets."""

from __future__ import annotations

import os
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import Any

from configs.errors import LeadscoreError
from features.tools.json_values import format_json

WEBHOOK_VARIABLE = "LEADSCORE_WEBHOOK"
# Limit for sending one alarm: a webhook must not hold up a run.
TIMEOUT_SECONDS = 10.0


def describe_failure(error: BaseException) -> dict[str, Any]:
    """Return what may be reported of a failure: its title, its message and its exit code.

    Its place, examples and fix stay in the log: they may quote a row or name a server.
    """
    if isinstance(error, LeadscoreError):
        return {"what": f"{error.title}: {error.what}", "exit_code": error.exit_code}
    name = type(error).__name__
    # The name of a module is no secret, and says what to install.
    module = f": {error.name}" if isinstance(error, ImportError) and error.name else ""
    return {"what": f"{name}{module}", "exit_code": 1}


def is_address_valid() -> bool:
    """Return whether LEADSCORE_WEBHOOK is an address that alarms can be sent to, or is not set."""
    address = _read_address()
    try:
        parts = urllib.parse.urlsplit(address)
        # Reading the port raises ValueError for one that is no number.
        is_web = parts.scheme.lower() in ("http", "https") and bool(parts.hostname)
        return not address or (is_web and parts.port != 0 and address.isprintable())
    except ValueError:
        return False


def post_alarm(body: dict[str, Any], log: Callable[[str], None]) -> bool:
    """Send a body to the webhook in LEADSCORE_WEBHOOK; return whether it was accepted.

    Nothing is sent without an address. A webhook that fails, or has not answered after
    TIMEOUT_SECONDS, is logged as one line and is never an error. The address is a secret, so no
    line contains it.
    """
    address = _read_address()
    if not address:
        return False
    problems: list[str] = []
    # A thread, since the time limit of a socket holds for each part of an answer only, and the
    # search for a host's address has none. A daemon, so that it keeps no process from ending.
    thread = threading.Thread(
        target=lambda: problems.append(_try_to_send(address, body)), daemon=True
    )
    thread.start()
    thread.join(TIMEOUT_SECONDS)
    problem = problems[0] if problems else f"the webhook has not answered in {TIMEOUT_SECONDS:g} s"
    if problem:
        log(problem)
    return not problem


def _read_address() -> str:
    return os.environ.get(WEBHOOK_VARIABLE, "").strip()


def _try_to_send(address: str, body: dict[str, Any]) -> str:
    """Send a body; return what went wrong, empty if nothing did."""
    try:
        _send_request(address, format_json(body).encode())
    except urllib.error.HTTPError as error:
        return f"the webhook answered {error.code}"
    # Any failure of a library: an alarm must harm no run.
    except Exception as error:  # noqa: BLE001
        return f"the webhook cannot be reached: {type(error).__name__}"
    return ""


class _RefuseRedirect(urllib.request.HTTPRedirectHandler):
    """Makes a redirect an error: urllib would follow it without the body, and lose the alarm."""

    def redirect_request(self, *_: Any) -> None:
        """Return no request to follow."""


def _send_request(address: str, body: bytes) -> None:
    # urllib would open a file for a file: address.
    if not address.lower().startswith(("https://", "http://")):
        raise ValueError("not a web address")
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
    opener = urllib.request.build_opener(_RefuseRedirect)
    with opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
        answer.read(1)
