"""Prediction by a registered model of any kind."""

from pathlib import Path
from typing import TYPE_CHECKING

from tasks.kinds import kind_of_model
from tasks.prediction.job import refuse_unusable
from tasks.promotion import named_models

if TYPE_CHECKING:
    from tasks.contract.services import Predicted


def predict_file(model: str, input_path: Path, output_path: Path, **options: object) -> "Predicted":
    """Predict from a file with a registered model of any kind; `options` are those of the kind's `predict_file`.

    Raises InputError (E-OUT-002, E-SRC-001, E-NAME-001, E-REG-001, E-REG-002, E-CFG-018), IntegrityError (E-REG-003),
    and what the kind raises.
    """
    refuse_unusable(input_path, output_path)
    kind = kind_of_model(named_models.resolve_model(model).parts)
    return kind.predict.load().predict_file(model, input_path, output_path, **options)
