"""What stage `register` needs of a classifier of sequences: its folder, its certificate, the proof of its answers."""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from tasks.contract.contest import Contest, Scored
from tasks.contract.lineage import Lineage
from tasks.contract.profile import write_profile
from tasks.kinds.classify_series.classifier import SEQUENCE, SequenceLabeller, Serving, complete_labeller
from tasks.kinds.classify_series.frames import scatter_steps
from tasks.kinds.classify_series.monitor import reference_profile
from tasks.kinds.classify_series.source import SequenceSource
from tasks.kinds.classify_series.summaries import StepsSummary
from tasks.labelled.fit import read_layout
from tasks.labelled.proof import gather_judged, prove_answers, score_as_judged, tolerance_on
from tasks.panel.served_table import read_table
from tasks.panel.source import StampedSource
from tasks.panel.source_tables import to_source_table, with_unwanted, write_source_table
from tasks.registry.packaging import Packaging, ask_for_table

if TYPE_CHECKING:
    from mlflow.pyfunc import PyFuncModel

EXAMPLE = "sequences.csv"
NUM_EXAMPLES = 2


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
        channels=tuple(StepsSummary.of(lineage.rows).channels),
        max_length=layout["max_length"],
        keep=layout["keep"],
        temperature=json.loads(best.evaluation.file("metrics.json").read_bytes())["temperature"],
        batch_steps=best.model.manifest["config"]["training"]["batch_steps"],
    )
    complete_labeller(folder, serving)
    write_profile(folder, reference_profile(SequenceLabeller.load(folder), best, lineage))


def certify_parts(folder: Path, lineage: Lineage, num_rows: int) -> dict:
    """Certify on validation sequences that the logits of a folder's model depend on the sequence alone."""
    from rnnmodels.classifiers.certificate import certify_invariance

    labeller = SequenceLabeller.load(folder)
    sequences = pl.read_parquet(lineage.splits.file("valid.parquet"))
    some = sequences.gather_every(max(1, sequences.height // num_rows)).head(num_rows)
    return dataclasses.asdict(certify_invariance(labeller.model, labeller.encode(some)))


def prove_served(served: "PyFuncModel", lineage: Lineage, best: Scored) -> dict:
    """Compare a loaded model with the evaluation, on the first, the middle and the last test batch.

    Raises IntegrityError (E-REG-005) for other numbers, (E-REG-006) for other logits or probabilities.
    """
    labeller: SequenceLabeller = served.unwrap_python_model().labeller
    judged = gather_judged(lineage, best, labeller.serving.batch_steps)
    source = labeller.serving.settings
    table = with_unwanted(unscaled_table(judged.read_rows(lineage), source), source)
    answers = ask_for_table(served, table)
    return prove_answers(
        score_as_judged(labeller.model, judged, labeller.encode(read_table(labeller, table).rows)),
        answers.select(f"probability_{label}" for label in labeller.labels).to_numpy(),
        judged.logits,
        temperature=labeller.serving.temperature,
        tolerance=tolerance_on(best.device),
    )


def unscaled_table(sequences: pl.DataFrame, source: StampedSource) -> pl.DataFrame:
    """Turn sequences into a table with the columns of the source; they are named even if their files did that."""
    named = source.model_copy(update={"id_columns": source.id_columns or (SEQUENCE,)})
    return to_source_table(scatter_steps(sequences), named)


def choose_packaging(lineage: Lineage) -> Packaging:
    """How a classifier of sequences is packaged; the example is a table of two sequences, as a user has it."""
    return Packaging(
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
    accuracy = contest.best.test["accuracy"]
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
