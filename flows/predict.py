"""The flow that predicts from a file: what the command does, for schedules and the dashboard."""

from pathlib import Path
from typing import Annotated

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from pydantic import Field

from flows.lifecycle import LIFECYCLE
from tasks.errors import printable
from tasks.predict import PredictedFile
from tasks.predictors import Predicted, predict_file
from tasks.sequences.predicting import LabelledFile
from tasks.series.predicting import ForecastFile
from tasks.store import home

PathText = Annotated[str, Field(min_length=1, max_length=4096)]
ColumnName = Annotated[str, Field(min_length=1, max_length=256)]

predict_from_file = task(predict_file, name="predict", cache_policy=NO_CACHE, persist_result=False)


@flow(name="predict", **LIFECYCLE)
def predict(
    model: Annotated[str, Field(min_length=1, max_length=256)],
    input_path: PathText,
    output_path: PathText,
    *,
    text_column: ColumnName = "text",
    label_column: ColumnName | None = None,
    overwrite: bool = False,
) -> PredictedFile | ForecastFile | LabelledFile:
    """Classify texts or sequences of a file, or forecast what follows its series; a crashed run goes on where it was.

    Args:
        model: NAME for its champion, NAME@alias or NAME/3.
        input_path: CSV, TSV, JSON Lines, Parquet, or text with a document per line; relative to the project folder.
        output_path: CSV, JSON Lines or Parquet by its suffix; relative to the project folder.
        text_column: Column of a table that holds the text.
        label_column: Column that holds the true label where it is known; accuracy is then reported.
        overwrite: Replace an output that exists.
    """
    predicted = predict_from_file(
        model,
        home() / input_path,
        home() / output_path,
        text_column=text_column,
        label_column=label_column,
        overwrite=overwrite,
    )
    create_markdown_artifact(describe(predicted), key="prediction", description="What became of the file.")
    return predicted


def describe(predicted: Predicted) -> str:
    """Lay out the outcome as a Markdown table."""
    facts = predicted.table().items()
    rows = [f"| {name} | {_code(value) if isinstance(value, Path) else value} |" for name, value in facts]
    return "\n".join(["| | |", "| --- | --- |", *rows])


def _code(path: Path) -> str:
    """Show a name as it is, whatever characters it has."""
    return f"`{printable(str(path)).replace('|', '&#124;').replace('`', '&#96;')}`"
