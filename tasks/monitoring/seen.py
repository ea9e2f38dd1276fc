"""What registered models were asked and answered, as profiles on disk: `data/seen/<name>/<version>/*.json`.

Predictions write here and `monitor` reads; no text is kept, only counts. A file stands for a batch of rows and
replaces what was recorded of the same batch before, so nothing counts twice however often a run is repeated.
"""

import contextlib
import datetime
import json
import re
from pathlib import Path
from typing import Literal

from rnnmodels.durable import write_durably
from tasks.contract.profile import Profile
from tasks.errors import IntegrityError
from tasks.store.artefacts import home

Source = Literal["predict", "serve"]
BATCH = re.compile(r"[A-Za-z0-9._-]{1,128}")


def seen_folder(model: str) -> Path:
    """Where the profiles of a version lie; `model` is `name/version`."""
    return home() / "data" / "seen" / model


def record_seen(model: str, profile: Profile, *, source: Source, batch: str) -> Path | None:
    """Record what a version (`name/version`) saw, durably; returns the file, or None for a profile of no rows.

    `batch` identifies the rows. Recording it again replaces the old profile, unless that one knows more true labels.
    """
    if not BATCH.fullmatch(batch):
        raise ValueError(f"got batch {batch!r}, expected {BATCH.pattern}")
    path = seen_folder(model) / f"{source}-{batch}.json"
    if not profile.rows or _labelled_rows(path) > profile.labelled_rows:
        return None
    path.parent.mkdir(parents=True, exist_ok=True)
    recorded = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    fields = {"recorded": recorded, "source": source, "profile": profile.as_json()}
    write_durably(path, json.dumps(fields).encode())
    return path


def sum_seen(model: str, *, since: datetime.datetime) -> Profile:
    """Add up what a version saw since a moment; of profiles of the same stretch of the same series, the latest counts.

    Raises IntegrityError (E-MON-002) naming a file that cannot be read, or that has different bins from later ones.
    """
    total, stretches = Profile.empty(), []
    records = [(*_read(path), path) for path in seen_folder(model).glob("*.json")]
    for recorded, profile, path in sorted(records, key=lambda record: (record[0], record[2]), reverse=True):
        if recorded < since or any(profile.stretch.overlaps(one) for one in stretches if profile.stretch):
            continue
        stretches += [profile.stretch] if profile.stretch else []
        try:
            total += profile
        except ValueError as error:
            raise _damaged(path) from error
    return total


def _labelled_rows(path: Path) -> int:
    with contextlib.suppress(FileNotFoundError, IntegrityError):
        return _read(path)[1].labelled_rows
    return 0


def _read(path: Path) -> tuple[datetime.datetime, Profile]:
    try:
        fields = json.loads(path.read_bytes())
        return datetime.datetime.fromisoformat(fields["recorded"]), Profile.from_json(fields["profile"])
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(path) from error


def _damaged(path: Path) -> IntegrityError:
    return IntegrityError(
        "E-MON-002",
        "is not a profile of what a model saw: damaged, or written by another release.",
        fix="move it away; its rows then no longer count.",
        file=path,
    )
