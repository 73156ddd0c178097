"""Alarms about failed runs: a small JSON body for a webhook, without data and without secrets."""

from __future__ import annotations

import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

from configs.errors import LeadscoreError
from features.tools.json_values import format_json

WEBHOOK_VARIABLE = "LEADSCORE_WEBHOOK"
# Limit for a connection and for each part of an answer: a webhook must not hold up a run.
TIMEOUT_SECONDS = 10.0


def describe_failure(error: BaseException) -> dict[str, Any]:
    """Return what may be reported of a failure: its title, its message and its exit code.

    Its place, examples and fix stay in the log: they may quote a row or name a server.
    """
    if isinstance(error, LeadscoreError):
        return {"what": f"{error.title}: {error.what}", "exit_code": error.exit_code}
    return {"what": type(error).__name__, "exit_code": 1}


def post_alarm(body: dict[str, Any], log: Callable[[str], None]) -> bool:
    """Send a body to the webhook in LEADSCORE_WEBHOOK; return whether it was accepted.

    Nothing is sent without an address. A webhook that fails is logged as one line and is never an
    error. The address is a secret, so no line contains it.
    """
    address = os.environ.get(WEBHOOK_VARIABLE, "").strip()
    if not address:
        return False
    try:
        _send_request(address, format_json(body).encode())
    except urllib.error.HTTPError as error:
        log(f"the webhook answered {error.code}")
    except (OSError, ValueError, http.client.HTTPException) as error:
        log(f"the webhook cannot be reached: {type(error).__name__}")
    else:
        return True
    return False


def _send_request(address: str, body: bytes) -> None:
    # urllib would open a file for a file: address.
    if not address.lower().startswith(("https://", "http://")):
        raise ValueError("not a web address")
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
        answer.read(1)
