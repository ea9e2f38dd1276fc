"""What a person decides against or without the gate: make a version champion, or return to an earlier one."""

from collections.abc import Sequence

from tasks.errors import InputError, IntegrityError, quoted
from tasks.promotion import aliases, ledger, ownership, standing
from tasks.promotion.identities import locate
from tasks.promotion.ledger import Draft, Entry
from tasks.promotion.named_models import resolve_whole_model
from tasks.registry import registrations
from tasks.registry.identity import CHAMPION, NOBODY, Identity, RoleFields, as_fields
from tasks.registry.registered_model import RegisteredModel
from tasks.tracking.mlflow_client import check_name

MAX_REASON = 1000  # characters


def promote(reference: str, *, reason: str) -> Entry:
    """Make a version champion, on the word of a person; one that is champion already needs no new entry.

    Raises InputError (E-REG-001, E-REG-002, E-REG-008), IntegrityError (E-REG-003) for a version that is not whole,
    ServiceError: E-LED-001 if another entry was made at the same time, E-LED-004 and E-LED-005 if another ledger
    decides.
    """
    check_reason(reason)
    model = resolve_whole_model(reference)
    aliases.adopt(model.name)
    entries = ownership.read_own_decisions(model.name)
    if not entries or not entries[-1].who(CHAMPION).is_same(model.identity):
        ledger.append(_draft_promotion(model, entries, reason), expected=len(entries))
    aliases.project(model.name, anew=True)
    return ledger.read_entries(model.name)[-1]


def roll_back(name: str, *, reason: str) -> Entry:
    """Return to the last champion before the present one whose files are whole; repeated, it goes further back.

    A rollback whose aliases were never written, because its process was killed, is completed instead.
    Raises InputError (E-NAME-001, E-REG-008, E-REG-009) if there is none, ServiceError (E-LED-001, E-LED-004,
    E-LED-005).
    """
    check_reason(reason)
    aliases.adopt(check_name(name, what="model name"))
    entries = ownership.read_own_decisions(name)
    if not _is_interrupted_rollback(name, entries):
        ledger.append(_draft_rollback(name, entries, reason), expected=len(entries))
    aliases.project(name, anew=True)
    return ledger.read_entries(name)[-1]


def find_way_back(name: str) -> str:
    """Number of the version to which a rollback would return; empty if there is none.

    Raises InputError (E-NAME-001), ServiceError (E-LED-003, E-LED-004, E-LED-005, E-SVC-004).
    """
    entries = ownership.read_own_decisions(check_name(name, what="model name"))
    back = _find_back(name, standing.list_champions(entries))
    return back[1].version if back else ""


def check_reason(reason: str) -> None:
    """Refuse to record a change that nobody explains.

    Raises InputError (E-REG-008).
    """
    if not reason.strip() or len(reason) > MAX_REASON:
        raise InputError(
            "E-REG-008",
            f"reason: got {quoted(reason)}, expected 1 to {MAX_REASON:,} characters.",
            fix="give the reason in one sentence; `rnnflow history` shows it.",
        )


def _draft_promotion(model: RegisteredModel, entries: Sequence[Entry], reason: str) -> Draft:
    before = entries[-1].who(CHAMPION) if entries else NOBODY
    roles = as_fields(champion=model.identity, previous=before, challenger=model.identity)
    return _draft("promote", model.name, roles, reason, rows=standing.find_rows_of(entries, model.identity))


def _draft_rollback(name: str, entries: Sequence[Entry], reason: str) -> Draft:
    champions = standing.list_champions(entries)
    back = _find_back(name, champions)
    if back is None:
        raise InputError(
            "E-REG-009",
            f"model {quoted(name)} has no earlier champion whose files are intact.",
            fix=f"see `rnnflow history {name}`; any intact version can be made champion with `rnnflow promote`.",
        )
    position, champion = back
    before = champions[position - 1] if position else NOBODY
    roles = as_fields(champion=champion, previous=before, challenger=champions[-1])
    return _draft("rollback", name, roles, reason, rows=standing.find_rows_of_champion(entries, champions[position]))


def _draft(action: str, model: str, roles: RoleFields, reason: str, *, rows: tuple[str, str]) -> Draft:
    """Write a person's word down; `rows` are the digest of the test rows it is about, and their split."""
    holdout, splits = rows
    return Draft(
        model=model,
        action=action,
        **roles,
        reason=reason.strip(),
        actor=aliases.current_user(),
        holdout=holdout,
        splits=splits,
    )


def _is_interrupted_rollback(name: str, entries: Sequence[Entry]) -> bool:
    """Tell whether the last entry is a rollback to a model that is registered and that no alias shows."""
    if not entries or entries[-1].action != "rollback":
        return False
    number = locate(entries[-1].who(CHAMPION), registrations.read_versions(name))
    return bool(number) and registrations.read_aliases(name).get(CHAMPION) != number


def _find_back(name: str, champions: Sequence[Identity]) -> tuple[int, Identity] | None:
    """Where in the line of champions a rollback ends, and the model there as it is now; None if none is whole."""
    versions = registrations.read_versions(name)
    for position in reversed(range(len(champions) - 1)):
        number = locate(champions[position], versions)
        if number and not champions[position].is_same(champions[-1]) and _is_whole(f"{name}/{number}"):
            return position, Identity(number, champions[position].content)
    return None


def _is_whole(label: str) -> bool:
    try:
        resolve_whole_model(label)
    except (InputError, IntegrityError):
        return False
    return True
