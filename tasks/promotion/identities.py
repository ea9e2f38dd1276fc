"""Which registered versions the ledger's entries are about: told by content, whatever their numbers are now."""

import datetime
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from tasks.errors import IntegrityError
from tasks.promotion import standing
from tasks.promotion.ledger import Entry
from tasks.registry.identity import CHAMPION, ROLES, Identity, RegisteredVersion

GONE = "E-REG-007"


Versions = Mapping[str, RegisteredVersion]


def is_complete(entries: Iterable[Entry]) -> bool:
    """Tell whether all entries name the contents of their versions."""
    return not any(_roles_without_content(entry) for entry in entries)


def complete(entries: Sequence[Entry], versions: Versions) -> list[Entry]:
    """Fill in the contents that entries of earlier releases do not name.

    A number is given anew only after the whole model was deleted. So a version that was registered before the ledger
    first named its number is the one that was meant, and of any other nothing is assumed.
    """
    first_named: dict[str, str] = {}
    for entry in entries:
        for role in ROLES:
            first_named.setdefault(getattr(entry, role), entry.created)
    meant = {
        number: version.content
        for number, version in versions.items()
        if number in first_named and version.created_ms < _end_of_second_ms(first_named[number])
    }
    return [_fill_in(entry, meant) for entry in entries]


def roles_of(entry: Entry) -> dict[str, Identity]:
    """Who has which role after an entry; a challenger that became champion is no longer one."""
    champion = entry.who(CHAMPION)
    held = {role: entry.who(role) for role in ROLES if getattr(entry, role)}
    return {role: who for role, who in held.items() if role == CHAMPION or not standing.are_same(who, champion)}


def locate(who: Identity, versions: Versions) -> str:
    """Number under which a model is registered now; empty if it is not."""
    numbers = [number for number, version in versions.items() if who.content and version.content == who.content]
    return who.version if who.version in numbers else max(numbers, key=int, default="")


def report_gone(entries: Sequence[Entry], versions: Versions) -> IntegrityError:
    """What is wrong when the champion of the last entry is registered under no number, and the ways out (E-REG-007)."""
    entry, who = standing.find_crowning(entries), entries[-1].who(CHAMPION)
    other = f": version {who.version} is another model now" if who.version in versions else ""
    return IntegrityError(
        GONE,
        f"champion {entry.model}/{who.version} (entry {entry.number}, content {who.content[:12] or 'unknown'}) is no "
        f"longer registered{other}.",
        fix="; or ".join(_ways_out(entries, versions)) + ".",
    )


def _ways_out(entries: Sequence[Entry], versions: Versions) -> Iterator[str]:
    model = entries[-1].model
    yield "restore MLflow's store"
    if any(locate(who, versions) for who in standing.list_champions(entries)[:-1]):
        yield f"return to the last champion whose files are intact: rnnflow rollback {model} --reason TEXT"
    if versions:
        newest = max(versions, key=int)
        yield f"accept another version: rnnflow promote {model}/{newest} --reason TEXT"
    else:
        yield f"train again and accept what is registered then: rnnflow promote {model}/VERSION --reason TEXT"


def _roles_without_content(entry: Entry) -> list[str]:
    return [role for role in ROLES if entry.who(role).version and not entry.who(role).content]


def _fill_in(entry: Entry, meant: Mapping[str, str]) -> Entry:
    roles = _roles_without_content(entry)
    contents = {f"{role}_content": meant.get(getattr(entry, role), "") for role in roles}
    return replace(entry, **contents, inferred=True) if any(contents.values()) else entry


def _end_of_second_ms(created: str) -> int:
    """An entry tells its second; its version was registered before the end of that."""
    return int(datetime.datetime.fromisoformat(created).timestamp() * 1000) + 1000
