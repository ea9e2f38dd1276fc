"""Batch prediction: a file of raw texts in, one line per text out, bad rows aside with their reasons.

Rows stream through in windows, so memory does not grow with the file. A finished window is kept: the same command,
run again after a kill, goes on behind it, with the model version it began with. The result appears under its name only
when it is complete.
"""

import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rnnmodels.durable import sha256_of_file
from tasks.contract.profile import UNLISTED, Profile
from tasks.errors import InputError, IntegrityError, plural
from tasks.kinds.classify.answering import answer_window, one_thread_per_batch, prefetched, read_window
from tasks.kinds.classify.classifier import TextClassifier
from tasks.kinds.classify.windows import open_input, read_windows
from tasks.monitoring import seen
from tasks.prediction.counts import RowCounts, read_first_fault
from tasks.prediction.job import Columns, Job, Order, Target, check_job
from tasks.prediction.tables import join_files
from tasks.prediction.unfinished import Tally, Unfinished, claimed
from tasks.progress import Progress, emit
from tasks.promotion import named_models
from tasks.registry.registered_model import RegisteredModel
from tasks.registry.served_parts import SERVING

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class PredictedFile(RowCounts):
    """What became of a file: of the `rows` that `where` asks for `bad` ones are in `errors`, all others in `output`.

    `kept_rows` were answered by an earlier call that was cut off, all others at `rows_per_s`. Of the `labelled_rows`,
    whose true label the model knows, the share `accuracy` was answered right; `unlisted_rows` have another label.
    """

    model: str
    rows: int
    output: Path
    errors: Path | None
    wall_s: float
    rows_per_s: float
    kept_rows: int
    labelled_rows: int
    unlisted_rows: int
    accuracy: float | None

    def describe(self) -> str:
        """Say it in a line or two."""
        kept = f", {self.kept_rows:,} of them in an earlier call" if self.kept_rows else ""
        num_answered = self.rows - self.bad
        lines = [
            f"{self.output}: {plural(num_answered, 'row')} classified by {self.model} "
            f"({self.rows_per_s:,.0f} rows/s{kept}).",
            self.describe_rows(),
        ]
        if self.accuracy is not None:
            lines.append(f"Accuracy {self.accuracy:.2%} on {self.labelled_rows:,} labelled rows.")
        if self.unlisted_rows:
            have = "has" if self.unlisted_rows == 1 else "have"
            lines.append(f"{plural(self.unlisted_rows, 'row')} {have} a label that the model does not know.")
        return "\n".join(lines)

    def table(self) -> dict[str, str | Path]:
        """Say it as names and values."""
        facts = {
            "output": self.output,
            "model": self.model,
            "rows classified": f"{self.rows - self.bad:,}",
            "of them in an earlier run": f"{self.kept_rows:,}",
            "rows per second": f"{self.rows_per_s:,.0f}",
            "seconds": f"{self.wall_s:,.1f}",
            **self.row_table(),
        }
        if self.errors is not None:
            facts["their reasons"] = self.errors
        if self.accuracy is not None:
            facts["accuracy"] = f"{self.accuracy:.2%} of {self.labelled_rows:,} labelled rows"
        if self.unlisted_rows:
            facts["labels that the model does not know"] = f"{self.unlisted_rows:,}"
        return facts


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
    the training rows were, but for the columns that are named here and the settings of their `source` that are other
    for this file. The output is CSV, JSON Lines or Parquet by its suffix, with the columns `row` (line of the input, or
    number of a Parquet row from 1), `label`, `probability_<class>` and `model`. Bad rows go to `<output>.errors.jsonl`.

    Raises InputError for the files (E-OUT-001 to E-OUT-003, E-OUT-006, E-SRC-001, E-SRC-003, E-SRC-011 and what the
    readers raise) and for the model (E-NAME-001, E-REG-001, E-REG-002); IntegrityError for a damaged model (E-INT-001,
    E-REG-003) and for an input that changed meanwhile (E-INT-003).
    """
    started_s = time.perf_counter()
    target = Target(source=input_path, output=output_path, overwrite=overwrite)
    columns = Columns(text=text_column, label=label_column)
    job = check_job(model, target, columns=columns, source=source or {})
    with claimed(output_path) as unfinished:
        report = _finished_report(job, unfinished) or _complete(job, unfinished)
        unfinished.publish(target, bad=report["bad"])
        profile = Profile.from_json(report.pop("profile"))
        seen.record_seen(report["model"], profile, source="predict", batch=job.order.input_sha256)
        unfinished.forget()
    errors = target.errors if report["bad"] else None
    wall_s = round(time.perf_counter() - started_s, 3)
    return PredictedFile(
        **report, output=output_path, errors=errors, first_fault=read_first_fault(errors), wall_s=wall_s
    )


def choose_version(order: Order, unfinished: Unfinished) -> RegisteredModel:
    """Return the version that an order was begun with, else begin with the one that the model's name means now."""
    begun = unfinished.version_begun(order)
    if begun is not None:
        model = _find_again(begun["label"])
        if model is not None and _describe(model) == begun:
            return model
        logger.warning("Version %s, which answered so far, is gone: all rows are answered anew.", begun["label"])
    model = named_models.resolve_model(order.model)
    unfinished.begin(order, _describe(model))
    return model


def answer_windows(
    job: Job, unfinished: Unfinished, classifier: TextClassifier, *, model: str, skip: int
) -> Iterator[Tally]:
    """Classify the windows of a file behind the first `skip`, and keep each as soon as it is done."""
    source = open_input(job.source, classifier.serving, job.columns, job.order.source)
    windows = enumerate(read_windows(source))
    ahead = prefetched((number, read_window(classifier, window)) for number, window in windows if number >= skip)
    with one_thread_per_batch() as cores:
        for number, read in ahead:
            yield unfinished.add(number, answer_window(classifier, read, model=model, cores=cores))


def _complete(job: Job, unfinished: Unfinished) -> dict:
    """Answer what is not answered yet and join all windows; bad input leaves nothing behind."""
    job.target.refuse_existing()
    model = choose_version(job.order, unfinished)
    kept = total = unfinished.count_done()
    try:
        classifier = TextClassifier.load(model.parts)
        started_s, rows_per_s = time.perf_counter(), 0.0
        for window in answer_windows(job, unfinished, classifier, model=model.label, skip=kept.windows):
            total += window
            rows_per_s = round((total.rows - kept.rows) / (time.perf_counter() - started_s), 1)
            emit(Progress(stage="predict", done=total.rows, figures={"rows_per_s": rows_per_s}))
        job.refuse_changed_input()
        _refuse_nothing_wanted(total)
    except (InputError, IntegrityError):
        unfinished.forget()
        raise
    emit(Progress(stage="predict", done=total.rows, total=total.rows, finished=True))
    report = {"model": model.label, "kept_rows": kept.rows, "rows_per_s": rows_per_s, **_counts(total)}
    join_files(map(unfinished.answers_of, range(total.windows)), unfinished.answers)
    join_files(map(unfinished.faults_of, range(total.windows)), unfinished.faults)
    unfinished.finish(report)
    return report


def _counts(total: Tally) -> dict:
    unlisted_rows = total.profile.true.get(UNLISTED, 0)
    labelled_rows = total.profile.labelled_rows - unlisted_rows
    return {
        "rows": total.rows,
        "rows_read": total.rows + total.left_out + total.blank_lines,
        "bad": total.bad,
        "left_out": total.left_out,
        "blank_lines": total.blank_lines,
        "labelled_rows": labelled_rows,
        "unlisted_rows": unlisted_rows,
        "accuracy": total.profile.hits / labelled_rows if labelled_rows else None,
        "profile": total.profile.as_json(),
    }


def _refuse_nothing_wanted(total: Tally) -> None:
    """Raise InputError (E-OUT-006) if every row of a file is other than those that the model learned from."""
    if total.left_out and not total.rows:
        raise InputError(
            "E-OUT-006",
            f"no rows are left: the `where` of training leaves out {plural(total.left_out, 'row')}.",
            fix="answer all rows with --set source.where={}.",
        )


def _finished_report(job: Job, unfinished: Unfinished) -> dict | None:
    """Return the report of a call that was cut off while it gave the files their names."""
    if unfinished.version_begun(job.order) is None or not (unfinished.answers.exists() or job.target.output.exists()):
        return None
    return unfinished.read_finished()


def _find_again(label: str) -> RegisteredModel | None:
    try:
        return named_models.resolve_model(label)
    except InputError:
        return None


def _describe(model: RegisteredModel) -> dict:
    return {"label": model.label, "content": sha256_of_file(model.parts / SERVING)}
