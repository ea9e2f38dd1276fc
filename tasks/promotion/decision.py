"""How the gate decides: from the ledger if it has spoken, else from both models on the same rows."""

import contextlib
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from tasks.errors import InputError, IntegrityError
from tasks.promotion import named_models, standing, verdicts
from tasks.promotion.comparison import Comparison, find_objections
from tasks.promotion.identities import GONE
from tasks.promotion.ledger import Entry
from tasks.promotion.scoring import Holdout, Scores
from tasks.promotion.settings import GateSettings
from tasks.promotion.verdicts import Case, Verdict
from tasks.registry.identity import Identity
from tasks.registry.registered_model import RegisteredModel

HoldoutT = TypeVar("HoldoutT", bound=Holdout)
HoldoutT_contra = TypeVar("HoldoutT_contra", bound=Holdout, contravariant=True)
ScoresT = TypeVar("ScoresT", bound=Scores)
SettingsT_contra = TypeVar("SettingsT_contra", bound=GateSettings, contravariant=True)


class Judging(Protocol[HoldoutT_contra, ScoresT, SettingsT_contra]):
    """How a kind compares champion and challenger."""

    def refuse_incomparable(self, case: Case[HoldoutT_contra]) -> None:
        """Raise NotComparable where the champion answers other questions than the test rows ask."""

    def score_model(self, model: RegisteredModel, holdout: HoldoutT_contra) -> ScoresT:
        """Score a registered model on the test rows."""

    def compare_scores(
        self,
        champion: ScoresT,
        challenger: ScoresT,
        holdout: HoldoutT_contra,
        *,
        anchor: dict[str, Any],
        settings: SettingsT_contra,
    ) -> Comparison:
        """Test whether the challenger is better; `anchor` holds the scores of the first champion on these rows."""


class NotComparable(Exception):  # noqa: N818 (it ends a judgement, not the run)
    """Champion and challenger cannot be compared; the arguments are the sentences that say why, and the remedy."""


def recall(case: Case[Holdout]) -> tuple[Verdict, Entry] | None:
    """Find what was decided before, with the entry that says so; None if the models must be compared."""
    entries, challenge = case.entries, case.challenge
    if case.who.is_same(challenge.who):
        crowning = standing.find_crowning(entries)
        current = case.rule("current", [verdicts.state_current(crowning, challenge.version)])
        return replace(current, champion=challenge.version), crowning
    about = standing.find_latest_about(entries, challenge.who)
    if about is not None and about.action == "rollback":
        return case.rule("kept", verdicts.state_rolled_back(about, challenge.version)), about
    kept = standing.find_kept(entries, challenge.who, challenge.holdout.digest)
    return None if kept is None else (Verdict.from_json(kept.verdict), kept)


def judge(case: Case[Holdout], judging: Judging[Any, Any, Any]) -> Verdict:
    """Compare a challenger with the champion on the same rows, in the way of its kind.

    Raises ServiceError (E-SVC-004) if MLflow does not answer.
    """
    holdout = case.challenge.holdout
    anchor = standing.find_anchor(case.entries, holdout.digest)
    try:
        judging.refuse_incomparable(case)
        challenger = open_scores(case, case.challenge.who, judging)
        if not case.champion:
            return crown_first(case, challenger)
        champion = open_scores(case, case.who, judging)
        compared = judging.compare_scores(champion, challenger, holdout, anchor=anchor, settings=case.settings)
    except NotComparable as problem:
        return case.rule("refused", problem.args)
    return decide_on(case, compared)


def crown_first(case: Case[Holdout], scores: Scores) -> Verdict:
    """Make a challenger champion where there is none; it anchors all later ones on these rows."""
    holdout = case.challenge.holdout
    figures = {"rows": holdout.rows, "challenger": scores.figures, "anchor": scores.figures}
    crowned = case.rule("first", [verdicts.state_first(scores, holdout)])
    return replace(crowned, champion=case.challenge.version, figures=figures)


def decide_on(case: Case[Holdout], comparison: Comparison) -> Verdict:
    """Promote a challenger whose gain is significant and to which nothing objects; one more decision on these rows."""
    undecided, metric = case.rule("kept", []), case.settings.metric
    number, alpha = undecided.decisions + 1, undecided.alpha
    significant = comparison.p_value <= alpha
    objections = find_objections(comparison, case.settings) if significant else []
    word = "promoted" if significant and not objections else "kept"
    sentence = verdicts.state_decision(word, comparison, metric=metric, alpha=alpha, number=number)
    return replace(
        undecided,
        verdict=word,
        reasons=[
            sentence,
            *comparison.notes,
            *case.challenge.holdout.notes,
            *objections,
            *verdicts.state_worn(number, case.settings),
        ],
        champion=undecided.challenger if word == "promoted" else undecided.champion,
        decisions=number,
        figures=comparison.figures(),
    )


def refuse_other_rows(case: Case[Holdout]) -> None:
    """Raise NotComparable if the champion may have been trained on the test rows.

    It was not where they are those on which it stands, or follow these.
    """
    (digest, splits), challenge = case.rows_in_force, case.challenge
    holdout = challenge.holdout
    if digest and digest not in (holdout.digest, holdout.origin):
        raise NotComparable(
            f"refused: champion v{case.champion} was chosen on the test rows of {splits} and may have been trained "
            f"on some of the {holdout.rows:,} test {holdout.unit} of {challenge.splits}.",
            f"Fix: train with the test rows of {splits}, or take the new ones over together with this version: "
            f"{verdicts.promote_command(challenge.model, challenge.version)}",
        )


def refuse_differences(
    case: Case[HoldoutT], find_differences: Callable[[RegisteredModel, HoldoutT], Iterator[tuple[str, str]]]
) -> None:
    """Raise NotComparable for the first difference found between the champion, if there is one, and the test rows.

    A difference is what the champion does otherwise, with a remedy.
    """
    if not case.champion:
        return
    challenge, champion = case.challenge, open_version(case, case.who)
    accept = verdicts.promote_command(challenge.model, challenge.version)
    for difference, remedy in find_differences(champion, challenge.holdout):
        raise NotComparable(
            f"refused: champion v{champion.version} {difference}.", f"Fix: {remedy}, or accept this version: {accept}"
        )


def open_version(case: Case[Holdout], who: Identity) -> RegisteredModel:
    """Find a model of the case on this disk; raises NotComparable if it is no longer registered or not intact."""
    with _refusing(case, who):
        return named_models.open_identity(case.challenge.model, who, case.entries)


def open_scores(case: Case[Holdout], who: Identity, judging: Judging[Any, Any, Any]) -> Scores:
    """Score a model on the challenge's rows; raises NotComparable if it is not whole or answers nonsense."""
    model, holdout = open_version(case, who), case.challenge.holdout
    with _refusing(case, who):
        scores = judging.score_model(model, holdout)
    if scores.undefined:
        raise NotComparable(
            f"refused: v{model.version} gives no defined answer to {scores.undefined:,} of {holdout.rows:,} "
            f"{holdout.unit}.",
            "Fix: look at its curves for infinite losses, and train again with a lower learning rate.",
        )
    return scores


@contextlib.contextmanager
def _refusing(case: Case[Holdout], who: Identity) -> Generator[None]:
    """Turn what keeps a model from being scored into a refusal."""
    try:
        yield
    except (InputError, IntegrityError) as error:
        if error.code == GONE:
            raise NotComparable(f"refused: {error.problem}", f"Fix: {error.fix}") from error
        model = case.challenge.model
        raise NotComparable(
            f"refused: v{who.version} cannot be scored: {error.code} {error.place}{error.problem}",
            f"Fix: restore `mlruns/`; or return to the last champion whose files are intact: rnnflow rollback {model} "
            f"--reason TEXT; or accept this version: {verdicts.promote_command(model, case.challenge.version)}",
        ) from error
