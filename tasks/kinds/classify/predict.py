"""Batch prediction: a file of raw texts in, one line per text out; bad rows go to a separate file with reasons."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from tasks.contract.profile import UNLISTED
from tasks.errors import InputError, plural
from tasks.kinds.classify.classifier import TextClassifier
from tasks.labelled.labeller import ReadRows
from tasks.labelled.parallel_scoring import one_thread_per_batch, prefetched, score_in_batches
from tasks.prediction.counts import AnsweredFile
from tasks.prediction.job import Columns, Job, Target, check_job
from tasks.prediction.resumable import answer_file
from tasks.prediction.tally import Answers, Tally
from tasks.prediction.unfinished import Unfinished
from tasks.registry.registered_model import RegisteredModel
from tasks.text.windows import Window, open_input, read_windows


@dataclass(frozen=True, kw_only=True)
class PredictedFile(AnsweredFile):
    """What became of a file: of the `rows` that match `where`, `bad` ones are in `errors`, all others in `output`.

    Of the `labelled_rows`, whose true label the model knows, the share `accuracy` was answered correctly;
    `unlisted_rows` have another label.
    """

    labelled_rows: int
    unlisted_rows: int
    accuracy: float | None

    def describe_answers(self) -> str:
        """Say it in a line."""
        kept = f", {self.kept_rows:,} of them in an earlier call" if self.kept_rows else ""
        answered = plural(self.rows - self.bad, "row")
        return f"{self.output}: {answered} classified by {self.model} ({self.rows_per_s:,.0f} rows/s{kept})."

    def counts(self) -> dict[str, int]:
        """Texts that were given a label."""
        return {"rows classified": self.rows - self.bad}

    def describe(self) -> str:
        """Say it in a few lines."""
        lines = [super().describe()]
        if self.accuracy is not None:
            lines.append(f"Accuracy {self.accuracy:.2%} on {self.labelled_rows:,} labelled rows.")
        if self.unlisted_rows:
            have = "has" if self.unlisted_rows == 1 else "have"
            lines.append(f"{plural(self.unlisted_rows, 'row')} {have} a label that the model does not know.")
        return "\n".join(lines)

    def table(self) -> dict[str, str | Path]:
        """Say it as names and values."""
        facts = super().table()
        if self.accuracy is not None:
            facts["accuracy"] = f"{self.accuracy:.2%} of {self.labelled_rows:,} labelled rows"
        if self.unlisted_rows:
            facts["labels that the model does not know"] = f"{self.unlisted_rows:,}"
        return facts


@dataclass(frozen=True, kw_only=True)
class TextWork:
    """A classifier and a file of texts that it answers."""

    job: Job
    classifier: TextClassifier
    label: str

    def answer(self, skip: int) -> Iterator[Answers]:
        """Classify the windows of the file after the first `skip`; the next is read while one is classified."""
        order = self.job.order
        source = open_input(self.job.source, self.classifier.serving, order.columns, order.source)
        windows = enumerate(read_windows(source))
        ahead = prefetched((window, self._read(window)) for number, window in windows if number >= skip)
        with one_thread_per_batch() as cores:
            for window, read in ahead:
                yield self._answer_window(window, read, cores)

    def tell(self, total: Tally) -> dict[str, Any]:
        """How many rows were read, and how many labels were right.

        Raises InputError (E-OUT-006) if `where` leaves out every row.
        """
        left_out, profile = int(total.counts["left_out"]), total.profile
        assert profile is not None, "a window of texts has a profile"
        if left_out and not total.rows:
            raise InputError(
                "E-OUT-006",
                f"no rows are left: the `where` of training leaves out {plural(left_out, 'row')}.",
                fix="answer all rows with --set source.where={}.",
            )
        unlisted_rows = profile.true.get(UNLISTED, 0)
        labelled_rows = profile.labelled_rows - unlisted_rows
        return {
            "rows_read": total.rows + left_out + total.counts["blank_lines"] + total.counts["comment_lines"],
            "labelled_rows": labelled_rows,
            "unlisted_rows": unlisted_rows,
            "accuracy": profile.hits / labelled_rows if labelled_rows else None,
        }

    def _read(self, window: Window) -> ReadRows:
        return self.classifier.read(self.classifier.take(window.rows))

    def _answer_window(self, window: Window, read: ReadRows, cores: ThreadPoolExecutor) -> Answers:
        """Classify a window; columns row, label, one probability per class, model."""
        rows, probabilities = window.rows, score_in_batches(self.classifier, read, cores)
        named = pl.repeat(self.label, rows.height, dtype=pl.String, eager=True)
        table = pl.DataFrame({"row": rows["line"], **self.classifier.tabulate(probabilities), "model": named})
        profile = self.classifier.profile(read, probabilities, rows["label"].replace("", None).to_list())
        counts = window.aside | {"rows": rows.height + len(window.faults)}
        return Answers(table=table, faults=window.faults, counts=counts, profile=profile)


def predict_file(
    model: str,
    input_path: Path,
    output_path: Path,
    *,
    text_column: str | None = None,
    label_column: str | None = None,
    source: Mapping[str, object] | None = None,
    overwrite: bool = False,
) -> PredictedFile:
    """Classify every text of a file with a registered model; see `parse_reference` for what names one.

    The input is text with one document a line, or CSV, TSV, JSON Lines or Parquet with a column of texts; it is read as
    the training rows were, except for the columns that are named here and the settings of their `source` that differ
    for this file. The output is CSV, JSON Lines or Parquet by its suffix, with the columns `row` (line of the input, or
    number of a Parquet row from 1), `label`, `probability_<class>` and `model`. Bad rows go to `<output>.errors.jsonl`.

    Raises what `check_job` and `answer_file` do; InputError also for a file that does not hold texts (E-SRC-003,
    E-SRC-011), for what the readers raise, and where no row is wanted (E-OUT-006).
    """
    if input_path.exists() and not input_path.is_file():
        raise InputError("E-SRC-003", "is not a file.", fix="name a single file of texts.", file=input_path)
    target = Target(source=input_path, output=output_path, overwrite=overwrite)
    columns = Columns(text=text_column, label=label_column)
    job = check_job(model, target, columns=columns, source=source or {}, code=__name__)
    return answer_file(job, _begin, PredictedFile)


def _begin(job: Job, registered: RegisteredModel, unfinished: Unfinished) -> TextWork:  # noqa: ARG001 (texts are read as they are answered)
    return TextWork(job=job, classifier=TextClassifier.load(registered.parts), label=registered.label)
