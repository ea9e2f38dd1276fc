"""Which texts to read: files of any form, or folders of documents, which may be named after classes."""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from tasks.sources.settings import ColumnNames, FileSettings, LabelledSource


class PlainTextSource(FileSettings):
    """Which rows to read, and in which columns or documents their texts are."""

    reads_documents: ClassVar[bool] = True
    earlier_spellings: ClassVar = {"text_columns": ("text_column",)}

    format: Literal["auto", "csv", "tsv", "jsonl", "parquet", "folder"] = Field(
        "auto",
        description="How files are read; `auto` goes by the suffix, `folder` means texts in folders or archives.",
    )
    text_columns: ColumnNames = Field(
        ("text",), min_length=1, max_length=64, description="Column, or columns, that hold the text."
    )
    text_separator: str = Field(
        "\n", max_length=64, description="What is put between the texts of several columns; empty cells are left out."
    )
    include: str = Field(
        "*.txt",
        min_length=1,
        max_length=256,
        description="Pattern of the documents in a folder or archive, or of the tables in an archive.",
    )

    def text_roles(self) -> dict[str, str]:
        """The columns of texts, by role."""
        texts = self.text_columns
        return {"text": texts[0]} if len(texts) == 1 else {f"text {column}": column for column in texts}


class TextSource(PlainTextSource, LabelledSource):
    """Which rows to read, and how text, label and official split are found in them."""

    format: Literal["auto", "csv", "tsv", "jsonl", "parquet", "folder"] = Field(
        "auto", description="How files are read; `auto` goes by the suffix, `folder` means one folder per class."
    )

    @model_validator(mode="after")
    def _names_columns_once(self) -> Self:
        columns = [*self.text_columns, self.label_column, self.split_column]
        if len(set(columns)) < len(columns):
            raise ValueError("text_columns, label_column and split_column must differ")
        return self

    def named_columns(self) -> dict[str, str]:
        """The columns of text, label and, if there is one, official split."""
        return self.text_roles() | super().named_columns()
