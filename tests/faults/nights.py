"""Nights that a chosen write or allocation kills or lets fail, or whose writes are recorded.

One process runs under the shim and forks a child per night. ``python -m tests.faults.nights`` with
the shim loaded reads one JSON command per line, ``{"folder", "as_of", "at", "mode", "log"}``, and
answers each with one line ``{"signal", "error", "seen", "names"}``. A command with ``results``, the
name of a file in the folder, records that file as the results of a delivery instead. Forking saves
the imports, which take longer than the night of a small company; those that libraries put off until
the first night are learned from it.
"""

import contextlib
import ctypes
import importlib
import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

SHIM = Path(__file__).with_name("shim.c")


class Nights:
    """The process that runs nights under the shim; a context manager."""

    def __init__(self, folder: Path) -> None:
        library = folder / "shim.so"
        compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
        command = [
            compiler,
            "-O1",
            "-shared",
            "-fPIC",
            "-U_FORTIFY_SOURCE",
            "-o",
            str(library),
            str(SHIM),
            "-ldl",
        ]
        subprocess.run(command, check=True, capture_output=True)
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "tests.faults.nights"],
            env={**os.environ, "LD_PRELOAD": str(library)},
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        self._process.wait(60)

    def acknowledge(
        self, folder: Path, results: str, at: int | None = None, mode: str = "k"
    ) -> dict:
        """Record the results of a delivery instead of running a night."""
        return self.run(folder, "", at, mode, results=results)

    def run(
        self,
        folder: Path,
        as_of: str,
        at: int | None = None,
        mode: str = "k",
        log: Path | None = None,
        results: str | None = None,
    ) -> dict:
        """Run a night of the company in a folder and return its answer.

        Without ``at`` it runs to its end and its writes are named, and recorded in ``log``.
        """
        command = {
            "folder": str(folder),
            "as_of": as_of,
            "at": -1 if at is None else at,
            "mode": mode,
            "log": None if log is None else str(log),
            "results": results,
        }
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


def _serve() -> None:
    """Answer commands.

    Imports come first and no thread is started before the forks.
    """
    import lightgbm  # noqa: F401
    import mlflow
    import mlflow.tracking  # noqa: F401

    import pipelines.nightly.night  # noqa: F401
    from serve.page import build

    # It would start threads before the forks, or take a second in each of them.
    build.bundle_chart_library = lambda workspace: ""
    for line in sys.stdin:
        command = json.loads(line)
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            os.close(reading)
            _night(command, writing)
        os.close(writing)
        with os.fdopen(reading, encoding="utf-8") as pipe:
            report = pipe.read()
        _, status = os.waitpid(child, 0)
        answer = {
            "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0,
            "error": None,
            "seen": 0,
            "names": "",
        }
        answer |= json.loads(report) if report else {}
        _import_modules(answer.pop("modules", []))
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _import_modules(names: list[str]) -> None:
    """Import what a child imported, so that the next children need not."""
    for name in names:
        # Some modules exist only within another one, and cannot be imported by their name.
        with contextlib.suppress(ImportError):
            if name not in sys.modules:
                importlib.import_module(name)


def _night(command: dict, pipe: int) -> None:
    shim = ctypes.CDLL(None)
    shim.faults_names.restype = ctypes.c_char_p
    answer = {}
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.chdir(command["folder"])
        from configs.errors import LeadscoreError
        from configs.schema import load_project
        from pipelines.nightly.crm_delivery import acknowledge_deliveries
        from pipelines.nightly.night import score_night
        from pipelines.runner import Runner

        place = f"{Path('workspace').resolve()}/".encode()
        if command["log"]:
            shim.faults_record(place, command["log"].encode())
        else:
            shim.faults_arm(
                place, ctypes.c_long(command["at"]), ctypes.c_char(command["mode"].encode())
            )
        try:
            project = load_project("company.yaml")
            if command["results"]:
                acknowledge_deliveries(project, [Path(command["results"])], None, None)
            else:
                score_night(project, command["as_of"], Runner())
            answer["modules"] = list(sys.modules)
        except LeadscoreError as error:
            answer["error"] = str(error)
        answer |= {"seen": shim.faults_seen(), "names": shim.faults_names().decode()}
    except BaseException as error:  # noqa: BLE001 - a traceback is reported to the test
        answer["error"] = f"traceback: {type(error).__name__}: {error}"
    finally:
        shim.faults_arm(b"", ctypes.c_long(-1), ctypes.c_char(b"k"))
        os.write(pipe, json.dumps(answer).encode())
        os._exit(0)


if __name__ == "__main__":
    _serve()
