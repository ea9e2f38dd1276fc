"""Bytes to text: lines that know where they stand.

Wrong encodings are found here, before any parser sees the text.
"""

import codecs
import contextlib
import io
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from tasks.errors import InputError
from tasks.sources.archives import open_packed
from tasks.sources.decompression import BUFFER_BYTES, document_too_large, open_stored
from tasks.sources.encodings import propose_encodings, refuse_other_width, refuse_utf8_read_otherwise, remedy_for
from tasks.sources.input_files import InputFile
from tasks.sources.intake import MAX_EXAMPLES, Intake
from tasks.sources.settings import is_wide

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


def open_decompressed(file: InputFile, intake: Intake) -> contextlib.AbstractContextManager[io.BufferedReader]:
    """Open the decompressed bytes of a file or a member of an archive.

    Reading raises ResourceError at a cap, IntegrityError (E-ARC-006) at damage, and for a member what the guards of
    its archive raise.
    """
    return open_packed(file, intake) if file.archive else open_stored(file, intake)


def open_text(file: InputFile, intake: Intake) -> contextlib.AbstractContextManager[io.BufferedReader]:
    """Open a file's decompressed text as bytes of its own encoding, or of UTF-8 where that one is wide.

    Reading raises what `open_decompressed` says, and InputError (E-ENC-001, E-ENC-002) for wide text that is damaged.
    """
    if not is_wide(intake.settings.encoding):
        return open_decompressed(file, intake)
    stream: io.BufferedReader = io.BufferedReader(_NarrowedStream(file, intake), BUFFER_BYTES)
    return contextlib.closing(stream)


def decode(data: bytes, encoding: str, *, place: str, line: int, offset: int, sample: Callable[[], bytes]) -> str:
    """Decode bytes that begin at a line and a byte offset of a file.

    Raises InputError (E-ENC-001) with line, offset, the offending bytes in hexadecimal, and the encoding that fits a
    sample of the text.
    """
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise InputError(
            "E-ENC-001",
            f"got bytes {data[error.start : error.end].hex(' ')} at offset {offset + error.start}, "
            f"expected {encoding} ({error.reason}).",
            fix=remedy_for(propose_encodings(sample())),
            file=place,
            row=line + data[: error.start].count(b"\n"),
        ) from error


def has_utf8_mark(head: bytes, encoding: str) -> bool:
    """Tell whether text begins with a byte order mark that is not part of it."""
    return head.startswith(codecs.BOM_UTF8) and codecs.lookup(encoding).name == "utf-8"


# How files begin that do not hold text, whatever their names say.
SIGNATURES = {
    b"PK\x03\x04": "a zip archive or a spreadsheet does",
    b"\xd0\xcf\x11\xe0": "an old spreadsheet does",
    b"\x1f\x8b": "a file compressed by gzip does",
    b"BZh": "a file compressed by bzip2 does",
    b"\xfd7zXZ\0": "a file compressed by xz does",
    b"\x28\xb5\x2f\xfd": "a file compressed by zstd does",
    b"PAR1": "Parquet does",
    b"%PDF-": "PDF does",
}


class Lines(Iterator[str]):
    """The decoded lines of a table, ends included.

    `number` is the physical line handed out last. A line that cannot be decoded or is too long is handed out
    damaged, and `take_fault` tells; so a reader can leave out the record it belongs to and go on.

    The stream is one of `open_text`, and `encoding` that of its bytes.

    Raises InputError: E-SRC-004 for an empty file, E-ENC-001 to E-ENC-003 for unfit encodings.
    """

    def __init__(self, stream: io.BufferedReader, file: InputFile, intake: Intake) -> None:
        self.number = 0
        self._stream, self._place = stream, str(file.path)
        self._intake = intake
        self.encoding, self._limit = intake.settings.encoding, intake.settings.max_document_bytes
        if is_wide(self.encoding):  # as `open_text` hands it out
            self.encoding = "utf-8"
        self._fault: InputError | None = None
        head = stream.peek()
        _refuse_empty(head, self._place)
        _refuse_packed(head, self._place)
        refuse_other_width(head, self.encoding, self._place)
        _refuse_lone_returns(head, self._place)
        refuse_utf8_read_otherwise(head, self.encoding, self._place)
        self._offset = len(stream.read(len(codecs.BOM_UTF8))) if has_utf8_mark(head, self.encoding) else 0

    def __next__(self) -> str:
        data = self._stream.readline(self._limit + 1)
        if not data:
            raise StopIteration
        self.number += 1
        try:
            self._refuse_long(data)
            line = decode(
                data,
                self.encoding,
                place=self._place,
                line=self.number,
                offset=self._offset,
                sample=lambda: self._sample(data),
            )
        except InputError as error:
            self._fault = self._fault or error
            line = "\n"
        self._offset += len(data)
        return line

    def _sample(self, data: bytes) -> bytes:
        """The bytes at fault and those that follow; none once too many were left out for a remedy to be read."""
        return data + self._stream.peek() if self._intake.skipped < MAX_EXAMPLES else b""

    def take_fault(self) -> InputError | None:
        """Return the first fault since the last call, if there was one."""
        fault, self._fault = self._fault, None
        return fault

    def _refuse_long(self, data: bytes) -> None:
        if len(data) <= self._limit:
            return
        while data and not data.endswith(b"\n"):
            data = self._stream.readline(BUFFER_BYTES)
            self._offset += len(data)
        raise document_too_large(self._limit, place=self._place, line=self.number)


def _refuse_empty(head: bytes, place: str) -> None:
    if not head:
        raise InputError("E-SRC-004", "is empty.", fix="remove the file, or fill it.", file=place)


def _refuse_packed(head: bytes, place: str) -> None:
    for start, what in SIGNATURES.items():
        if head.startswith(start):
            raise InputError(
                "E-SRC-012",
                f"begins as {what}, expected text.",
                fix="give it the suffix of what it is, such as .zip, .gz or .parquet; save a spreadsheet as CSV.",
                file=place,
            )


def _refuse_lone_returns(head: bytes, place: str) -> None:
    if b"\r" in head and b"\n" not in head:
        raise InputError(
            "E-ENC-003",
            "ends its lines with carriage returns alone, expected line feeds.",
            fix="convert it: tr '\\r' '\\n' < OLD > NEW",
            file=place,
        )


class _NarrowedStream(io.RawIOBase):
    """Text of a wide encoding as bytes of UTF-8, which have the line ends that the readers look for."""

    def __init__(self, file: InputFile, intake: Intake) -> None:
        self._place, encoding = str(file.path), intake.settings.encoding
        self._opened = contextlib.ExitStack()
        self._stream = self._opened.enter_context(open_decompressed(file, intake))
        head = self._stream.peek()
        if head:
            refuse_other_width(head, encoding, self._place)
        self._decoder, self._encoding = codecs.getincrementaldecoder(encoding)(), encoding
        self._num_bytes, self._ready, self._is_at_end = 0, b"", False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        while not self._ready and not self._is_at_end:
            data = self._stream.read(BUFFER_BYTES)
            self._is_at_end = not data
            self._ready = self._narrow(data)
        view = memoryview(buffer).cast("B")
        part = self._ready[: len(view)]
        view[: len(part)] = part
        self._ready = self._ready[len(part) :]
        return len(part)

    def _narrow(self, data: bytes) -> bytes:
        try:
            text = self._decoder.decode(data, final=not data)
        except UnicodeDecodeError as error:
            raise InputError(
                "E-ENC-001",
                f"got bytes {error.object[error.start : error.end].hex(' ')} after about {self._num_bytes} bytes, "
                f"expected {self._encoding} ({error.reason}).",
                fix="write the file again, or convert it to UTF-8.",
                file=self._place,
            ) from error
        self._num_bytes += len(data)
        return text.encode()

    def close(self) -> None:
        self._opened.close()
        super().close()
