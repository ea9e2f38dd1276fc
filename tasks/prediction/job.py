"""What a prediction is asked to do, checked before anything is read or written."""

from dataclasses import dataclass
from pathlib import Path

from rnnmodels.durable import sha256_of_file
from tasks import fingerprint, registry
from tasks.errors import InputError, IntegrityError, quoted
from tasks.prediction.tables import OUTPUT_SUFFIXES
from tasks.prediction.windows import Columns, named_input
from tasks.sources.inputs import InputFile

STAGE = "tasks.predict"


@dataclass(frozen=True, kw_only=True)
class Order:
    """What was asked: the same command on the same input gives the same order.

    `model` is the user's name for it, so that a new champion does not change the order; `code` is the digest of ours.
    """

    model: str
    input_sha256: str
    text_column: str
    label_column: str | None
    code: str


@dataclass(frozen=True, kw_only=True)
class Job:
    """A prediction whose inputs have been checked."""

    source: InputFile
    columns: Columns
    order: Order
    output: Path
    overwrite: bool

    @property
    def errors(self) -> Path:
        """Where the refused rows go."""
        return self.output.with_name(f"{self.output.name}.errors.jsonl")

    def refuse_existing(self, path: Path) -> None:
        """Raise InputError (E-OUT-001) for a file that must not be overwritten; the input never is."""
        refuse_existing(path, source=self.source.path, overwrite=self.overwrite)

    def refuse_changed_input(self) -> None:
        """Raise IntegrityError (E-INT-003) if the input is no longer what it was at the start."""
        if sha256_of_file(self.source.path) != self.order.input_sha256:
            raise IntegrityError(
                "E-INT-003",
                "changed while it was read.",
                fix="run again when nothing writes to the file any more.",
                file=self.source.path,
            )


def refuse_existing(path: Path, *, source: Path, overwrite: bool) -> None:
    """Raise InputError (E-OUT-001) for a file that must not be overwritten; the input never is."""
    if path.exists() and (not overwrite or (source.exists() and path.samefile(source))):
        raise InputError("E-OUT-001", "exists already.", fix="name another output, or use --overwrite.", file=path)


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
        raise InputError("E-OUT-002", "lies in a folder that does not exist.", fix="create the folder.", file=output)


def check_job(model: str, source: Path, output: Path, *, columns: Columns, overwrite: bool) -> Job:
    """Refuse what cannot be read or written, and say what is asked.

    Raises InputError (E-NAME-001, E-OUT-002, E-REG-002, E-SRC-001, E-SRC-003, E-SRC-011).
    """
    registry.parse_reference(model)
    named = named_input(source, columns)
    refuse_unwritable(output)
    order = Order(
        model=model,
        input_sha256=sha256_of_file(source),
        text_column=columns.text,
        label_column=columns.label,
        code=fingerprint.digest_of([fingerprint.code_digest(STAGE), fingerprint.installed_versions(STAGE)]),
    )
    return Job(source=named, columns=columns, order=order, output=output, overwrite=overwrite)
