"""What a registered model saw recently, compared with its reference: as numbers, as a table and in one sentence."""

import dataclasses
import datetime
from dataclasses import dataclass

from tasks.contract.profile import Profile, Watch, read_profile
from tasks.errors import InputError
from tasks.kinds import kind_of_model
from tasks.monitoring.drift import LEAST_EXPECTED, Comparison, compare_profiles
from tasks.monitoring.seen import sum_seen
from tasks.promotion import named_models
from tasks.registry.registered_model import RegisteredModel

MAX_SAID = 5  # features in a sentence; the table has all


@dataclass(frozen=True, kw_only=True)
class DriftReport:
    """How the rows that a version saw in the last days compare with its validation rows; `unit` is what a row is."""

    name: str
    version: str
    unit: str
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
        unit = self.unit.removesuffix("s") if self.rows == 1 else self.unit
        saw = f"{self.model} saw {self.rows:,} {unit} in {self.window_days} days"
        if self.status == "too few rows":
            return f"{saw}: too few to judge, at least {self.min_rows:,} are needed."
        if self.status == "stable":
            return f"{saw}: they resemble its validation rows, within the limits."
        said = [one.describe() for one in self.moved[:MAX_SAID]]
        said += [f"{len(self.moved) - MAX_SAID} more"] * (len(self.moved) > MAX_SAID)
        return f"{saw} that differ from its validation rows: {'; '.join(said)}."

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
    """Compare what a model saw in the last days with its reference; `parse_reference` says what names a model.

    Fewer than `min_rows` are not judged; 0 takes the default of its kind.

    Raises InputError (E-MON-001) if the model has no reference, IntegrityError (E-MON-002) for a damaged record, and
    what `resolve_model` raises.
    """
    registered = named_models.resolve_model(model)
    watch, reference = find_reference(registered)
    min_rows = min_rows or watch.min_rows
    since = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=window_days)
    seen = sum_seen(registered.label, since=since)
    return DriftReport(
        name=registered.name,
        version=registered.version,
        unit=watch.unit,
        window_days=window_days,
        min_rows=min_rows,
        psi_limit=psi_limit,
        rows=seen.rows,
        labelled_rows=seen.labelled_rows,
        comparisons=tuple(compare_profiles(reference, seen, watch=watch, min_rows=min_rows, psi_limit=psi_limit)),
    )


def find_reference(registered: RegisteredModel) -> tuple[Watch, Profile]:
    """Return what is watched of a model, and what its validation rows looked like.

    Raises InputError (E-MON-001) if its kind has no profiles, or if it was registered without one.
    """
    kind = kind_of_model(registered.parts)
    if kind.monitor is None:
        raise InputError(
            "E-MON-001",
            f"model {registered.label} is of kind {kind.name}, which defines nothing to monitor.",
            fix="name a model of another kind, or give the kind a `monitor`.",
        )
    reference = read_profile(registered.parts)
    if reference is None:
        raise InputError(
            "E-MON-001",
            f"model {registered.label} was registered without a profile of its validation rows, or by a "
            "release with another format of profiles.",
            fix="train it again; what it receives is counted from then on.",
        )
    watch = kind.monitor.load().WATCH
    if reference.rows < LEAST_EXPECTED:
        raise InputError(
            "E-MON-001",
            f"the validation rows of model {registered.label} are {reference.rows} {watch.unit}, too few to compare "
            "with.",
            fix="train it on more rows; a window of series is as long as their horizon.",
        )
    return watch, reference
