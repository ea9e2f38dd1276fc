"""What a source is: the settings that say which rows to read, and the built-in data sets.

A built-in data set is a preset of the general settings, so every source goes through the same readers.
Importing this needs nothing but pydantic, so that recipes are checked fast.
"""

from typing import Literal

from pydantic import Field, field_validator, model_validator

from rnnmodels.config import Settings

GIB = 2**30

PRESETS = {
    "files": {},
    "reviews": {"format": "csv", "where": {"source": "imdb"}, "labels": {"0": "neg", "1": "pos"}},
    # The corpus also holds lists of addresses, a vocabulary and features, which are no documents.
    "imdb": {"format": "folder", "include": "t*/[npu]*/*.txt", "labels": {"neg": "neg", "pos": "pos"}},
}


class SourceSettings(Settings):
    """Which rows to read, and how text, label and official split are found in them."""

    dataset: Literal["reviews", "imdb", "files"] = Field(
        "files", description="`reviews` is in an installed package, `imdb` is downloaded, `files` are your own."
    )
    path: str | None = Field(
        None,
        min_length=1,
        max_length=4096,
        description="File, folder or glob; for `reviews` and `imdb` a local copy. Relative to the working directory.",
    )
    format: Literal["auto", "csv", "tsv", "jsonl", "parquet", "folder"] = Field(
        "auto", description="How files are read; `auto` goes by their suffix, `folder` means one folder per class."
    )
    text_column: str = Field("text", min_length=1, max_length=256, description="Column that holds the text.")
    label_column: str = Field("label", min_length=1, max_length=256, description="Column that holds the label.")
    split_column: str | None = Field(
        None, min_length=1, max_length=256, description="Column that holds the official split, if there is one."
    )
    quoted: bool = Field(True, description='Whether fields of CSV and TSV may be quoted with `"`.')
    include: str = Field("*.txt", min_length=1, max_length=256, description="Pattern of the documents in a folder.")
    where: dict[str, str] = Field({}, max_length=16, description="Keep only rows whose columns have these values.")
    labels: dict[str, str] = Field(
        {}, max_length=1000, description="Labels that may occur and the names they get; empty accepts any."
    )
    encoding: str = Field("utf-8", max_length=64, description="Encoding of text files; one that extends ASCII.")
    on_bad_rows: Literal["error", "skip"] = Field(
        "error", description="`skip` leaves bad rows and unreadable files out, and stores how many and the first few."
    )
    # Each bound is checked before the memory or the time is spent.
    max_bytes: int = Field(32 * GIB, ge=1, le=2**50, description="Decompressed bytes read from the source in all.")
    max_rows: int = Field(100_000_000, ge=1, le=2**32 - 1, description="Rows kept from the source in all.")
    max_ratio: float = Field(200, ge=1, le=1_000_000, description="Decompressed bytes per compressed byte of a file.")
    max_members: int = Field(1_000_000, ge=1, le=100_000_000, description="Files of a folder or members of an archive.")
    max_document_bytes: int = Field(
        10 * 2**20, ge=1, le=2**31 - 1, description="Bytes of one document, or of one line of a table."
    )

    @field_validator("encoding")
    @classmethod
    def _extends_ascii(cls, encoding: str) -> str:
        ascii_bytes = bytes(range(128))
        try:
            extends_ascii = ascii_bytes.decode(encoding) == ascii_bytes.decode("ascii")
        except (LookupError, UnicodeError):
            extends_ascii = False
        if not extends_ascii:
            raise ValueError(f"{encoding} is unknown or does not extend ASCII; convert the files to utf-8 with iconv")
        return encoding

    @model_validator(mode="after")
    def _names_a_source(self) -> "SourceSettings":
        if self.dataset == "files" and self.path is None:
            raise ValueError('dataset "files" needs a path')
        columns = [self.text_column, self.label_column, self.split_column]
        if len(set(columns)) < len(columns):
            raise ValueError("text_column, label_column and split_column must differ")
        return self

    @model_validator(mode="after")
    def _leaves_a_preset_alone(self) -> "SourceSettings":
        free = {"dataset", "path", "on_bad_rows"}
        layout = [name for name in SourceSettings.model_fields if name not in free and not name.startswith("max_")]
        changed = [name for name in layout if getattr(self, name) != SourceSettings.model_fields[name].default]
        if self.dataset != "files" and changed:
            raise ValueError(f'dataset "{self.dataset}" has a layout of its own; remove {", ".join(changed)}')
        return self

    def with_preset(self) -> "SourceSettings":
        """Fill in the layout of a built-in data set."""
        return self.model_copy(update=PRESETS[self.dataset])
