"""What a prediction is asked to do, checked before anything is read or written."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rnnmodels.durable import sha256_of_file
from tasks.errors import InputError, IntegrityError, quoted
from tasks.prediction.tables import OUTPUT_SUFFIXES
from tasks.promotion import named_models
from tasks.sources.inputs import find_inputs
from tasks.sources.settings import FileSettings
from tasks.store import fingerprint


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Where a caller says that a table holds its texts and true labels; None where training read them."""

    text: str | None = None
    label: str | None = None


@dataclass(frozen=True, kw_only=True)
class Order:
    """What was asked: the same command on the same input gives the same order.

    `model` is the user's name for it, so that a new champion does not change the order; `source` holds the settings of
    its source that are changed for this file; `code` is the digest of the kind's.
    """

    model: str
    input_sha256: str
    columns: Columns
    source: Mapping[str, object]
    code: str


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where the answers to a file go."""

    source: Path
    output: Path
    overwrite: bool

    @property
    def errors(self) -> Path:
        """Where what is refused goes."""
        return self.output.with_name(f"{self.output.name}.errors.jsonl")

    def refuse_existing(self) -> None:
        """Raise InputError (E-OUT-001) for a file that must not be overwritten; the input never is."""
        for path in (self.output, self.errors):
            self.refuse_overwriting(path)

    def refuse_overwriting(self, path: Path) -> None:
        """Raise InputError (E-OUT-001) if a file is there and must stay."""
        is_input = path.exists() and self.source.exists() and path.samefile(self.source)
        if path.exists() and (is_input or not self.overwrite):
            raise InputError("E-OUT-001", "already exists.", fix="name another output, or use --overwrite.", file=path)


@dataclass(frozen=True, kw_only=True)
class Job:
    """A prediction whose files have been checked."""

    order: Order
    target: Target

    @property
    def source(self) -> Path:
        """The file to read."""
        return self.target.source

    def refuse_changed_input(self) -> None:
        """Raise IntegrityError (E-INT-003) if the input is no longer what it was at the start."""
        if digest_input(self.source) != self.order.input_sha256:
            raise IntegrityError(
                "E-INT-003",
                "changed while it was read.",
                fix="run again once nothing writes to the file.",
                file=self.source,
            )


def refuse_unwritable(output: Path) -> None:
    """Raise InputError (E-OUT-002) for an output whose format or folder is unknown."""
    if output.suffix not in OUTPUT_SUFFIXES:
        raise InputError(
            "E-OUT-002",
            f"got suffix {quoted(output.suffix)}, expected one of {', '.join(OUTPUT_SUFFIXES)}.",
            fix="name the output by its format.",
            file=output,
        )
    if not output.parent.is_dir():
        raise InputError("E-OUT-002", "is in a folder that does not exist.", fix="create the folder.", file=output)


def refuse_unusable(source: Path, output: Path) -> None:
    """Refuse files that cannot be what they are to be, before a model is looked for, which takes seconds.

    Raises InputError (E-OUT-002, E-SRC-001, E-SRC-006).
    """
    if not source.exists():
        find_inputs(FileSettings(path=str(source), format="csv"))
    refuse_unwritable(output)


def check_job(model: str, target: Target, *, columns: Columns, source: Mapping[str, object], code: str) -> Job:
    """Refuse what cannot be read or written, and say what is asked; `code` names the module that answers.

    Raises InputError (E-NAME-001, E-OUT-002, E-REG-002, E-SRC-001, E-SRC-002, E-SRC-006).
    """
    named_models.parse_reference(model)
    input_sha256 = digest_input(target.source)
    refuse_unwritable(target.output)
    digest = fingerprint.digest_of([fingerprint.code_digest(code), fingerprint.installed_versions(code)])
    order = Order(model=model, input_sha256=input_sha256, columns=columns, source=source, code=digest)
    return Job(order=order, target=target)


def digest_input(path: Path) -> str:
    """SHA-256 of a file, or over all files that a pattern names, whatever their formats.

    Raises InputError (E-SRC-001, E-SRC-002, E-SRC-006) if there is none.
    """
    return sha256_of_file(path) if path.is_file() else find_inputs(FileSettings(path=str(path), format="csv")).digest()
