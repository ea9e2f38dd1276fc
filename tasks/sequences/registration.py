"""What stage `register` needs of a classifier of sequences: its folder, its certificate, the proof of its answers."""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import polars as pl

from tasks.classification.modelling import open_shards_of, read_layout
from tasks.classification.proof import prove_answers, tolerance_on
from tasks.contest import Contest, Scored
from tasks.errors import IntegrityError
from tasks.lineage import Lineage
from tasks.packaging import Packaging, ask_for_table
from tasks.register import RegistrySettings
from tasks.sequences.classifier import SEQUENCE, SequenceLabeller, Serving, complete_labeller
from tasks.sequences.frames import scatter_steps
from tasks.sequences.source import SequenceSource
from tasks.series.source import StampedSource
from tasks.series.source_tables import to_source_table, with_unwanted, write_source_table

if TYPE_CHECKING:
    from mlflow.pyfunc import PyFuncModel

    from rnnmodels.batches import Batch

EXAMPLE = "sequences.csv"
NUM_EXAMPLES = 2


class SequenceRegistrySettings(RegistrySettings):
    """Under which name the best classifier is registered, and how closely it is examined."""

    performed_by: ClassVar[str] = "tasks.sequences.registration"
    served_by: ClassVar[str] = "tasks.sequences.served_model"


def assemble_parts(folder: Path, lineage: Lineage, best: Scored) -> None:
    """Gather in a folder what is needed to label raw tables as the evaluated model did."""
    folder.mkdir()
    parts = {"model.safetensors": best.model, "model.json": best.model}
    parts |= {"scaler.json": lineage.encoded, "labels.json": lineage.encoded}
    for name, artefact in parts.items():
        shutil.copyfile(artefact.file(name), folder / name)
    layout = read_layout(lineage.shards)
    serving = Serving(
        name=best.name,
        source=lineage.rows.manifest["config"],
        channels=tuple(lineage.rows.summary["channels"]),
        max_length=layout["max_length"],
        keep=layout["keep"],
        temperature=json.loads(best.evaluation.file("metrics.json").read_bytes())["temperature"],
        batch_steps=best.model.manifest["config"]["training"]["batch_steps"],
    )
    complete_labeller(folder, serving)


def certify_parts(folder: Path, lineage: Lineage, num_rows: int) -> dict:
    """Certify on validation sequences that the logits of a folder's model depend on the sequence alone."""
    from rnnmodels.certificate import certify_invariance

    labeller = SequenceLabeller.load(folder)
    sequences = pl.read_parquet(lineage.splits.file("valid.parquet"))
    some = sequences.gather_every(max(1, sequences.height // num_rows)).head(num_rows)
    return dataclasses.asdict(certify_invariance(labeller.model, labeller.encode(some)))


def prove_served(served: "PyFuncModel", lineage: Lineage, best: Scored) -> dict:
    """Compare a loaded model with the evaluation, on the first, the middle and the last test batch.

    Raises IntegrityError (E-REG-005) for other numbers, (E-REG-006) for other logits or probabilities.
    """
    labeller: SequenceLabeller = served.unwrap_python_model().labeller
    batches = list(open_shards_of(lineage.shards)["test"].batches(labeller.serving.batch_steps))
    chosen = [batches[index] for index in sorted({0, len(batches) // 2, len(batches) - 1})]
    rows = [int(row) for batch in chosen for row in batch.row]
    source = labeller.serving.settings
    table = with_unwanted(unscaled_table(read_rows(lineage, rows), source), source)
    answers = ask_for_table(served, table)
    evaluated = pl.scan_parquet(best.model.file("predictions.parquet")).filter(split="test").collect()
    wanted = pl.DataFrame({"row": rows}, schema={"row": pl.UInt32})
    expected = wanted.join(evaluated, on="row", how="left", maintain_order="left")["logits"].to_list()
    return prove_answers(
        np.concatenate(logits_of_batches(labeller, chosen, labeller.encode(labeller.read_table(table)))),
        answers.select(f"probability_{label}" for label in labeller.labels).to_numpy(),
        np.array(expected, dtype=np.float32),
        temperature=labeller.serving.temperature,
        tolerance=tolerance_on(best.model.summary["device"]),
    )


def logits_of_batches(
    labeller: SequenceLabeller, batches: "list[Batch]", sequences: list[np.ndarray]
) -> list[np.ndarray]:
    """Score raw sequences, padded and batched as they were evaluated.

    Raises IntegrityError (E-REG-005) if the served scaler makes other numbers of a sequence.
    """
    from rnnmodels.evaluation_mode import evaluating
    from rnnmodels.inference import pad_sequences, score_batch

    logits, start = [], 0
    for batch in batches:
        own = sequences[start : start + len(batch.row)]
        start += len(own)
        padded = pad_sequences(own, row=batch.row, width=batch.steps.shape[1])
        same = (padded.steps == batch.steps).all(axis=(1, 2)) & (padded.length == batch.length)
        if not same.all():
            raise IntegrityError(
                "E-REG-005",
                f"row {batch.row[same.argmin()]}: the served model makes other numbers of its sequence than those "
                "evaluated.",
                fix="run again with --refresh; if it persists, the served scaler differs from the stage `encode`.",
            )
        with evaluating(labeller.model):
            logits.append(score_batch(labeller.model, padded))
    return logits


def read_rows(lineage: Lineage, rows: list[int]) -> pl.DataFrame:
    """Some of the test sequences, in the order of their row ids in `rows`."""
    wanted = pl.LazyFrame({"row": rows}, schema={"row": pl.UInt32})
    sequences = pl.scan_parquet(lineage.splits.file("test.parquet"))
    return wanted.join(sequences, on="row", how="left", maintain_order="left").collect()


def unscaled_table(sequences: pl.DataFrame, source: StampedSource) -> pl.DataFrame:
    """Turn sequences into a table with the columns of the source; they are named even if their files did that."""
    named = source.model_copy(update={"id_columns": source.id_columns or (SEQUENCE,)})
    return to_source_table(scatter_steps(sequences), named)


def choose_packaging(lineage: Lineage) -> Packaging:
    """How a classifier of sequences is packaged; the example is a table of two sequences, as a user has it."""
    return Packaging(
        module=SequenceRegistrySettings.served_by,
        model_type="classifier",
        input_example=example_table(lineage).to_pandas(),
        takes_table=True,
    )


def write_example(path: Path, lineage: Lineage) -> None:
    """Write an input to try the model with."""
    write_source_table(path, example_table(lineage), read_source(lineage))


def example_table(lineage: Lineage) -> pl.DataFrame:
    """The first test sequences, as a user has them."""
    sequences = pl.scan_parquet(lineage.splits.file("test.parquet")).head(NUM_EXAMPLES).collect()
    return unscaled_table(sequences, read_source(lineage))


def read_source(lineage: Lineage) -> SequenceSource:
    """The source of the sequences, its layout filled in."""
    return SequenceSource(**lineage.rows.manifest["config"]).with_preset()


def describe_model(contest: Contest) -> str:
    """Say in Markdown what a version scores and what it takes."""
    accuracy = contest.best.evaluation.summary["metrics"]["test"]["accuracy"]
    return (
        f"`{contest.best.name}`: test accuracy {accuracy['value']:.4f} "
        f"({accuracy['low']:.4f} to {accuracy['high']:.4f}). It takes tables with a row per sequence and step."
    )


def show_use(packaging: Packaging) -> str:
    """Lines of Python that use the loaded model, as a user writes them."""
    columns = ", ".join(packaging.columns)
    return f'table = pandas.read_csv("{EXAMPLE}")  # columns: {columns}\nmodel.predict(table)'


def name_encoder(lineage: Lineage) -> dict[str, str]:
    """Tag by which a version names its scaler."""
    return {"rnnflow.scaler": lineage.encoded.manifest["files"]["scaler.json"]["sha256"]}
