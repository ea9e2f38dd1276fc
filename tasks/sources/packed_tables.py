"""Tables within zip and tar archives: which members of an archive a source reads, each as a file of its own.

An archive holds documents or tables. All its members pass the guards of `archives` before one of them is chosen.
"""

import posixpath
from collections.abc import Iterable
from pathlib import Path

from tasks.errors import InputError, quoted
from tasks.sources.archives import NESTED, list_members, nested_archive
from tasks.sources.input_files import TABLE_FORMATS, InputFile, is_document, is_hidden, suffixes_of
from tasks.sources.intake import Intake
from tasks.sources.settings import FileSettings

# Members that are read as a table where no other is and the recipe states a format.
VAGUE_SUFFIXES = (".txt", ".dat", ".data", "")


def open_archive(file: InputFile, settings: FileSettings, *, is_only_file: bool) -> list[InputFile]:
    """An archive as the files to read: itself, if it holds documents, or each of its tables in the archive's order.

    What is not read has no kind. Raises InputError (E-ARC-008, E-ARC-010), and what the guards raise.
    """
    names = list_members(file, Intake(settings))
    visible = [name for name in names if not is_hidden(name)]
    nested = [name for name in visible if not NESTED.isdisjoint(suffixes_of(name))]
    kinds = _kinds_of_tables([name for name in visible if name not in nested], settings)
    documents = _documents([name for name in visible if name not in kinds], settings)
    if documents and kinds:
        raise _mixed(file, documents[0], next(iter(kinds)))
    if documents or (nested and not kinds):  # which the reader refuses by its own rules
        return [file]
    if nested and settings.on_bad_rows == "error" and not _is_picky(settings):
        raise nested_archive(file, nested[0])
    return [
        InputFile(
            path=Path(f"{file.path}!{name}"),
            name=name if is_only_file else f"{file.name}!{name}",
            kind=kinds.get(name, ""),
            archive=file,
            member=name,
        )
        for name in names
    ]


def _kinds_of_tables(names: Iterable[str], settings: FileSettings) -> dict[str, str]:
    """The members that are tables, and how each is read."""
    formats = {**TABLE_FORMATS, **settings.own_formats}
    stated = settings.format if settings.format in formats.values() else ""
    picked = [name for name in names if not _is_picky(settings) or is_document(name, settings.include)]
    known = {name: formats[suffix] for name in picked if (suffix := suffixes_of(name)[0]) in formats}
    if not stated and (known or settings.reads_documents):
        return known
    tables = [name for name, kind in known.items() if kind == stated] or list(known)
    suffixes = VAGUE_SUFFIXES if stated else (".txt",)
    vague = [name for name in picked if name not in known and posixpath.splitext(name)[1].lower() in suffixes]
    return dict.fromkeys(tables or vague, stated or "csv")


def _documents(names: Iterable[str], settings: FileSettings) -> list[str]:
    if not settings.reads_documents:
        return []
    return [name for name in names if is_document(name, settings.include)]


def _is_picky(settings: FileSettings) -> bool:
    """Tell whether a recipe says which members to read."""
    return settings.include != type(settings).model_fields["include"].default


def _mixed(file: InputFile, document: str, table: str) -> InputError:
    return InputError(
        "E-ARC-010",
        f"holds documents, such as {quoted(document)}, and tables, such as {quoted(table)}.",
        fix=f'set include = "*{suffixes_of(table)[0]}" to read the tables, or format = "folder" to read the documents.',
        file=file.path,
    )
