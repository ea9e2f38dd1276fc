"""How a served model reads files: as its training rows were read, whatever the files are called.

This module travels with every registered model, so it knows neither Prefect nor MLflow.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from tasks.sources.input_files import suffixes_of
from tasks.sources.settings import FileSettings, MemoryTask

# Settings of the training rows' source that other files do not obey, and why. All others they obey, new ones included.
NAMES_FILES = {
    "dataset": "it names the files of the training rows",
    "path": "it names the files of the training rows",
    "include": "it names the documents of a folder",
    **dict.fromkeys(MemoryTask.made, "it makes the training rows"),
    "split_column": "which split a row is in matters to training alone",
}
LABELS_ASIDE = dict.fromkeys(("label_column", "labels", "similar_labels"), "numbers are answered without their labels")


SourceT = TypeVar("SourceT", bound=FileSettings)


@dataclass(frozen=True, kw_only=True)
class ServedSource(ABC, Generic[SourceT]):
    """The record of how the training rows were read: their source's settings, as the stage `ingest` was given them."""

    not_obeyed: ClassVar[Mapping[str, str]] = NAMES_FILES

    source: dict[str, Any] | None

    @classmethod
    @abstractmethod
    def trained_as(cls) -> type[SourceT]:
        """The class of the settings by which training rows are read."""

    @classmethod
    def read_as(cls) -> type[SourceT]:
        """The class of the settings by which other files are read: the same, unless a kind says otherwise."""
        return cls.trained_as()

    @property
    def settings(self) -> SourceT:
        """The settings of the training rows' source, the layout of a built-in data set filled in."""
        return self.trained_as().model_validate(self.source).with_preset()

    def settings_for(self, path: Path, **changed: object) -> SourceT:
        """The source's settings for other files in any format, except those that are `changed`."""
        own = reading_rules(self.settings, path, without=self.not_obeyed) | self.learned()
        return self.read_as().model_validate(own | {"path": str(path), **self.read_as().respelled(changed)})

    def learned(self) -> dict[str, object]:
        """Settings that training found out, where the source left them open."""
        return {}


def reading_rules(settings: FileSettings, path: Path, *, without: Mapping[str, str]) -> dict[str, object]:
    """What of a source's settings holds for a file of another name.

    Rows of a built-in file that are not wanted are told by columns that other files do not have. A format holds for
    files with the suffix of those that it was stated for.
    """
    rules = settings.model_dump(exclude=set(without))
    if settings.dataset != "files":
        rules["where"] = {}
    stated_for = suffixes_of(Path(settings.path or "").name)
    if settings.dataset != "files" or suffixes_of(path.name) != stated_for:
        rules["format"] = "auto"
    return rules
