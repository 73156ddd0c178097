"""Encoding of a text file: by its first bytes, by its validity as UTF-8, or by its words."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from configs.errors import DataError
from configs.names import AUTO
from features.intake.csv_text.grammar import is_utf8
from features.intake.csv_text.letters import SIGNS, is_faulty_word, judge_words, list_signs
from features.intake.storage.packing import open_unpacked
from features.intake.storage.source_file import SourceFile
from features.readings.source_form import FormEntry

UTF8 = "utf-8"
# Byte-order marks; that of UTF-32 begins with that of UTF-16.
MARKS = {
    b"\xef\xbb\xbf": UTF8,
    b"\xff\xfe\x00\x00": "utf-32-le",
    b"\x00\x00\xfe\xff": "utf-32-be",
    b"\xff\xfe": "utf-16-le",
    b"\xfe\xff": "utf-16-be",
}
# Bytes at the start of a file by which UTF-16 without a mark is known, the least share of NUL bytes
# among every second one, and that of line feeds among the bytes that look like one.
HEAD_BYTES, MIN_NUL_SHARE, MIN_LINE_FEED_SHARE = 4096, 0.1, 0.8
# Lines that are not ASCII, and distinct words of them, that are looked at to judge a file.
ENOUGH_LINES, ENOUGH_WORDS = 5_000, 1_000
# A file is UTF-8 with damage if so large a share of its lines that are not ASCII are UTF-8.
MIN_UTF8_SHARE = 0.1
# Up to this share of all lines, and one in any case, may be neither ASCII nor UTF-8 by damage.
FEW_SHARE = 0.001
# Fewer distinct words prove no encoding where they are a few of many lines.
MIN_WORDS = 3
# Bytes that are decoded together.
DECODED_BYTES = 1 << 22
# Least bytes outside of ASCII by which a later block of another encoding is noticed.
MIN_OTHER_BYTES = 8

# Lines of UTF-8 with a sign beyond ASCII, found in one pass.
_UTF8_LINE = re.compile(
    rb"^(?=[\x00-\x09\x0b-\x7f]*[\x80-\xff])(?:[\x00-\x09\x0b-\x7f]|[\xc2-\xdf][\x80-\xbf]|"
    rb"[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3})*+$",
    re.MULTILINE,
)
_WORD = re.compile(rb"[A-Za-z\x80-\xff]*[\x80-\xff][A-Za-z\x80-\xff]*")


def _keep_broken(error: UnicodeError) -> tuple[str, int]:
    """Stand for bytes without a meaning by a byte that is not UTF-8, so that the row is broken."""
    end = error.end if isinstance(error, UnicodeDecodeError) else 0
    return "\udcff", end


codecs.register_error("leadscore.broken", _keep_broken)


@dataclass
class Evidence:
    """What the lines of a file say about its encoding.

    Attributes:
        lines: Lines that were looked at.
        valid: Lines that are UTF-8 and not ASCII.
        invalid: Lines that are not UTF-8.
        words: Distinct words of these, and the number of the line of each.
    """

    lines: int = 0
    valid: int = 0
    invalid: int = 0
    words: dict[bytes, int] = field(default_factory=dict)

    @property
    def is_enough(self) -> bool:
        """Return whether further lines would not change the judgement."""
        if self.valid + self.invalid < ENOUGH_LINES:
            return False
        return self.valid > self.invalid or judge_words(self.words).proven

    def add(self, data: bytes) -> None:
        """Add whole lines; of those that are not ASCII the first ENOUGH_LINES are looked at."""
        array = np.frombuffer(data, np.uint8)
        ends = np.flatnonzero(array == ord("\n"))
        at = np.unique(np.searchsorted(ends, np.flatnonzero(array > 127)))
        for number in at[:ENOUGH_LINES].tolist():
            begin = int(ends[number - 1]) + 1 if number else 0
            line = data[begin : int(ends[number]) if number < len(ends) else len(data)]
            if is_utf8(line):
                self.valid += 1
            else:
                self.invalid += 1
                for word in _WORD.findall(line) if len(self.words) < ENOUGH_WORDS else ():
                    self.words.setdefault(word, self.lines + number + 1)
        self.lines += len(ends)

    def has_few_broken(self) -> bool:
        """Return whether the lines that are not UTF-8 are so few that they may be damage."""
        return self.invalid <= FEW_SHARE * self.lines


@dataclass
class Decoder:
    """Turns the blocks of one file into UTF-8.

    Attributes:
        file: The file, for messages.
        configured: Encoding of the config, or AUTO.
        encoding: The encoding; None as long as all lines were UTF-8.
        entry: How the encoding was established; None if it is UTF-8 without further ado.
        warnings: Lines that are neither of the encoding nor enough to prove another one.
        _other_bytes: Bytes in lines that are UTF-8 and not ASCII, as far as it matters.
        _lines: Lines that were decoded.
        _other_lines: Numbers of the lines of UTF-8 in a file of another encoding.
    """

    file: SourceFile
    configured: str = AUTO
    encoding: str | None = None
    entry: FormEntry | None = None
    warnings: list[str] = field(default_factory=list)
    _stream: codecs.IncrementalDecoder | None = None
    _other_bytes: int = 0
    _lines: int = 0
    _other_lines: list[int] = field(default_factory=list)

    def begin(self, head: bytes) -> bytes:
        """Return the first block without its mark; set what it shows of the encoding."""
        mark = next((mark for mark in MARKS if head.startswith(mark)), b"")
        stated = MARKS.get(mark) or find_wide_encoding(head)
        if self.configured != AUTO:
            self._use_config(stated if mark else None)
        elif stated:
            how = "a byte-order mark begins the file" if mark else "every second byte is NUL"
            self._settle(stated, "stated" if mark else "proven", how)
        if self.encoding not in (None, UTF8):
            self._stream = codecs.getincrementaldecoder(self.encoding or "")("leadscore.broken")
        return head[len(mark) :]

    def decode_block(self, block: bytes, last: bool = False) -> bytes:
        """Return a block as UTF-8 if its encoding was known from the first bytes on."""
        if self._stream is None:
            return block
        return self._stream.decode(block, last).encode(UTF8, "surrogateescape")

    def decode_lines(self, data: bytes) -> tuple[bytes, bool]:
        """Return whole lines as UTF-8, and whether they are valid.

        Raises DataError if the encoding is in doubt, and for a second one in the file.
        """
        valid, first = is_valid_utf8(data), self._lines + 1
        if self._stream is not None:
            return data, valid
        self._lines += data.count(b"\n") + 1
        if self.encoding is None and not valid:
            self._judge()
        if self.encoding in (None, UTF8):
            if valid and self._other_bytes < MIN_OTHER_BYTES:
                self._other_bytes += count_high_bytes(data)
            return data, valid
        if valid:
            self._other_bytes += count_high_bytes(data)
        if self._other_bytes >= MIN_OTHER_BYTES:
            raise self._make_mixed_error()
        others = self._find_other_lines(data, first) if self._is_proven else []
        parts, done = list[bytes](), 0
        for begin, end in others:
            # One byte that is not UTF-8 breaks the row.
            parts += [self._decode(data[done:begin]), b"\xff", data[begin:end]]
            done = end
        return b"".join([*parts, self._decode(data[done:])]), False

    @property
    def _is_proven(self) -> bool:
        return self.entry is not None and self.entry.origin == "proven"

    def _decode(self, data: bytes) -> bytes:
        """Return text of the encoding as UTF-8."""
        # Piece by piece, since the text takes several times as much memory as its bytes.
        pieces = (data[i : i + DECODED_BYTES] for i in range(0, len(data), DECODED_BYTES))
        texts = (piece.decode(self.encoding or "", "leadscore.broken") for piece in pieces)
        return b"".join(text.encode(UTF8, "surrogateescape") for text in texts)

    def _find_other_lines(self, data: bytes, first: int) -> list[tuple[int, int]]:
        """Return begin and end of each line of UTF-8 among lines of another encoding.

        ``first`` is the number of the first line. Letters of UTF-8 make no words in the other one.
        """
        places, done, line = list[tuple[int, int]](), 0, first
        for match in _UTF8_LINE.finditer(data):
            words = _WORD.findall(match[0])
            if any(is_faulty_word(word, self.encoding or "") for word in words) and all(
                sign.isascii() or sign.isalnum() or sign in SIGNS for sign in match[0].decode()
            ):
                line += data.count(b"\n", done, match.start())
                self._other_lines.append(line)
                places.append(match.span())
                done = match.start()
        return places

    def finish(self) -> FormEntry:
        """Return how the encoding was established, at the end of the file."""
        if self._other_lines:
            self.warnings.append(
                f"{self.file}: {len(self._other_lines):,} lines are UTF-8 in a file that is "
                f"{self.encoding}, such as line {self._other_lines[0]:,}, and are set aside; "
                f"write the whole file in one encoding, or give encoding: {self.encoding}"
            )
        if self.entry is not None:
            return self.entry
        # ASCII is the same in every encoding, so nothing is known about later characters.
        if not self._other_bytes:
            return FormEntry("encoding", "", UTF8, "open", "all characters are ASCII")
        return FormEntry("encoding", "", UTF8, "proven", "every line is UTF-8")

    def _settle(self, encoding: str, origin: str, evidence: str) -> None:
        self.encoding = encoding
        self.entry = FormEntry("encoding", "", encoding, origin, evidence)  # type: ignore[arg-type]

    def _use_config(self, stated: str | None) -> None:
        """Use the encoding of the config; raise DataError if the file's mark is of another one."""
        configured = codecs.lookup(self.configured).name.removesuffix("-sig")
        if stated and not stated.startswith(configured):
            raise DataError(
                "the file has another encoding than the config says",
                where=self.file.address,
                found=f"encoding: {self.configured}, but it begins with the byte-order mark of "
                f"{stated}",
                fix="remove `encoding` from the source, or write the files alike",
            )
        encoding = stated or configured
        if encoding in ("utf-16", "utf-32"):
            # Without a mark: as most programs write it.
            encoding += "-le"
        self._settle(encoding, "config", "")
        self.entry = FormEntry("encoding", "", self.configured, "config")

    def _judge(self) -> None:
        """Find the encoding of a file that is not UTF-8; raise DataError if it is in doubt."""
        evidence = collect_line_evidence(iter_raw_lines(self.file))
        if evidence.valid >= MIN_UTF8_SHARE * (evidence.valid + evidence.invalid):
            text = "" if evidence.valid else "no line is in another encoding"
            lines = f"{evidence.valid:,} lines prove it"
            self._settle(UTF8, "proven", text or lines)
            return
        verdict = judge_words(evidence.words)
        names = (verdict.encoding, verdict.rival or UTF8)
        # The first word shows nothing if it has only signs that both encodings have.
        words = [*evidence.words]
        word = next((word for word in words if list_signs(word, *names)), words[0])
        readings = f"{list_signs(word, *names)!r} as {names[0]} or "
        readings += f"{list_signs(word, *names[::-1])!r} as {names[1]}"
        place = f"line {evidence.words[word]:,}: {readings}"
        few = evidence.has_few_broken()
        if verdict.proven and not (few and len(evidence.words) < MIN_WORDS):
            self._settle(verdict.encoding, "proven", place)
        elif few or evidence.invalid == 1:
            self._settle(UTF8, "default", f"{evidence.invalid:,} lines are not UTF-8; {place}")
            self.warnings.append(
                f"{self.file}: {evidence.invalid:,} of {evidence.lines:,} lines are not UTF-8 and "
                f"are set aside; {place}; if they are right, give encoding: {verdict.encoding}"
            )
        else:
            raise DataError(
                "the encoding is in doubt",
                where=self.file.address,
                found=f"{evidence.invalid:,} lines are not UTF-8; {place}",
                fix=f"encoding: {verdict.encoding}, or encoding: {verdict.rival or 'its name'}",
            )

    def _make_mixed_error(self) -> DataError:
        return DataError(
            "two encodings in one file",
            where=self.file.address,
            found=f"some lines are UTF-8, others {self.encoding}",
            fix="write the whole file in one encoding, or give `encoding`",
        )


def is_valid_utf8(data: bytes) -> bool:
    """Return whether bytes are UTF-8, without copying them."""
    ends = pa.array([0, len(data)], pa.int32()).buffers()[1]
    text = pa.Array.from_buffers(pa.string(), 1, [None, ends, pa.py_buffer(data)])
    try:
        text.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def count_high_bytes(data: bytes) -> int:
    """Return the number of bytes that are not ASCII."""
    return 0 if data.isascii() else int((np.frombuffer(data, np.uint8) > 127).sum())


def find_wide_encoding(head: bytes) -> str | None:
    """Return the encoding of UTF-16 without a mark, by its NUL bytes; None for other bytes."""
    head = head[: min(HEAD_BYTES, len(head) // 2 * 2)]
    shares = [half.count(0) / max(len(half), 1) for half in (head[::2], head[1::2])]
    if max(shares) < MIN_NUL_SHARE or min(shares) > 0:
        return None
    encoding = "utf-16-be" if shares[0] > shares[1] else "utf-16-le"
    text = head.decode(encoding, "replace").rstrip("\ufffd")
    is_text = all(sign in "\t\r\n" or sign.isprintable() or sign.isspace() for sign in text)
    # In UTF-16 a byte like a line feed is one, but for a few letters.
    has_lines = text.count("\n") >= MIN_LINE_FEED_SHARE * head.count(b"\n")
    return encoding if is_text and has_lines else None


def decode_head(head: bytes) -> bytes:
    """Return the first bytes of a file as UTF-8 if they are UTF-16 or UTF-32, else unchanged."""
    mark = next((mark for mark in MARKS if head.startswith(mark)), b"")
    encoding = MARKS.get(mark) or find_wide_encoding(head)
    if encoding in (None, UTF8):
        return head
    return head[len(mark) :].decode(encoding or UTF8, "ignore").encode(UTF8, "replace")


def iter_raw_lines(file: SourceFile) -> Iterable[bytes]:
    """Yield a file in blocks of whole lines, as its bytes are."""
    rest = b""
    with open_unpacked(file) as stream:
        while block := stream.read(1 << 24):
            data = rest + block
            end = data.rfind(b"\n") + 1
            yield data[:end]
            rest = data[end:]
    yield rest


def collect_line_evidence(blocks: Iterable[bytes]) -> Evidence:
    """Return what the lines of a file say about its encoding, as soon as it is enough."""
    evidence = Evidence()
    for data in blocks:
        evidence.add(data)
        if evidence.is_enough:
            break
    return evidence
