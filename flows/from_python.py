"""The commands `train` and `predict` as functions, for notebooks and programs: frames in, objects out."""

import contextlib
import tempfile
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    from mlflow.pyfunc import PyFuncModel
    from prefect.flows import Flow
    from rich.console import Console

    from flows.outcome import Outcome
    from tasks.contract.recipe import Recipe

    Frame = pl.DataFrame | pd.DataFrame


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What a model answers: `table` as `rnnflow predict` writes it, and in `refused` why other rows have no answer.

    counts: what was read, answered, left out and refused, and of labelled rows the accuracy.
    """

    table: "pl.DataFrame"
    refused: "pl.DataFrame"
    counts: dict[str, Any]


def train(
    recipe: "Recipe | str | Path",
    *,
    resume: bool = False,
    refresh: bool = False,
    warm_start: bool = False,
    progress: bool = True,
) -> "Outcome":
    """Run the flow as `rnnflow train` does: a recipe, a shipped name or the path of a TOML file to a registered model.

    `progress` shows on stderr what stages report.

    Raises RnnflowError of any kind.
    """
    from flows.commands.launch import run_on_server
    from flows.recipes.first_look import refuse_unreadable
    from flows.recipes.recipe import load_recipe
    from tasks.promotion.destination import check_address

    def load() -> "Flow[..., Outcome]":
        from flows.train import train

        return train

    check_address()
    checked = load_recipe(str(recipe)) if isinstance(recipe, str | Path) else recipe
    refuse_unreadable(checked)
    with _logging(checked.name, progress=progress) as console:
        return run_on_server(load, console, recipe=checked, resume=resume, refresh=refresh, warm_start=warm_start)


def predict(
    model: str,
    data: "Frame | str | Path",
    *,
    text_column: str | None = None,
    label_column: str | None = None,
    settings: Sequence[str] = (),
    progress: bool = False,
) -> Answers:
    """Answer a frame or a file with a registered model of any kind, as `rnnflow predict` does.

    model: NAME for its champion, NAME@alias or NAME/3. The columns are those of training, except for `text_column` and
    `label_column`; `settings` are changes such as `source.encoding=utf-8`.

    Raises RnnflowError of any kind; a row that cannot be answered is in `refused`, and raises nothing.
    """
    from flows.commands.console import showing_progress
    from flows.recipes.changed_source import change_source
    from tasks.prediction.dispatch import predict_file
    from tasks.sources.frames import write_frame

    with (
        tempfile.TemporaryDirectory(prefix="rnnflow-") as folder,
        _logging("predict", progress=progress) as console,
        showing_progress(console),
    ):
        input_path, output_path = Path(folder, "frame.parquet"), Path(folder, "answers.parquet")
        if isinstance(data, str | Path):
            input_path = Path(data)
        else:
            write_frame(data, input_path)
        source = change_source(model, settings)
        columns = {"text_column": text_column, "label_column": label_column}
        predicted = predict_file(model, input_path, output_path, source=source, **columns)
        return _read_answers(output_path, predicted.errors, predicted.as_json())


def save_frame(frame: "Frame") -> str:
    """Write a frame of Polars or pandas to the project folder, and return the path for a recipe's source.

    Raises InputError (E-SRC-014).
    """
    from tasks.sources import frames

    return str(frames.save_frame(frame))


def load_model(model: str) -> "PyFuncModel":
    """Load a registered version as MLflow does; NAME is its champion, NAME@alias and NAME/3 are others.

    Raises InputError (E-NAME-001, E-REG-001, E-REG-002), IntegrityError (E-REG-003).
    """
    from tasks.promotion.named_models import resolve_model
    from tasks.registry.registered_model import load_pyfunc

    return load_pyfunc(resolve_model(model))


@contextlib.contextmanager
def _logging(name: str, *, progress: bool) -> "Generator[Console]":
    """Log to `data/logs/` for the duration of a block; in a notebook, progress is plain lines as in any output."""
    from rich.console import Console

    from flows.place.run_log import logging_run

    in_terminal = False if Console().is_jupyter else None  # notebooks say that they are terminals
    console = Console(stderr=True, quiet=not progress, force_terminal=in_terminal, force_jupyter=False)
    with logging_run(name, console, verbose=False):
        yield console


def _read_answers(output: Path, errors: Path | None, counts: dict[str, Any]) -> Answers:
    import polars as pl

    table = pl.read_parquet(output, memory_map=False) if output.exists() else pl.DataFrame()
    refused = pl.read_ndjson(errors) if errors is not None else pl.DataFrame()
    kept = {name: value for name, value in counts.items() if name not in ("output", "errors")}
    return Answers(table=table, refused=refused, counts=kept)
