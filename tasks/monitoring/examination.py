"""What a registered model saw lately beside its reference: a report in figures, in a table and in one sentence."""

import dataclasses
import datetime
from dataclasses import dataclass

from tasks.contract.profile import Profile
from tasks.errors import InputError
from tasks.kinds import kind_of_model
from tasks.monitoring.drift import Comparison, compare_profiles
from tasks.monitoring.seen import sum_seen
from tasks.promotion import named_models
from tasks.registry.registered_model import RegisteredModel


@dataclass(frozen=True, kw_only=True)
class DriftReport:
    """How the rows that a version saw in the last days compare with its validation rows."""

    name: str
    version: str
    window_days: int
    min_rows: int
    psi_limit: float
    rows: int
    labelled_rows: int
    comparisons: tuple[Comparison, ...]

    @property
    def model(self) -> str:
        """`name/version`."""
        return f"{self.name}/{self.version}"

    @property
    def moved(self) -> tuple[Comparison, ...]:
        """The features that drifted."""
        return tuple(one for one in self.comparisons if one.drifted)

    @property
    def status(self) -> str:
        """`too few rows`, `stable` or `drifted`."""
        if self.rows < self.min_rows:
            return "too few rows"
        return "drifted" if self.moved else "stable"

    @property
    def sentence(self) -> str:
        """The finding in words."""
        saw = f"{self.model} saw {self.rows:,} rows in {self.window_days} days"
        if self.status == "too few rows":
            return f"{saw}: too few rows yet to tell, at least {self.min_rows:,} are needed."
        if self.status == "stable":
            return f"{saw}: they are like its validation rows, within the limits."
        return f"{saw} that differ from its validation rows: {'; '.join(one.describe() for one in self.moved)}."

    def as_json(self) -> dict:
        """Return JSON values."""
        findings = {"model": self.model, "status": self.status, "drifted": bool(self.moved), "sentence": self.sentence}
        fields = dataclasses.asdict(self)
        return {**findings, **fields, "comparisons": [dataclasses.asdict(one) for one in self.comparisons]}

    def table(self) -> list[dict[str, str]]:
        """One row per compared feature, for people."""
        return [
            {
                "what": one.title,
                "reference": one.shown[0],
                "seen": one.shown[1],
                "PSI": "" if one.psi is None else f"{one.psi:.3f}",
                "limit": "" if one.chance is None else f"{max(self.psi_limit, one.chance):.3f}",
                "KS": "" if one.ks is None else f"{one.ks:.3f}",
                "drifted": "yes" if one.drifted else "no",
            }
            for one in self.comparisons
        ]


def examine_drift(model: str, *, window_days: int, min_rows: int, psi_limit: float) -> DriftReport:
    """Compare what a model saw in the last days with its reference; `parse_reference` tells what names a model.

    Raises InputError (E-MON-001) if the model has no reference, IntegrityError (E-MON-002) for a damaged record, and
    what `resolve_model` raises.
    """
    registered = named_models.resolve_model(model)
    reference = find_reference(registered)
    since = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=window_days)
    seen = sum_seen(registered.label, since=since)
    return DriftReport(
        name=registered.name,
        version=registered.version,
        window_days=window_days,
        min_rows=min_rows,
        psi_limit=psi_limit,
        rows=seen.rows,
        labelled_rows=seen.labelled_rows,
        comparisons=tuple(compare_profiles(reference, seen, min_rows=min_rows, psi_limit=psi_limit)),
    )


def find_reference(registered: RegisteredModel) -> Profile:
    """Return what a model's validation rows looked like.

    Raises InputError (E-MON-001) if its kind has no profiles, or if it was registered without one.
    """
    monitor = kind_of_model(registered.parts).monitor
    reference = None if monitor is None else monitor.load().read_reference(registered.parts)
    if reference is None:
        raise InputError(
            "E-MON-001",
            f"model {registered.label} was registered without a profile of its validation rows.",
            fix="name a model that classifies; for forecasts `rnnflow backtest` tells how they fared of late.",
        )
    return reference
