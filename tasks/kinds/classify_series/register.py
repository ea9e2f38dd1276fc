"""What stage `register` needs of a classifier of sequences: it takes tables, and is asked for the proof with one."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from rnnmodels.classifiers.series_config import SeriesTraining
from tasks.contract.lineage import Lineage
from tasks.kinds.classify_series.classifier import SEQUENCE, SequenceLabeller
from tasks.kinds.classify_series.frames import scatter_steps
from tasks.kinds.classify_series.numbers import SCALER_FILE
from tasks.kinds.classify_series.source import SequenceSource
from tasks.labelled.register import LabelledRegistration
from tasks.panel.served_table import read_table
from tasks.panel.source import StampedSource
from tasks.panel.source_tables import to_source_table, with_unwanted, write_source_table
from tasks.registry.packaging import Packaging, ask_for_table

if TYPE_CHECKING:
    from mlflow.pyfunc import PyFuncModel

NUM_EXAMPLES = 2


class SequenceRegistration(LabelledRegistration[SequenceLabeller]):
    """How classifiers of sequences are registered."""

    def ask(
        self, served: "PyFuncModel", labeller: SequenceLabeller, rows: pl.DataFrame
    ) -> tuple[pl.DataFrame, np.ndarray]:
        """Ask with a table of the columns that the source has, unwanted rows included."""
        source = labeller.serving.settings
        table = with_unwanted(unscaled_table(rows, source), source)
        answers = ask_for_table(served, table).select(f"probability_{label}" for label in labeller.labels)
        return read_table(labeller, table).rows, answers.to_numpy()

    def choose_packaging(self, lineage: Lineage, /) -> Packaging:
        """How a classifier of sequences is packaged; the example is a table of two sequences, as a user has it."""
        example = example_table(lineage).to_pandas()
        return Packaging(model_type="classifier", input_example=example, takes_table=True)

    def write_example(self, path: Path, lineage: Lineage, /) -> None:
        """Write an input to try the model with."""
        write_source_table(path, example_table(lineage), read_source(lineage))


def unscaled_table(sequences: pl.DataFrame, source: StampedSource) -> pl.DataFrame:
    """Turn sequences into a table with the columns of the source; they are named even if their files did that."""
    named = source.model_copy(update={"id_columns": source.as_table().id_columns or (SEQUENCE,)})
    return to_source_table(scatter_steps(sequences), named)


def example_table(lineage: Lineage) -> pl.DataFrame:
    """The first test sequences, as a user has them."""
    sequences = pl.scan_parquet(lineage.splits.file("test.parquet")).head(NUM_EXAMPLES).collect()
    return unscaled_table(sequences, read_source(lineage))


def read_source(lineage: Lineage) -> SequenceSource:
    """The source of the sequences, its layout filled in."""
    return SequenceSource(**lineage.rows.manifest["config"]).with_preset()


REGISTRATION = SequenceRegistration(
    labeller=SequenceLabeller,
    takes="tables with a row per sequence and step",
    EXAMPLE="sequences.csv",
    encoder={"rnnflow.scaler": SCALER_FILE},
    training=SeriesTraining,
)
