"""Streams that never fail: what they write, what they drop, and what they say of it."""

import errno
import io
import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from pipelines.streams import Descriptor, OutputStream

ROOT = Path(__file__).parents[2]


@pytest.fixture
def pipe():
    """Return the two ends of a pipe; both are closed after the test."""
    reading, writing = os.pipe()
    yield reading, writing
    for end in (reading, writing):
        with suppress(OSError):
            os.close(end)


def fill(descriptor):
    """Write to a pipe until it takes no more."""
    os.set_blocking(descriptor, False)
    with pytest.raises(BlockingIOError):
        while True:
            os.write(descriptor, b"x" * 4096)
    os.set_blocking(descriptor, True)


def test_descriptor_gives_up_a_reader_that_stopped(pipe):
    reading, writing = pipe
    fill(writing)
    output = Descriptor(writing, patience=0.2)
    assert output.write(b"lost") == 4
    assert output.failure.errno == errno.ETIMEDOUT
    began = time.monotonic()
    for _ in range(100):
        output.write(b"lost too")
    assert time.monotonic() - began < 0.2
    os.read(reading, 1 << 20)
    output.write(b"seen again")
    assert os.read(reading, 100) == b"seen again"


def test_descriptor_waits_for_a_slow_reader_of_a_result(pipe):
    reading, writing = pipe
    code = "import sys, time; time.sleep(0.3); print(len(sys.stdin.buffer.read()))"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=reading, stdout=subprocess.PIPE
    ) as reader:
        os.close(reading)
        # As a parent process may have left it.
        os.set_blocking(writing, False)
        output = Descriptor(writing, patience=None)
        output.write(b"x" * 1_000_000)
        os.close(writing)
        assert reader.stdout.read() == b"1000000\n"
    assert output.failure is None


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8", "utf-16"])
def test_stream_escapes_what_its_encoding_lacks(pipe, encoding):
    reading, writing = pipe
    stream = OutputStream(Descriptor(writing, None), encoding, line_buffering=True)
    # A byte that is no UTF-8 in a file name is a lone surrogate.
    stream.write("“Łódź” 😀 \udcff\n")
    stream.flush()
    text = os.read(reading, 1000).decode(encoding)
    expected = "“Łódź” 😀 ".encode(encoding, "backslashreplace").decode(encoding)
    assert text == f"{expected}\\udcff\n"
    assert stream.failure is None


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8", "utf-16"])
def test_json_is_json_in_any_encoding(encoding):
    text = "“Łódź” 😀 é"
    code = f"from pipelines.commands.options import print_json; print_json({{'a': {text!a}}})"
    code = f"from pipelines.streams import protect_streams; protect_streams(); {code}"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": encoding},
        capture_output=True,
        check=True,
    )
    assert json.loads(done.stdout.decode(encoding)) == {"a": text}


def test_closed_descriptors_are_not_given_to_files(tmp_path):
    code = (
        "import os, sys; from pipelines.streams import protect_streams, find_lost_output;"
        "protect_streams(); file = open('kept.txt', 'w'); lost = [find_lost_output()];"
        "print('a message'); lost.append(find_lost_output().strerror);"
        "print('another', file=sys.stderr); os.write(1, b'from C'); os.write(2, b'from C');"
        "child = os.system('echo from a child; echo too >&2');"
        "file.write(f'{file.fileno()} {lost} {child}')"
    )
    subprocess.run(
        ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
    )
    number, _, rest = (tmp_path / "kept.txt").read_text(encoding="utf-8").partition(" ")
    assert int(number) > 2
    # Nothing is lost until something is printed.
    assert rest == "[None, 'Bad file descriptor'] 0"


def test_streams_of_other_programs_are_left_alone(monkeypatch):
    from pipelines.streams import protect_streams

    mine = io.StringIO()
    monkeypatch.setattr(sys, "stdout", mine)
    monkeypatch.setattr(sys, "stderr", mine)
    protect_streams()
    assert sys.stdout is sys.stderr is mine
