"""What is known of a window of answers, and of all windows together."""

import functools
import operator
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import polars as pl

from tasks.contract.notes import Notes
from tasks.contract.profile import Profile


@dataclass(frozen=True, kw_only=True)
class Answers:
    """A window's answers: a `table`, None if nothing of it could be answered, and `faults` that say why.

    `counts` are added up over all windows by name, `rows` among them, as are `notes` and what the rows looked like.
    """

    table: pl.DataFrame | None
    faults: list[dict]
    counts: Mapping[str, float]
    notes: Notes = field(default_factory=Notes)
    profile: Profile | None = None


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Finished windows added up; `tables` of them have answers."""

    windows: int
    tables: int
    counts: dict[str, float]
    notes: Notes
    profile: Profile | None

    @property
    def rows(self) -> int:
        """Rows of answers, as the kind counts them."""
        return int(self.counts.get("rows", 0))

    def __add__(self, other: "Tally") -> "Tally":
        """Count the windows of both."""
        names = self.counts | other.counts
        profiles = [one.profile for one in (self, other) if one.profile is not None]
        return Tally(
            windows=self.windows + other.windows,
            tables=self.tables + other.tables,
            counts={name: self.counts.get(name, 0) + other.counts.get(name, 0) for name in names},
            notes=self.notes + other.notes,
            profile=functools.reduce(operator.add, profiles) if profiles else None,
        )

    def as_json(self) -> dict[str, Any]:
        """Return JSON values."""
        return asdict(self) | {"profile": None if self.profile is None else self.profile.as_json()}

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> "Tally":
        """Read what `as_json` returned."""
        profile = None if fields["profile"] is None else Profile.from_json(fields["profile"])
        counted = {name: fields[name] for name in ("windows", "tables", "counts")}
        return cls(**counted, notes=Notes(**fields["notes"]), profile=profile)


NOTHING_DONE = Tally(windows=0, tables=0, counts={}, notes=Notes(), profile=None)
