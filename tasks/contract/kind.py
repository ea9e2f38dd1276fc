"""A kind of sequence problem: its recipe, and for each stage the module that does the stage's work for it."""

import importlib
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

if TYPE_CHECKING:
    from tasks.contract.recipe import Recipe
    from tasks.contract.services import DraftsModule, GenerateModule, MonitorModule, PredictModule, ServeModule
    from tasks.contract.stages import (
        BaselineModule,
        EncodeModule,
        EvaluateModule,
        FitModule,
        GateModule,
        IngestModule,
        PretrainModule,
        RegisterModule,
        ReportModule,
        ShardModule,
        SplitModule,
        StackModule,
        WarmStartModule,
    )

ModuleT = TypeVar("ModuleT")


@dataclass(frozen=True)
class LazyModule(Generic[ModuleT]):
    """A module that is imported when it is first used; keys of artefacts are made of its name and its code.

    Where it names an `attribute`, that does the work: an object that was made of what a kind says of itself.
    """

    name: str
    attribute: str = ""

    def load(self) -> ModuleT:
        """Import the module."""
        module = importlib.import_module(self.name)
        return cast(ModuleT, getattr(module, self.attribute) if self.attribute else module)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What a kind brings; the flow, the trainer, the store and the tracking are the same for all kinds.

    name: what recipes call it. recipe: its settings, a section for each stage.
    predict, serve and monitor: its part of the services; without `serve` its models answer no requests, without
    `monitor` nobody watches what they see. generate: of models that write texts. drafts: proposes a recipe from a look
    at some files, for `rnnflow new`.
    served_model: name of the module that MLflow runs when a registered model is loaded.
    warm_start: None where weights say nothing about other data. pretrain: None where candidates start from no language
    model. stack: joins a candidate with a baseline; None where a kind has no join.
    package: which installed distribution brings the kind, with its version; `tasks.kinds` says so, and of ours nothing.
    """

    name: str
    recipe: "type[Recipe]"
    ingest: "LazyModule[IngestModule[Any]]"
    split: "LazyModule[SplitModule[Any]]"
    encode: "LazyModule[EncodeModule[Any]]"
    shard: "LazyModule[ShardModule[Any]]"
    fit: "LazyModule[FitModule[Any, Any, Any]]"
    baseline: "LazyModule[BaselineModule]"
    evaluate: "LazyModule[EvaluateModule]"
    register: "LazyModule[RegisterModule]"
    gate: "LazyModule[GateModule[Any, Any, Any]]"
    report: "LazyModule[ReportModule]"
    predict: "LazyModule[PredictModule]"
    served_model: str
    stack: "LazyModule[StackModule] | None" = None
    warm_start: "LazyModule[WarmStartModule] | None" = None
    pretrain: "LazyModule[PretrainModule[Any]] | None" = None
    serve: "LazyModule[ServeModule[Any]] | None" = None
    monitor: "LazyModule[MonitorModule] | None" = None
    generate: "LazyModule[GenerateModule] | None" = None
    drafts: "LazyModule[DraftsModule] | None" = None
    package: str = ""


def modules_in(room: str) -> dict[str, Any]:
    """The modules of a kind that are all in one room, each named as the field of `Kind` that it is for."""
    others = ("name", "recipe", "served_model", "stack", "pretrain", "generate", "drafts", "package")
    return {one.name: LazyModule(f"{room}.{one.name}") for one in fields(Kind) if one.name not in others}
