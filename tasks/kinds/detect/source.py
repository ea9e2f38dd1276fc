"""Which time series to monitor, and where they say, if anywhere, which of their rows are anomalous."""

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from tasks.panel.layout import MAX_COLUMNS, VALUE
from tasks.panel.source import PRESETS as SERIES_PRESETS
from tasks.panel.source import StampedSource
from tasks.sources.settings import ColumnName, ColumnNames

PRESETS = {
    "files": {},
    "sea-temperature": SERIES_PRESETS["sea-temperature"],
    "nab": {"format": "nab", "id_columns": ("file",), "time_columns": ("timestamp",), "label_column": "anomaly"},
}


class DetectionSource(StampedSource):
    """Which columns hold ids, times, channels and labels of series; rows need not be regular in time.

    A table is wide, with a column per channel, or with `channel_column` long, with a row per channel.
    """

    presets: ClassVar[Mapping[str, Mapping[str, object]]] = PRESETS

    dataset: Literal["sea-temperature", "nab", "files"] = Field(
        "files",
        description="`sea-temperature` is in an installed package, `nab` is a local archive of the Numenta Anomaly "
        "Benchmark, `files` are your own.",
    )
    format: Literal["auto", "csv", "tsv", "jsonl", "parquet", "nab"] = Field(
        "auto", description="How files are read; `auto` goes by the suffix, `nab` is the benchmark's archive."
    )
    value_columns: ColumnNames = Field(
        (VALUE,), min_length=1, max_length=MAX_COLUMNS, description="Columns to monitor: the channels."
    )
    label_column: ColumnName | None = Field(
        None,
        description="Column with 1 in anomalous rows, 0 in ordinary ones and nothing where that is unknown; for "
        "evaluation only.",
    )

    @model_validator(mode="after")
    def _labels_wide_tables(self) -> Self:
        if self.channel_column is not None and self.label_column is not None:
            raise ValueError("channel_column cannot be combined with a label column")
        if self.layout != "table" and self.label_column is not None:
            raise ValueError(f'layout "{self.layout}" has no place for a label column')
        if self.layout == "series_per_row" and self.has_times and self.time_columns:
            raise ValueError('layout "series_per_row" without a frequency has no start; set time_unit = "order"')
        return self

    def named_columns(self) -> dict[str, str]:
        """The columns of id, time, channel, values and, if there is one, label."""
        labels = {} if self.label_column is None else {"label": self.label_column}
        return super().named_columns() | labels
