"""Journals: what MLflow must learn of each flow run, written down durably before anything is sent.

One file of JSON lines per flow run and store, `mlruns/spool/<store>/<flow run id>.jsonl`, and beside it `.sent`, which
counts the lines that MLflow holds. A record is `open` (the run's context), `metrics` (points of a candidate) or `end`
(a status). Whoever sends a line again does no harm, so that the count may lag behind. A journal exists as long as
MLflow is owed anything, be it the end of the run.
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tasks.store.fingerprint import digest_of
from tasks.tracking import mlflow_client

OPEN, METRICS, END = "open", "metrics", "end"


@dataclass(frozen=True)
class Journal:
    """The records of one flow run for one store."""

    path: Path

    @property
    def flow_run_id(self) -> str:
        """Whose journal it is."""
        return self.path.stem

    def exists(self) -> bool:
        """Tell whether MLflow is owed anything of this flow run."""
        return self.path.exists()

    def begin(self, context: Mapping[str, str]) -> None:
        """Note that the flow run starts or goes on, unless that is the last that was noted of it."""
        if self._last_kind() in ("", END):
            self.append({"kind": OPEN, "context": dict(context)})

    def end(self, status: str) -> None:
        """Note how the flow run ended, unless that is noted."""
        if self._last_kind() != END:
            self.append({"kind": END, "status": status})

    def is_ended(self) -> bool:
        """Tell whether it is noted how the flow run ended."""
        return self._last_kind() == END

    def append(self, record: Mapping[str, object]) -> None:
        """Add a record; it is on the disk when this returns. A line that a killed process left torn is closed first."""
        line = json.dumps(record).encode() + b"\n"
        with _locked(self.path) as file:
            size = file.seek(0, os.SEEK_END)
            if size and not _ends_with_newline(file):
                line = b"\n" + line
            file.write(line)
            file.flush()
            os.fsync(file.fileno())

    def read(self) -> list[dict]:
        """All records in order; a line that is no record, because its writer was killed, reads as {}."""
        with contextlib.suppress(FileNotFoundError), _locked(self.path, "rb") as file:
            return _records(file)
        return []

    def count_pending(self) -> int:
        """How many records MLflow does not hold yet."""
        return sum(bool(record) for record in self.read()[self._read_sent() :])

    @contextlib.contextmanager
    def sending(self) -> "Generator[Outbox]":
        """Be the only one who sends from this journal; at the end of the block a finished one is deleted."""
        with _locked(self._sent_path) as file:
            yield Outbox(self, file)
            self._delete_if_finished()

    @property
    def _sent_path(self) -> Path:
        return self.path.with_suffix(".sent")

    def _last_kind(self) -> str:
        return next((record["kind"] for record in reversed(self.read()) if record), "")

    def _read_sent(self) -> int:
        with contextlib.suppress(FileNotFoundError, ValueError):
            return int(self._sent_path.read_bytes())
        return 0

    def _delete_if_finished(self) -> None:
        """Delete the journal if all of it is sent and the run has ended; the count goes first, as it may lag behind."""
        try:
            with _locked(self.path, "rb") as file:
                records = _records(file)
                if records and len(records) <= self._read_sent() and records[-1].get("kind") == END:
                    self._sent_path.unlink()
                    self.path.unlink()
        except FileNotFoundError:
            self._sent_path.unlink(missing_ok=True)


@dataclass(frozen=True)
class Outbox:
    """The right to send from a journal, and the count of what was sent."""

    journal: Journal
    file: IO[bytes]

    def split_records(self) -> tuple[list[dict], list[tuple[int, dict]]]:
        """What was sent, and what was not: each such record with the number of lines that are sent once it is."""
        records, sent = self.journal.read(), self.journal._read_sent()
        unsent = [(number, record) for number, record in enumerate(records, 1) if number > sent and record]
        return records[:sent], unsent

    def mark_sent(self, num_lines: int) -> None:
        """Note how far MLflow holds the journal."""
        self.file.seek(0)
        self.file.truncate()
        self.file.write(str(num_lines).encode())
        self.file.flush()


def open_journal(flow_run_id: str) -> Journal:
    """The journal of a flow run for the store in use, which need not exist."""
    return Journal(_folder() / f"{mlflow_client.check_name(flow_run_id, what='flow run id')}.jsonl")


def list_journals() -> list[Journal]:
    """The journals of the store in use."""
    return [Journal(path) for path in sorted(_folder().glob("*.jsonl"))]


def _folder() -> Path:
    return mlflow_client.mlruns() / "spool" / digest_of(mlflow_client.store_name())[:12]


@contextlib.contextmanager
def _locked(path: Path, mode: str = "a+b") -> Generator[IO[bytes]]:
    """Open a file under its lock, at its start; one that is deleted while it is awaited is opened anew."""
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with path.open(mode) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if os.fstat(file.fileno()).st_nlink:
                file.seek(0)
                yield file
                return


def _ends_with_newline(file: IO[bytes]) -> bool:
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"


def _records(file: IO[bytes]) -> list[dict]:
    *lines, _torn = file.read().split(b"\n")
    return [_parse(line) for line in lines]


def _parse(line: bytes) -> dict:
    with contextlib.suppress(ValueError):
        record = json.loads(line)
        if isinstance(record, dict):
            return record
    return {}
