"""Whose aliases a registered model bears: one ledger decides, and others leave them alone.

A tag of the registered model names the ledger that decides, another the last entry for which aliases were written.
So two projects on one MLflow with ledgers of their own are told apart, and so are copies of one ledger that went on
apart.
"""

import platform
from collections.abc import Mapping, Sequence

from tasks.errors import ServiceError, quoted
from tasks.promotion import ledger
from tasks.promotion.database import SQLITE, is_file, ledger_place, ledger_setting
from tasks.promotion.ledger import Entry
from tasks.registry import registrations
from tasks.tracking import mlflow_client

OWNER, PLACE, HEAD = "rnnflow.ledger", "rnnflow.ledger_place", "rnnflow.ledger_head"
BESIDE = "mlruns/ledger.db, next to this MLflow's database"


def refuse_other_ledger(model: str, entries: Sequence[Entry], tags: Mapping[str, str]) -> None:
    """Refuse to decide about a model for which another ledger does; `tags` must be older than `entries`.

    Raises ServiceError: E-LED-004 for another ledger, E-LED-005 for a copy that went on apart, or an older state.
    """
    owner = tags.get(OWNER, "")
    if not owner:
        return  # no ledger decides yet, or a person took it from the one that did
    is_own = owner == ledger.read_identity()
    if not is_own and tags.get(PLACE) == describe_place():
        return  # the ledger that lay here is lost, and this one was begun in its place
    if not is_own:
        raise ServiceError(
            "E-LED-004",
            f"the champion of model {quoted(model)} is decided by another ledger, {quoted(tags.get(PLACE, ''))}, "
            f"and not by this project's, {quoted(describe_place())}.",
            fix=f"set RNNFLOW_LEDGER_URL to {_address_of(tags.get(PLACE, ''))} here, too (docs/teams.md), or "
            f"registry.model_name to an unused name; to let this ledger continue from the current champion, delete "
            f"the tag {OWNER} of the registered model in MLflow.",
        )
    number, _, digest = tags.get(HEAD, "").partition(":")
    if number and (int(number) > len(entries) or entries[int(number) - 1].digest != digest):
        raise ServiceError(
            "E-LED-005",
            f"entry {number} of model {quoted(model)}, for which MLflow's aliases were written, is not in this ledger, "
            f"{quoted(describe_place())}: it is a copy or a backup that has diverged.",
            fix="set RNNFLOW_LEDGER_URL to the ledger that has it (docs/teams.md); if that one is lost, delete the tag "
            f"{HEAD} of the registered model in MLflow.",
        )


def read_own_decisions(model: str) -> list[Entry]:
    """Entries of a model about which this ledger decides; raises as `refuse_other_ledger`."""
    registration = registrations.read_registration(model)
    entries = ledger.read_entries(model)
    refuse_other_ledger(model, entries, registration.tags if registration else {})
    return entries


def describe_entry(entry: Entry) -> dict[str, str]:
    """Tags that say whose word a registered model's aliases follow."""
    return {OWNER: ledger.read_identity(), PLACE: describe_place(), HEAD: f"{entry.number}:{entry.digest}"}


def _address_of(place: str) -> str:
    """What RNNFLOW_LEDGER_URL is to be for a ledger; its file on this machine can be named."""
    file = place.removeprefix(f"{platform.node()}:")
    return "the address of that ledger" if file == place else f"{SQLITE}:///{file}"


def describe_place() -> str:
    """Where this project's ledger is, as it can be told apart from elsewhere: a file with its machine.

    One next to the project's own MLflow database moves with it.
    """
    if mlflow_client.is_own_store() and not ledger_setting():
        return BESIDE
    return f"{platform.node()}:{ledger_place()}" if is_file() else ledger_place()
