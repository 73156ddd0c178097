import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from configs.errors import ConfigError, WorkspaceBusy
from serve.lock import lock_workspace

HOLDER = """
import sys, time
from pathlib import Path
from serve.lock import lock_workspace
with lock_workspace(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path.cwd(),
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_lock_refuses_other_process_and_names_holder(holder, tmp_path):
    with (
        pytest.raises(WorkspaceBusy, match=rf"pid {holder.pid}: .*-c") as caught,
        lock_workspace(tmp_path),
    ):
        pass
    assert caught.value.exit_code == 6
    assert str(tmp_path) in str(caught.value)


def test_refusal_keeps_lock_and_name_of_holder(holder, tmp_path):
    for _ in range(2):
        with pytest.raises(WorkspaceBusy, match=f"pid {holder.pid}"), lock_workspace(tmp_path):
            pass


def test_killed_holder_releases_lock(holder, tmp_path):
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with lock_workspace(tmp_path):
        assert f"pid {os.getpid()}: " in (tmp_path / ".lock").read_text()


def test_lock_is_exclusive_within_process(tmp_path):
    with lock_workspace(tmp_path), pytest.raises(WorkspaceBusy), lock_workspace(tmp_path):
        pass


def test_lock_is_free_after_block_and_after_error(tmp_path):
    with pytest.raises(KeyError), lock_workspace(tmp_path):
        raise KeyError
    with lock_workspace(tmp_path):
        pass
    assert (tmp_path / ".lock").read_text() == ""


def test_forked_child_does_not_keep_lock(tmp_path):
    ready, done = os.pipe(), os.pipe()
    with lock_workspace(tmp_path):
        child = os.fork()
        if child == 0:
            os.write(ready[1], b"x")
            os.read(done[0], 1)
            os._exit(0)
        os.read(ready[0], 1)
    try:
        with lock_workspace(tmp_path):
            pass
    finally:
        os.write(done[1], b"x")
        os.waitpid(child, 0)


def test_locks_of_workspaces_are_independent(tmp_path):
    with lock_workspace(tmp_path / "a"), lock_workspace(tmp_path / "b" / "c"):
        assert (tmp_path / "b" / "c").is_dir()


def test_workspace_that_is_a_file_raises_config_error(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(ConfigError, match="cannot write to the workspace"),
        lock_workspace(tmp_path / "file"),
    ):
        pass
