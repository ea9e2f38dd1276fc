"""One process at a time: whoever holds the lock of a file; the kernel frees it on any death of its holder."""

import contextlib
import fcntl
import logging
import os
from collections.abc import Generator
from contextlib import AbstractContextManager
from pathlib import Path

logger = logging.getLogger(__name__)


def sole_builder(folder: Path) -> AbstractContextManager[None]:
    """Let one process at a time build a key; others wait until it is done."""
    return sole_holder(folder.with_name(f"{folder.name}.lock"))


@contextlib.contextmanager
def sole_holder(path: Path) -> Generator[None]:
    """Hold the lock of a file, which then names this process, for a block, and wait for whoever has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            logger.info("Waiting for process %s, which holds %s/%s", lock.read(), path.parent.name, path.stem)
            fcntl.flock(lock, fcntl.LOCK_EX)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
