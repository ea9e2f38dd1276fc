"""One process at a time: whoever holds the lock of a file; the kernel frees it on any death of its holder."""

import contextlib
import fcntl
import logging
import os
from collections.abc import Generator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO

logger = logging.getLogger(__name__)


def sole_builder(folder: Path) -> AbstractContextManager[None]:
    """Let one process at a time build a key; others wait until it is done."""
    return sole_holder(folder.with_name(f"{folder.name}.lock"))


@contextlib.contextmanager
def sole_holder(path: Path) -> Generator[None]:
    """Hold the lock of a file for a block, and wait for whoever has it."""
    try:
        lock = lock_file(path, waits=False)
    except BlockingIOError:
        logger.info("Waiting for process %s, which holds %s/%s", read_holder(path), path.parent.name, path.name)
        lock = lock_file(path, waits=True)
    with lock:
        write_holder(lock)
        yield


def lock_file(path: Path, *, waits: bool) -> IO[str]:
    """Open and lock the file that is at a path, even if others delete or replace it meanwhile.

    Raises BlockingIOError if another process holds it and one does not wait for that.
    """
    while True:
        with contextlib.suppress(FileNotFoundError), contextlib.ExitStack() as stack:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context(path.open("a+", encoding="utf-8"))
            fcntl.flock(file, fcntl.LOCK_EX | (0 if waits else fcntl.LOCK_NB))
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                stack.pop_all()
                return file


def read_holder(path: Path) -> str:
    """The id of the process that holds the lock of a file, as far as it is known."""
    with contextlib.suppress(FileNotFoundError):
        return path.read_text(encoding="utf-8") or "unknown"
    return "unknown"


def write_holder(lock: IO[str]) -> None:
    """Write into a locked file who holds it: this process."""
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
