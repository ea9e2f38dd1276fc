"""The gate's verdict on a challenger: one word, its reasons in sentences, the numbers that support them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Generic, Literal, TypeAlias, TypeVar

from tasks.promotion.comparison import Comparison
from tasks.promotion.ledger import DECISIONS, Draft, Entry
from tasks.promotion.scoring import Holdout, Scores
from tasks.promotion.settings import GateSettings
from tasks.promotion.wear import alpha_of_decision
from tasks.registry.identity import NOBODY, Identity, as_fields

GATE = "gate"
DECIDING = ("first", "promoted", "kept")
CROWNED = ("first", "promoted", "current")

Word: TypeAlias = Literal["first", "promoted", "kept", "current", "refused"]

HoldoutT_co = TypeVar("HoldoutT_co", bound=Holdout, covariant=True)


@dataclass(frozen=True, kw_only=True)
class Challenge(Generic[HoldoutT_co]):
    """A version that wants to be champion, the test rows that decide, and the run that brought it."""

    model: str
    version: str
    content: str
    holdout: HoldoutT_co
    splits: str
    trigger: str
    flow_run: str
    mlflow_run: str

    @property
    def who(self) -> Identity:
        """The challenger as the ledger names it."""
        return Identity(self.version, self.content)

    @property
    def label(self) -> str:
        """`name/version` of the challenger."""
        return f"{self.model}/{self.version}"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The gate's word; `champion` is the version that is champion from now on, `alias` what the challenger is called.

    `decisions` counts how often these rows have decided, this time included, and `alpha` is what the test was granted.
    """

    verdict: Word
    reasons: Sequence[str]
    champion: str
    challenger: str
    holdout: str
    splits: str
    alpha: float
    decisions: int
    figures: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def alias(self) -> str:
        """`champion` or `challenger`."""
        return "champion" if self.verdict in CROWNED else "challenger"

    def as_json(self) -> dict[str, Any]:
        """JSON value of everything."""
        return {**asdict(self), "alias": self.alias}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Verdict":
        """Read what `as_json` wrote."""
        return cls(**{name: one for name, one in value.items() if name != "alias"})


@dataclass(frozen=True, kw_only=True)
class Case(Generic[HoldoutT_co]):
    """A challenge with all that is known of its model, and the rules by which it is judged."""

    entries: Sequence[Entry]
    challenge: Challenge[HoldoutT_co]
    settings: GateSettings

    @property
    def who(self) -> Identity:
        """The model that is champion now; empty if none is."""
        return self.entries[-1].who("champion") if self.entries else NOBODY

    @property
    def champion(self) -> str:
        """The champion's number."""
        return self.who.version

    @property
    def rows_in_force(self) -> tuple[str, str]:
        """Digest of the test rows on which the champion stands, and their split."""
        return (self.entries[-1].holdout, self.entries[-1].splits) if self.entries else ("", "")

    @property
    def decisions(self) -> int:
        """How often the rows of the challenge have decided so far, also before the source changed their labels."""
        holdout = self.challenge.holdout
        return max(count_decisions(self.entries, digest) for digest in (holdout.digest, holdout.origin))

    def rule(self, verdict: Word, reasons: Sequence[str]) -> Verdict:
        """A verdict without scores, which leaves the champion and the wear of the rows as they are."""
        return Verdict(
            verdict=verdict,
            reasons=list(reasons),
            champion=self.champion,
            challenger=self.challenge.version,
            holdout=self.challenge.holdout.digest,
            splits=self.challenge.splits,
            alpha=alpha_of_decision(self.settings.alpha, self.decisions + 1),
            decisions=self.decisions,
            settings=self.settings.model_dump(mode="json"),
        )

    def draft(self, verdict: Verdict, *, action: str = "") -> Draft:
        """Write a verdict down; where rows have decided, they are those in force from now on."""
        challenge, head = self.challenge, self.entries[-1] if self.entries else None
        decided = (challenge.holdout.digest, challenge.splits)
        holdout, splits = decided if (action or verdict.verdict) in DECIDING else self.rows_in_force
        champion = challenge.who if verdict.verdict in CROWNED else self.who
        previous = head.who("previous") if head else NOBODY
        if verdict.verdict == "promoted":
            previous = self.who
        return Draft(
            model=challenge.model,
            action=action or verdict.verdict,
            **as_fields(champion=champion, previous=previous, challenger=challenge.who),
            reason=verdict.reasons[0],
            actor=GATE,
            verdict=verdict.as_json(),
            holdout=holdout,
            splits=splits,
            trigger=challenge.trigger,
            flow_run=challenge.flow_run,
            mlflow_run=challenge.mlflow_run,
        )


def count_decisions(entries: Sequence[Entry], holdout: str) -> int:
    """How often test rows have decided, with what their first decision counted of the rows that they follow."""
    decided = [entry for entry in entries if entry.action in DECISIONS and entry.holdout == holdout]
    earlier = max(decided[0].verdict.get("decisions", 1) - 1, 0) if decided else 0
    return earlier + len(decided)


def state_decision(verdict: str, comparison: Comparison, *, metric: str, alpha: float, number: int) -> str:
    """The first sentence of a decision: both scores, the rows, the test."""
    challenger, champion = (comparison.show(one, metric) for one in (comparison.challenger, comparison.champion))
    sign = "<=" if comparison.p_value <= alpha else ">"
    return (
        f"{verdict}: {challenger} against {champion} of champion v{comparison.champion['version']} "
        f"on {comparison.describe_evidence(metric)}; "
        f"p = {comparison.p_value:.2g} {sign} alpha {alpha:.2g} (decision {number} on these rows)."
    )


def state_first(scores: Scores, holdout: Holdout) -> str:
    """The sentence on a model that has no champion yet."""
    place = f"on {holdout.rows:,} {holdout.unit}"
    return f"first: becomes champion; {scores.headline} {place} is the reference for later models."


def state_current(crowning: Entry, version: str) -> str:
    """The sentence on a challenger that is already the champion, perhaps under another number."""
    since = f"since {crowning.created[:10]} (entry {crowning.number}: {crowning.action})"
    if crowning.champion != version:
        return f"current: v{version} is the same model as the champion v{crowning.champion}, {since}."
    return f"current: v{version} is already the champion, {since}."


def state_rolled_back(rollback: Entry, version: str) -> list[str]:
    """The sentences on a challenger from which a person returned to an earlier version."""
    return [
        f"kept: v{version} was rolled back on {rollback.created[:10]} by {rollback.actor} "
        f"(entry {rollback.number}: {rollback.reason}), so it is not promoted automatically.",
        f"Fix: to accept it anyway: {promote_command(rollback.model, version)}",
    ]


def state_worn(decisions: int, settings: GateSettings) -> list[str]:
    """A warning that the test rows have been used too often; else nothing."""
    if decisions <= settings.max_decisions:
        return []
    return [
        f"These test rows have been used for {decisions} decisions (limit {settings.max_decisions}). Collect new "
        "ones, train on a split with them, and accept the first model by hand."
    ]


def promote_command(model: str, version: str) -> str:
    """How a person makes a version champion against the gate's word."""
    return f"rnnflow promote {model}/{version} --reason TEXT"
