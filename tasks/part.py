"""Sections of a recipe that bring their own way of doing a stage.

A stage's task is the same for every kind of problem. What differs between texts and time series lies in the module
that belongs to the class of the stage's settings, and only that module's code counts for the key of the artefact.
"""

import importlib
from types import ModuleType
from typing import ClassVar

from rnnmodels.config import Settings


class Part(Settings):
    """Settings of a stage that name the module whose functions obey them; by default their own."""

    performed_by: ClassVar[str] = ""

    @classmethod
    def modules(cls) -> tuple[str, ...]:
        """Where the code of the stage begins, the performer last: what counts for keys, and as news for `retrain`."""
        return (cls.performed_by or cls.__module__,)

    @classmethod
    def performer(cls) -> ModuleType:
        """The module that does the stage's work for this class of settings."""
        return importlib.import_module(cls.modules()[-1])
