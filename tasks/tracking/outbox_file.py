"""Files of the outbox: the records of each flow run for MLflow, stored durably before anything is sent.

One file of JSON lines per flow run and store, `mlruns/outbox/<store>/<flow run id>.jsonl`, to which lines are only ever
added. A record is `open` (the run's context), `metrics` (points of a candidate) or `end` (a status); lines `sent` count
the records that MLflow holds. Sending a record again does no harm, so the count may lag. A file exists as long as
anything is pending for MLflow, even if only the end of the run.
"""

import contextlib
import json
import os
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.store.fingerprint import digest_of
from tasks.store.locks import lock_file
from tasks.tracking import mlflow_client

OPEN, METRICS, END, SENT = "open", "metrics", "end", "sent"


@dataclass(frozen=True)
class OutboxFile:
    """The records of one flow run for one store."""

    path: Path

    @property
    def flow_run_id(self) -> str:
        """Whose records these are."""
        return self.path.stem

    def exists(self) -> bool:
        """Tell whether anything of this flow run is pending for MLflow."""
        return self.path.exists()

    def begin(self, context: Mapping[str, str]) -> None:
        """Note that the flow run starts or goes on, unless that is noted."""
        records = self.read()
        if not records or records[-1]["kind"] == END:
            self.append({"kind": OPEN, "context": dict(context)})

    def end(self, status: str) -> None:
        """Note how the flow run ended, unless that is noted."""
        if not self.is_ended():
            self.append({"kind": END, "status": status})

    def is_ended(self) -> bool:
        """Tell whether it is noted how the flow run ended."""
        return any(record["kind"] == END for record in self.read()[-1:])

    def append(self, record: Mapping[str, object]) -> None:
        """Add a record; it is on the disk when this returns.

        It begins with a newline, which ends a line that a killed process left torn.
        """
        with lock_file(self.path, waits=True) as file:
            file.write("\n" + json.dumps(record))
            file.flush()
            os.fsync(file.fileno())

    def read(self) -> list[dict[str, Any]]:
        """All records in order, sent or not; a line that its writer's death left torn is skipped."""
        records, _ = self._read()
        return records

    def owed(self) -> list[dict[str, Any]]:
        """The records that MLflow does not hold yet."""
        records, num_sent = self._read()
        return records[num_sent:]

    def context(self) -> dict[str, str]:
        """The flow run's context as it was noted last; empty if it was not."""
        return next((record["context"] for record in reversed(self.read()) if record["kind"] == OPEN), {})

    @contextlib.contextmanager
    def sending(self) -> Generator[None]:
        """Be the only one who sends from this file; at the end of the block one that is done is deleted."""
        sole_sender = self.path.with_suffix(".lock")
        with lock_file(sole_sender, waits=True):
            yield
            if self.exists():
                with lock_file(self.path, waits=True):
                    if self.is_ended() and not self.owed():
                        self.path.unlink()
            if not self.exists():
                sole_sender.unlink()

    def mark_sent(self, num_records: int) -> None:
        """Note that MLflow holds `num_records` more of the records; for whoever is `sending`."""
        self.append({"kind": SENT, "records": num_records})

    def _read(self) -> tuple[list[dict[str, Any]], int]:
        """The records in order, and how many of them MLflow holds."""
        content = b""
        with contextlib.suppress(FileNotFoundError):
            content = self.path.read_bytes()
        lines = [line for line in map(_parse, content.split(b"\n")) if line]
        sent = [line["records"] for line in lines if line["kind"] == SENT]
        return [line for line in lines if line["kind"] != SENT], sum(sent)


def open_file(flow_run_id: str) -> OutboxFile:
    """The file of a flow run for the store in use, which need not exist."""
    return OutboxFile(folder() / f"{mlflow_client.check_name(flow_run_id, what='flow run id')}.jsonl")


def list_files() -> list[OutboxFile]:
    """The files for the store in use."""
    return [OutboxFile(path) for path in sorted(folder().glob("*.jsonl"))]


def folder() -> Path:
    """The folder of what waits for the store in use."""
    return mlflow_client.mlruns() / "outbox" / digest_of(mlflow_client.store_name())[:12]


def _parse(line: bytes) -> dict[str, Any]:
    with contextlib.suppress(ValueError):
        record = json.loads(line)
        if isinstance(record, dict):
            return record
    return {}
