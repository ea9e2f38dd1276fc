"""What a caller is to know of rows besides their answers, counted so that parts of a table can be added up.

This module travels with registered models, so it knows neither Prefect nor MLflow.
"""

from dataclasses import dataclass, field

MAX_EXAMPLES = 3


@dataclass
class Notes:
    """How often something was noted, by its name, and the first few examples of each."""

    counts: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def add(self, name: str, count: int = 1, *examples: str) -> None:
        """Count something, with examples of it."""
        self.counts[name] = self.counts.get(name, 0) + count
        self.examples[name] = [*self.examples.get(name, []), *examples][:MAX_EXAMPLES]

    def __add__(self, other: "Notes") -> "Notes":
        """Count what was noted in both, one after the other."""
        total = Notes(dict(self.counts), dict(self.examples))
        for name, count in other.counts.items():
            total.add(name, count, *other.examples[name])
        return total

    def count(self, name: str) -> int:
        """How often it was noted."""
        return self.counts.get(name, 0)

    def show(self, name: str, separator: str = "; ") -> str:
        """The first examples of those counted."""
        shown = self.examples.get(name, [])
        return separator.join([*shown, *(["..."] if self.count(name) > len(shown) else [])])
