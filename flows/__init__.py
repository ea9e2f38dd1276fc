"""The flows, and what Python programs and notebooks call: `from flows import train, predict`.

What is named here is imported when it is first asked for, so that importing the package loads nothing. Two functions
bear the names of the modules in which their flows are; `import flows.train` finds the module, `flows.train` is the
function.
"""

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flows.from_python import Answers, load_model, predict, save_frame, train
    from flows.outcome import Outcome
    from flows.recipes.recipe import load_recipe
    from tasks.kinds.classify.recipe import ClassifyRecipe
    from tasks.kinds.classify_series.recipe import ClassifySeriesRecipe
    from tasks.kinds.detect.recipe import DetectRecipe
    from tasks.kinds.forecast.recipe import ForecastRecipe
    from tasks.kinds.language.recipe import LanguageRecipe

__all__ = [
    "Answers",
    "ClassifyRecipe",
    "ClassifySeriesRecipe",
    "DetectRecipe",
    "ForecastRecipe",
    "LanguageRecipe",
    "Outcome",
    "load_model",
    "load_recipe",
    "predict",
    "save_frame",
    "train",
]

DEFINED_IN = {
    **dict.fromkeys(("train", "predict", "save_frame", "load_model", "Answers"), "flows.from_python"),
    "Outcome": "flows.outcome",
    "load_recipe": "flows.recipes.recipe",
    "ClassifyRecipe": "tasks.kinds.classify.recipe",
    "ClassifySeriesRecipe": "tasks.kinds.classify_series.recipe",
    "DetectRecipe": "tasks.kinds.detect.recipe",
    "ForecastRecipe": "tasks.kinds.forecast.recipe",
    "LanguageRecipe": "tasks.kinds.language.recipe",
}


class _Flows(ModuleType):
    """Keeps the names of functions for them: an import of `flows.train` would set its own to the module."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in DEFINED_IN and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Flows


def __getattr__(name: str) -> object:
    """Import what is asked for."""
    if name not in DEFINED_IN:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(DEFINED_IN[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """What can be imported, whether it has been or not."""
    return sorted({*globals(), *__all__})
