"""Which labelled sequences to read: a table with a row per sequence and step, or files of an archive of sequences."""

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from tasks.panel.layout import MAX_COLUMNS, TIME, VALUE
from tasks.panel.source import OrderedSource
from tasks.sources.settings import MEMORY_CHANNELS, ColumnName, ColumnNames, LabelledSource, MemoryTask

PRESETS = {
    "files": {},
    "japanese-vowels": {
        "format": "ts",
        "id_columns": ("sequence",),
        "time_columns": ("step",),
        "time_unit": "step",
        "value_columns": tuple(f"channel_{index}" for index in range(1, 13)),
        "split_column": "split",
    },
    **{
        name: {
            "format": "parquet",
            "id_columns": ("sequence",),
            "time_columns": ("step",),
            "time_unit": "step",
            "value_columns": channels,
        }
        for name, channels in MEMORY_CHANNELS.items()
    },
}


class SequenceTable(OrderedSource):
    """Which files hold sequences, and which columns are their ids, times and channels."""

    own_formats: ClassVar[Mapping[str, str]] = {".ts": "ts"}
    names_rows: ClassVar[bool] = True

    format: Literal["auto", "csv", "tsv", "jsonl", "parquet", "ts"] = Field(
        "auto", description="How files are read; `auto` goes by the suffix."
    )
    id_columns: ColumnNames = Field(
        (), max_length=8, description="Column, or columns, that identify the sequence of a row."
    )
    one_series_per_file: bool = Field(False, description="Each file is one sequence, named after the file.")
    time_columns: ColumnNames = Field(
        (TIME,), max_length=8, description="Column, or columns, that order the rows of a sequence: times or steps."
    )
    value_columns: ColumnNames = Field(
        (VALUE,), min_length=1, max_length=MAX_COLUMNS, description="Columns of numbers: the channels."
    )

    @model_validator(mode="after")
    def _tells_sequences_apart(self) -> Self:
        is_named = self.id_columns or self.one_series_per_file or self.layout != "table"
        if self.dataset == "files" and not is_named:
            raise ValueError(
                "no column identifies the sequences; name one in id_columns, or set one_series_per_file = true"
            )
        return self


class UnlabelledSource(SequenceTable):
    """Sequences in a user's own files, whatever else stands in them."""

    dataset: Literal["files"] = Field("files", description="`files` are your own.")
    unread_columns: tuple[ColumnName, ...] = Field(
        (), description="Columns of labels and splits in a wide table, apart from its numbers."
    )

    def unread(self) -> tuple[str, ...]:
        """Columns of labels and splits."""
        return self.unread_columns


class SequenceSource(SequenceTable, LabelledSource, MemoryTask):
    """Which files hold labelled sequences, and which columns are their ids, times, channels and labels.

    A table is wide, with a column per channel, or with `channel_column` long, with a row per channel. Label and
    official split stand in every row of a sequence.
    """

    presets: ClassVar[Mapping[str, Mapping[str, object]]] = PRESETS

    free: ClassVar[frozenset[str]] = SequenceTable.free | MemoryTask.free

    dataset: Literal["japanese-vowels", "adding", "copy", "files"] = Field(
        "files",
        description="`japanese-vowels` is in the optional package sktime, `adding` and `copy` are made to measure "
        "memory, `files` are your own.",
    )

    def named_columns(self) -> dict[str, str]:
        """The columns of id, time, channels, label and official split."""
        return SequenceTable.named_columns(self) | LabelledSource.named_columns(self)
