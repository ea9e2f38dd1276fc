"""Which texts to model: one's own files, or a built-in data set."""

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from tasks.sources.row_checks import SPLIT_NAMES
from tasks.text.source import PlainTextSource

PRESETS = {
    "files": {},
    "reviews": {"format": "csv", "where": {"source": "imdb"}},
    # The corpus also holds lists of addresses, a vocabulary and features, which are not documents.
    "imdb": {"format": "folder", "include": "t*/[npu]*/*.txt"},
    "shakespeare": {},
}
MIB = 2**20


class LanguageSource(PlainTextSource):
    """Which rows to read, and how text and official split are found in them; a row is a document."""

    presets: ClassVar[Mapping[str, Mapping[str, object]]] = PRESETS

    dataset: Literal["reviews", "imdb", "shakespeare", "files"] = Field(
        "files",
        description="`reviews` is in an installed package, `imdb` and `shakespeare` are downloaded, `files` are your "
        "own.",
    )
    documents: Literal["file", "line"] = Field(
        "file", description="What a document of a text file is: the whole file, or each line that is not blank."
    )
    split_column: str | None = Field(
        None, min_length=1, max_length=256, description="Column that holds the official split, if there is one."
    )
    split_files: dict[str, str] = Field(
        {},
        max_length=8,
        description='Official split by files: a pattern for each split, as in { train = "*.train.txt", '
        'valid = "*.valid.txt", test = "*.test.txt" }.',
    )
    max_document_bytes: int = Field(
        256 * MIB, ge=1, le=2**31 - 1, description="Maximum bytes of a document or of a line of a table."
    )

    @model_validator(mode="after")
    def _names_columns_once(self) -> Self:
        columns = [*self.text_columns, self.split_column]
        if len(set(columns)) < len(columns):
            raise ValueError("text_columns and split_column must differ")
        return self

    @model_validator(mode="after")
    def _has_one_official_split(self) -> Self:
        unknown = sorted(set(self.split_files) - set(SPLIT_NAMES.values()))
        if unknown:
            raise ValueError(f"split_files.{unknown[0]} is not a split; write train, valid, test or unlabelled")
        if self.split_files and self.split_column:
            raise ValueError("split_files and split_column both say which split a row is in; remove one of the two")
        return self

    @property
    def reads_lines(self) -> bool:
        """Whether each line of a text file is a document."""
        return self.documents == "line"

    def named_columns(self) -> dict[str, str]:
        """The columns of text and, if there is one, official split."""
        return self.text_roles() | ({} if self.split_column is None else {"split": self.split_column})
