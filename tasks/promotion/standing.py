"""What a model's entries add up to: who is champion, who was before, on which rows, and what was decided already."""

from collections.abc import Iterable, Sequence
from typing import Any

from tasks.promotion.ledger import Entry
from tasks.registry.identity import NOBODY, Identity

CROWNING = ("adopt", "first", "promoted", "promote")
# Entries that say nothing new of a model.
PASSING = ("noted", "renumbered")


def list_champions(entries: Iterable[Entry]) -> list[Identity]:
    """Champions in their order, the present one last; a rollback takes back all since the one it returned to."""
    champions: list[Identity] = []
    for entry in entries:
        champion = entry.who("champion")
        if entry.action == "rollback":
            champions.pop()
            while champions and not champions[-1].is_same(champion):
                champions.pop()
        if entry.action in ("rollback", "renumbered"):
            champions[-1:] = [champion]
        elif entry.action in CROWNING:
            champions.append(champion)
    return champions


def find_crowning(entries: Sequence[Entry]) -> Entry:
    """The entry that made the present champion what it is."""
    return next(entry for entry in reversed(entries) if entry.action in (*CROWNING, "rollback"))


def find_latest_about(entries: Sequence[Entry], who: Identity) -> Entry | None:
    """The last entry that judged, promoted or took back a model."""
    about = (one for one in reversed(entries) if one.who("challenger").is_same(who) and one.action not in PASSING)
    return next(about, None)


def find_kept(entries: Sequence[Entry], who: Identity, holdout: str) -> Entry | None:
    """The entry in which these rows decided that a model does not replace the present champion."""
    kept = (one for one in entries if (one.action, one.holdout) == ("kept", holdout))
    champion = entries[-1].who("champion") if entries else NOBODY
    found = (one for one in kept if one.who("challenger").is_same(who) and one.who("champion").is_same(champion))
    return next(found, None)


def find_anchor(entries: Iterable[Entry], holdout: str) -> dict[str, Any]:
    """Scores of the first champion that was scored on these rows; empty if none was."""
    scored = (entry.verdict["figures"] for entry in entries if entry.verdict.get("holdout") == holdout)
    return next((figures["anchor"] for figures in scored if "anchor" in figures), {})


def find_rows_of(entries: Sequence[Entry], who: Identity) -> tuple[str, str]:
    """Digest of the test rows on which a model was to be decided, and their split; else those in force."""
    about = find_latest_about(entries, who)
    if about is not None and about.verdict.get("holdout"):
        return about.verdict["holdout"], about.verdict["splits"]
    return (entries[-1].holdout, entries[-1].splits) if entries else ("", "")


def find_rows_of_champion(entries: Sequence[Entry], who: Identity) -> tuple[str, str]:
    """Digest of the test rows on which a past champion stood, and their split."""
    stood = next(entry for entry in reversed(entries) if entry.who("champion").is_same(who))
    return stood.holdout, stood.splits


def has_last_trigger(entries: Iterable[Entry], trigger: str) -> bool:
    """Tell whether the last training run in the ledger was started from the same."""
    triggers = [entry.trigger for entry in entries if entry.trigger]
    return bool(triggers) and triggers[-1] == trigger
