"""What the module that does a stage's work for a kind must define, a Protocol for each stage.

Settings are of the class that the kind's recipe has for the section; artefacts are those of the stages before. Every
`write_*` fills the folder of an artefact and returns its summary, which stages and people read later: at least of the
class named here, with fields of the kind's own where its later stages read more.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from tasks.contract.contest import Contest, Scored
from tasks.contract.evaluation import EvaluationSummary
from tasks.contract.lineage import Lineage
from tasks.contract.presentation import Presentation
from tasks.contract.report_contents import ReportContents
from tasks.contract.stacking import StackSettings
from tasks.contract.summaries import ModelSummary, SplitSummary
from tasks.promotion.decision import Judging
from tasks.promotion.scoring import Holdout, Scores
from tasks.promotion.settings import GateSettings
from tasks.registry.packaging import Packaging
from tasks.registry.registered_model import RegisteredModel
from tasks.sources.inputs import Inputs
from tasks.sources.intake import RowCheck
from tasks.statistics.intervals import Interval
from tasks.store.artefacts import Artefact
from tasks.store.manifest import Summary

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from mlflow.pyfunc import PyFuncModel

SettingsT_contra = TypeVar("SettingsT_contra", contravariant=True)
CandidateT_contra = TypeVar("CandidateT_contra", contravariant=True)
DataT = TypeVar("DataT")
ModelT = TypeVar("ModelT")
HoldoutT = TypeVar("HoldoutT", bound=Holdout)
ScoresT = TypeVar("ScoresT", bound=Scores)
GateSettingsT_contra = TypeVar("GateSettingsT_contra", bound=GateSettings, contravariant=True)


class IngestModule(Protocol[SettingsT_contra]):
    """Files to checked rows."""

    def write_rows(self, folder: Path, *, settings: SettingsT_contra, inputs: Inputs, digest: str) -> Summary:
        """Read every input into `rows.parquet`."""

    def row_check(self, settings: SettingsT_contra) -> RowCheck:
        """What makes checked rows of a batch of raw ones, for a look at the first before anything is started."""


class SplitModule(Protocol[SettingsT_contra]):
    """Rows to training, validation and test rows that share nothing."""

    def must_hold(self, held: Artefact | None, rows: Artefact, settings: SettingsT_contra) -> bool:
        """Whether the validation and test rows of an earlier split must stay what they were."""

    def write_splits(
        self, folder: Path, *, rows: Artefact, held: Artefact | None, settings: SettingsT_contra
    ) -> SplitSummary:
        """Divide the rows; `held` ones stay where they are."""


class EncodeModule(Protocol[SettingsT_contra]):
    """Rows to numbers."""

    def write_encoded(self, folder: Path, *, splits: Artefact, settings: SettingsT_contra) -> Summary:
        """Learn a vocabulary or a scaler from the training rows, and encode every split by it."""


class ShardModule(Protocol[SettingsT_contra]):
    """Numbers to Arrow files that a loader can map."""

    def write_shards(self, folder: Path, *, encoded: Artefact, settings: SettingsT_contra) -> Summary:
        """Lay encoded rows out as a training run reads them."""


class FitModule(Protocol[CandidateT_contra, DataT, ModelT]):
    """Candidates to fitted models."""

    def open_data(self, candidate: CandidateT_contra, shards: Artefact) -> DataT:
        """Open the splits; `train` and `valid` are those that a fit reads."""

    def create_model(
        self, candidate: CandidateT_contra, data: DataT, shards: Artefact, initial: Artefact | None = None
    ) -> ModelT:
        """Make the network, from the weights of `initial` where it is given."""

    def finish_model(
        self, folder: Path, model: ModelT, data: DataT, candidate: CandidateT_contra
    ) -> Mapping[str, float]:
        """Store the predictions for validation and test; returns numbers for its summary, with `rows`."""


class BaselineModule(Protocol):
    """Models without a network."""

    @property
    def INPUTS(self) -> tuple[str, ...]:  # noqa: N802 (a constant of a module)
        """Names of the artefacts of the lineage that `BASELINES` take, besides `settings`."""

    @property
    def BASELINES(self) -> Mapping[str, Callable[..., ModelSummary]]:  # noqa: N802
        """By name what fits a baseline and stores its predictions in the form of a candidate's."""


class EvaluateModule(Protocol):
    """Stored predictions to metrics with intervals."""

    @property
    def INPUTS(self) -> tuple[str, ...]:  # noqa: N802
        """Names of the artefacts of the lineage that `write_evaluation` takes, besides `model` and `settings`."""

    @property
    def write_evaluation(self) -> Callable[..., EvaluationSummary]:
        """Score a model."""


class StackModule(Protocol):
    """A candidate and a baseline to one model."""

    def write_stacked(
        self, folder: Path, *, candidate: Artefact, baseline: Artefact, settings: StackSettings
    ) -> ModelSummary:
        """Join both with the weight that is best on validation, and store all that answers, and the predictions.

        Returns a `StackedSummary`; where no weight is better than none, one that is left out and says so.
        """


class RegisterModule(Protocol):
    """A fitted model to one that takes raw rows."""

    @property
    def EXAMPLE(self) -> str:  # noqa: N802
        """Name of the file of an input to try the model with."""

    def assemble_parts(self, folder: Path, lineage: Lineage, best: Scored) -> None:
        """Fill a folder with all that the served model reads."""

    def certify_parts(self, folder: Path, lineage: Lineage, num_rows: int, /) -> dict[str, Any]:
        """Show on validation rows that answers depend on the row alone; raises IntegrityError (E-REG-005)."""

    def choose_packaging(self, lineage: Lineage, /) -> Packaging:
        """Say how MLflow packages the model."""

    def describe_model(self, contest: Contest[Any]) -> str:
        """Say in Markdown what the model does and how well."""

    def show_use(self, packaging: Packaging, /) -> str:
        """Lines of Python that ask `model` something."""

    def name_encoder(self, lineage: Lineage) -> dict[str, str]:
        """Tags that identify the vocabulary or scaler."""

    def prove_served(self, served: "PyFuncModel", lineage: Lineage, best: Scored) -> dict[str, Any]:
        """Compare what a registered model answers with what was judged; raises IntegrityError (E-REG-006)."""

    def write_example(self, path: Path, lineage: Lineage, /) -> None:
        """Write the file `EXAMPLE`."""


class GateModule(Judging[HoldoutT, ScoresT, GateSettingsT_contra], Protocol[HoldoutT, ScoresT, GateSettingsT_contra]):
    """Champion and challenger on the same rows."""

    def read_holdout(self, lineage: Lineage) -> HoldoutT:
        """Find the test rows that decide."""


class ReportModule(Protocol):
    """Scores to what people see."""

    @property
    def PRESENTATION(self) -> Presentation:  # noqa: N802
        """Columns of tables, and words."""

    def gather_details(self, contents: ReportContents) -> dict[str, Any]:
        """What the kind's own part of the page shows."""

    def compare_by(self, contest: Contest[Any], /) -> str:
        """The metric in which the best model is compared with the baseline."""

    def compare_with_baseline(self, contest: Contest[Any], baseline: Scored) -> Interval:
        """The paired difference between the best model and a baseline, with its interval."""

    def draw_figures(self, facts: dict[str, Any]) -> "dict[str, Figure]":
        """Plots of the page, by name."""


class WarmStartModule(Protocol):
    """A champion's weights to the start of a new fit."""

    def write_initial(self, folder: Path, *, champion: RegisteredModel, encoded: Artefact) -> Summary:
        """Store the weights, and how what they were learned on corresponds to the new data."""


class PretrainModule(Protocol[SettingsT_contra]):
    """A language model of a recipe's texts to the start of new fits."""

    def plan_models(
        self, candidates: Sequence[Any], settings: SettingsT_contra, /
    ) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """By candidate the language models that it starts from, as candidates of the kind `language` are written."""

    def write_corpus(self, folder: Path, *, lineage: Lineage, settings: SettingsT_contra) -> Summary:
        """Write the texts that it may learn from in the form of that kind's stage `encode`."""

    def write_start(self, folder: Path, *, models: Sequence[Artefact], corpus: Artefact) -> Summary:
        """Store the weights of fitted ones, as WarmStartModule does those of a champion."""

    def write_registered_start(
        self,
        folder: Path,
        *,
        models: Sequence[RegisteredModel],
        learned: Sequence[Artefact],
        plan: Mapping[str, Sequence[Mapping[str, Any]]],
        lineage: Lineage,
    ) -> Summary:
        """Store those of registered ones, of which none may have learned a validation or test row of the lineage."""
