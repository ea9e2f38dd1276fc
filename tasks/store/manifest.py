"""What is stored with an artefact's files: where it comes from and what it holds, as JSON values."""

import json
from typing import Any, Protocol, Self, TypedDict

from pydantic import BaseModel, ConfigDict, ValidationError

from tasks.errors import IntegrityError
from tasks.store.fingerprint import Code


class Summarized(Protocol):
    """An artefact, as far as its summary is read."""

    @property
    def reference(self) -> str:
        """What names it."""

    @property
    def summary(self) -> dict[str, Any]:
        """JSON values."""


class Summary(BaseModel):
    """What a stage reports about its result: what code reads of it is a field, of this class or of one that extends it.

    `rows` counts the records of the artefact, `warnings` and `problems` are sentences (see
    `tasks.reporting.findings`). What only people read, on a page or in a table, needs no field. A value that is the
    default is not stored.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    rows: int
    warnings: list[str] = []
    problems: list[str] = []

    @classmethod
    def of(cls, artefact: Summarized) -> Self:
        """Read what the stage of an artefact reported.

        Raises IntegrityError (E-INT-005) for a field that is missing or of another type.
        """
        try:
            return cls.model_validate_json(json.dumps(artefact.summary), strict=True)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(map(str, first["loc"]))
            raise IntegrityError(
                "E-INT-005",
                f"the summary of {artefact.reference} is no {cls.__name__}: {field}: {first['msg']}.",
                fix="run the same command again with --refresh; if it persists, correct the stage of the kind.",
            ) from None

    def as_json(self) -> dict[str, Any]:
        """The JSON values that a manifest holds."""
        return self.model_dump(mode="json", exclude_defaults=True)


class Origin(Code):
    """Everything a stage's result depends on."""

    stage: str
    config: dict[str, Any]
    inputs: dict[str, str]


class FileEntry(TypedDict):
    """What a manifest says of a file."""

    bytes: int
    sha256: str


class Manifest(Origin):
    """An artefact's origin, its files by name, and what its stage reported."""

    format: int
    created: str
    wall_s: float
    files: dict[str, FileEntry]
    summary: dict[str, Any]
