"""MLflow's aliases `champion`, `previous` and `challenger`: projections of the ledger, moved here and nowhere else.

A note beside the store says up to which entry a model's aliases were written, so that a rerun needs no MLflow, and so
that an alias moved by hand can be told from one that a killed process left behind.
"""

import contextlib
import fcntl
import getpass
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rnnmodels.durable import write_durably
from tasks import registry, tracking
from tasks.errors import IntegrityError
from tasks.fingerprint import digest_of
from tasks.promotion import ledger
from tasks.promotion.database import ledger_setting
from tasks.promotion.ledger import ChampionChanged, Draft, Entry
from tasks.registry import ALIASES, CHALLENGER, CHAMPION, PREVIOUS

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What `reconcile` met at a model: `adopted`, `completed` (after a kill), `restored` (after a hand) or `broken`."""

    model: str
    kind: Literal["adopted", "completed", "restored", "broken"]
    sentence: str


def aliases_of(entry: Entry) -> dict[str, str]:
    """The aliases that an entry asks for; a challenger that became champion is none any more."""
    wanted = {CHAMPION: entry.champion, PREVIOUS: entry.previous, CHALLENGER: entry.challenger}
    return {
        alias: version
        for alias, version in wanted.items()
        if version and (alias == CHAMPION or version != entry.champion)
    }


def project(model: str, *, anew: bool = False) -> None:
    """Have MLflow's aliases say what the ledger says; without `anew`, free where that was done for its last entry.

    Raises IntegrityError (E-REG-007) if the champion's version is gone, ServiceError (E-SVC-004, E-LED-003).
    """
    entry = ledger.head(model)
    if entry is None or (_noted_number(model) == entry.number and not anew):
        return
    with _sole_writer():
        written = None
        # Another machine may append meanwhile, and its aliases must not be overwritten with older ones.
        while written != (entry := ledger.head(model)):
            _note(model).unlink(missing_ok=True)
            _write(entry)
            written = entry
        _note(model).parent.mkdir(parents=True, exist_ok=True)
        write_durably(_note(model), str(entry.number).encode())


def reconcile() -> list[Finding]:
    """Bring the aliases of all models to what the ledger says, and report what was found otherwise.

    Raises ServiceError (E-SVC-004, E-LED-003).
    """
    findings = []
    for model in sorted({*ledger.list_models(), *registry.list_registered()}):
        try:
            findings.append(reconcile_model(model))
        except IntegrityError as error:
            logger.error("%s", error)  # noqa: TRY400 (a user's fault needs no traceback)
            findings.append(Finding(model=model, kind="broken", sentence=str(error)))
    return [finding for finding in findings if finding is not None]


def reconcile_model(model: str) -> Finding | None:
    """Bring one model's aliases to what the ledger says; None if they were.

    Raises IntegrityError (E-LED-002, E-REG-007), ServiceError (E-SVC-004, E-LED-003).
    """
    if adopt(model) is not None:
        project(model)
        sentence = f"{model}: the champion found in MLflow opens the ledger."
        return Finding(model=model, kind="adopted", sentence=sentence)
    entry = ledger.head(model)
    if entry is None:
        return None
    found, by_hand = _read(model), _noted_number(model) == entry.number
    if found == aliases_of(entry):
        return None
    project(model, anew=True)
    if found == _read(model):  # a version that is not champion was deleted
        return None
    return _restored(entry, found) if by_hand else _completed(entry)


def adopt(model: str) -> Entry | None:
    """Open the ledger of a model whose champion is older than it; None if there is nothing to adopt.

    Raises ServiceError (E-SVC-004, E-LED-003).
    """
    if ledger.head(model) is not None:
        return None
    champion = registry.read_aliases(model).get(CHAMPION)
    if champion is None:
        return None
    reason = "was champion in MLflow before there was a ledger"
    with contextlib.suppress(ChampionChanged):
        draft = Draft(model=model, action="adopt", champion=champion, reason=reason, actor=current_user())
        return ledger.append(draft, expected=0)
    return None


def current_user() -> str:
    """Name of the person (or account) that runs this process."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def _completed(entry: Entry) -> Finding:
    sentence = f"{entry.model}: the aliases were not written for entry {entry.number} ({entry.action}); now they are."
    logger.info("%s", sentence)
    return Finding(model=entry.model, kind="completed", sentence=sentence)


def _restored(entry: Entry, found: dict[str, str]) -> Finding:
    wanted = aliases_of(entry)
    moved = [alias for alias in ALIASES if found.get(alias) != wanted.get(alias)]
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
    return {alias: version for alias, version in registry.read_aliases(model).items() if alias in ALIASES}


def _write(entry: Entry) -> None:
    wanted = aliases_of(entry)
    if CHAMPION in wanted and not _set_alias(entry.model, CHAMPION, wanted[CHAMPION]):
        raise IntegrityError(
            "E-REG-007",
            f"champion {entry.model}/{entry.champion} (entry {entry.number}) is no longer registered.",
            fix="restore MLflow's store, or return to the last champion that is whole: "
            f"rnnflow rollback {entry.model} --reason TEXT",
        )
    for alias in (PREVIOUS, CHALLENGER):
        if alias not in wanted or not _set_alias(entry.model, alias, wanted[alias]):
            with tracking.answering():
                tracking.connect().delete_registered_model_alias(entry.model, alias)


def _set_alias(model: str, alias: str, version: str) -> bool:
    """Point an alias to a version; False if there is no such version."""
    with tracking.answering():
        try:
            tracking.connect().set_registered_model_alias(model, alias, version)
        except tracking.load_mlflow().MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return False
    return True


@contextlib.contextmanager
def _sole_writer() -> Iterator[None]:
    """Let one process of this machine at a time write aliases; the kernel frees the lock on any death."""
    tracking.mlruns().mkdir(parents=True, exist_ok=True)
    with (tracking.mlruns() / "aliases.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _note(model: str) -> Path:
    return tracking.mlruns() / "aliases" / digest_of([tracking.store_name(), ledger_setting()])[:12] / model


def _noted_number(model: str) -> int:
    with contextlib.suppress(FileNotFoundError):
        return int(_note(model).read_bytes())
    return 0
