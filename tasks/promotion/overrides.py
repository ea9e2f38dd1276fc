"""What a person decides against or without the gate: make a version champion, or return to an earlier one."""

from collections.abc import Iterator, Sequence

from tasks import registry
from tasks.errors import InputError, IntegrityError, quoted
from tasks.promotion import aliases, ledger, standing
from tasks.promotion.ledger import Draft, Entry
from tasks.registry import CHAMPION, RegisteredModel, resolve_whole_model
from tasks.tracking import check_name

MAX_REASON = 1000  # characters


def promote(reference: str, *, reason: str) -> Entry:
    """Make a version champion, on the word of a person; one that is champion already needs no new entry.

    Raises InputError (E-REG-001, E-REG-002, E-REG-008), IntegrityError (E-REG-003) for a version that is not whole,
    ChampionChanged (E-LED-001) if another entry was made at the same time.
    """
    check_reason(reason)
    model = resolve_whole_model(reference)
    aliases.adopt(model.name)
    entries = ledger.read_entries(model.name)
    if not entries or entries[-1].champion != model.version:
        entry = ledger.append(_draft_promotion(model, entries, reason), expected=len(entries))
    else:
        entry = entries[-1]
    aliases.project(model.name, anew=True)
    return entry


def roll_back(name: str, *, reason: str) -> Entry:
    """Return to the last champion before the present one whose files are whole; repeated, it goes further back.

    A rollback whose aliases were never written, because its process was killed, is completed instead.
    Raises InputError (E-NAME-001, E-REG-008, E-REG-009) if there is none, ChampionChanged (E-LED-001).
    """
    check_reason(reason)
    aliases.adopt(check_name(name, what="model name"))
    entries = ledger.read_entries(name)
    interrupted = entries and entries[-1].action == "rollback"
    if interrupted and registry.read_aliases(name).get(CHAMPION) != entries[-1].champion:
        entry = entries[-1]
    else:
        entry = ledger.append(_draft_rollback(name, entries, reason), expected=len(entries))
    aliases.project(name, anew=True)
    return entry


def check_reason(reason: str) -> None:
    """Refuse to record a change that nobody explains.

    Raises InputError (E-REG-008).
    """
    if not reason.strip() or len(reason) > MAX_REASON:
        raise InputError(
            "E-REG-008",
            f"reason: got {quoted(reason)}, expected 1 to {MAX_REASON:,} characters.",
            fix="say in a sentence why; `rnnflow history` shows it to everyone after you.",
        )


def _draft_promotion(model: RegisteredModel, entries: Sequence[Entry], reason: str) -> Draft:
    holdout, splits = standing.find_rows_of(entries, model.version)
    return Draft(
        model=model.name,
        action="promote",
        champion=model.version,
        previous=entries[-1].champion if entries else "",
        challenger=model.version,
        reason=reason.strip(),
        actor=aliases.current_user(),
        holdout=holdout,
        splits=splits,
    )


def _draft_rollback(name: str, entries: Sequence[Entry], reason: str) -> Draft:
    champions = standing.list_champions(entries)
    position = next(_whole_positions(name, champions), None)
    if position is None:
        raise InputError(
            "E-REG-009",
            f"model {quoted(name)} has no earlier champion whose files are whole.",
            fix=f"see `rnnflow history {name}`; any whole version can be made champion with `rnnflow promote`.",
        )
    version = champions[position]
    holdout, splits = standing.find_rows_of_champion(entries, version)
    return Draft(
        model=name,
        action="rollback",
        champion=version,
        previous=champions[position - 1] if position else "",
        challenger=champions[-1],
        reason=reason.strip(),
        actor=aliases.current_user(),
        holdout=holdout,
        splits=splits,
    )


def _whole_positions(name: str, champions: Sequence[str]) -> Iterator[int]:
    """Yield where in the line of champions a rollback may end, the latest first."""
    for position in reversed(range(len(champions) - 1)):
        if champions[position] != champions[-1] and _is_whole(f"{name}/{champions[position]}"):
            yield position


def _is_whole(label: str) -> bool:
    try:
        resolve_whole_model(label)
    except (InputError, IntegrityError):
        return False
    return True
