"""A fitted classifier of lines as it is served; this module and all it reaches travel with the registered model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import polars as pl

from rnnflow_bits.encode import ids_of
from rnnflow_bits.ingest import BITS, LabelledLineSource, LineSource, read_lines
from tasks.contract.table_model import TableModel
from tasks.errors import InputError, quoted
from tasks.labelled.labeller import Labeller, LabellerServing, ReadRows
from tasks.sources.inputs import Inputs
from tasks.sources.intake import Intake
from tasks.sources.served_source import LABELS_ASIDE, NAMES_FILES


@dataclass(frozen=True, kw_only=True)
class Serving(LabellerServing[LineSource]):
    """How a classifier reads lines."""

    not_obeyed: ClassVar[Mapping[str, str]] = NAMES_FILES | LABELS_ASIDE

    @classmethod
    def trained_as(cls) -> type[LineSource]:
        """Lines with a label."""
        return LabelledLineSource

    @classmethod
    def read_as(cls) -> type[LineSource]:
        """Lines whose labels, if there are any, are not read."""
        return LineSource


@dataclass(frozen=True, kw_only=True)
class LineLabeller(Labeller[Sequence[str]], TableModel[LineSource]):
    """A model in evaluation mode with the labels it was fitted with."""

    kind = "bits"
    serving_type = Serving

    serving: Serving

    @classmethod
    def take(cls, rows: pl.DataFrame) -> list[str]:
        """The lines of rows."""
        return rows["text"].to_list()

    def read(self, rows: Sequence[str]) -> ReadRows:
        """The ids of lines, cut as in training; their `length` is watched.

        Raises InputError (E-BITS-002) naming the first that is no line of 0s and 1s.
        """
        text = pl.Series("text", rows, dtype=pl.String)
        is_bad = ~text.str.contains(BITS)
        if is_bad.any():
            index = is_bad.arg_max()
            problem = f"line {index}: got {quoted(rows[index])}, expected 1 to 1,000 digits 0 and 1."
            raise InputError("E-BITS-002", problem, fix="leave this line out or mend it.")
        cut = text.to_frame().select(self.cut(ids_of(pl.col("text")))).to_series()
        return ReadRows(sequences=[one.to_numpy() for one in cut], values={"length": text.str.len_chars().to_numpy()})

    def store_rows(self, folder: Path, inputs: Inputs, intake: Intake, refusals: list | None) -> Path:
        """Read the lines of files."""
        read_lines(inputs, intake).write_parquet(folder / "lines.parquet")
        return folder / "lines.parquet"

    def answer_window(
        self, rows: pl.DataFrame, settings: LineSource, *, profiles: list | None = None, **_: object
    ) -> pl.DataFrame:
        """Label lines: columns row (the line in its file), label, and a probability per label."""
        read = self.read(self.take(rows))
        probabilities = self.score(read)
        if profiles is not None:
            profiles.append(self.profile(read, probabilities))
        return pl.DataFrame({"row": rows["line"], **self.tabulate(probabilities)})
