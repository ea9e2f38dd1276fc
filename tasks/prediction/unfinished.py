"""A prediction under way, in the hidden folder `.<output>.partial`, so that a killed one continues where it stopped.

- `lock` is held by the process that works here; the kernel frees it on any death.
- `order.json` says what was asked, and which model version answers.
- `rows.parquet` holds the rows of a table as they were read, where a kind stores them; a record holds its hash.
- `window-000000.csv` holds a window's answers; with it come its refused rows, and a record with the hashes of both.
- `finished.json` says that all windows are joined: what remains is to give the files their names.
"""

import contextlib
import json
import shutil
from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rnnmodels.durable import sha256_of_file, sync, write_durably
from tasks.errors import InputError
from tasks.prediction.job import Order, Target
from tasks.prediction.tables import write_faults, write_table
from tasks.prediction.tally import NOTHING_DONE, Answers, Tally
from tasks.store.locks import lock_file, read_holder, write_holder

LOCK, ORDER, FINISHED = "lock", "order.json", "finished.json"
FORMAT = 4


@dataclass(frozen=True, kw_only=True)
class Unfinished:
    """The folder of a prediction that this process alone works on."""

    folder: Path
    suffix: str

    @property
    def answers(self) -> Path:
        """The joined answers, until they get their name."""
        return self.folder / f"answers{self.suffix}"

    @property
    def faults(self) -> Path:
        """The joined refused rows, until they get their name."""
        return self.folder / "errors.jsonl"

    def answers_of(self, number: int) -> Path:
        """The answers of a window."""
        return self.folder / f"window-{number:06d}{self.suffix}"

    def faults_of(self, number: int) -> Path:
        """The refused rows of a window."""
        return self.folder / f"window-{number:06d}.errors.jsonl"

    def version_begun(self, order: Order) -> dict | None:
        """Return the model version that this order was begun with; None if there is none or it was another order."""
        with contextlib.suppress(FileNotFoundError):
            begun = json.loads((self.folder / ORDER).read_bytes())
            if begun["format"] == FORMAT and begun["order"] == asdict(order):
                return begun["version"]
        return None

    def begin(self, order: Order, version: dict) -> None:
        """Empty the folder, and note what is asked and which version answers."""
        self.clear()
        begun = {"format": FORMAT, "order": asdict(order), "version": version}
        write_durably(self.folder / ORDER, json.dumps(begun, indent=1).encode())

    def clear(self) -> None:
        """Empty the folder of what another order left."""
        self.forget()
        for path in self.folder.iterdir():
            if path.name != LOCK:
                path.unlink()

    def forget(self) -> None:
        """Say that nothing here is wanted any more, before any of it goes."""
        (self.folder / ORDER).unlink(missing_ok=True)
        sync(self.folder)

    def add(self, number: int, answers: Answers, *, is_first: bool) -> Tally:
        """Keep a window's answers, the first or later ones; they count once its record is there."""
        files = [self.faults_of(number)]
        write_faults(answers.faults, files[0])
        if answers.table is not None:
            files.append(self.answers_of(number))
            write_table(answers.table, files[1], is_first=is_first)
        tally = Tally(
            windows=1,
            tables=int(answers.table is not None),
            counts={**answers.counts, "bad": len(answers.faults)},
            notes=answers.notes,
            profile=answers.profile,
        )
        self.record(f"window-{number:06d}", files, tally.as_json())
        return tally

    def record(self, name: str, files: Sequence[Path], content: dict[str, Any]) -> None:
        """Note durably what some files of the folder hold, with their hashes."""
        record = {"sha256": {path.name: sha256_of_file(path) for path in files}, "content": content}
        write_durably(self.folder / f"{name}.json", json.dumps(record).encode())

    def recall(self, name: str) -> dict[str, Any] | None:
        """Return what was noted of some files; None without a record, or if they are not whole."""
        path = self.folder / f"{name}.json"
        if not path.is_file():
            return None
        record = json.loads(path.read_bytes())
        for file, sha256 in record["sha256"].items():
            if not (self.folder / file).is_file() or sha256_of_file(self.folder / file) != sha256:
                return None
        return record["content"]

    def count_done(self) -> Tally:
        """Count the finished windows, up to the first that is missing or whose files are not whole."""
        total = NOTHING_DONE
        while (window := self.recall(f"window-{total.windows:06d}")) is not None:
            total += Tally.from_json(window)
        return total

    def read_finished(self) -> dict | None:
        """Return what `finish` noted; None if the files are not joined yet."""
        with contextlib.suppress(FileNotFoundError):
            return json.loads((self.folder / FINISHED).read_bytes())
        return None

    def finish(self, report: dict) -> None:
        """Note that the joined files are whole, and what to report of them."""
        write_durably(self.folder / FINISHED, json.dumps(report, allow_nan=False).encode())

    def publish(self, target: Target, *, bad: int) -> None:
        """Give the joined files their names, the answers last; what an interrupted call has moved stays moved.

        Raises InputError (E-OUT-001) for a file that has appeared meanwhile and must stay.
        """
        if not bad and self.answers.exists():
            self.faults.unlink(missing_ok=True)
            target.refuse_overwriting(target.errors)
            target.errors.unlink(missing_ok=True)
        for path, name in ((self.faults, target.errors), (self.answers, target.output)):
            if path.exists():
                target.refuse_overwriting(name)
                path.replace(name)
        sync(target.output.parent)


@contextlib.contextmanager
def claimed(output: Path) -> Generator[Unfinished]:
    """Lend the folder of an output's prediction to this process alone; it goes unless something unfinished is in it.

    Raises InputError (E-OUT-003) while another process has it.
    """
    folder = output.with_name(f".{output.name}.partial")
    try:
        lock = lock_file(folder / LOCK, waits=False)
    except BlockingIOError:
        raise InputError(
            "E-OUT-003",
            f"is being written by another prediction (process {read_holder(folder / LOCK)}).",
            fix="wait for it to end, or name another output.",
            file=output,
        ) from None
    with lock:
        write_holder(lock)
        shutil.rmtree(_remains(folder), ignore_errors=True)
        try:
            yield Unfinished(folder=folder, suffix=output.suffix)
        finally:
            if not (folder / ORDER).exists():
                _discard(folder)


def _discard(folder: Path) -> None:
    """Remove a folder as one act: who waits for its lock finds another folder, or none."""
    folder.rename(_remains(folder))
    shutil.rmtree(_remains(folder))


def _remains(folder: Path) -> Path:
    return folder.with_suffix(".discarded")
