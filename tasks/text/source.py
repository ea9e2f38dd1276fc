"""Which labelled texts to read: files of any form, or folders with a class each."""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from tasks.sources.settings import LabelledSource


class TextSource(LabelledSource):
    """Which rows to read, and how text, label and official split are found in them."""

    reads_documents: ClassVar[bool] = True

    format: Literal["auto", "csv", "tsv", "jsonl", "parquet", "folder"] = Field(
        "auto", description="How files are read; `auto` goes by the suffix, `folder` means one folder per class."
    )
    text_column: str = Field("text", min_length=1, max_length=256, description="Column that holds the text.")
    include: str = Field("*.txt", min_length=1, max_length=256, description="Pattern of the documents in a folder.")

    @model_validator(mode="after")
    def _names_columns_once(self) -> Self:
        columns = [self.text_column, self.label_column, self.split_column]
        if len(set(columns)) < len(columns):
            raise ValueError("text_column, label_column and split_column must differ")
        return self

    @property
    def documents(self) -> str:
        """Pattern of the documents in a folder or an archive."""
        return self.include

    def named_columns(self) -> dict[str, str]:
        """The columns of text, label and, if there is one, official split."""
        return {"text": self.text_column, **super().named_columns()}
