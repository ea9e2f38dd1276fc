"""What a registered version is told by: its number, which may be given anew, and its content."""

from dataclasses import dataclass
from typing import NamedTuple

CHAMPION, CHALLENGER, PREVIOUS = ROLES = ("champion", "challenger", "previous")


class Identity(NamedTuple):
    """A version by its number and by what it is: numbers are given anew once a model is deleted, contents are not.

    `content` is what the registry's tag `rnnflow.content` holds; empty if nobody knows it.
    """

    version: str
    content: str

    def is_same(self, other: "Identity") -> bool:
        """Tell whether both are known to be the same model, whatever its number."""
        return bool(self.content) and self.content == other.content

    def __str__(self) -> str:
        """`v3 (content 1a2b3c4d5e6f)`."""
        return f"v{self.version} (content {self.content[:12] or 'unknown'})"


NOBODY = Identity("", "")


def as_fields(**roles: Identity) -> dict[str, str]:
    """What an entry of the ledger holds of the models in some roles: their numbers and their contents."""
    numbers = {role: who.version for role, who in roles.items()}
    return numbers | {f"{role}_content": who.content for role, who in roles.items()}


@dataclass(frozen=True, kw_only=True)
class RegisteredVersion:
    """What the registry says of a version: its content (empty if it names none), and when it was registered."""

    content: str
    created_ms: int
