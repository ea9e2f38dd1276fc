"""What identifies a registered version: its number, which may be reused, and its content."""

from typing import NamedTuple, TypedDict

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


class RoleFields(TypedDict):
    """What an entry of the ledger holds of the models in their roles: their numbers and their contents."""

    champion: str
    previous: str
    challenger: str
    champion_content: str
    previous_content: str
    challenger_content: str


def as_fields(*, champion: Identity, previous: Identity, challenger: Identity) -> RoleFields:
    """Write the models in their roles as fields of an entry."""
    return {
        "champion": champion.version,
        "previous": previous.version,
        "challenger": challenger.version,
        "champion_content": champion.content,
        "previous_content": previous.content,
        "challenger_content": challenger.content,
    }
