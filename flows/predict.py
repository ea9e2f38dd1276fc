"""The flow that predicts from a file: what the command does, for schedules and the dashboard."""

from pathlib import Path
from typing import Annotated

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from pydantic import Field

from flows.lifecycle import LIFECYCLE
from flows.recipes.changed_source import change_source
from tasks.contract.services import Predicted
from tasks.errors import printable
from tasks.prediction.dispatch import predict_file
from tasks.store.artefacts import home

PathText = Annotated[str, Field(min_length=1, max_length=4096)]
ColumnName = Annotated[str, Field(min_length=1, max_length=256)]
Assignment = Annotated[str, Field(min_length=1, max_length=4096)]

predict_from_file = task(name="predict", cache_policy=NO_CACHE, persist_result=False)(predict_file)


@flow(name="predict", **LIFECYCLE)
def predict(
    model: Annotated[str, Field(min_length=1, max_length=256)],
    input_path: PathText,
    output_path: PathText,
    *,
    text_column: ColumnName | None = None,
    label_column: ColumnName | None = None,
    settings: Annotated[list[Assignment], Field(max_length=64)] = [],
    overwrite: bool = False,
) -> Predicted:
    """Classify the texts or sequences of a file, forecast what follows its series, or detect anomalies in them.

    A language model says what each text costs in nats per character. Models of other kinds answer as the packages that
    provide them document. The file is read as the training rows were. A crashed run continues where it stopped.

    Args:
        model: NAME for its champion, NAME@alias or NAME/3.
        input_path: CSV, TSV, JSON Lines, Parquet, or text with a document per line; relative to the project folder.
        output_path: CSV, JSON Lines or Parquet by its suffix; relative to the project folder.
        text_column: Column of a table that holds the text; that of training by default.
        label_column: Column of the true label, for the accuracy; that of training by default, if the table has it.
        settings: Changes for a file in a format other than the training rows, such as source.encoding=utf-8.
        overwrite: Replace an output that exists.
    """
    predicted = predict_from_file(
        model,
        home() / input_path,
        home() / output_path,
        text_column=text_column,
        label_column=label_column,
        source=change_source(model, settings),
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
    """Show a name as it is, whatever characters it contains."""
    return f"`{printable(str(path)).replace('|', '&#124;').replace('`', '&#96;')}`"
