"""What a model's entries add up to: who is champion, who was before, on which rows, and what was decided already."""

from collections.abc import Iterable, Sequence

from tasks.promotion.ledger import Entry

CROWNING = ("adopt", "first", "promoted", "promote")


def list_champions(entries: Iterable[Entry]) -> list[str]:
    """Champions in their order, the present one last; a rollback takes back all since the one it returned to."""
    champions: list[str] = []
    for entry in entries:
        if entry.action in CROWNING:
            champions.append(entry.champion)
        elif entry.action == "rollback":
            champions.pop()
            while champions[-1] != entry.champion:
                champions.pop()
    return champions


def find_crowning(entries: Sequence[Entry]) -> Entry:
    """The entry that made the present champion what it is."""
    return next(entry for entry in reversed(entries) if entry.action in (*CROWNING, "rollback"))


def find_latest_about(entries: Sequence[Entry], version: str) -> Entry | None:
    """The last entry that judged, promoted or took back a version."""
    about = (entry for entry in reversed(entries) if entry.challenger == version and entry.action != "noted")
    return next(about, None)


def find_kept(entries: Sequence[Entry], version: str, holdout: str) -> Entry | None:
    """The entry in which these rows decided that a version does not replace the present champion."""
    wanted = ("kept", version, entries[-1].champion if entries else "", holdout)
    found = (one for one in entries if (one.action, one.challenger, one.champion, one.holdout) == wanted)
    return next(found, None)


def find_anchor(entries: Iterable[Entry], holdout: str) -> dict:
    """Figures of the first champion that was scored on these rows; empty if none was."""
    scored = (entry.verdict["figures"] for entry in entries if entry.verdict.get("holdout") == holdout)
    return next((figures["anchor"] for figures in scored if "anchor" in figures), {})


def find_rows_of(entries: Sequence[Entry], version: str) -> tuple[str, str]:
    """Digest of the test rows on which a version was to be decided, and their split; else those in force."""
    about = find_latest_about(entries, version)
    if about is not None and about.verdict.get("holdout"):
        return about.verdict["holdout"], about.verdict["splits"]
    return (entries[-1].holdout, entries[-1].splits) if entries else ("", "")


def find_rows_of_champion(entries: Sequence[Entry], version: str) -> tuple[str, str]:
    """Digest of the test rows on which a past champion stood, and their split."""
    stood = next(entry for entry in reversed(entries) if entry.champion == version)
    return stood.holdout, stood.splits


def has_last_trigger(entries: Iterable[Entry], trigger: str) -> bool:
    """Tell whether the last training run in the ledger was started from the same."""
    triggers = [entry.trigger for entry in entries if entry.trigger]
    return bool(triggers) and triggers[-1] == trigger
