"""The flow that classifies a file with a registered model: what the command does, for schedules and the dashboard."""

from pathlib import Path
from typing import Annotated

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from pydantic import Field

from flows.lifecycle import LIFECYCLE
from tasks.errors import printable
from tasks.predict import PredictedFile, predict_file
from tasks.store import home

PathText = Annotated[str, Field(min_length=1, max_length=4096)]
ColumnName = Annotated[str, Field(min_length=1, max_length=256)]

classify_file = task(predict_file, name="predict", cache_policy=NO_CACHE, persist_result=False)


@flow(name="predict", **LIFECYCLE)
def predict(
    model: Annotated[str, Field(min_length=1, max_length=256)],
    input_path: PathText,
    output_path: PathText,
    *,
    text_column: ColumnName = "text",
    label_column: ColumnName | None = None,
    overwrite: bool = False,
) -> PredictedFile:
    """Classify the texts of a file; run again after a crash, it goes on where it was.

    Args:
        model: NAME for its champion, NAME@alias or NAME/3.
        input_path: CSV, TSV, JSON Lines, Parquet, or text with a document per line; relative to the project folder.
        output_path: CSV, JSON Lines or Parquet by its suffix; relative to the project folder.
        text_column: Column of a table that holds the text.
        label_column: Column that holds the true label where it is known; accuracy is then reported.
        overwrite: Replace an output that exists.
    """
    predicted = classify_file(
        model,
        home() / input_path,
        home() / output_path,
        text_column=text_column,
        label_column=label_column,
        overwrite=overwrite,
    )
    create_markdown_artifact(describe(predicted), key="prediction", description="What became of the file.")
    return predicted


def describe(predicted: PredictedFile) -> str:
    """Lay out the outcome as a Markdown table."""
    rows = {
        "output": _code(predicted.output),
        "model": _code(predicted.model),
        "rows classified": f"{predicted.rows - predicted.bad:,}",
        "of them in an earlier run": f"{predicted.kept_rows:,}",
        "rows per second": f"{predicted.rows_per_s:,.0f}",
        "seconds": f"{predicted.wall_s:,.1f}",
    }
    if predicted.errors is not None:
        rows["rows that could not be read"] = f"{predicted.bad:,}, with their reasons in {_code(predicted.errors)}"
    if predicted.accuracy is not None:
        rows["accuracy"] = f"{predicted.accuracy:.2%} of {predicted.labelled_rows:,} labelled rows"
    if predicted.unlisted_rows:
        rows["labels that the model does not know"] = f"{predicted.unlisted_rows:,}"
    return "\n".join(["| | |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in rows.items())])


def _code(value: str | Path) -> str:
    """Show a name as it is, whatever characters it has."""
    return f"`{printable(str(value)).replace('|', '&#124;').replace('`', '&#96;')}`"
