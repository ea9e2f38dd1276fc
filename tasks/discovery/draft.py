"""A recipe as a kind proposes it from a look at some files: settings with reasons, and questions that people answer.

Types alone.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

# Stands in a written recipe for the answer that is still to be given.
UNANSWERED = "?"


@dataclass(frozen=True)
class Choice:
    """An answer: the settings that it makes, None for one that is left out, and what it means."""

    settings: Mapping[str, object]
    means: str


@dataclass(frozen=True)
class Setting:
    """One setting by its key, such as `source.delimiter`, and why it has this value if that was not plain to see."""

    key: str
    value: object
    why: str = ""


@dataclass(frozen=True)
class Question:
    """What files do not tell, asked where the first setting of its choices would stand; the likeliest comes first."""

    text: str
    choices: tuple[Choice, ...]

    @property
    def key(self) -> str:
        """The setting that is asked for."""
        return next(iter(self.choices[0].settings))


@dataclass(frozen=True, kw_only=True)
class Draft:
    """What a kind makes of some files: its recipe, or what they lack for it.

    fit: how plainly the files are of this kind, from 0 to 1; of several kinds the one that fits best is taken.
    reason: what the files show, in a few words. values: numbers that a training run reads in an epoch, for an estimate
    of its time, and `rate`: how many of them it reads in a second with the default models on two cores.
    """

    kind: str
    fit: float = 0.0
    reason: str = ""
    lacks: str = ""
    findings: tuple[Setting | Question, ...] = ()
    values: float = 0.0
    rate: float = 1.0

    @property
    def settings(self) -> Iterator[Setting]:
        """What is settled."""
        return (one for one in self.findings if isinstance(one, Setting))

    @property
    def questions(self) -> Iterator[Question]:
        """What is not."""
        return (one for one in self.findings if isinstance(one, Question))
