"""Standard output and standard error that never fail, so that printing decides nothing.

A full disk, a closed descriptor, a reader that went away and a character that the encoding lacks
are ordinary for a command that a scheduler runs. Libraries print too, so the streams themselves are
replaced once, and no caller handles such failures.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import select
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

STDIN, STDOUT, STDERR = 0, 1, 2
# Progress must not stop a night that holds the workspace because nobody reads it.
PROGRESS_PATIENCE_SECONDS = 60.0
# A pipe that `select` calls writable takes this many bytes without blocking (POSIX).
MAX_BYTES_PER_WRITE = select.PIPE_BUF


class Descriptor(io.RawIOBase):
    """A file descriptor to write to; what cannot be written is dropped.

    Attributes:
        failure: The first error of a write, None without one.
    """

    def __init__(self, descriptor: int, patience: float | None, *, stands_in: bool = False) -> None:
        """Write to a descriptor; a reader may stop for ``patience`` seconds, None: for ever.

        One that ``stands_in`` for a closed descriptor takes nothing.
        """
        self._descriptor, self._patience, self._stands_in = descriptor, patience, stands_in
        self._remaining_patience = patience
        self.failure: OSError | None = None

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Return whether it is a terminal."""
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: ReadableBuffer, /) -> int:
        """Write all bytes, or note why not; return their number in any case."""
        remaining = memoryview(data).cast("B")
        size = len(remaining)
        try:
            while remaining:
                remaining = remaining[self._write_part(remaining) :]
        except OSError as error:
            self.failure = self.failure or error
        return size

    def _write_part(self, data: memoryview) -> int:
        """Write the first bytes and return their number; raise OSError."""
        if self._stands_in:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        if self._patience is not None:
            self._wait_for_reader()
            data = data[:MAX_BYTES_PER_WRITE]
        try:
            return os.write(self._descriptor, data)
        # A parent process may have made its end non-blocking, which holds for this end too.
        except BlockingIOError:
            self._wait_for_reader()
            return 0

    def _wait_for_reader(self) -> None:
        _, ready, _ = select.select([], [self._descriptor], [], self._remaining_patience)
        # The next lines do not wait again for a reader that has stopped once.
        self._remaining_patience = self._patience if ready else 0
        if not ready:
            raise TimeoutError(errno.ETIMEDOUT, "nobody reads it")


class OutputStream(io.TextIOWrapper):
    """The text of standard output or standard error.

    A character that the encoding lacks is shown as an escape such as ``\\u201c``.
    """

    def __init__(self, descriptor: Descriptor, encoding: str, line_buffering: bool) -> None:
        super().__init__(
            io.BufferedWriter(descriptor),
            encoding,
            errors="backslashreplace",
            line_buffering=line_buffering,
        )
        self._output = descriptor

    @property
    def failure(self) -> OSError | None:
        """Return why a part of the text was not written, None if all of it was."""
        self.flush()
        return self._output.failure

    def forget_failure(self) -> None:
        """Forget that a part of the text was not written."""
        self.flush()
        self._output.failure = None

    def check_end(self) -> OSError | None:
        """Return the failure, including that of a network disk, which may come on closing."""
        if self.failure is None:
            try:
                os.close(os.dup(self.fileno()))
            except OSError as error:
                self._output.failure = error
        return self._output.failure


def protect_streams() -> None:
    """Make standard output and standard error streams that never fail.

    A descriptor from 0 to 2 that is closed is opened on the null device: otherwise the next file
    would get its number, and a message would be written into it. Streams that another program has
    put in place, such as a test runner or a notebook, are left alone.
    """
    _open_closed_descriptors()
    sys.stdout = _protect_stream(sys.stdout, STDOUT, None)
    sys.stderr = _protect_stream(sys.stderr, STDERR, PROGRESS_PATIENCE_SECONDS)


def find_lost_output() -> OSError | None:
    """Return why a part of standard output was not written, None if all of it was."""
    return sys.stdout.check_end() if isinstance(sys.stdout, OutputStream) else None


def forgive_lost_output() -> OSError | None:
    """Return why a part of standard output was not written, and do not count it as lost."""
    failure = find_lost_output()
    if isinstance(sys.stdout, OutputStream):
        sys.stdout.forget_failure()
    return failure


def encodes_all_characters(stream: TextIO) -> bool:
    """Return whether the encoding of a stream has all characters of Unicode."""
    return codecs.lookup(stream.encoding or "utf-8").name.startswith("utf")


def _open_closed_descriptors() -> None:
    for descriptor in (STDIN, STDOUT, STDERR):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest free number is given: those below are open by now.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def _protect_stream(stream: TextIO | None, descriptor: int, patience: float | None) -> TextIO:
    if stream is None:
        # Python found it closed. Its number may belong to a file by now.
        output = Descriptor(os.open(os.devnull, os.O_WRONLY), patience, stands_in=True)
        return OutputStream(output, "utf-8", line_buffering=True)
    if isinstance(stream, OutputStream) or not _writes_to(stream, descriptor):
        return stream
    with suppress(OSError):
        stream.flush()
    output = Descriptor(descriptor, patience)
    return OutputStream(output, stream.encoding, getattr(stream, "line_buffering", False))


def _writes_to(stream: TextIO, descriptor: int) -> bool:
    try:
        return stream.fileno() == descriptor
    # A stream in memory has no descriptor; one without a buffer lacks even the method.
    except (AttributeError, OSError, ValueError):
        return False
