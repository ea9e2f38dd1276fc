"""Answers by a registered model of any kind: to a file, or to a prompt."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.errors import InputError, quoted
from tasks.kinds import kind_of_model
from tasks.prediction.job import refuse_unusable
from tasks.promotion import named_models

if TYPE_CHECKING:
    from tasks.contract.services import Generation, Predicted


def predict_file(model: str, input_path: Path, output_path: Path, **options: object) -> "Predicted":
    """Predict from a file with a registered model of any kind; `options` are those of the kind's `predict_file`.

    Raises InputError (E-OUT-002, E-SRC-001, E-NAME-001, E-REG-001, E-REG-002, E-CFG-018), IntegrityError (E-REG-003),
    and what the kind raises.
    """
    refuse_unusable(input_path, output_path)
    kind = kind_of_model(named_models.resolve_model(model).parts)
    return kind.predict.load().predict_file(model, input_path, output_path, **options)


def begin_text(model: str, prompt: str, **sampling: Any) -> "Generation":  # noqa: ANN401 (a kind's own)
    """Begin to write what follows a prompt with a registered model; `sampling` is that of the kind's `begin_text`.

    Raises InputError (E-GEN-003) for a model whose kind writes no texts, (E-NAME-001, E-REG-001, E-REG-002, E-CFG-018),
    IntegrityError (E-REG-003), and what the kind raises.
    """
    registered = named_models.resolve_model(model)
    kind = kind_of_model(registered.parts)
    if kind.generate is None:
        raise InputError(
            "E-GEN-003",
            f"model {registered.label} is of kind {quoted(kind.name)}, whose models write no texts.",
            fix='name a language model, trained by a recipe with kind = "language".',
        )
    return kind.generate.load().begin_text(registered.parts, prompt, **sampling)
