"""Access to MLflow: quiet logging, one process at a time, and errors in leadscore's words."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from filelock import FileLock

from configs.addresses.parser import AddressError
from configs.addresses.redaction import redact_text
from configs.addresses.web import check_tracking_address
from configs.errors import ConfigError

TRACKING_URI_VARIABLE = "MLFLOW_TRACKING_URI"
Answer = TypeVar("Answer")


def quiet_mlflow() -> None:
    """Stop MLflow's telemetry and console output.

    Call it before the first import of MLflow, which reads the environment.
    """
    # Defaults only: a variable that the operator has set stays as it is.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    # By default MLflow retries a server that is down for four minutes.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    # It warns about a model without a signature. A signature would reject whole numbers and
    # missing values.
    logging.getLogger("mlflow.pyfunc").setLevel(logging.ERROR)


@contextmanager
def lock_registry(root: Path) -> Iterator[None]:
    """Hold the lock of the registry.

    It is a ``flock(2)``, so it is released when the process ends. Raise ConfigError if the
    directory cannot be written.
    """
    # No soft lock: where flock(2) is missing it would outlive a killed process (filelock 3.30+).
    lock = FileLock(root / ".registry.lock", thread_local=False, fallback_to_soft=False)
    try:
        root.mkdir(parents=True, exist_ok=True)
        acquired = lock.acquire()
    except OSError as error:
        raise ConfigError(
            "cannot write the workspace", where=str(root), found=str(error)
        ) from error
    with acquired:
        yield


def make_unreachable_error(where: str, error: BaseException) -> ConfigError:
    """Return the ConfigError for a registry that does not answer."""
    return ConfigError(
        "the model registry does not answer",
        where=where,
        # Redacted before it is cut: a part of a secret could not be recognised.
        found=redact_text(str(error)).splitlines()[0][:300],
        fix="check that its server is up; after an update of MLflow, back up its database and run "
        "`mlflow db upgrade`",
    )


def find_tracking_address() -> str | None:
    """Return the tracking address that the environment names, or None.

    Raise ConfigError for one that MLflow would misread, such as one with a single slash.
    """
    address = os.environ.get(TRACKING_URI_VARIABLE, "").strip()
    if not address:
        return None
    try:
        check_tracking_address(address)
    except AddressError as error:
        raise ConfigError(error.what, where=TRACKING_URI_VARIABLE, fix=error.fix) from None
    return address


def get_or_none(ask: Callable[[], Answer]) -> Answer | None:
    """Return the result, or None where MLflow reports that there is no such object.

    Raise ConfigError for any other MLflow error.
    """
    from mlflow.exceptions import MlflowException

    try:
        return ask()
    except MlflowException as error:
        # A missing alias is reported as an invalid parameter.
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "NOT_FOUND"):
            return None
        raise make_unreachable_error(TRACKING_URI_VARIABLE, error) from error
