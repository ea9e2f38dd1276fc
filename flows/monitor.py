"""The flow that monitors whether a model still receives data like its validation rows."""

from typing import Annotated

from prefect import flow
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.states import Completed, State
from pydantic import Field

from flows.lifecycle import LIFECYCLE
from tasks.errors import InputError
from tasks.monitoring.alarm import alarm_once
from tasks.monitoring.examination import DriftReport, examine_drift
from tasks.tracking.dashboard import artifact_key


@flow(name="monitor", **LIFECYCLE)
def monitor(
    model: str,
    window_days: Annotated[int, Field(ge=1, le=3650)] = 30,
    min_rows: Annotated[int, Field(ge=0)] = 0,
    psi_limit: Annotated[float, Field(gt=0, le=10)] = 0.2,
) -> State:
    """Compare what a model received recently with its validation rows; a drift emits the event `rnnflow.drift` once.

    Args:
        model: NAME (its champion), NAME@alias or NAME/3.
        window_days: Days of requests and predictions to examine.
        min_rows: Fewer rows (or sequences, or windows) are not judged; 0 takes 500 texts, 100 sequences or 20 windows.
        psi_limit: Population stability index above which a feature has drifted.
    """
    try:
        report = examine_drift(model, window_days=window_days, min_rows=min_rows, psi_limit=psi_limit)
    except InputError as error:
        if error.code != "E-REG-001":
            raise
        # A schedule may well be older than the first model.
        return Completed(name="Skipped", message=f"skipped, {error.problem}")
    show_drift(report)
    alarmed = alarm_once(report)
    return Completed(message=report.sentence, data={**report.as_json(), "alarmed": alarmed})


def show_drift(report: DriftReport) -> None:
    """Attach the comparisons as a table, and the finding with its rule in Markdown."""
    key = artifact_key(f"drift-{report.name}")
    if report.comparisons:
        create_table_artifact(report.table(), key=f"{key}-table", description=report.sentence)
    create_markdown_artifact(describe_drift(report), key=key)


def describe_drift(report: DriftReport) -> str:
    """Say in Markdown what was found and by which rule."""
    return (
        f"# {report.model}: {report.status}\n\n{report.sentence}\n\n"
        f"{report.labelled_rows:,} of the {report.unit} came with their label. A feature counts as drifted if its "
        f"population stability index (PSI) is above {report.psi_limit:g} and above what chance alone would show; the "
        "accuracy, if it fell by more than two points and beyond its interval. KS is the Kolmogorov-Smirnov distance.\n"
    )
