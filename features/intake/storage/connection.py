"""Connections to object stores, with the credentials of the environment.

They are those that the programs of each provider use: variables, files in the home folder, or the
role of the machine. No access without credentials is tried.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow as pa
from pyarrow import fs

from configs.addresses.object_store import AZURE, AZURE_LAKE, GCS, S3, ObjectAddress
from configs.addresses.redaction import redact_text
from configs.errors import DataError

# Attempts of one request, and the longest wait for a connection and for more bytes.
MAX_ATTEMPTS, CONNECT_SECONDS, REQUEST_SECONDS = 4, 10, 60
GCS_RETRY = timedelta(seconds=30)

AWS_VARIABLES = (
    *("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE"),
    *("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"),
)
AWS_FILES = {
    "AWS_SHARED_CREDENTIALS_FILE": "~/.aws/credentials",
    "AWS_CONFIG_FILE": "~/.aws/config",
}
# Names the maker of the machine; only on Amazon's own is a role without any variable.
MACHINE_VENDOR = Path("/sys/devices/virtual/dmi/id/sys_vendor")

FIX_LOGIN = {
    S3: "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, and allow s3:ListBucket "
    "and s3:GetObject",
    GCS: "set GOOGLE_APPLICATION_CREDENTIALS, or run gcloud auth application-default login, and "
    "allow storage.objects.list and storage.objects.get",
    AZURE: "set AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN, or log in by az login, and allow to "
    "list and read",
}
FIX_LOGIN[AZURE_LAKE] = FIX_LOGIN[AZURE]


def connect_store(
    address: ObjectAddress, environment: Mapping[str, str] = os.environ
) -> fs.FileSystem:
    """Return the file system of an address.

    Raises DataError where the environment has no credentials, or not what is needed to connect.
    """
    connectors = {S3: _connect_s3, GCS: _connect_gcs}
    try:
        return connectors.get(address.scheme, _connect_azure)(address, environment)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise DataError(
            "cannot connect to the object store",
            where=address.root,
            found=redact_text(str(error)),
            fix=FIX_LOGIN[address.scheme],
        ) from None


def _connect_s3(address: ObjectAddress, environment: Mapping[str, str]) -> fs.FileSystem:
    if not _has_aws_credentials(environment):
        # The library would go on without credentials, which a public bucket accepts.
        raise DataError(
            "no credentials for S3",
            where=address.root,
            found=f"none of {', '.join(AWS_VARIABLES)} is set, and ~/.aws has none",
            fix=FIX_LOGIN[S3],
        )
    endpoint = environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL")
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
    if endpoint:
        # Servers of other makers have no regions, but a request is signed for one.
        region = region or "us-east-1"
    return fs.S3FileSystem(
        region=region or fs.resolve_s3_region(address.bucket),
        endpoint_override=endpoint,
        connect_timeout=CONNECT_SECONDS,
        request_timeout=REQUEST_SECONDS,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=MAX_ATTEMPTS),
    )


def _has_aws_credentials(environment: Mapping[str, str]) -> bool:
    if any(environment.get(name) for name in AWS_VARIABLES):
        return True
    if any(
        Path(environment.get(name) or default).expanduser().is_file()
        for name, default in AWS_FILES.items()
    ):
        return True
    try:
        return MACHINE_VENDOR.read_text().startswith("Amazon")
    except (OSError, UnicodeDecodeError):
        return False


def _connect_gcs(address: ObjectAddress, environment: Mapping[str, str]) -> fs.FileSystem:
    if emulator := environment.get("STORAGE_EMULATOR_HOST"):
        # An emulator has no accounts; Google's own programs read the same variable.
        host = urlsplit(emulator if "//" in emulator else f"http://{emulator}")
        return fs.GcsFileSystem(
            anonymous=True,
            scheme=host.scheme,
            endpoint_override=host.netloc,
            retry_time_limit=GCS_RETRY,
        )
    return fs.GcsFileSystem(retry_time_limit=GCS_RETRY)


def _connect_azure(address: ObjectAddress, environment: Mapping[str, str]) -> fs.FileSystem:
    account = address.account or environment.get("AZURE_STORAGE_ACCOUNT")
    if not account:
        raise DataError(
            "no account for Azure",
            where=address.root,
            found="AZURE_STORAGE_ACCOUNT is not set",
            fix="set it, or write abfss://container@account.dfs.core.windows.net/folder",
        )
    options = dict[str, str]()
    if key := environment.get("AZURE_STORAGE_KEY"):
        options["account_key"] = key
    elif token := environment.get("AZURE_STORAGE_SAS_TOKEN"):
        options["sas_token"] = token if token.startswith("?") else f"?{token}"
    if endpoint := environment.get("AZURE_STORAGE_SERVICE_ENDPOINT"):
        server = urlsplit(endpoint)
        # A leading dot says that the account goes before it.
        blob = server.netloc.removeprefix(account)
        options["blob_storage_authority"], options["blob_storage_scheme"] = blob, server.scheme
        options["dfs_storage_authority"] = blob.replace(".blob.", ".dfs.")
        options["dfs_storage_scheme"] = server.scheme
    elif address.domain:
        options["blob_storage_authority"] = address.domain.replace(".dfs.", ".blob.")
        options["dfs_storage_authority"] = address.domain.replace(".blob.", ".dfs.")
    return fs.AzureFileSystem(account_name=account, **options)
