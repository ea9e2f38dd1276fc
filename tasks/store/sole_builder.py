"""One builder per artefact: others wait until it is done, and the death of a builder frees its place."""

import contextlib
import fcntl
import logging
import os
from collections.abc import Generator
from pathlib import Path

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def sole_builder(folder: Path) -> Generator[None]:
    """Let one process at a time build a key; the kernel frees the lock on any death of its holder."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            logger.info("Waiting for process %s, which builds %s/%s", lock.read(), folder.parent.name, folder.name)
            fcntl.flock(lock, fcntl.LOCK_EX)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
