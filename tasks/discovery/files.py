"""What a path leads to: one table, several of one form, or documents in folders; and the first bytes of a table."""

import glob
import os
import posixpath
import re
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tasks.discovery.members import MAX_NAMES, tar_members, zip_members
from tasks.errors import InputError, quoted
from tasks.sources.decompression import DECOMPRESSORS, parsing
from tasks.sources.input_files import COMPRESSIONS, SHORT_SUFFIXES, is_document, is_hidden, suffixes_of

MIB = 2**20
# A table up to this size is looked at as a whole, of a larger one its beginning.
WHOLE_BYTES = 16 * MIB
HEAD_BYTES = 4 * MIB
NUM_BLOCKS, BLOCK_BYTES = 8, MIB // 4
MAX_DOCUMENTS, MAX_COMPARED = 500, 100
DOCUMENT_BYTES = 20_000
ARCHIVES = (".zip", ".tar")
TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".ts", ".json", ".tab", ".dat", ".data")
UNREADABLE = {
    **dict.fromkeys((".xlsx", ".xls", ".ods"), "a spreadsheet; save the sheet as CSV"),
    **dict.fromkeys((".feather", ".arrow", ".orc", ".avro"), "a table in a form that is not read; write Parquet"),
    **dict.fromkeys((".db", ".sqlite", ".sql"), "a database; export the table as CSV"),
    **dict.fromkeys((".mat", ".npy", ".npz", ".pkl", ".h5"), "an array; write CSV or Parquet"),
    **dict.fromkeys((".rar", ".7z"), "an archive that is not opened; unpack it"),
    ".arff": "ARFF; write CSV",
    ".toml": "a recipe already; run rnnflow train with it, or name the data",
}


@dataclass(frozen=True, kw_only=True)
class Found:
    """Files that are looked at.

    location: what a recipe names. names: of all files or members, folders included. name: that of the file whose
    beginning is `head`. blocks: bytes from elsewhere in a large file, or from others, which may begin anywhere.
    num_bytes: of all files that are wanted, without compression. num_tables, num_documents: how many of one or
    the other. Of a large archive these are estimates. documents: some, by their names.
    """

    location: str
    names: tuple[str, ...]
    name: str = ""
    path: Path | None = None
    head: bytes = b""
    blocks: tuple[bytes, ...] = ()
    is_whole: bool = True
    num_bytes: int = 0
    num_tables: int = 0
    num_documents: int = 0
    documents: tuple[tuple[str, bytes], ...] = ()


def find(location: str, include: str = "") -> Found:
    """Look at what a location names, in an archive at the members that match a pattern.

    Raises InputError: E-SRC-001 for nothing, E-NEW-003 for what no setting reads, E-NEW-004 for tables of different
    columns, E-SRC-006 for an empty folder.
    """
    path = Path(location).expanduser()
    if path.is_dir():
        return _in_folder(location, path)
    if path.is_file():
        suffix = suffixes_of(path.name)[0]
        return _in_archive(location, path, include) if suffix in ARCHIVES else _tables(location, [path])
    if glob.has_magic(location):
        names = sorted(glob.glob(location, recursive=True))  # noqa: PTH207 (a pattern with a root of its own)
        paths = [Path(name) for name in names if not is_hidden(Path(name).name)]
        files = [one for one in paths if one.is_file()]
        if files:
            return _tables(location, files)
        if paths:
            return _documents(location, paths[0].parent, paths)
    raise InputError("E-SRC-001", "does not exist.", fix="check the path.", file=location)


def read_head(path: Path) -> tuple[bytes, bool, int]:
    """The beginning of a file without its compression, whether that is all, and how many bytes there are in about."""
    compression = suffixes_of(path.name)[1]
    with parsing(path, code="E-ARC-006", what="is damaged or cut off"), path.open("rb") as file:
        stream = DECOMPRESSORS[compression](file)
        head = stream.read(WHOLE_BYTES + 1)
        if len(head) <= WHOLE_BYTES:
            return head, True, len(head)
        consumed = file.tell()
    size = path.stat().st_size
    return head[:HEAD_BYTES], False, size if not compression else size * len(head) // max(1, consumed)


def _read_blocks(path: Path) -> Iterator[bytes]:
    """Bytes from all over a file, as far as its compression lets one jump: rows are often sorted by what they hold."""
    size = path.stat().st_size
    if suffixes_of(path.name)[1] or size <= HEAD_BYTES:
        return
    with path.open("rb") as file:
        for number in range(1, NUM_BLOCKS + 1):
            file.seek(min(size - BLOCK_BYTES, number * size // NUM_BLOCKS))
            yield file.read(BLOCK_BYTES)


def _in_folder(location: str, folder: Path) -> Found:
    names = []
    for parent, _, files in os.walk(folder):
        here = Path(parent).relative_to(folder).as_posix().removeprefix(".")
        names += [posixpath.join(here, name) for name in files if not is_hidden(posixpath.join(here, name))]
        if len(names) > MAX_NAMES:
            break
    tables = _of_commonest_form(names)
    if len(tables) * 2 > len(names):
        suffix = "".join(suffixes_of(tables[0]))
        depths = {name.count("/") for name in tables}
        pattern = "/".join(["*"] * min(depths)) if len(depths) == 1 else "**"
        pattern = posixpath.join(location, pattern, f"*{suffix}")
        return _tables(pattern, sorted(folder / name for name in tables))
    return _documents(location, folder, [folder / name for name in sorted(names)])


def _tables(location: str, files: Sequence[Path]) -> Found:
    _refuse_unreadable(files[0].name, files[0])
    _refuse_several({one.as_posix(): _beginning(one) for one in files[:MAX_COMPARED]}, location, "rnnflow new ")
    head, is_whole, num_bytes = read_head(files[0])
    sizes = [one.stat().st_size for one in files]
    others = [_beginning(one, BLOCK_BYTES) for one in files[1 :: max(1, len(files) // NUM_BLOCKS)]]
    return Found(
        location=location,
        names=tuple(one.name for one in files),
        name=files[0].name,
        path=files[0],
        head=head,
        blocks=tuple(others) if is_whole or others else tuple(_read_blocks(files[0])),
        is_whole=is_whole and len(files) == 1,
        num_bytes=round(num_bytes * sum(sizes) / max(1, sizes[0])),
        num_tables=len(files),
    )


def _documents(location: str, folder: Path, paths: Sequence[Path]) -> Found:
    files = [one for path in paths for one in ([path] if path.is_file() else sorted(path.rglob("*"))) if one.is_file()]
    if not files:
        raise InputError("E-SRC-006", "holds no file.", fix="name a folder of files.", file=location)
    names = tuple(one.relative_to(folder).as_posix() for one in files)
    sample = files[:: max(1, len(files) // MAX_DOCUMENTS)]
    texts = tuple((one.relative_to(folder).as_posix(), _beginning(one)) for one in sample)
    num_bytes = sum(one.stat().st_size for one in files)
    return Found(
        location=location,
        names=names,
        documents=texts,
        num_bytes=num_bytes,
        num_documents=len(names),
        path=folder,
    )


def _beginning(path: Path, num_bytes: int = DOCUMENT_BYTES) -> bytes:
    with path.open("rb") as file:
        return DECOMPRESSORS.get(suffixes_of(path.name)[1], DECOMPRESSORS[""])(file).read(num_bytes)


def _in_archive(location: str, path: Path, include: str) -> Found:
    with parsing(path, code="E-ARC-006", what="is not an archive, or damaged"):
        is_zip = suffixes_of(path.name)[0] == ".zip"
        members = list(zip_members(path, WHOLE_BYTES) if is_zip else tar_members(path, HEAD_BYTES))
    sizes = {name: size for name, size, _ in members if name and (not include or is_document(name, include))}
    contents = {name: data for name, _, data in members if name in sizes and data is not None}
    tables = _of_commonest_form(list(sizes))
    is_whole = all(name for name, _, _ in members)
    unseen = next((size for name, size, _ in members if name is None), 0)
    scale = 1 + unseen / max(1, sum(size for name, size, _ in members if name))
    seen = Found(location=location, names=tuple(sizes), path=path, num_bytes=round(scale * sum(sizes.values())))
    if len(tables) * 2 <= len(sizes):
        documents = tuple(contents.items())[:: max(1, len(contents) // MAX_DOCUMENTS)]
        return replace(seen, documents=documents, is_whole=is_whole, num_documents=round(scale * len(sizes)))
    parts = {name: contents[name] for name in tables if name in contents}
    _refuse_several(parts, location, "--set source.include=")
    head = parts.get(tables[0], b"")
    return replace(
        seen,
        name=tables[0],
        head=head,
        blocks=tuple(data[:BLOCK_BYTES] for name, data in parts.items() if name != tables[0])[:NUM_BLOCKS],
        is_whole=len(head) == sizes[tables[0]] and len(tables) == 1,
        num_bytes=round(scale * sum(sizes[name] for name in tables)),
        num_tables=round(scale * len(tables)),
    )


def _of_commonest_form(names: Sequence[str]) -> list[str]:
    """The tables among some names that have the most frequent suffix."""
    forms = Counter("".join(suffixes_of(name)) for name in names if suffixes_of(name)[0] in TABLES)
    commonest = next((form for form, _ in forms.most_common(1)), None)
    return sorted(name for name in names if "".join(suffixes_of(name)) == commonest)


def _refuse_several(heads: Mapping[str, bytes], location: str, how: str) -> None:
    """Refuse text tables whose first lines differ, unless these have digits: without a header they are rows."""
    lines = {head.partition(b"\n")[0].strip(): name for name, head in heads.items() if not head.startswith(b"PAR1")}
    if len(lines) > 1 and not any(re.search(rb"\d|[{]", line) for line in lines):
        names = [name for name in heads if name in lines.values()]
        problem = f"holds tables of different columns: {', '.join(map(quoted, names[:4]))}."
        raise InputError("E-NEW-004", problem, fix=f"choose one, as in {how}{shlex.quote(names[0])}", file=location)


def _refuse_unreadable(name: str, path: Path) -> None:
    suffix, compression = suffixes_of(name)
    last = compression or suffix
    what = UNREADABLE.get(suffix) or UNREADABLE.get(last)
    if what is not None or last in SHORT_SUFFIXES:
        described, _, remedy = (what or "an archive").partition("; ")
        raise InputError("E-NEW-003", f"is {described}.", fix=f"{remedy or 'unpack it'}.", file=path)
    if last in COMPRESSIONS and path.stat().st_size == 0:
        raise InputError("E-SRC-004", f"{quoted(name)} is empty.", fix="fill it.", file=path)
