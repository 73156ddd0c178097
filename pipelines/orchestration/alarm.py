"""Alarms about failed runs: a small JSON body for a webhook, without data and without secrets."""

from __future__ import annotations

import os
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

from configs.addresses.parser import AddressError
from configs.addresses.web import parse_web_address
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
    try:
        _check_address(_read_address())
    except AddressError:
        return False
    return True


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


def _check_address(address: str) -> None:
    """Raise AddressError for an address that alarms cannot be sent to."""
    if address and parse_web_address(address).user:
        raise AddressError("it has a user", "use a webhook whose address alone is its secret")


def _try_to_send(address: str, body: dict[str, Any]) -> str:
    """Send a body; return what went wrong, empty if nothing did."""
    try:
        _check_address(address)
        _send_request(address, format_json(body).encode())
    except AddressError as error:
        return f"the address in {WEBHOOK_VARIABLE} cannot be used: {error}"
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
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
    opener = urllib.request.build_opener(_RefuseRedirect)
    with opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
        answer.read(1)
