"""Members of tar and zip archives, streamed one by one.

Nothing is written to disk under a member's name, and no member is read before its name, its type and the caps
allow it: hostile archives exploit unpackers that resolve links or trust announced sizes.
"""

import contextlib
import io
import posixpath
import re
import stat
import struct
import tarfile
import unicodedata
import zipfile
from collections.abc import Callable, Generator, Iterator
from functools import partial
from pathlib import Path
from typing import IO, NamedTuple, Self, cast

from tasks.errors import InputError, IntegrityError, ResourceError, quoted
from tasks.sources.decompression import BUFFER_BYTES, document_too_large, open_capped, open_stored, parsing
from tasks.sources.input_files import COMPRESSIONS, FORMATS, InputFile, is_document, is_hidden, suffixes_of
from tasks.sources.intake import Intake

MAX_NAME_CHARS = 1024
# The library searches extended headers with expressions that take quadratic time.
MAX_EXTENDED_HEADER_BYTES = 2**13

NAME_FAULTS: dict[str, Callable[[str], bool]] = {
    "an empty or too long name": lambda name: not 0 < len(name) <= MAX_NAME_CHARS,
    "a name with control characters": lambda name: bool(re.search(r"[\x00-\x1f\x7f\ud800-\udfff]", name)),
    "a name with a backslash": lambda name: "\\" in name,
    "an absolute name": lambda name: bool(re.match(r"/|[A-Za-z]:", name)),
    "a name that leaves its folder": lambda name: ".." in name.split("/"),
}
PLAIN_TYPES = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE, tarfile.DIRTYPE)
EXTENDED_HEADERS = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME)
PLAIN_MODES = (0, stat.S_IFREG, stat.S_IFDIR)
END_OF_ZIP = b"PK\x05\x06"
NESTED = {*COMPRESSIONS, *(suffix for suffix, kind in FORMATS.items() if kind == "archive")}


class Member(NamedTuple):
    """A member as announced; unless it is a folder it can be opened until the next one is asked for."""

    name: str
    num_bytes: int
    open: Callable[[], IO[bytes]] | None


def read_members(file: InputFile, intake: Intake) -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of each document of an archive, in the archive's order.

    Raises IntegrityError: E-ARC-001 to -003, -006, -009; InputError: E-ARC-008, E-DATA-008;
    ResourceError: E-ARC-004, E-ARC-007, E-SRC-009.
    """
    for name, member in _trusted_members(file, intake):
        try:
            data = _read_document(member, file, intake) if _is_wanted(name, file, intake) else None
        except InputError as error:
            intake.reject(error)
            continue
        if data is not None:
            yield name, data


def list_members(file: InputFile, intake: Intake) -> list[str]:
    """Name each plain file of an archive, in the archive's order; raises what `read_members` does of trust and caps."""
    return [name for name, _ in _trusted_members(file, intake)]


def open_packed(file: InputFile, intake: Intake) -> contextlib.AbstractContextManager[io.BufferedReader]:
    """Open a file that is a member of an archive, under the same guards as if all were read."""
    archive, opened = file.stored, contextlib.ExitStack()
    members = opened.enter_context(contextlib.closing(_trusted_members(archive, Intake(intake.settings))))
    member = next((member for name, member in members if name == file.member), None)
    if member is None or member.open is None:
        raise InputError("E-SRC-001", "does not exist any more.", fix="run again.", file=file.path)
    with parsing(file.path, code="E-ARC-006", what="is damaged or cut off"):
        source = cast("io.BufferedIOBase", opened.enter_context(member.open()))
    # Members are read out of order, so the bytes of the whole archive count for each.
    num_compressed = archive.path.stat().st_size
    return open_capped(file, intake, source, lambda: num_compressed, opened)


def _trusted_members(file: InputFile, intake: Intake) -> Generator[tuple[str, Member]]:
    """Yield each plain file of an archive, with its normalized name, once name, type and caps allow it."""
    members = _zip_members if suffixes_of(file.name)[0] == ".zip" else _tar_members
    known: dict[str, str] = {}
    for number, member in enumerate(members(file, intake), start=1):
        if number > intake.settings.max_members:
            raise _too_many_members(file, intake)
        for fault, has_fault in NAME_FAULTS.items():
            if has_fault(member.name):
                raise _hostile("E-ARC-001", f"has {fault}: {quoted(member.name)}.", file)
        if member.open is None:
            continue
        name = _normalized(member.name)
        folded = unicodedata.normalize("NFC", name).casefold()
        if folded in known:
            both = f"{quoted(known[folded])} and {quoted(name)}"
            raise _hostile("E-ARC-009", f"has two members that many systems take for one: {both}.", file)
        known[folded] = name
        yield name, member


def _is_wanted(name: str, file: InputFile, intake: Intake) -> bool:
    """Tell whether a member is a document to read."""
    is_read = not is_hidden(name)
    if is_read and not NESTED.isdisjoint(suffixes_of(name)):
        raise nested_archive(file, name)
    is_read = is_read and is_document(name, intake.settings.include)
    if not is_read:
        intake.ignore(name)
    return is_read


def nested_archive(file: InputFile, name: str) -> InputError:
    """Describe a member that is an archive or compressed itself."""
    return InputError(
        "E-ARC-008",
        "is an archive or a compressed file inside an archive, which is not opened.",
        fix='unpack it yourself, or leave it out with on_bad_rows = "skip".',
        file=f"{file.path}!{name}",
    )


def _normalized(name: str) -> str:
    """The name without `./` and doubled slashes; it has no `..` (checked before)."""
    return posixpath.normpath(name)


def _read_document(member: Member, file: InputFile, intake: Intake) -> bytes:
    assert member.open is not None, "a folder is not a document"
    place = f"{file.path}!{member.name}"
    if member.num_bytes > intake.settings.max_document_bytes:
        raise document_too_large(intake.settings.max_document_bytes, place=place)
    with parsing(place, code="E-ARC-006", what="is damaged or cut off"), member.open() as opened:
        return opened.read(member.num_bytes)  # more than announced cannot come


def _tar_members(file: InputFile, intake: Intake) -> Iterator[Member]:
    with open_stored(file, intake) as stream:
        with parsing(file.path, code="E-ARC-006", what="is not a tar archive, or damaged at its start"):
            tar = tarfile.open(fileobj=stream, mode="r|", tarinfo=_strict_header(file))  # noqa: SIM115 (holds no file)
        while (member := _next_member(tar, file)) is not None:
            yield Member(member.name, member.size, None if member.isdir() else partial(_open_member, tar, member))
            tar.members.clear()  # ty: ignore[missing-attribute] (typeshed knows nothing of what the library remembers)
        while stream.read(BUFFER_BYTES):  # the check sum of a compressed file stands at its end
            continue


def _open_member(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    opened = tar.extractfile(member)
    assert opened is not None, "only folders and links cannot be opened"
    return opened


def _next_member(tar: tarfile.TarFile, file: InputFile) -> tarfile.TarInfo | None:
    with parsing(file.path, code="E-ARC-006", what=f"is damaged or cut off at byte {tar.offset} of its data"):
        member = tar.next()
    if member is not None and (member.issparse() or member.size < 0):
        raise _hostile("E-ARC-002", f"has a sparse or negative-sized member: {quoted(member.name)}.", file)
    return member


def _strict_header(file: InputFile) -> type[tarfile.TarInfo]:
    """A header that refuses all but plain files and folders before the library acts on it.

    By itself the library resolves links, reads headers of any size, and takes damage for the end of the archive.
    """

    class StrictHeader(tarfile.TarInfo):
        @classmethod
        def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
            try:
                header = super().frombuf(buf, encoding, errors)
            except tarfile.EOFHeaderError:  # ty: ignore[missing-attribute] (typeshed leaves it out)
                raise  # the block of zeros that ends an archive
            except tarfile.HeaderError as error:
                raise tarfile.ReadError(str(error)) from error
            if header.type in EXTENDED_HEADERS and 0 <= header.size <= MAX_EXTENDED_HEADER_BYTES:
                return header
            if header.type in PLAIN_TYPES and header.size >= 0:
                return header
            problem = f"has a member that is not a plain file or folder (type {header.type!r}): {quoted(header.name)}."
            raise _hostile("E-ARC-002", problem, file)

    return StrictHeader


def _zip_members(file: InputFile, intake: Intake) -> Iterator[Member]:
    with parsing(file.path, code="E-ARC-006", what="is not a zip archive, or cut off"):
        if _announced_members(file.path) > intake.settings.max_members:  # the library loads them all at once
            raise _too_many_members(file, intake)
        archive = zipfile.ZipFile(file.path)
    with archive:
        counted = intake.num_bytes
        for info in archive.infolist():
            _check_zip_entry(info, file)
            # The announced size is a bound: the library stops there.
            intake.check_ratio(intake.num_bytes - counted + info.file_size, file.path.stat().st_size, file=file)
            intake.count_bytes(info.file_size, file=file)
            is_folder = info.orig_filename.endswith("/")
            yield Member(info.orig_filename, info.file_size, None if is_folder else partial(archive.open, info))


def _announced_members(path: Path) -> int:
    """Number of members in a zip archive's last record, in which 65,535 stands for that or more."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 2**16 - 22))
        tail = file.read()
    start = tail.rindex(END_OF_ZIP)
    (num_members,) = struct.unpack_from("<H", tail, start + 10)
    return num_members


def _check_zip_entry(info: zipfile.ZipInfo, file: InputFile) -> None:
    if stat.S_IFMT(info.external_attr >> 16) not in PLAIN_MODES:
        problem = f"has a member that is not a plain file or folder: {quoted(info.orig_filename)}."
        raise _hostile("E-ARC-002", problem, file)
    if info.flag_bits & 1:
        raise IntegrityError(
            "E-ARC-003",
            f"has an encrypted member: {quoted(info.orig_filename)}.",
            fix="pack it again without a password.",
            file=file.path,
        )


def _too_many_members(file: InputFile, intake: Intake) -> ResourceError:
    return ResourceError(
        "E-ARC-007",
        f"has more than {intake.settings.max_members} members.",
        fix="raise max_members if the archive is meant to be that large.",
        file=file.path,
    )


def _hostile(code: str, problem: str, file: InputFile) -> IntegrityError:
    return IntegrityError(
        code, problem, fix="do not trust this archive; pack the plain files again yourself.", file=file.path
    )
