"""Names and contents of an archive's members, for a look; readers of training check them as hostile ones."""

import posixpath
import tarfile
import zipfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from tasks.sources.decompression import DECOMPRESSORS
from tasks.sources.input_files import is_hidden, suffixes_of

MAX_NAMES = 200_000


def zip_members(path: Path, num_bytes: int) -> Iterator[tuple[str | None, int, bytes | None]]:
    """Name, size and content of each member of a zip; beyond that number of bytes contents are not read."""
    left = num_bytes
    with zipfile.ZipFile(path) as archive:
        entries = [one for one in archive.infolist() if not one.is_dir() and not is_hidden(one.filename)]
        for entry in islice(entries, MAX_NAMES):
            data = None
            if left > 0 and not entry.flag_bits & 1:
                with archive.open(entry) as opened:
                    data = opened.read(left)
                left -= len(data)
            yield entry.filename, entry.file_size, data


def tar_members(path: Path, num_bytes: int) -> Iterator[tuple[str | None, int, bytes | None]]:
    """As for a zip, of a tar; of a large one, which is read from its beginning, a member None ends what is looked at.

    Its size is about that of all members after it, if the rest of the archive shrinks as its beginning did.
    """
    compression = suffixes_of(path.name)[1]
    left, seen = num_bytes, 0
    with path.open("rb") as file, tarfile.open(fileobj=DECOMPRESSORS[compression](file), mode="r|") as archive:
        for entry in archive:
            opened = archive.extractfile(entry) if entry.isfile() and not is_hidden(entry.name) else None
            if opened is None:
                continue
            data = opened.read(left)
            left -= len(data)
            seen += entry.size
            yield posixpath.normpath(entry.name), entry.size, data
            if left <= 0:
                unread = 1 - file.tell() / path.stat().st_size
                yield None, round(seen * unread / (1 - unread)), None
                return
