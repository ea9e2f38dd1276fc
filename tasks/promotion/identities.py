"""Which registered versions the ledger's entries are about: told by content, whatever their numbers are now."""

from collections.abc import Iterator, Mapping, Sequence

from tasks.errors import IntegrityError
from tasks.promotion import standing
from tasks.promotion.ledger import Entry
from tasks.registry.identity import CHAMPION, ROLES, Identity

GONE = "E-REG-007"

Versions = Mapping[str, str]  # contents by number


def roles_of(entry: Entry) -> dict[str, Identity]:
    """Who has which role after an entry; a challenger that became champion is no longer one."""
    champion = entry.who(CHAMPION)
    held = {role: entry.who(role) for role in ROLES if getattr(entry, role)}
    return {role: who for role, who in held.items() if role == CHAMPION or not who.is_same(champion)}


def locate(who: Identity, versions: Versions) -> str:
    """Number under which a model is registered now; empty if it is not."""
    numbers = [number for number, content in versions.items() if who.content and content == who.content]
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
