"""Tell people that a night went wrong: a small JSON for a webhook, without data and without secrets."""

from __future__ import annotations

import http.client
import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

from configs.errors import LeadscoreError

WEBHOOK_VARIABLE = "LEADSCORE_WEBHOOK"
TIMEOUT_SECONDS = 10.0
"""Seconds to wait for a connection, and for each part of an answer."""


def describe_failure(error: BaseException) -> dict[str, Any]:
    """Return what may be told of a failure: what it is and its exit code.

    What was found, where and in which file stays in the log: it may quote a row or name a server.
    """
    if isinstance(error, LeadscoreError):
        return {"what": f"{error.title}: {error.what}", "exit_code": error.exit_code}
    return {"what": type(error).__name__, "exit_code": 1}


def post_alarm(body: dict[str, Any], note: Callable[[str], None]) -> bool:
    """Send a body to the webhook of the environment; say whether it was taken. Nothing is sent where none is named.

    A webhook that fails is one line for ``note`` and never an error. Its address is a secret, so no line names it.
    """
    address = os.environ.get(WEBHOOK_VARIABLE, "").strip()
    if not address:
        return False
    try:
        _send_request(address, json.dumps(body).encode())
    except urllib.error.HTTPError as error:
        note(f"the webhook answered {error.code}")
    except (OSError, ValueError, http.client.HTTPException) as error:
        note(f"the webhook cannot be reached: {type(error).__name__}")
    else:
        return True
    return False


def _send_request(address: str, body: bytes) -> None:
    if not address.lower().startswith(("https://", "http://")):
        raise ValueError("not a web address")
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
        answer.read(1)
