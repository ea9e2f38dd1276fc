"""Verified downloads: resumed where they broke off, bounded in tries, time and bytes, trusted only by SHA-256."""

import contextlib
import logging
import random
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

import httpx
from httpx import codes

from rnnmodels.durable import sha256_of_file
from tasks.errors import IntegrityError, ServiceError, quoted
from tasks.progress import Progress, emit
from tasks.sources.http_answers import LOCAL_COPY, Interruption, opened_from, refuse_html, refuse_status
from tasks.store.locks import sole_holder

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """A file at an address, pinned by its content; `saved_as` where the address does not name it well."""

    url: str
    sha256: str
    max_bytes: int
    saved_as: str = ""

    @property
    def name(self) -> str:
        """What the file is called here: by default the last part of the address."""
        return self.saved_as or urlsplit(self.url).path.rpartition("/")[2]


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long to try: tries in a row that bring no byte, seconds without a byte, and seconds in all."""

    fruitless_tries: int = 5
    idle_s: float = 30.0
    total_s: float = 3600.0
    first_wait_s: float = 1.0
    longest_wait_s: float = 60.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def wait_s(self, tries: int) -> float:
        """Doubling waits with jitter, so that many clients do not come back at once."""
        longest = min(self.longest_wait_s, self.first_wait_s * 2**tries)
        return random.uniform(longest / 2, longest)  # noqa: S311 (no secret)


PATIENCE = Patience()


def download(remote: RemoteFile, folder: Path, *, patience: Patience = PATIENCE) -> Path:
    """Return the file's path in `folder`, fetching it unless it is there with the right content.

    Raises ServiceError: E-NET-001 unreachable, -002 cut, -003 stalled, -004 refused, -005 HTML, -006 too large,
    -007 redirected elsewhere; IntegrityError (E-INT-001) for other content, which is kept in `quarantine/`.
    """
    target = folder / remote.name
    if _is_right(target, remote):
        return target
    part = target.with_name(f"{target.name}.part")
    with sole_holder(part.with_name(f"{part.name}.lock")):
        if not _is_right(target, remote):  # another process may just have fetched it
            _Transfer(remote, part, patience).fetch()
            _accept(part, target, remote)
    return target


def download_unpinned(url: str, folder: Path, *, max_bytes: int, patience: Patience = PATIENCE) -> Path:
    """Return the path of what an address holds now, whose content nobody knows in advance; raises as `download`."""
    remote = RemoteFile(url=url, sha256="", max_bytes=max_bytes)
    target = folder / (remote.name or "download")
    part = target.with_name(f"{target.name}.part")
    with sole_holder(part.with_name(f"{part.name}.lock")):
        part.unlink(missing_ok=True)  # of another content, perhaps
        _Transfer(remote, part, patience).fetch()
        part.replace(target)
    return target


def _is_right(path: Path, remote: RemoteFile) -> bool:
    return path.is_file() and sha256_of_file(path) == remote.sha256


def _accept(part: Path, target: Path, remote: RemoteFile) -> None:
    got = sha256_of_file(part)
    if got == remote.sha256:
        part.replace(target)
        return
    quarantine = part.parent / "quarantine"
    quarantine.mkdir(exist_ok=True)
    raise IntegrityError(
        "E-INT-001",
        f"got SHA-256 {got}, expected {remote.sha256}.",
        fix="look at the file, then try again or take a local copy: --from-file PATH.",
        file=part.replace(quarantine / f"{target.name}.{got[:12]}"),
    )


class _Transfer:
    """The tries to complete one `.part` file; each continues where the last one stopped."""

    def __init__(self, remote: RemoteFile, part: Path, patience: Patience) -> None:
        self._remote, self._part, self._patience = remote, part, patience
        self._started = patience.clock()

    def fetch(self) -> None:
        """Try until the file is whole or patience is at its end; of the tries only those that bring nothing count."""
        tries = fruitless = 0
        with httpx.Client(timeout=self._patience.idle_s, headers={"Accept-Encoding": "identity"}) as client:
            while True:
                size_before = self._num_bytes()
                try:
                    return self._fetch_once(client)
                except Interruption as interruption:
                    tries += 1
                    fruitless = fruitless + 1 if self._num_bytes() <= size_before else 0
                    wait_s = max(interruption.wait_s, self._patience.wait_s(fruitless))
                    if (
                        fruitless >= self._patience.fruitless_tries
                        or self._elapsed_s() + wait_s > self._patience.total_s
                    ):
                        raise self._given_up(interruption, tries) from interruption
                    logger.info("%s %s; trying again in %.1f s", self._remote.url, interruption, wait_s)
                    self._patience.sleep(wait_s)

    def _fetch_once(self, client: httpx.Client) -> None:
        with self._naming_faults(), opened_from(client, self._remote.url, offset=self._num_bytes()) as response:
            if response.status_code == codes.REQUESTED_RANGE_NOT_SATISFIABLE:  # nothing is missing; the hash will tell
                return
            refuse_status(response)
            offset = self._continued_at(response)
            announced = response.headers.get("Content-Length")
            total = offset + int(announced) if announced else None
            self._refuse_beyond_cap(total or 0)
            with self._part.open("r+b" if offset else "wb") as file:
                file.seek(offset)
                self._copy(response, file, total)

    def _continued_at(self, response: httpx.Response) -> int:
        """The byte at which the body begins: where the part ends, or 0 from a server that knows no ranges."""
        if response.status_code != codes.PARTIAL_CONTENT:
            return 0
        offset = self._num_bytes()
        if not response.headers.get("Content-Range", "").startswith(f"bytes {offset}-"):
            self._part.unlink()
            raise Interruption("E-NET-002", "sent a different range than requested")
        return offset

    def _copy(self, response: httpx.Response, file: BinaryIO, total: int | None) -> None:
        num_bytes = file.tell()
        for chunk in response.iter_raw():  # as they come: a chunk size would hold bytes back when the line breaks
            if num_bytes == 0:
                refuse_html(response, chunk)
            num_bytes += len(chunk)
            self._refuse_beyond_cap(num_bytes)
            file.write(chunk)
            emit(Progress(stage="ingest", label="download", done=num_bytes, total=total, unit="bytes"))
            if self._elapsed_s() > self._patience.total_s:
                raise Interruption("E-NET-003", f"sent only {num_bytes} bytes in the time allowed")

    @contextlib.contextmanager
    def _naming_faults(self) -> Generator[None]:
        """Turn what the transport raises into an Interruption with its code."""
        try:
            yield
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise Interruption("E-NET-001", f"cannot be reached ({error})") from error
        except httpx.TimeoutException as error:
            raise Interruption("E-NET-003", f"stopped sending after {self._num_bytes()} bytes") from error
        except httpx.TransportError as error:
            raise Interruption("E-NET-002", f"lost the connection after {self._num_bytes()} bytes ({error})") from error
        except (httpx.InvalidURL, ValueError) as error:
            problem = f"was redirected to an invalid address ({quoted(error)})."
            raise ServiceError("E-NET-007", problem, fix=LOCAL_COPY, file=self._remote.url) from error

    def _refuse_beyond_cap(self, num_bytes: int) -> None:
        if num_bytes > self._remote.max_bytes:
            self._part.unlink(missing_ok=True)
            raise ServiceError(
                "E-NET-006",
                f"sends {num_bytes} bytes or more, expected at most max_bytes = {self._remote.max_bytes}.",
                fix="raise max_bytes if the file is meant to be that large.",
                file=self._remote.url,
            )

    def _given_up(self, interruption: Interruption, tries: int) -> ServiceError:
        problem = f"{interruption}; gave up after {tries} tries in {self._elapsed_s():.1f} s."
        return ServiceError(interruption.code, problem, fix=LOCAL_COPY, file=self._remote.url)

    def _num_bytes(self) -> int:
        return self._part.stat().st_size if self._part.exists() else 0

    def _elapsed_s(self) -> float:
        return self._patience.clock() - self._started
