"""Bytes to text: files decompressed under caps, and lines that know where they stand.

Damage, wrong encodings and bombs are found here, before any parser sees the text.
"""

import bz2
import codecs
import contextlib
import gzip
import io
import lzma
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from tasks.errors import InputError, IntegrityError, RnnflowError, printable
from tasks.sources.encodings import propose_encodings, refuse_utf8_read_otherwise, remedy_for
from tasks.sources.inputs import InputFile
from tasks.sources.intake import MAX_EXAMPLES, Intake

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

BUFFER_BYTES = 2**18
SNIFFED_BYTES = 2**10
MAX_REASON_CHARS = 200

BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),  # begins with the mark of UTF-16, so it is tried first
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
# Which of four neighbouring bytes are mostly zero in text of Latin letters.
ZERO_BYTES = {
    (False, True, False, True): "UTF-16-LE",
    (True, False, True, False): "UTF-16-BE",
    (False, True, True, True): "UTF-32-LE",
    (True, True, True, False): "UTF-32-BE",
}


def open_decompressed(file: InputFile, intake: Intake) -> contextlib.AbstractContextManager[io.BufferedReader]:
    """Open a file's decompressed bytes; reading raises ResourceError at a cap, IntegrityError (E-ARC-006) at damage."""
    stream: io.BufferedReader = io.BufferedReader(_CappedStream(file, intake), BUFFER_BYTES)
    return contextlib.closing(stream)


@contextlib.contextmanager
def parsing(place: str | Path, *, code: str, what: str) -> Generator[None]:
    """Turn whatever a library raises on hostile bytes, panics included, into IntegrityError."""
    try:
        yield
    except RnnflowError:
        raise
    except (Exception, pl.exceptions.PanicException) as error:
        reason = printable(str(error).partition("\n")[0])[:MAX_REASON_CHARS]
        raise IntegrityError(
            code,
            f"{what} ({type(error).__name__}: {reason}).",
            fix="fetch or write the file again.",
            file=place,
        ) from error


def refuse_foreign_encoding(head: bytes, place: str) -> None:
    """Raise InputError (E-ENC-002) for text that is UTF-16 or UTF-32, with or without a byte order mark."""
    sniffed = head[:SNIFFED_BYTES]
    found = next((name for mark, name in BYTE_ORDER_MARKS if sniffed.startswith(mark)), None)
    mostly_zero = tuple(2 * sniffed[i::4].count(0) > len(sniffed[i::4]) for i in range(4))
    found = found or ZERO_BYTES.get(mostly_zero)
    if found:
        raise InputError(
            "E-ENC-002",
            f"is {found}, expected UTF-8 or another encoding that extends ASCII.",
            fix=f"convert it: iconv -f {found} -t UTF-8 OLD > NEW",
            file=place,
        )


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


class Lines(Iterator[str]):
    """The decoded lines of a table, ends included.

    `number` is the physical line handed out last. A line that cannot be decoded or is too long is handed out
    damaged, and `take_fault` tells; so a reader can leave out the record it belongs to and go on.

    Raises InputError: E-SRC-004 for an empty file, E-ENC-001 to E-ENC-003 for unfit encodings.
    """

    def __init__(self, stream: io.BufferedReader, file: InputFile, intake: Intake) -> None:
        self.number = 0
        self._stream, self._place = stream, str(file.path)
        self._intake = intake
        self._encoding, self._limit = intake.settings.encoding, intake.settings.max_document_bytes
        self._fault: InputError | None = None
        head = stream.peek()
        for refuse in (_refuse_empty, refuse_foreign_encoding, _refuse_lone_returns):
            refuse(head, self._place)
        refuse_utf8_read_otherwise(head, self._encoding, self._place)
        self._offset = len(stream.read(len(codecs.BOM_UTF8))) if has_utf8_mark(head, self._encoding) else 0

    def __next__(self) -> str:
        data = self._stream.readline(self._limit + 1)
        if not data:
            raise StopIteration
        self.number += 1
        try:
            self._refuse_long(data)
            line = decode(
                data,
                self._encoding,
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


def document_too_large(limit: int, *, place: str, line: int | None = None) -> InputError:
    """Describe a document, or a line of a table, beyond `max_document_bytes`."""
    return InputError(
        "E-DATA-008",
        f"is longer than {limit} bytes.",
        fix="cut the document, or raise max_document_bytes.",
        file=place,
        row=line,
    )


def _refuse_empty(head: bytes, place: str) -> None:
    if not head:
        raise InputError("E-SRC-004", "is empty.", fix="remove the file, or fill it.", file=place)


def _refuse_lone_returns(head: bytes, place: str) -> None:
    if b"\r" in head and b"\n" not in head:
        raise InputError(
            "E-ENC-003",
            "ends its lines with carriage returns alone, expected line feeds.",
            fix="convert it: tr '\\r' '\\n' < OLD > NEW",
            file=place,
        )


def _open_zstd(file: io.BufferedReader) -> io.BufferedIOBase:
    # The stream reader of `zstandard` takes a truncated file for a whole one; Arrow's does not.
    import pyarrow as pa

    return pa.CompressedInputStream(file, "zstd")


DECOMPRESSORS: dict[str, Callable[[io.BufferedReader], io.BufferedIOBase]] = {
    "": lambda file: file,
    ".gz": lambda file: gzip.GzipFile(fileobj=file),
    ".bz2": bz2.BZ2File,
    ".xz": lzma.LZMAFile,
    ".zst": _open_zstd,
}


class _CappedStream(io.RawIOBase):
    """The decompressed bytes of one file, counted against the caps of the source."""

    def __init__(self, file: InputFile, intake: Intake) -> None:
        self._file, self._intake, self._num_bytes = file, intake, 0
        with parsing(file.path, code="E-ARC-006", what="is damaged or cut off"):
            self._compressed = file.path.open("rb")
            self._source = DECOMPRESSORS[file.compression](self._compressed)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        with parsing(
            self._file.path, code="E-ARC-006", what=f"is damaged or cut off after {self._num_bytes} bytes of data"
        ):
            num_bytes = self._source.readinto(buffer)
        self._num_bytes += num_bytes
        self._intake.count_bytes(num_bytes, file=self._file)
        self._intake.check_ratio(self._num_bytes, self._compressed.tell(), file=self._file)
        return num_bytes

    def close(self) -> None:
        self._compressed.close()
        super().close()
