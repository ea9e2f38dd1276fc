"""How the gate comes to its word: from the ledger if it has spoken, else from both models on the same rows."""

from dataclasses import replace

from tasks import registry
from tasks.errors import InputError, IntegrityError
from tasks.promotion import standing, verdicts
from tasks.promotion.comparison import Comparison, compare_scores, find_objections
from tasks.promotion.ledger import Entry
from tasks.promotion.scoring import Scores, score_model
from tasks.promotion.verdicts import Case, Verdict


class NotComparable(Exception):  # noqa: N818 (it ends a judgement, not the run)
    """Champion and challenger cannot be compared; the arguments are the sentences that say why, and the remedy."""


def recall(case: Case) -> tuple[Verdict, Entry] | None:
    """Find what was decided before, with the entry that says so; None if the models must be compared."""
    entries, challenge = case.entries, case.challenge
    if case.champion == challenge.version:
        crowning = standing.find_crowning(entries)
        return case.rule("current", [verdicts.state_current(crowning)]), crowning
    about = standing.find_latest_about(entries, challenge.version)
    if about is not None and about.action == "rollback":
        return case.rule("kept", verdicts.state_rolled_back(about)), about
    kept = standing.find_kept(entries, challenge.version, challenge.holdout.digest)
    return None if kept is None else (Verdict.from_json(kept.verdict), kept)


def judge(case: Case) -> Verdict:
    """Compare a challenger with the champion on the same rows.

    Raises ServiceError (E-SVC-004) if MLflow does not answer.
    """
    try:
        refuse_other_rows(case)
        challenger = open_scores(case, case.challenge.version)
        champion = open_scores(case, case.champion) if case.champion else None
    except NotComparable as problem:
        return case.rule("refused", problem.args)
    if champion is None:
        return crown_first(case, challenger)
    anchor = standing.find_anchor(case.entries, case.challenge.holdout.digest)
    return decide_on(
        case, compare_scores(champion, challenger, case.challenge.holdout, anchor=anchor, settings=case.settings)
    )


def crown_first(case: Case, scores: Scores) -> Verdict:
    """Make a challenger champion where there is none; it anchors all later ones on these rows."""
    sentence = verdicts.state_first(scores.figures, case.challenge.holdout.rows)
    figures = {"rows": case.challenge.holdout.rows, "challenger": scores.figures, "anchor": scores.figures}
    return replace(case.rule("first", [sentence]), champion=case.challenge.version, figures=figures)


def decide_on(case: Case, comparison: Comparison) -> Verdict:
    """Promote a challenger whose gain is no luck and to which nothing objects; one more decision of these rows."""
    undecided, metric = case.rule("kept", []), case.settings.metric
    number, alpha = undecided.decisions + 1, undecided.alpha
    significant = comparison.p_value <= alpha
    objections = find_objections(comparison, case.settings) if significant else []
    word = "promoted" if significant and not objections else "kept"
    sentence = verdicts.state_decision(word, comparison, metric=metric, alpha=alpha, number=number)
    return replace(
        undecided,
        verdict=word,
        reasons=[sentence, *objections, *verdicts.state_worn(number, case.settings)],
        champion=undecided.challenger if word == "promoted" else undecided.champion,
        decisions=number,
        figures=comparison.figures(),
    )


def refuse_other_rows(case: Case) -> None:
    """Raise NotComparable if the champion stands on other test rows, which it may have been trained on."""
    (digest, splits), challenge = case.rows_in_force, case.challenge
    if digest and digest != challenge.holdout.digest:
        raise NotComparable(
            f"refused: champion v{case.champion} was decided on the test rows of {splits} and may have been "
            f"trained on some of the {challenge.holdout.rows:,} test rows of {challenge.splits}.",
            f"Fix: train with the test rows of {splits}, or take the new ones over together with this version: "
            f"{verdicts.promote_command(challenge.model, challenge.version)}",
        )


def open_scores(case: Case, version: str) -> Scores:
    """Score a version on the challenge's rows; raises NotComparable if it is not whole or answers nonsense."""
    model, holdout = case.challenge.model, case.challenge.holdout
    try:
        scores = score_model(registry.resolve_whole_model(f"{model}/{version}"), holdout)
    except (InputError, IntegrityError) as error:
        raise NotComparable(
            f"refused: v{version} cannot be scored: {error.code} {error.place}{error.problem}",
            f"Fix: restore `mlruns/`; or return to the last champion that is whole: rnnflow rollback {model} "
            f"--reason TEXT; or accept this version: {verdicts.promote_command(model, case.challenge.version)}",
        ) from error
    if scores.undefined:
        raise NotComparable(
            f"refused: v{version} gives no defined answer to {scores.undefined:,} of {holdout.rows:,} rows.",
            "Fix: look at its curves for infinite losses, and train again with a lower learning rate.",
        )
    return scores
