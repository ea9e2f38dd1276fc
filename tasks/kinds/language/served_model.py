"""A registered language model: MLflow runs this file wherever the model is loaded, without this repository."""

import itertools
from pathlib import Path
from typing import Any

from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext

from tasks.registry.served_parts import load_served


class ServedWriter(PythonModel):
    """Prompts to what the model writes after each."""

    def load_context(self, context: PythonModelContext) -> None:
        """Read the model once, when MLflow loads it."""
        self.model = load_served(Path(context.artifacts["parts"]))

    def predict(
        self,
        context: PythonModelContext,  # noqa: ARG002 (MLflow's)
        model_input: list[str],
        params: dict[str, Any] | None = None,
    ) -> list[str]:
        """Continue each prompt; `params` are length, temperature, top_k, top_p and seed, that of the first prompt.

        The prompts after it have the seeds after it. Raises InputError naming what cannot be continued.
        """
        sampling = params or {}
        seeds = itertools.count(sampling.get("seed") or 0)
        return [
            "".join(self.model.generate(prompt, **sampling | {"seed": seed}))
            for prompt, seed in zip(model_input, seeds, strict=False)
        ]


set_model(ServedWriter())
