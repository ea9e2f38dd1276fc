"""Text documents, one per file or archive member, to raw rows: folder name = label, folder above = official split.

A source without labels may have its folders as it likes: one that is named after a split holds its documents. It may
also take each line of a document for a row.
"""

from collections.abc import Iterator, Sequence

import polars as pl

from tasks.errors import InputError
from tasks.sources.archives import read_members
from tasks.sources.decoding import Lines, decode, has_utf8_mark, open_decompressed, open_text
from tasks.sources.decompression import document_too_large
from tasks.sources.encodings import refuse_other_width
from tasks.sources.input_files import InputFile
from tasks.sources.intake import MAX_EXAMPLES, Intake, RawRow, batched
from tasks.sources.row_checks import SPLIT_NAMES, split_name
from tasks.sources.settings import is_wide

ROLES = ("text", "label", "split")
UTF8_MARK_BYTES = 3
BYTE_ORDER_MARK = "\ufeff"  # which encodings that state the order of bytes take for text


def read_documents(files: Sequence[InputFile], intake: Intake) -> Iterator[pl.DataFrame]:
    """Yield the documents of files in batches.

    Raises InputError: E-ENC-001, E-ENC-002, E-DATA-008, E-SRC-007, E-SRC-011.
    """
    _refuse_column_settings(files[0], intake)
    if intake.settings.reads_lines:
        return batched(_lines(files, intake), ROLES)
    return batched(_rows(_contents(files, intake), intake), ROLES)


def read_archive(file: InputFile, intake: Intake) -> Iterator[pl.DataFrame]:
    """Yield the documents of an archive in batches; raises what `read_documents` and `read_members` raise."""
    _refuse_column_settings(file, intake)
    members = ((f"{file.path}!{name}", name, data) for name, data in read_members(file, intake))
    return batched(_rows(members, intake), ROLES)


def _contents(files: Sequence[InputFile], intake: Intake) -> Iterator[tuple[str, str, bytes]]:
    limit = intake.settings.max_document_bytes
    for file in files:
        with open_decompressed(file, intake) as stream:
            data = stream.read(limit + 1)
        if len(data) > limit:
            intake.reject(document_too_large(limit, place=str(file.path)))
        else:
            yield str(file.path), file.name, data


def _rows(contents: Iterator[tuple[str, str, bytes]], intake: Intake) -> Iterator[RawRow]:
    folders = _folders_of(intake)
    for place, name, data in contents:
        try:
            label, split = folders.classify(name, place)
            text = _decode_document(data, place, intake)
        except InputError as error:
            intake.reject(error)
        else:
            parts = enumerate(text.split("\n"), start=1) if intake.settings.reads_lines else [(None, text)]
            yield from (RawRow(place, line, name, (part, label, split)) for line, part in parts)


def _lines(files: Sequence[InputFile], intake: Intake) -> Iterator[RawRow]:
    """Each line of the files, however large these are; a bad line is left out or stops, like a bad row."""
    folders = _folders_of(intake)
    for file in files:
        try:
            yield from _lines_of(file, folders, intake)
        except InputError as error:
            intake.reject_file(error)


def _lines_of(file: InputFile, folders: "_AnyFolders | _ClassFolders", intake: Intake) -> Iterator[RawRow]:
    place = str(file.path)
    label, split = folders.classify(file.name, place)
    with open_text(file, intake) as stream:
        lines = Lines(stream, file, intake)
        for text in lines:
            fault = lines.take_fault()
            if fault:
                intake.reject(fault)
            else:
                yield RawRow(place, lines.number, file.name, (text.rstrip("\r\n"), label, split))


class _AnyFolders:
    """Reads the split of documents without labels from the nearest folder that is named after one."""

    def classify(self, name: str, _place: str) -> tuple[None, str | None]:
        splits = map(split_name, reversed(name.split("/")[:-1]))
        return None, next(filter(None, splits), None)


class _ClassFolders:
    """Reads label and split from folder names; all class folders of a source lie equally deep.

    Otherwise a stray text next to the class folders would become a class.
    """

    def __init__(self) -> None:
        self._depth: int | None = None

    def classify(self, name: str, place: str) -> tuple[str | None, str | None]:
        folders = name.split("/")[:-1]
        parent, above = [*reversed(folders), "", ""][:2]
        if split_name(parent) == "unlabelled":
            return None, "unlabelled"
        self._depth = self._depth or len(folders)
        if parent in ("", *SPLIT_NAMES) or len(folders) != self._depth:
            raise InputError(
                "E-SRC-007",
                "is not in a class folder, or not at the depth of the documents before it.",
                fix='use folders [split/]class/document, or narrow include, for example to "*/*/*.txt".',
                file=place,
            )
        return parent, split_name(above)


def _folders_of(intake: Intake) -> _AnyFolders | _ClassFolders:
    return _ClassFolders() if "label" in intake.settings.named_columns() else _AnyFolders()


def _decode_document(data: bytes, place: str, intake: Intake) -> str:
    encoding = intake.settings.encoding
    if data:
        refuse_other_width(data, encoding, place)
    start = UTF8_MARK_BYTES if has_utf8_mark(data, encoding) else 0
    text = decode(
        data[start:],
        encoding,
        place=place,
        line=1,
        offset=start,
        sample=lambda: data[start:] if intake.skipped < MAX_EXAMPLES else b"",
    )
    return text.removeprefix(BYTE_ORDER_MARK) if is_wide(encoding) else text


def _refuse_column_settings(file: InputFile, intake: Intake) -> None:
    if intake.settings.where or "split" in intake.settings.named_columns():
        raise InputError(
            "E-SRC-011",
            "is a document without columns, but `where` or `split_column` names one.",
            fix="remove the setting.",
            file=file.path,
        )
