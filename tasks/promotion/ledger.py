"""The ledger: an append-only record of which version was champion, since when, why and on whose word.

The entries of a model are numbered 1, 2, 3 and so on. An entry is appended with the number that its author saw last,
under a unique key: of two authors one wins and the other has to look again. Each entry holds the digest of its
content and of its predecessor, so that a reader notices what was changed without the ledger.
"""

import datetime
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.exc import IntegrityError as UniqueViolation

from tasks.errors import IntegrityError, ServiceError, quoted
from tasks.promotion.database import ledger_place, reading, writing
from tasks.promotion.schema import IDENTITY, PROMOTIONS
from tasks.registry.identity import Identity
from tasks.store.fingerprint import canonical_json, digest_of

# Verdicts of the gate that looked at the test rows to choose between two models.
DECISIONS = ("promoted", "kept")


@dataclass(frozen=True, kw_only=True)
class Draft:
    """What an entry will say: who is champion from now on, and why; empty strings where something does not apply.

    `action` is a verdict of the gate ("first", "promoted", "kept", "refused"), "noted" for a training run that led
    to models already judged, "adopt" for a champion older than the ledger, "renumbered" for a champion that was
    registered again, or a person's "promote" or "rollback".
    `previous` is where a rollback would lead, `challenger` the version the entry is about; `splits` names the split
    whose test rows have the digest `holdout`, `trigger` what a training run was started from.
    """

    model: str
    action: str
    champion: str
    previous: str = ""
    challenger: str = ""
    reason: str
    actor: str
    verdict: Mapping[str, Any] = field(default_factory=dict)
    holdout: str = ""
    splits: str = ""
    trigger: str = ""
    flow_run: str = ""
    mlflow_run: str = ""
    champion_content: str = ""
    previous_content: str = ""
    challenger_content: str = ""

    def who(self, role: str) -> Identity:
        """The model in one of the roles champion, previous and challenger."""
        return Identity(getattr(self, role), getattr(self, f"{role}_content"))


@dataclass(frozen=True, kw_only=True)
class Entry(Draft):
    """A committed draft: its number, when it was made, and the digests that chain it to its predecessor."""

    number: int
    created: str
    predecessor: str
    digest: str


class ChampionChanged(ServiceError):  # noqa: N818 (it says what happened, and is caught more often than shown)
    """Another entry was made after the one an author saw last: judge again."""

    def __init__(self, model: str, expected: int) -> None:
        super().__init__(
            "E-LED-001",
            f"the ledger of model {quoted(model)} has meanwhile grown beyond entry {expected}.",
            fix=f"look at `rnnflow history {model}`, then run the same command again.",
        )


def read_entries(model: str) -> list[Entry]:
    """Return a model's entries, oldest first, after checking the chain of their digests.

    Raises IntegrityError (E-LED-002) naming a damaged entry, ServiceError (E-LED-003) for a database out of order.
    """
    with reading() as connection:
        return [] if connection is None else _read(connection, model)


def head(model: str) -> Entry | None:
    """Return the entry that holds now; raises as `read_entries` does."""
    return next(reversed(read_entries(model)), None)


def read_identity() -> str:
    """Return the name by which registries know this ledger; empty if nothing was ever written to it.

    Raises ServiceError (E-LED-003).
    """
    with reading() as connection:
        return "" if connection is None else connection.execute(select(IDENTITY.c.identity)).scalar_one()


def list_models() -> list[str]:
    """Name every model that has entries.

    Raises ServiceError (E-LED-003).
    """
    names = select(PROMOTIONS.c.model).distinct().order_by(PROMOTIONS.c.model)
    with reading() as connection:
        return [] if connection is None else list(connection.execute(names).scalars())


def append(draft: Draft, *, expected: int) -> Entry:
    """Commit an entry, unless another was made after number `expected`, the last one its author saw.

    Raises ChampionChanged (E-LED-001), and what `read_entries` does.
    """
    with writing() as connection:
        entries = _read(connection, draft.model)
        if len(entries) != expected:
            raise ChampionChanged(draft.model, expected)
        row = _row_of(draft, entries)
        try:
            connection.execute(PROMOTIONS.insert().values(row))
        except UniqueViolation as error:
            raise ChampionChanged(draft.model, expected) from error
    return _entry_of(row)


def _row_of(draft: Draft, entries: Sequence[Entry]) -> dict[str, Any]:
    row = {
        **asdict(draft),
        "verdict": canonical_json(draft.verdict),
        "number": len(entries) + 1,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "predecessor": entries[-1].digest if entries else "",
    }
    return {**row, "digest": digest_of(row)}


def _entry_of(row: Mapping[str, Any]) -> Entry:
    return Entry(**{**row, "verdict": json.loads(row["verdict"])})


def _read(connection: Connection, model: str) -> list[Entry]:
    query = select(PROMOTIONS).where(PROMOTIONS.c.model == model).order_by(PROMOTIONS.c.number)
    rows = [dict(row) for row in connection.execute(query).mappings()]
    predecessors = ["", *(row["digest"] for row in rows)]
    for number, row, predecessor in zip(itertools.count(1), rows, predecessors, strict=False):
        _check_row(row, number=number, predecessor=predecessor)
    return [_entry_of(row) for row in rows]


def _check_row(row: Mapping[str, Any], *, number: int, predecessor: str) -> None:
    written = {name: value for name, value in row.items() if name != "digest"}
    if (row["number"], row["predecessor"], row["digest"]) != (number, predecessor, digest_of(written)):
        raise IntegrityError(
            "E-LED-002",
            f"entry {number} of model {quoted(row['model'])} is missing or is not the one that was written.",
            fix="restore the ledger from a backup; until then it is unknown who is champion.",
            file=ledger_place(),
        )
