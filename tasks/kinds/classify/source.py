"""Which texts to read: one's own files, or a built-in data set."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from tasks.text.source import TextSource

PRESETS = {
    "files": {},
    "reviews": {"format": "csv", "where": {"source": "imdb"}, "labels": {"0": "neg", "1": "pos"}},
    # The corpus also holds lists of addresses, a vocabulary and features, which are not documents.
    "imdb": {"format": "folder", "include": "t*/[npu]*/*.txt", "labels": {"neg": "neg", "pos": "pos"}},
}


class SourceSettings(TextSource):
    """Which rows to read, and how text, label and official split are found in them."""

    presets: ClassVar[Mapping[str, Mapping[str, object]]] = PRESETS

    dataset: Literal["reviews", "imdb", "files"] = Field(
        "files", description="`reviews` is in an installed package, `imdb` is downloaded, `files` are your own."
    )
