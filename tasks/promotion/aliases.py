"""MLflow's aliases `champion`, `previous` and `challenger`: projections of the ledger, moved here and nowhere else.

An alias follows the content that the ledger names: to the number under which it is registered now, or nowhere. A note
next to the store says up to which entry a model's aliases were written, so that a rerun needs no MLflow, and so that an
alias moved by hand can be told from one that a killed process left behind.
"""

import contextlib
import getpass
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rnnmodels.durable import write_durably
from tasks.errors import IntegrityError, ServiceError
from tasks.promotion import identities, ledger, ownership
from tasks.promotion.database import ledger_setting
from tasks.promotion.identities import Versions, locate, roles_of
from tasks.promotion.ledger import ChampionChanged, Draft, Entry
from tasks.registry import registrations
from tasks.registry.identity import CHALLENGER, CHAMPION, PREVIOUS, ROLES, Identity, as_fields
from tasks.store.fingerprint import digest_of
from tasks.store.locks import sole_holder
from tasks.tracking import mlflow_client

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What `reconcile` met at a model.

    `adopted`, `completed` (after a kill), `restored` (after a hand), `broken` (the champion is gone), or `foreign`
    (another ledger decides, so nothing was written).
    """

    model: str
    kind: Literal["adopted", "completed", "restored", "broken", "foreign"]
    sentence: str


def project(model: str, *, anew: bool = False) -> None:
    """Make MLflow's aliases agree with the ledger; without `anew`, free if that was done for its last entry.

    Raises IntegrityError (E-REG-007) if the champion is gone, ServiceError (E-SVC-004, E-LED-003 to E-LED-005).
    """
    entry = ledger.head(model)
    if entry is None or (_noted_number(model) == entry.number and not anew):
        return
    with sole_holder(mlflow_client.mlruns() / "aliases.lock"):
        written = None
        # Another machine may append meanwhile, and its aliases must not be overwritten with older ones.
        while written is None or written.number != ledger.read_entries(model)[-1].number:
            _note(model).unlink(missing_ok=True)
            with contextlib.suppress(ChampionChanged):
                written = _write(model)
        _note(model).parent.mkdir(parents=True, exist_ok=True)
        write_durably(_note(model), str(written.number).encode())


def reconcile() -> list[Finding]:
    """Bring the aliases of all models to what the ledger says, and report what was found otherwise.

    Raises ServiceError (E-SVC-004, E-LED-003).
    """
    models = {*ledger.list_models(), *(registrations.list_registered() if _adopts_all() else ())}
    findings = [_report(model) for model in sorted(models)]
    return [finding for finding in findings if finding is not None]


def reconcile_model(model: str) -> Finding | None:
    """Bring one model's aliases to what the ledger says; None if they were.

    Raises IntegrityError (E-LED-002, E-REG-007), ServiceError (E-SVC-004, E-LED-003 to E-LED-005).
    """
    if adopt(model) is not None:
        project(model)
        sentence = f"{model}: the champion found in MLflow becomes the first entry of the ledger."
        return Finding(model=model, kind="adopted", sentence=sentence)
    if ledger.head(model) is None:
        return None
    entries, versions = ownership.read_own_decisions(model), registrations.read_versions(model)
    entry, found, by_hand = entries[-1], _read(model), _noted_number(model) == entries[-1].number
    if found == _place(entry, versions) and _is_placed(entry, versions):
        return None
    project(model, anew=True)
    after = ledger.read_entries(model)[-1]
    if after.number != entry.number:
        return Finding(model=model, kind="completed", sentence=f"{model}: {after.reason}")
    return _restored(entry, found, _read(model)) if by_hand else _completed(entry)


def adopt(model: str) -> Entry | None:
    """Open the ledger of a model whose champion is older than it; None if there is nothing to adopt.

    Raises ServiceError (E-SVC-004, E-LED-003, E-LED-004).
    """
    if ledger.head(model) is not None:
        return None
    registration = registrations.read_registration(model)
    if registration is None or CHAMPION not in registration.aliases:
        return None
    ownership.refuse_other_ledger(model, [], registration.tags)
    champion, versions = registration.aliases[CHAMPION], registrations.read_versions(model)
    with contextlib.suppress(ChampionChanged):
        draft = Draft(
            model=model,
            action="adopt",
            champion=champion,
            champion_content=versions[champion],
            reason="was champion in MLflow before there was a ledger",
            actor=current_user(),
        )
        return ledger.append(draft, expected=0)
    return None


def current_user() -> str:
    """Name of the person (or account) that runs this process."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def _adopts_all() -> bool:
    """Tell whether champions of models that this ledger does not know are its business: not those of other projects."""
    return mlflow_client.is_own_store() or bool(ledger_setting())


def _report(model: str) -> Finding | None:
    """Reconcile a model; what keeps its aliases from following the ledger is a finding, too."""
    try:
        return reconcile_model(model)
    except IntegrityError as error:
        return Finding(model=model, kind="broken", sentence=str(error))
    except ServiceError as error:
        if error.code not in ("E-LED-004", "E-LED-005"):
            raise
        is_ours = ledger.head(model) is not None
        return Finding(model=model, kind="foreign", sentence=str(error)) if is_ours else None


def _completed(entry: Entry) -> Finding:
    sentence = f"{entry.model}: the aliases were not written for entry {entry.number} ({entry.action}); now they are."
    logger.info("%s", sentence)
    return Finding(model=entry.model, kind="completed", sentence=sentence)


def _restored(entry: Entry, found: dict[str, str], wanted: dict[str, str]) -> Finding:
    moved = [alias for alias in ROLES if found.get(alias) != wanted.get(alias)]
    changes = "; ".join(f"{alias} was {_version(found, alias)}, is {_version(wanted, alias)} again" for alias in moved)
    accepting = found.get(CHAMPION, "")
    accept = f" To accept v{accepting}: rnnflow promote {entry.model}/{accepting} --reason TEXT"
    sentence = f"{entry.model}: aliases were moved by hand and were put back to entry {entry.number}: {changes}."
    sentence += accept if accepting and CHAMPION in moved else ""
    logger.warning("%s", sentence)
    return Finding(model=entry.model, kind="restored", sentence=sentence)


def _version(aliases: dict[str, str], alias: str) -> str:
    return f"v{aliases[alias]}" if alias in aliases else "nowhere"


def _read(model: str) -> dict[str, str]:
    return {alias: version for alias, version in registrations.read_aliases(model).items() if alias in ROLES}


def _place(entry: Entry, versions: Versions) -> dict[str, str]:
    """The numbers that the aliases of an entry have now; one whose model is gone has none."""
    located = {alias: locate(who, versions) for alias, who in roles_of(entry).items()}
    return {alias: number for alias, number in located.items() if number}


def _is_placed(entry: Entry, versions: Versions) -> bool:
    """Tell whether the champion, if there is one, is registered under the number that the ledger says."""
    return not entry.champion or locate(entry.who(CHAMPION), versions) == entry.champion


def _write(model: str) -> Entry:
    """Write the aliases of the last entry, which is returned; a champion that has another number gets an entry."""
    # Read before the entries, which then hold whatever these tags speak of.
    registration = registrations.read_registration(model)
    tags = registration.tags if registration else {}
    entries, versions = ledger.read_entries(model), registrations.read_versions(model)
    ownership.refuse_other_ledger(model, entries, tags)
    entry = entries[-1]
    placed = _place(entry, versions)
    if CHAMPION in placed and placed[CHAMPION] != entry.champion:
        entry = _renumber(entry, placed[CHAMPION])
    if registration is not None:
        moved = {alias: placed.get(alias, "") for alias in ROLES if alias in placed or alias in registration.aliases}
        registrations.mark_model(model, tags=ownership.describe_entry(entry), aliases=moved)
    if entry.champion and CHAMPION not in placed:
        raise identities.report_gone(entries, versions)
    return entry


def _renumber(entry: Entry, number: str) -> Entry:
    """Note that the champion was registered again; raises ChampionChanged (E-LED-001)."""
    draft = Draft(
        model=entry.model,
        action="renumbered",
        **as_fields(
            champion=Identity(number, entry.champion_content),
            previous=entry.who(PREVIOUS),
            challenger=entry.who(CHALLENGER),
        ),
        reason=f"champion v{entry.champion} was deleted in MLflow, and the same model is registered as v{number}.",
        actor=current_user(),
        holdout=entry.holdout,
        splits=entry.splits,
    )
    return ledger.append(draft, expected=entry.number)


def _note(model: str) -> Path:
    return mlflow_client.mlruns() / "aliases" / digest_of([mlflow_client.store_name(), ledger_setting()])[:12] / model


def _noted_number(model: str) -> int:
    with contextlib.suppress(FileNotFoundError):
        return int(_note(model).read_bytes())
    return 0
