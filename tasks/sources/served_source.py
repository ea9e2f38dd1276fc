"""How a served model reads files: as its training rows were read, whatever the files are called.

This module travels with every registered model, so it knows neither Prefect nor MLflow.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from tasks.sources.inputs import suffixes_of
from tasks.sources.settings import FileSettings

# Settings of the training rows' source that other files do not obey, and why. All others they obey, new ones included.
NAMES_FILES = {
    "dataset": "it names the files of the training rows",
    "path": "it names the files of the training rows",
    "include": "it names the documents of a folder",
    "split_column": "which split a row is in matters to training alone",
}
LABELS_ASIDE = {
    "label_column": "numbers are answered without their labels",
    "labels": "numbers are answered without their labels",
    "similar_labels": "numbers are answered without their labels",
}


@dataclass(frozen=True, kw_only=True)
class ServedSource:
    """The record of how the training rows were read: their source's settings, as the stage `ingest` was given them."""

    trained_as: ClassVar[type[FileSettings]]
    read_as: ClassVar[type[FileSettings]]
    not_obeyed: ClassVar[Mapping[str, str]] = NAMES_FILES

    source: dict

    @property
    def settings(self) -> FileSettings:
        """The settings of the training rows' source, the layout of a built-in data set filled in."""
        return self.trained_as.model_validate(self.source).with_preset()

    def settings_for(self, path: Path, **changed: object) -> FileSettings:
        """The source's settings for other files in any format, but for those that are `changed`."""
        own = reading_rules(self.settings, path, without=self.not_obeyed) | self.learned()
        return self.read_as(**own | {"path": str(path), **changed})

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
    if settings.dataset != "files" or suffixes_of(path.name) != suffixes_of(Path(settings.path).name):
        rules["format"] = "auto"
    return rules
