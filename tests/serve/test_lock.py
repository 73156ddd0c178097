import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from configs.errors import ConfigError, WorkspaceBusy
from serve.lock import hold

HOLDER = """
import sys, time
from pathlib import Path
from serve.lock import hold
with hold(Path(sys.argv[1])):
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


def test_another_process_is_refused_and_told_who_holds_it(holder, tmp_path):
    with pytest.raises(WorkspaceBusy, match=rf"pid {holder.pid}: .*-c") as caught, hold(tmp_path):
        pass
    assert caught.value.exit_code == 6
    assert str(tmp_path) in str(caught.value)


def test_a_refusal_leaves_the_holder_its_lock_and_its_name(holder, tmp_path):
    for _ in range(2):
        with pytest.raises(WorkspaceBusy, match=f"pid {holder.pid}"), hold(tmp_path):
            pass


def test_a_killed_holder_leaves_no_lock(holder, tmp_path):
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with hold(tmp_path):
        assert f"pid {os.getpid()}: " in (tmp_path / ".lock").read_text()


def test_the_same_process_cannot_hold_it_twice(tmp_path):
    with hold(tmp_path), pytest.raises(WorkspaceBusy), hold(tmp_path):
        pass


def test_it_is_free_after_the_block_and_after_an_error(tmp_path):
    with pytest.raises(KeyError), hold(tmp_path):
        raise KeyError
    with hold(tmp_path):
        pass
    assert (tmp_path / ".lock").read_text() == ""


def test_a_forked_child_does_not_keep_the_lock(tmp_path):
    ready, done = os.pipe(), os.pipe()
    with hold(tmp_path):
        child = os.fork()
        if child == 0:
            os.write(ready[1], b"x")
            os.read(done[0], 1)
            os._exit(0)
        os.read(ready[0], 1)
    try:
        with hold(tmp_path):
            pass
    finally:
        os.write(done[1], b"x")
        os.waitpid(child, 0)


def test_two_workspaces_do_not_meet(tmp_path):
    with hold(tmp_path / "a"), hold(tmp_path / "b" / "c"):
        assert (tmp_path / "b" / "c").is_dir()


def test_a_workspace_that_is_a_file_is_a_config_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot write to the workspace"), hold(tmp_path / "file"):
        pass
