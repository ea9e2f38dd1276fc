"""A recipe: a section of settings for each stage, whatever the kind of problem."""

from collections.abc import Sequence
from typing import ClassVar, Self, TypeVar, get_args

from pydantic import Field, model_validator

from rnnmodels.config import Optimization, Settings
from tasks.contract.candidate import Candidate
from tasks.contract.evaluation import EvaluationSettings
from tasks.contract.registration import RegistrySettings
from tasks.contract.stacking import STACKED, StackSettings
from tasks.promotion.settings import GateSettings
from tasks.sources.settings import FileSettings
from tasks.store.names import NAME_PATTERN

SectionT = TypeVar("SectionT", bound=Settings)


class Recipe(Settings):
    """What every kind has: the stages of the flow, a section for each; a kind narrows the sections to its own.

    training: settings of an optimization that candidates share. baselines: names of the baselines, which no candidate
    may have.
    """

    training: ClassVar[type[Optimization]]
    baselines: ClassVar[tuple[str, ...]]

    name: str = Field(pattern=NAME_PATTERN, description="Name of the experiment and of the registered model.")
    kind: str
    source: FileSettings
    split: Settings
    encode: Settings
    shard: Settings
    candidates: Sequence[Candidate]
    baseline: Settings
    evaluate: EvaluationSettings
    registry: RegistrySettings = Field(RegistrySettings(), description="How the best model is registered.")
    promotion: GateSettings

    @classmethod
    def settings_of(cls, section: str, base: type[SectionT]) -> type[SectionT]:
        """The class of a section's settings, which extends `base`; of `candidates`, that of each."""
        annotation = cls.model_fields[section].annotation
        found = [one for one in (annotation, *get_args(annotation)) if isinstance(one, type)]
        return next(one for one in found if issubclass(one, base))

    @property
    def model_name(self) -> str:
        """Name under which the best candidate is registered."""
        return self.registry.model_name or self.name

    @property
    def stacking(self) -> StackSettings | None:
        """Whether the best candidate is joined with the best baseline; None where the kind has no join."""
        return None

    @property
    def settings_without_effect(self) -> list[str]:
        """Which settings no candidate reads, a sentence each."""
        return []

    @model_validator(mode="after")
    def _names_each_candidate_once(self) -> Self:
        names = [candidate.name for candidate in self.candidates]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two candidates are named {twice[0]}")
        taken = next((name for name in self.baselines if name in names), None)
        if taken is not None:
            raise ValueError(f"a candidate has a baseline's name, {taken}")
        if self.stacking is not None and STACKED in names:
            raise ValueError(f"a candidate has the name of the join with a baseline, {STACKED}")
        return self
