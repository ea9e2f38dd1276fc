"""One process at a time: whoever holds the lock of a file; the kernel frees it on any death of its holder."""

import contextlib
import fcntl
from collections.abc import Generator
from pathlib import Path


@contextlib.contextmanager
def sole_holder(path: Path) -> Generator[None]:
    """Hold the lock of a file for a block, and wait for whoever has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
