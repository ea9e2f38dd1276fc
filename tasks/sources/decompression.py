"""Files to bytes: decompressed under caps, damage found before any parser sees them."""

import bz2
import contextlib
import gzip
import io
import lzma
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from tasks.errors import InputError, IntegrityError, RnnflowError, printable
from tasks.sources.input_files import InputFile
from tasks.sources.intake import Intake

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

BUFFER_BYTES = 2**18
MAX_REASON_CHARS = 200


def open_stored(file: InputFile, intake: Intake) -> contextlib.AbstractContextManager[io.BufferedReader]:
    """Open a file's decompressed bytes; reading raises ResourceError at a cap, IntegrityError (E-ARC-006) at damage."""
    opened = contextlib.ExitStack()
    with parsing(file.path, code="E-ARC-006", what="is damaged or cut off"):
        compressed = opened.enter_context(file.path.open("rb"))
        source = DECOMPRESSORS[file.compression](compressed)
    return open_capped(file, intake, source, compressed.tell, opened)


def open_capped(
    file: InputFile,
    intake: Intake,
    source: io.BufferedIOBase,
    num_compressed: Callable[[], int],
    opened: contextlib.ExitStack,
) -> contextlib.AbstractContextManager[io.BufferedReader]:
    """Count the bytes of a source that was opened against the caps, and close in the end what was `opened`.

    num_compressed: how many bytes of the disk were read so far.
    """
    buffered: io.BufferedReader = io.BufferedReader(
        _CappedStream(file, intake, source, num_compressed, opened), BUFFER_BYTES
    )
    return contextlib.closing(buffered)


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


def document_too_large(limit: int, *, place: str, line: int | None = None) -> InputError:
    """Describe a document, or a line of a table, beyond `max_document_bytes`."""
    return InputError(
        "E-DATA-008",
        f"is longer than {limit} bytes.",
        fix="cut the document, or raise max_document_bytes.",
        file=place,
        row=line,
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

    def __init__(
        self,
        file: InputFile,
        intake: Intake,
        source: io.BufferedIOBase,
        num_compressed: Callable[[], int],
        opened: contextlib.ExitStack,
    ) -> None:
        self._file, self._intake, self._num_bytes = file, intake, 0
        self._source, self._num_compressed, self._opened = source, num_compressed, opened

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        with parsing(
            self._file.path, code="E-ARC-006", what=f"is damaged or cut off after {self._num_bytes} bytes of data"
        ):
            num_bytes = self._source.readinto(buffer)
        self._num_bytes += num_bytes
        self._intake.count_bytes(num_bytes, file=self._file)
        self._intake.check_ratio(self._num_bytes, self._num_compressed(), file=self._file)
        return num_bytes

    def close(self) -> None:
        self._opened.close()
        super().close()
