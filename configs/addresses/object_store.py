"""Addresses of objects, such as s3://bucket/folder/*.parquet. They hold no secret."""

from __future__ import annotations

import re
from dataclasses import dataclass

from configs.addresses.parser import AddressError, split_scheme

S3, GCS, AZURE, AZURE_LAKE = "s3", "gs", "az", "abfss"
SCHEMES = (S3, GCS, AZURE, AZURE_LAKE)
TITLES = {S3: "S3", GCS: "Google Cloud Storage", AZURE: "Azure", AZURE_LAKE: "Azure"}

# Other names by which programs call the same stores.
OTHER_NAMES = {
    **dict.fromkeys(("s3a", "s3n"), S3),
    **dict.fromkeys(("gcs", "gfs"), GCS),
    **dict.fromkeys(("azure", "wasb", "wasbs", "adl", "adls", "abfs"), AZURE_LAKE),
}

FIX_CREDENTIALS = "credentials come from the environment, never from the config"
FIX_FORM = {
    S3: "write s3://bucket/folder/*.parquet",
    GCS: "write gs://bucket/folder/*.parquet",
    AZURE: "write az://container/folder/*.parquet",
    AZURE_LAKE: "write abfss://container@account.dfs.core.windows.net/folder/*.parquet",
}

_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]")
_ACCOUNT = re.compile(r"(?P<container>[^@]*)@(?P<account>[a-z0-9]{3,24})(?P<domain>\.[a-z0-9.-]+)")


@dataclass(frozen=True)
class ObjectAddress:
    """Place of one or more objects.

    Attributes:
        scheme: One of SCHEMES.
        bucket: Bucket, or Azure's container.
        key: Key, folder or glob within the bucket, without slashes at its ends.
        account: Azure's account, if the address names it.
        domain: Domain of the account's server, if the address names it.
    """

    scheme: str
    bucket: str
    key: str
    account: str = ""
    domain: str = ""

    @property
    def root(self) -> str:
        """Return the address of the bucket, without a slash at its end."""
        owner = f"@{self.account}{self.domain}" if self.account else ""
        return f"{self.scheme}://{self.bucket}{owner}"


def is_object_address(text: str) -> bool:
    """Return whether a text begins as the address of an object store, well formed or not."""
    scheme, slashes = _find_scheme(text)
    return slashes > 0 and (scheme in SCHEMES or scheme in OTHER_NAMES)


def parse_object_address(text: str) -> ObjectAddress:
    """Return the parts of an address; raise AddressError for one that is malformed.

    The error quotes nothing of it, since it may hold a secret.
    """
    scheme, slashes, rest = split_scheme(text)
    if other := OTHER_NAMES.get(scheme):
        raise AddressError(f"{scheme}:// is another name of {other}://", FIX_FORM[other])
    fix = FIX_FORM[scheme]
    if slashes != 2:
        raise AddressError("the address does not have two slashes after its scheme", fix)
    if "?" in rest or "#" in rest:
        raise AddressError(
            "the address of an object has neither ? nor #", f"{fix}; {FIX_CREDENTIALS}"
        )
    bucket, _, key = rest.partition("/")
    account = domain = ""
    if scheme == AZURE_LAKE:
        match = _ACCOUNT.fullmatch(bucket)
        if match is None:
            raise AddressError("the address does not name container and account", fix)
        bucket, account, domain = match["container"], match["account"], match["domain"]
    if not _BUCKET.fullmatch(bucket):
        raise AddressError(
            "the address does not begin with the name of a bucket", f"{fix}; {FIX_CREDENTIALS}"
        )
    return ObjectAddress(scheme, bucket, "/".join(filter(None, key.split("/"))), account, domain)


def _find_scheme(text: str) -> tuple[str, int]:
    match = re.match(r"\s*([A-Za-z][A-Za-z0-9]*):(/*)", text)
    return (match[1].lower(), len(match[2])) if match else ("", 0)
