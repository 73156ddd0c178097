"""Object stores on loopback: S3, Google Cloud Storage and Azure, with injected faults."""

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import unquote

import pytest
from pyarrow import fs

SECRET = "QZXJqzxj0123456789secret"
# The account that Azurite comes with; both are documented.
AZURE_ACCOUNT = "devstoreaccount1"
AZURE_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)


# What S3 writes beside a status.
ERROR_CODES = {401: "AccessDenied", 403: "AccessDenied", 500: "InternalError", 503: "SlowDown"}


@dataclass
class Faults:
    """Answers that a server gives in place of its own.

    Attributes:
        answer: Returns a status or "cut" for method and path of a request, or None.
        requests: Method and path of each request so far.
    """

    answer: Callable[[str, str], int | str | None] = lambda method, path: None
    requests: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class Store:
    """A running store.

    Attributes:
        root: Address of its bucket.
        bucket: Name of its bucket.
        system: File system with which the test writes.
        environment: Variables with which leadscore connects.
        faults: Injected answers; S3 only.
        stop: Ends the server; S3 only.
    """

    root: str
    bucket: str
    system: fs.FileSystem
    environment: dict[str, str]
    faults: Faults = field(default_factory=Faults)
    stop: Callable[[], None] = lambda: None

    def put(self, key: str, data: bytes) -> str:
        """Store an object, and return its address."""
        with self.system.open_output_stream(f"{self.bucket}/{key}", compression=None) as stream:
            stream.write(data)
        return f"{self.root}/{key}"


class FaultyApplication:
    """A WSGI application with injected faults."""

    def __init__(self, application, faults: Faults) -> None:
        self.application, self.faults = application, faults

    def __call__(self, environ, start_response):
        method, path = environ["REQUEST_METHOD"], unquote(environ["PATH_INFO"])
        self.faults.requests.append((method, path))
        fault = self.faults.answer(method, path)
        if isinstance(fault, int):
            code = ERROR_CODES[fault]
            body = b"" if method == "HEAD" else f"<Error><Code>{code}</Code></Error>".encode()
            start_response(f"{fault} Injected", [("Content-Length", str(len(body)))])
            return [body]
        if fault == "cut":
            return self._cut(environ, start_response)
        return self.application(environ, start_response)

    def _cut(self, environ, start_response):
        """Answer with the headers of the whole body, and half of it."""
        body = b"".join(self.application(environ, start_response))
        return [body[: len(body) // 2]]


@contextmanager
def start_s3() -> Iterator[Store]:
    """Run a server of S3 in a thread; skip where moto is not installed."""
    server = pytest.importorskip("moto.server", reason="moto is not installed")
    from werkzeug.serving import make_server

    faults = Faults()
    backend = server.DomainDispatcherApplication(server.create_backend_app)
    running = make_server("127.0.0.1", 0, FaultyApplication(backend, faults), threaded=True)
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()

    def stop() -> None:
        running.shutdown()
        running.server_close()

    endpoint = f"http://127.0.0.1:{running.server_port}"
    system = fs.S3FileSystem(
        access_key="writer",
        secret_key=SECRET,
        endpoint_override=endpoint,
        region="us-east-1",
        allow_bucket_creation=True,
    )
    system.create_dir("leads-bucket")
    environment = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "AKIDQZXJ0000",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    yield Store("s3://leads-bucket", "leads-bucket", system, environment, faults, stop)
    stop()


# The emulator answers one connection after the other, but a client holds one for each file. It runs
# in a process of its own: pyarrow (25.0.1) asks for an object's metadata without releasing the GIL.
GCS_PROGRAM = """
import sys
from http.server import ThreadingHTTPServer
from gcp_storage_emulator import server
server.server.HTTPServer = ThreadingHTTPServer
server.create_server("127.0.0.1", int(sys.argv[1]), in_memory=True).run()
"""


@contextmanager
def start_gcs() -> Iterator[Store]:
    """Run an emulator of Google Cloud Storage; skip where it is not installed."""
    pytest.importorskip("gcp_storage_emulator", reason="gcp-storage-emulator is not installed")
    port = find_free_port()
    host = f"127.0.0.1:{port}"
    with run_program([sys.executable, "-c", GCS_PROGRAM, str(port)], port):
        system = fs.GcsFileSystem(
            anonymous=True,
            scheme="http",
            endpoint_override=host,
            retry_time_limit=timedelta(seconds=5),
            project_id="p",
        )
        system.create_dir("leads-bucket")
        environment = {"STORAGE_EMULATOR_HOST": f"http://{host}"}
        yield Store("gs://leads-bucket", "leads-bucket", system, environment)


@contextmanager
def start_azure() -> Iterator[Store]:
    """Run Azurite; skip where its program is not on the path."""
    program = shutil.which("azurite-blob")
    if program is None:
        pytest.skip("azurite-blob is not on the path: npm install -g azurite")
    port = find_free_port()
    options = ["--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry"]
    host = f"127.0.0.1:{port}"
    with run_program([program, "--blobPort", str(port), *options], port):
        system = fs.AzureFileSystem(
            account_name=AZURE_ACCOUNT,
            account_key=AZURE_KEY,
            blob_storage_authority=host,
            dfs_storage_authority=host,
            blob_storage_scheme="http",
            dfs_storage_scheme="http",
        )
        system.create_dir("leads-bucket")
        environment = {
            "AZURE_STORAGE_ACCOUNT": AZURE_ACCOUNT,
            "AZURE_STORAGE_KEY": AZURE_KEY,
            "AZURE_STORAGE_SERVICE_ENDPOINT": f"http://{host}",
        }
        yield Store("az://leads-bucket", "leads-bucket", system, environment)


STORES = {"s3": start_s3, "gs": start_gcs, "az": start_azure}


def set_environment(monkeypatch, store: Store) -> None:
    """Give the program the variables of a store, and none of another one."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "AZURE_", "GOOGLE_", "STORAGE_")):
            monkeypatch.delenv(name)
    for name, value in store.environment.items():
        monkeypatch.setenv(name, value)


@contextmanager
def run_program(command: list[str], port: int) -> Iterator[None]:
    """Run a server until its port answers, and end it afterwards."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for_port(port)
        yield
    finally:
        process.terminate()
        process.wait(20)


def find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(port: int, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise TimeoutError(f"nothing listens on port {port}")
