"""Recipes: everything a run depends on, as one frozen and validated record."""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import Field, ValidationError, model_validator

from flows.recipe_errors import Origin, explain
from flows.recipe_file import assign, locate_recipe, parse_assignment, read_table
from rnnmodels.config import Architecture, Settings, Training
from tasks.baseline import NAME as BASELINE_NAME
from tasks.baseline import BaselineSettings
from tasks.encode import EncodeSettings
from tasks.evaluate import EvaluationSettings
from tasks.fit import NAME_PATTERN, Candidate
from tasks.promotion.settings import PromotionSettings
from tasks.register import RegistrySettings
from tasks.shard import ShardSettings
from tasks.sources.settings import SourceSettings
from tasks.split import SplitSettings

Validated = TypeVar("Validated", bound=Settings)

DEFAULT_CANDIDATES = [
    Candidate(name="gru", model=Architecture(cell="gru", bidirectional=True)),
    Candidate(name="lstm", model=Architecture(cell="lstm", bidirectional=True)),
]


class Recipe(Settings):
    """What to train on which rows: one section per stage of the flow."""

    name: str = Field(pattern=NAME_PATTERN, description="Name of the experiment and of the registered model.")
    kind: Literal["classify"] = Field("classify", description="Problem to solve: one label per text.")
    source: SourceSettings = Field(description="Which rows to read.")
    split: SplitSettings = Field(SplitSettings(), description="How rows are divided.")
    encode: EncodeSettings = Field(EncodeSettings(), description="How texts become token ids.")
    shard: ShardSettings = Field(ShardSettings(), description="How sequences are cut, bucketed and padded.")
    candidates: list[Candidate] = Field(
        DEFAULT_CANDIDATES, min_length=1, max_length=32, description="Models to fit and compare."
    )
    baseline: BaselineSettings = Field(BaselineSettings(), description="The linear model to beat.")
    evaluate: EvaluationSettings = Field(EvaluationSettings(), description="How models are scored and compared.")
    registry: RegistrySettings = Field(RegistrySettings(), description="How the best model is registered.")
    promotion: PromotionSettings = Field(PromotionSettings(), description="What a new model must show to take over.")

    @property
    def model_name(self) -> str:
        """Name under which the best candidate is registered."""
        return self.registry.model_name or self.name

    @model_validator(mode="after")
    def _names_each_candidate_once(self) -> "Recipe":
        names = [candidate.name for candidate in self.candidates]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two candidates are named {twice[0]}")
        if BASELINE_NAME in names:
            raise ValueError(f"a candidate has the baseline's name, {BASELINE_NAME}")
        return self


def load_recipe(recipe: str, *, settings: Sequence[str] = (), from_file: str | None = None) -> Recipe:
    """Read a shipped or own recipe; `settings` are assignments such as `training.epochs=1`.

    Raises InputError (E-CFG-001 to E-CFG-006).
    """
    path = locate_recipe(recipe)
    return build_recipe(path, read_table(path), settings=settings, from_file=from_file)


def build_recipe(path: Path, table: dict, *, settings: Sequence[str] = (), from_file: str | None = None) -> Recipe:
    """Validate a raw recipe after changing the named fields.

    Raises InputError (E-CFG-003, E-CFG-004, E-CFG-006, E-NAME-001).
    """
    raw = {"candidates": [_own_values(candidate) for candidate in DEFAULT_CANDIDATES], **copy.deepcopy(table)}
    assignments = [parse_assignment(text) for text in settings]
    if from_file is not None:
        assignments.append((("source", "path"), from_file))
    for keys, value in assignments:
        assign(raw, keys, value)
    origin = Origin(path=path, changed={".".join(keys) for keys, _ in assignments})
    shared = raw.pop("training", {})
    _validate(Training, shared, origin, section="training")
    return _validate(Recipe, _with_shared_training(raw, shared), origin)


def _validate(model: type[Validated], raw: dict, origin: Origin, *, section: str = "") -> Validated:
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        schema = model.model_json_schema()
        if model is Recipe:
            schema["properties"]["training"] = Training.model_json_schema()
        raise explain(error, schema=schema, raw=raw, origin=origin, section=section) from error


def _own_values(candidate: Candidate) -> dict:
    return candidate.model_dump(exclude_defaults=True)


def _with_shared_training(raw: dict, shared: dict) -> dict:
    """Give every candidate the shared values it does not set itself."""
    if not isinstance(raw["candidates"], list):
        return raw
    merged = [
        {**candidate, "training": {**shared, **candidate.get("training", {})}}
        if isinstance(candidate, dict) and isinstance(candidate.get("training", {}), dict)
        else candidate
        for candidate in raw["candidates"]
    ]
    return {**raw, "candidates": merged}
