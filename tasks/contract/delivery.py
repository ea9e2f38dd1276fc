"""What the stages after the contest report: a registered model, the gate's verdict and the page."""

from typing import Any

from pydantic import Field

from tasks.contract.summaries import NamedSummary
from tasks.store.manifest import Summary


class RegistrationSummary(NamedSummary):
    """A version of the model `name`, where MLflow holds it, and the proof that it is the `best` candidate."""

    version: str
    content: str
    mlflow_run: str
    mlflow_page: str
    artifact_uri: str
    best: str
    baseline_wins: bool
    certificate: dict[str, Any]


class VerdictSummary(Summary):
    """A `tasks.promotion.verdicts.Verdict`."""

    verdict: str
    reasons: list[str]
    challenger: str
    alias: str


class PageSummary(Summary):
    """The page of a run, and which baselines are better on test than the registered model."""

    outdone: list[str] = Field(default_factory=list)
