"""Prediction by whatever kind of model answers to a name: each kind has a module with `predict_file`."""

import importlib
from dataclasses import Field
from pathlib import Path
from typing import Any, ClassVar, Protocol

from tasks import registry
from tasks.served_parts import read_serving_fields

PREDICTORS = {
    "classify": "tasks.predict",
    "classify-series": "tasks.sequences.predicting",
    "detect": "tasks.detection.predicting",
    "forecast": "tasks.series.predicting",
}


class Predicted(Protocol):
    """What became of a file: `bad` rows are in `errors`, what was predicted is in `output`."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    output: Path
    bad: int
    errors: Path | None

    def describe(self) -> str:
        """Say it in a few lines."""

    def describe_refused(self) -> str:
        """Say how much could not be answered."""

    def table(self) -> dict[str, str | Path]:
        """Say it as names and values."""


def predict_file(model: str, input_path: Path, output_path: Path, **options: object) -> Predicted:
    """Predict from a file with a registered model of any kind; `options` are those of the kind's `predict_file`.

    Raises InputError (E-NAME-001, E-REG-001, E-REG-002), IntegrityError (E-REG-003), and what the kind raises.
    """
    kind = read_serving_fields(registry.resolve_model(model).parts)["kind"]
    return importlib.import_module(PREDICTORS[kind]).predict_file(model, input_path, output_path, **options)
