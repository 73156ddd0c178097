"""Standard error of a command: a live display on a terminal only, and lines that stay whole."""

import os
import pty
import struct
import subprocess
import sys
import termios
from fcntl import ioctl

import pytest

LONG = "/srv/acme/" + "a_long_folder/" * 12 + "scores.csv"
WORK = f"""
import sys
import time
from features.progress.report import report_progress
from pipelines.commands.console import log_always, log_line, say_less, start_display, stop_display
if "-q" in sys.argv:
    say_less()
start_display()
log_line("wrote {LONG}")
report_progress("reading \\x1b[31mleads\\n.csv", 3, 10)
time.sleep(0.4)
report_progress("features", 5)
time.sleep(0.4)
stop_display()
report_progress("never shown", 5)
log_always("done")
"""


def run_on_terminal(columns=100, *, stderr=None, arguments=(), **changes):
    """Run the work on a terminal of so many columns; return the bytes that it got."""
    parent, child = pty.openpty()
    ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {"PATH": os.environ["PATH"], "TERM": "xterm", "LANG": "C.UTF-8", **changes}
    done = subprocess.Popen(
        [sys.executable, "-c", WORK, *arguments],
        stdin=child,
        stdout=child,
        stderr=child if stderr is None else stderr,
        env=environment,
    )
    os.close(child)
    shown = b""
    # Linux ends a terminal without a writer with an error, macOS with nothing.
    try:
        while part := os.read(parent, 65_536):
            shown += part
    except OSError:
        pass
    os.close(parent)
    assert done.wait() == 0
    return shown


def test_display_shows_the_step_and_leaves_lines_whole():
    shown = run_on_terminal()
    assert b"reading \\x1b[31mleads\\n.csv" in shown and b"features" in shown
    assert b"never shown" not in shown
    # The line of a path is not broken, and the cursor is back.
    assert LONG.encode() in shown
    assert shown.rindex(b"\x1b[?25h") > shown.rindex(b"\x1b[?25l")
    assert shown.endswith(b"done\r\n")


PLAIN = f"wrote {LONG}\r\ndone\r\n".encode()


@pytest.mark.parametrize(
    ("columns", "changes"),
    [(100, {"TERM": "dumb"}), (100, {"TERM": ""}), (100, {"CI": "true"}), (20, {}), (0, {})],
)
def test_terminal_that_cannot_redraw_gets_lines_alone(columns, changes):
    assert run_on_terminal(columns, **changes) == PLAIN


def test_display_has_no_color_where_none_is_wanted():
    assert b"\x1b[3" not in run_on_terminal(NO_COLOR="1").replace(b"\\x1b[31m", b"")


def test_pipe_gets_lines_alone(tmp_path):
    with (tmp_path / "log").open("wb") as log:
        assert run_on_terminal(stderr=log) == b""
    assert (tmp_path / "log").read_bytes() == PLAIN.replace(b"\r", b"")


def test_quiet_command_says_results_alone():
    assert run_on_terminal(arguments=["-q"]) == b"done\r\n"
