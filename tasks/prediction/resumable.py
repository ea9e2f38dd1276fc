"""A file answered window by window, whatever its rows mean: a killed call continues after its last finished window.

Rows stream through in windows, so memory does not grow with the answers. The same command, run again, keeps the model
version it began with. The result appears under its name only when it is complete.
"""

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol, TypeVar

from rnnmodels.durable import sha256_of_file
from tasks.contract.profile import Profile
from tasks.errors import InputError, IntegrityError
from tasks.monitoring import seen
from tasks.prediction.counts import AnsweredFile, read_first_fault
from tasks.prediction.job import Job, Order
from tasks.prediction.tables import join_files
from tasks.prediction.tally import NOTHING_DONE, Answers, Tally
from tasks.prediction.unfinished import Unfinished, claimed
from tasks.progress import Progress, emit
from tasks.promotion import named_models
from tasks.registry.registered_model import RegisteredModel
from tasks.registry.served_parts import SERVING

logger = logging.getLogger(__name__)


class Work(Protocol):
    """A loaded model at one file: what a kind brings."""

    def answer(self, skip: int) -> Iterator[Answers]:
        """Answer the windows of the file after the first `skip`; they are the same in every call."""

    def tell(self, total: Tally) -> dict[str, Any]:
        """What is told of the file beyond the counts of all windows, in JSON values.

        Raises InputError if nothing was answered.
        """


Begin = Callable[[Job, RegisteredModel, Unfinished], Work]
ToldT = TypeVar("ToldT", bound=AnsweredFile)


def answer_file(job: Job, begin: Begin, told: type[ToldT]) -> ToldT:
    """Answer a file as far as it is not answered yet.

    Raises InputError for an output that must stay or is being written (E-OUT-001, E-OUT-003), for the model
    (E-NAME-001, E-REG-001, E-REG-002), and what the work raises; IntegrityError for a damaged model (E-INT-001,
    E-REG-003) and for an input that changed meanwhile (E-INT-003).
    """
    started_s = time.perf_counter()
    target = job.target
    with claimed(target.output) as unfinished:
        report = _finished_report(job, unfinished) or _complete(job, unfinished, begin)
        unfinished.publish(target, bad=report["bad"])
        profile = report.pop("profile")
        if profile is not None:
            seen.record_seen(
                report["model"], Profile.from_json(profile), source="predict", batch=job.order.input_sha256
            )
        unfinished.forget()
    errors = target.errors if report["bad"] else None
    wall_s = round(time.perf_counter() - started_s, 3)
    return told(**report, output=target.output, errors=errors, first_fault=read_first_fault(errors), wall_s=wall_s)


def choose_version(order: Order, unfinished: Unfinished) -> RegisteredModel:
    """Return the version that an order was begun with, else begin with the one that the model's name means now."""
    begun = unfinished.version_begun(order)
    if begun is not None:
        model = _find_again(begun["label"])
        if model is not None and _describe(model) == begun:
            return model
        logger.warning(
            "Version %s, which answered so far, no longer exists: all rows are answered again.", begun["label"]
        )
    model = named_models.resolve_model(order.model)
    unfinished.begin(order, _describe(model))
    return model


def answer_windows(unfinished: Unfinished, work: Work, kept: Tally) -> Tally:
    """Answer the windows that are not kept yet, keep each as soon as it is done, and join all; returns their sum."""
    total, started_s = kept, time.perf_counter()
    for answers in work.answer(kept.windows):
        total += unfinished.add(total.windows, answers, is_first=not total.tables)
        rows_per_s = round((total.rows - kept.rows) / (time.perf_counter() - started_s), 1)
        emit(Progress(stage="predict", done=total.rows, figures={"rows_per_s": rows_per_s}))
    return total


def join_windows(unfinished: Unfinished, num_windows: int) -> None:
    """Join the answers and the refused rows of all windows, in their order."""
    for name, joined in ((unfinished.answers_of, unfinished.answers), (unfinished.faults_of, unfinished.faults)):
        join_files(filter(Path.exists, map(name, range(num_windows))), joined)


def _complete(job: Job, unfinished: Unfinished, begin: Begin) -> dict[str, Any]:
    """Answer what is not answered yet and join all windows; bad input leaves no files."""
    job.target.refuse_existing()
    model = choose_version(job.order, unfinished)
    kept = unfinished.count_done()
    if not kept.tables:  # without an answer so far, the first refusal may have to be told with its remedy
        kept = NOTHING_DONE
    try:
        work, started_s = begin(job, model, unfinished), time.perf_counter()
        total = answer_windows(unfinished, work, kept)
        rows_per_s = round((total.rows - kept.rows) / (time.perf_counter() - started_s), 1)
        job.refuse_changed_input()
        told = work.tell(total)
    except (InputError, IntegrityError):
        unfinished.forget()
        raise
    emit(Progress(stage="predict", done=total.rows, total=total.rows, finished=True))
    profile = None if total.profile is None else total.profile.as_json()
    report = {"model": model.label, "kept_rows": kept.rows, "rows_per_s": rows_per_s, **total.counts, **told}
    join_windows(unfinished, total.windows)
    unfinished.finish(report | {"profile": profile})
    return report | {"profile": profile}


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
