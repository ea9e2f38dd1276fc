"""Archives: streamed documents, and hostile or damaged archives that end in one clear error."""

import contextlib
import io
import random
import struct
import tarfile
import time
import zipfile
from pathlib import Path

import pytest
import zstandard

from tasks.errors import InputError, IntegrityError, ResourceError, RnnflowError
from tasks.kinds.classify.ingest import check_rows
from tasks.kinds.classify.source import SourceSettings
from tasks.sources import archives
from tasks.sources.archives import read_members
from tasks.sources.inputs import InputFile, find_inputs
from tasks.sources.intake import Intake
from tasks.sources.readers import read_files

FIX_HOSTILE = "do not trust this archive; pack the plain files again yourself."
DOCUMENTS = {f"{label}/{number}.txt": f"{label} {number}".encode() for label in "ab" for number in range(20)}


def tar_of(documents: dict[str, bytes], *, mode: str = "w", kind: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode, format=kind) as tar:
        for name, data in documents.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def tar_with(**attributes) -> bytes:
    """A tar archive of one odd member between two plain ones."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in ("a/1.txt", "odd", "a/2.txt"):
            info = tarfile.TarInfo(name)
            for attribute, value in attributes.items() if name == "odd" else ():
                setattr(info, attribute, value)
            tar.addfile(info, io.BytesIO(b"\0" * max(0, info.size)))
    return buffer.getvalue()


def zip_of(documents: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in documents.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def members_of(path: Path, **settings) -> tuple[list[tuple[str, bytes]], Intake]:
    source = SourceSettings(path=str(path), **settings)
    intake = Intake(source)
    return list(read_members(find_inputs(source).files[0], intake)), intake


def error_of(path: Path, data: bytes, **settings) -> RnnflowError:
    path.write_bytes(data)
    with pytest.raises(RnnflowError) as caught:
        members_of(path, **settings)
    return caught.value


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("c.tar", tar_of(DOCUMENTS)),
        ("c.tar", tar_of(DOCUMENTS, kind=tarfile.GNU_FORMAT)),
        ("c.tgz", tar_of(DOCUMENTS, mode="w:gz")),
        ("c.tar.bz2", tar_of(DOCUMENTS, mode="w:bz2")),
        ("c.tar.xz", tar_of(DOCUMENTS, mode="w:xz")),
        ("c.tar.zst", zstandard.compress(tar_of(DOCUMENTS))),
        ("c.zip", zip_of(DOCUMENTS)),
        ("c.zip", zip_of(DOCUMENTS, zipfile.ZIP_STORED)),
    ],
)
def test_documents_are_read_in_the_order_of_the_archive(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)

    assert members_of(tmp_path / name)[0] == list(DOCUMENTS.items())


def test_labels_splits_and_sources_come_from_the_names_of_members(tmp_path):
    path = tmp_path / "c.tar"
    path.write_bytes(
        tar_of({"./x/train/pos/1.txt": b"one", "./x/test/neg/1.txt": b"two", "./x/train/unsup/1.txt": b""})
    )
    source = SourceSettings(path=str(path))

    (rows,) = read_files(find_inputs(source).files, Intake(source), check_rows)

    assert rows.rows() == [
        ("one", "pos", "x/train/pos/1.txt", "train"),
        ("two", "neg", "x/test/neg/1.txt", "test"),
        ("", None, "x/train/unsup/1.txt", "unlabelled"),
    ]


def test_long_names_are_read_in_every_dialect(tmp_path):
    name = "é" * 150 + "/" + "n" * 150 + ".txt"
    for kind in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        (tmp_path / "c.tar").write_bytes(tar_of({name: b"text"}, kind=kind))
        assert members_of(tmp_path / "c.tar")[0] == [(name, b"text")]


def test_what_is_no_document_is_ignored_and_counted(tmp_path):
    path = tmp_path / "c.tar"
    path.write_bytes(tar_of({"README": b"x", "a/1.txt": b"one", "a/1.dat": b"x"}))

    members, intake = members_of(path)

    assert members == [("a/1.txt", b"one")]
    assert (intake.num_ignored, intake.first_ignored) == (2, "README")


UNSAFE_NAMES = {
    "../../x.txt": "a name that leaves its folder",
    "a/../../b.txt": "a name that leaves its folder",
    "..": "a name that leaves its folder",
    "/abs.txt": "an absolute name",
    "C:/x.txt": "an absolute name",
    "C:\\x.txt": "a name with a backslash",
    "a\\..\\b.txt": "a name with a backslash",
    "a/\x1b[31m.txt": "a name with control characters",
    "a\n/b.txt": "a name with control characters",
    "x" * 1025 + ".txt": "an empty or too long name",
}


@pytest.mark.parametrize("pack", [tar_of, zip_of])
@pytest.mark.parametrize("name", UNSAFE_NAMES, ids=ascii)
def test_unsafe_names_are_refused_and_nothing_is_written(tmp_path, pack, name):
    path = tmp_path / ("c.tar" if pack is tar_of else "c.zip")

    error = error_of(path, pack({"a/1.txt": b"one", name: b"two"}))

    assert error.code == "E-ARC-001"
    assert str(error).startswith(f'E-ARC-001 {path}: has {UNSAFE_NAMES[name]}: "')
    assert str(error).endswith(f'".\nFix: {FIX_HOSTILE}') or "…" in str(error)
    assert error.exit_code == 3
    assert [*tmp_path.rglob("*")] == [path]


@pytest.mark.parametrize(
    "attributes",
    [
        {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"},
        {"type": tarfile.LNKTYPE, "linkname": "a/1.txt"},
        {"type": tarfile.SYMTYPE, "linkname": "x/" * 5000},
        {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 5},
        {"type": tarfile.BLKTYPE},
        {"type": tarfile.FIFOTYPE},
        {"type": tarfile.GNUTYPE_SPARSE},
        {"type": b"?"},
        {"type": tarfile.GNUTYPE_LONGNAME, "size": 100_000},
        {"type": tarfile.XHDTYPE, "size": 100_000},
    ],
    ids=lambda attributes: repr(attributes["type"]),
)
def test_links_devices_and_oddities_are_refused_by_type(tmp_path, attributes):
    error = error_of(tmp_path / "c.tar", tar_with(**attributes))

    assert error.code == "E-ARC-002"
    assert f"E-ARC-002 {tmp_path}/c.tar: has a member that is not a plain file or folder (type b'" in str(error)


def test_without_the_strict_header_links_reach_the_library(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "_strict_header", lambda file: tarfile.TarInfo)
    path = tmp_path / "c.tar"
    path.write_bytes(tar_with(type=tarfile.LNKTYPE, linkname="a/1.txt", name="a/3.txt"))

    with pytest.raises(IntegrityError) as caught:
        members_of(path)

    assert "cannot extract (sym)link as file object" in str(caught.value)


def test_sparse_files_announced_in_extended_headers_are_refused(tmp_path):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("a/1.txt")
        info.pax_headers = {"GNU.sparse.map": "0,1,5,1", "GNU.sparse.size": "10"}
        tar.addfile(info)

    assert str(error_of(tmp_path / "c.tar", buffer.getvalue())) == (
        f'E-ARC-002 {tmp_path}/c.tar: has a sparse or negative-sized member: "a/1.txt".\nFix: {FIX_HOSTILE}'
    )


def test_symlinks_in_zip_archives_are_refused(tmp_path):
    info = zipfile.ZipInfo("a/1.txt")
    info.external_attr = 0o120777 << 16

    assert str(error_of(tmp_path / "c.zip", zip_of({info: b"/etc/passwd"}))) == (
        f'E-ARC-002 {tmp_path}/c.zip: has a member that is not a plain file or folder: "a/1.txt".\nFix: {FIX_HOSTILE}'
    )


def test_encrypted_members_are_refused(tmp_path):
    data = bytearray(zip_of({"a/1.txt": b"text"}))
    data[data.index(b"PK\x01\x02") + 8] |= 1

    assert str(error_of(tmp_path / "c.zip", bytes(data))) == (
        f'E-ARC-003 {tmp_path}/c.zip: has an encrypted member: "a/1.txt".\nFix: pack it again without a password.'
    )


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("c.tar.gz", lambda documents: tar_of(documents, mode="w:gz")),
        ("c.tar.zst", lambda documents: zstandard.compress(tar_of(documents))),
        ("c.zip", zip_of),
    ],
)
def test_a_bomb_stops_at_the_ratio(tmp_path, name, pack):
    error = error_of(tmp_path / name, pack({"a/1.txt": b"\0" * 9_000_000, "a/2.txt": b"\0" * 9_000_000}))

    assert isinstance(error, ResourceError)
    assert str(error).startswith(f"E-ARC-004 {tmp_path}/{name}: grew ")


def test_members_that_are_passed_over_count_as_well(tmp_path):
    error = error_of(tmp_path / "c.tar.gz", tar_of({"skipped.bin": b"\0" * 9_000_000}, mode="w:gz"))

    assert error.code == "E-ARC-004"


@pytest.mark.parametrize(("name", "pack"), [("c.tar", tar_of), ("c.zip", zip_of)])
def test_the_number_of_members_is_bounded(tmp_path, name, pack):
    assert str(error_of(tmp_path / name, pack({f"a/{i}.txt": b"" for i in range(101)}), max_members=100)) == (
        f"E-ARC-007 {tmp_path}/{name}: has more than 100 members.\n"
        "Fix: raise max_members if the archive is meant to be that large."
    )


@pytest.mark.parametrize(("name", "mode"), [("c.tar", "w"), ("c.tar.gz", "w:gz"), ("c.tar.xz", "w:xz"), ("c.zip", "")])
def test_a_truncated_archive_is_refused_wherever_it_is_cut(tmp_path, name, mode):
    rng = random.Random(1)
    whole = tar_of(DOCUMENTS, mode=mode) if mode else zip_of(DOCUMENTS)
    used = len(whole.rstrip(b"\0")) if mode == "w" else len(whole)
    for length in [0, 1, 511, 512, 1024, *(rng.randrange(used) for _ in range(50)), used - 1]:
        if length < used:
            error = error_of(tmp_path / name, whole[:length])
            assert error.code == "E-ARC-006"
            assert error.exit_code == 3


def test_damage_between_members_is_not_taken_for_the_end(tmp_path):
    data = bytearray(tar_of(DOCUMENTS))
    data[10 * 1024 + 150] ^= 1

    assert str(error_of(tmp_path / "c.tar", bytes(data))) == (
        f"E-ARC-006 {tmp_path}/c.tar: is damaged or cut off at byte 10240 of its data (ReadError: bad checksum).\n"
        "Fix: fetch or write the file again."
    )


def test_a_negative_size_ends_in_an_error_at_once(tmp_path):
    header = bytearray(tar_of({"a/1.txt": b""})[:512])
    header[124:136] = (256**12 - 512).to_bytes(12, "big")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    started = time.perf_counter()

    error = error_of(tmp_path / "c.tar", tar_of({"a/0.txt": b"x"})[:1024] + bytes(header) + b"\0" * 10240)

    assert error.code == "E-ARC-002"
    assert time.perf_counter() - started < 1


@pytest.mark.parametrize("again", ["A/1.TXT", "./a//1.txt"])
@pytest.mark.parametrize(("name", "pack"), [("c.tar", tar_of), ("c.zip", zip_of)])
def test_names_that_many_systems_take_for_one_are_refused(tmp_path, name, pack, again):
    second = again.removeprefix("./").replace("//", "/")

    assert str(error_of(tmp_path / name, pack({"a/1.txt": b"one", again: b"two"}))) == (
        f'E-ARC-009 {tmp_path}/{name}: has two members that many systems take for one: "a/1.txt" and "{second}".\n'
        f"Fix: {FIX_HOSTILE}"
    )


def test_repeated_names_are_refused(tmp_path):
    member_and_archive = tar_of({"1.txt": b""})[:512] + tar_of({"1.txt": b""})

    assert error_of(tmp_path / "c.tar", member_and_archive).code == "E-ARC-009"


@pytest.mark.parametrize("name", ["inner.zip", "a/inner.tar", "a/inner.tgz", "a/1.txt.gz"])
def test_archives_inside_archives_are_not_opened(tmp_path, name):
    path = tmp_path / "c.zip"

    error = error_of(path, zip_of({"a/1.txt": b"one", name: zip_of({"a/2.txt": b"two"})}))

    assert isinstance(error, InputError)
    assert str(error) == (
        f"E-ARC-008 {path}!{name}: is an archive or a compressed file inside an archive, which is not opened.\n"
        'Fix: unpack it yourself, or leave it out with on_bad_rows = "skip".'
    )
    assert members_of(path, on_bad_rows="skip")[0] == [("a/1.txt", b"one")]


def test_a_member_beyond_the_document_cap_is_named(tmp_path):
    path = tmp_path / "c.tar"

    error = error_of(path, tar_of({"a/1.txt": b"x" * 2000, "a/2.txt": b"fine"}), max_document_bytes=1000)

    assert str(error) == (
        f"E-DATA-008 {path}!a/1.txt: is longer than 1000 bytes.\nFix: cut the document, or raise max_document_bytes."
    )
    assert members_of(path, max_document_bytes=1000, on_bad_rows="skip")[0] == [("a/2.txt", b"fine")]


def test_mutated_archives_raise_only_our_errors(tmp_path):
    rng = random.Random(5)
    cases = {"c.tar": tar_of(DOCUMENTS), "c.zip": zip_of(DOCUMENTS), "c.tar.gz": tar_of(DOCUMENTS, mode="w:gz")}
    for name, whole in cases.items():
        file = InputFile(tmp_path / name, name, "archive", ".gz" if name.endswith(".gz") else "")
        for _ in range(150):
            data = bytearray(whole)
            for _ in range(rng.choice([1, 4])):
                data[rng.randrange(len(data))] = rng.randrange(256)
            file.path.write_bytes(data)
            with contextlib.suppress(RnnflowError):
                list(read_members(file, Intake(SourceSettings(path=name))))


def test_the_count_announced_by_a_zip_archive_is_read_before_its_directory(tmp_path, monkeypatch):
    data = bytearray(zip_of(DOCUMENTS))
    struct.pack_into("<H", data, data.rindex(b"PK\x05\x06") + 10, 60_000)
    monkeypatch.setattr(zipfile, "ZipFile", lambda *_: pytest.fail("the directory was loaded"))

    assert error_of(tmp_path / "c.zip", bytes(data), max_members=50_000).code == "E-ARC-007"


@pytest.mark.parametrize("pack", [tar_of, zip_of])
def test_hidden_members_and_forks_of_macos_are_passed_over_and_counted(tmp_path, pack):
    beside = {"__MACOSX/a/._0.txt": b"\xff", "a/._0.txt": b"\xff", ".x/0.txt.gz": b"\xff", "__MACOSX/._a.zip": b"\xff"}
    path = tmp_path / f"rows.{pack.__name__[:3]}"
    path.write_bytes(pack({**DOCUMENTS, **beside}))

    members, intake = members_of(path)

    assert dict(members) == DOCUMENTS
    assert intake.num_ignored == len(beside)
