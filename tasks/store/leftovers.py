"""Folders of stages that were never finished and never will be."""

import contextlib
import fcntl
import shutil
import time
from pathlib import Path

from tasks.store.artefacts import home

MAX_AGE_S = 7 * 24 * 3600  # an interrupted fit is resumed from its checkpoints, which lie in such a folder


def delete_stale_partials(max_age_s: float = MAX_AGE_S) -> list[str]:
    """Delete half-built artefacts that nobody builds and nothing was written to for a week; returns their names."""
    deleted = []
    for partial in sorted((home() / "data").glob("*/*.partial")):
        lock_path = partial.with_suffix(".lock")
        if _age_s(partial) < max_age_s or not lock_path.exists():
            continue
        with contextlib.suppress(BlockingIOError), lock_path.open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(partial)
            deleted.append(f"{partial.parent.name}/{partial.stem}")
    return deleted


def _age_s(folder: Path) -> float:
    """Seconds since anything in a folder was last written."""
    return time.time() - max(path.stat().st_mtime for path in (folder, *folder.rglob("*")))
