"""The files of a source: how each is read, by its name, and what they hold, by a digest."""

import contextlib
import errno
import fnmatch
import posixpath
import stat
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from rnnmodels.durable import sha256_of_file
from tasks.errors import InputError, IntegrityError
from tasks.sources.settings import FileSettings
from tasks.store import fingerprint

TABLE_FORMATS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}
FORMATS = TABLE_FORMATS | {".txt": "document", ".tar": "archive", ".zip": "archive"}
COMPRESSIONS = (".gz", ".bz2", ".xz", ".zst")
SHORT_SUFFIXES = {
    ".tgz": (".tar", ".gz"),
    ".tbz2": (".tar", ".bz2"),
    ".txz": (".tar", ".xz"),
    ".tzst": (".tar", ".zst"),
}


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file to read: `name` is relative to the source's folder, `kind` says which reader takes it.

    A `member` of an archive is read as a file whose path, `archive!member`, stands in messages alone.
    """

    path: Path
    name: str
    kind: str
    compression: str = ""
    archive: Self | None = None
    member: str = ""

    @property
    def stored(self) -> Self:
        """The file on disk that holds it."""
        return self.archive or self


@dataclass(frozen=True, slots=True)
class Inputs:
    """The files of a source in a fixed order, and the names of those left aside."""

    files: list[InputFile]
    ignored: list[str]

    def digest(self) -> str:
        """SHA-256 over the names and contents of all files that are read.

        Raises InputError (E-SRC-002) for what is not a readable regular file.
        """
        stored = {file.stored.name: file.stored.path for file in self.files}
        return fingerprint.digest_of({name: _sha256(path) for name, path in stored.items()})

    def refuse_changed(self, digest: str) -> None:
        """Raise IntegrityError (E-INT-003) if the files are no longer what they were under this digest."""
        if self.digest() != digest:
            raise IntegrityError(
                "E-INT-003",
                "an input file changed while it was read.",
                fix="run again when nothing writes to the files any more.",
                file=self.files[0].stored.path.parent,
            )


def formats_of(settings: FileSettings) -> dict[str, str]:
    """How a source reads files, by their suffix; one that reads no documents takes texts for tables."""
    return {**FORMATS, **({} if settings.reads_documents else {".txt": "csv"}), **settings.own_formats}


def suffixes_of(name: str) -> tuple[str, str]:
    """Split a name's end into the suffix of its format and that of its compression, both in lower case."""
    stem, suffix = posixpath.splitext(name.lower())
    suffix, compression = SHORT_SUFFIXES.get(suffix, (suffix, ""))
    return (posixpath.splitext(stem)[1], suffix) if suffix in COMPRESSIONS else (suffix, compression)


def is_document(name: str, include: str) -> bool:
    """Tell whether a name, without the suffix of its compression, matches the pattern, read from the right."""
    plain_name = name[: len(name) - len(suffixes_of(name)[1])]
    last_parts = plain_name.split("/")[-1 - include.count("/") :]
    return fnmatch.fnmatchcase("/".join(last_parts), include)


def is_hidden(name: str) -> bool:
    """Tell whether a path leads to what systems put among a user's files: hidden ones, and forks of macOS."""
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))


def refuse_irregular(path: Path) -> None:
    """Raise OSError for what is there but no file, such as a named pipe, which would wait for its writer."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))


def _sha256(path: Path) -> str:
    with readable(path):
        refuse_irregular(path)
        return sha256_of_file(path)


@contextlib.contextmanager
def readable(path: Path) -> Generator[None]:
    """Word what the system says of a file that cannot be read as InputError (E-SRC-002)."""
    try:
        yield
    except OSError as error:
        raise InputError(
            "E-SRC-002",
            f"cannot be read ({error.strerror}).",
            fix="check the file and its permissions.",
            file=error.filename or path,
        ) from error
