"""What is stored with an artefact's files: where it comes from and what it holds, as JSON values."""

from typing import Any, TypeAlias, TypedDict

from tasks.store.fingerprint import Code

Summary: TypeAlias = dict[str, Any]  # JSON values: `rows`, and what only the stage and its readers know


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
    summary: Summary
