"""What a batch of predictions looks like, as counts: cheap to add up, to store and to compare.

What is counted of a row, in which bins and under which words, a kind says (`Watch`). Bins are fixed once and for all,
so any two profiles of a model can be added: other bins are a feature of another name. This module travels with the
registered model, so it knows little but numpy.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import starmap
from operator import add
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.registry.served_parts import add_part, check_part, read_serving_fields

PROFILE_FORMAT = 2
PROFILE = "profile.json"
UNLISTED = ""  # counts the true labels that the model does not know; no label is the empty text


@dataclass(frozen=True, kw_only=True)
class Feature:
    """A number that is counted of each row: what its mean is called, how that is written, the bounds of the bins.

    A bin holds what is above its lower and at most its upper bound, the outer bins also what lies beyond. Of a feature
    that `rises` when things get worse, a fall does not count as drift.
    """

    title: str
    form: str
    bounds: NDArray[np.float64]
    rises: bool = False

    def count(self, values: NDArray) -> tuple[int, ...]:
        """Count values per bin, those that are NaN aside."""
        places = self.places(values[~np.isnan(values)])
        return tuple(np.bincount(places, minlength=len(self.bounds) - 1).tolist())

    def places(self, values: NDArray) -> NDArray[np.int64]:
        """The number of the bin that each value falls in."""
        return np.searchsorted(self.bounds[1:-1], values, side="left")

    def mean(self, counts: Sequence[int] | NDArray[np.int64]) -> float:
        """Mean as a histogram has it, each row at the middle of its bin."""
        return float(np.average((self.bounds[:-1] + self.bounds[1:]) / 2, weights=counts))


@dataclass(frozen=True, kw_only=True)
class Watch:
    """What a kind watches: the plural of what it counts, how many of them tell something, and their features.

    A feature may be counted by channel, under the name `<feature>.<channel>`.
    """

    unit: str
    min_rows: int
    features: Mapping[str, Feature]

    def feature(self, name: str) -> tuple[Feature, str]:
        """The feature that a histogram counts, and what its mean is called there."""
        base, _, channel = name.partition(".")
        feature = self.features[base]
        return feature, f'{feature.title} of "{channel}"' if channel else feature.title


class Stretch(NamedTuple):
    """Which part of which series was counted: one digest for all their names, and the first and last time as numbers.

    What overlaps is counted once. The digest is the least of the names', so that of a sum is the least of the parts'.
    """

    series: str
    begin: int
    end: int

    def joined(self, other: "Stretch") -> "Stretch":
        """What spans both."""
        return Stretch(min(self.series, other.series), min(self.begin, other.begin), max(self.end, other.end))

    def overlaps(self, other: "Stretch") -> bool:
        """Whether rows of both may be the same."""
        return self.series == other.series and self.begin <= other.end and other.begin <= self.end


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Counts over rows: a histogram per feature, predicted labels and, where known, true labels and hits.

    `dependence` says of features how many rows tell as much as one independent row would, where that is more than one.
    """

    rows: int = 0
    histograms: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    predicted: Mapping[str, int] = field(default_factory=dict)
    true: Mapping[str, int] = field(default_factory=dict)
    hits: int = 0
    dependence: Mapping[str, float] = field(default_factory=dict)
    stretch: Stretch | None = None

    @classmethod
    def empty(cls) -> "Profile":
        """The profile of no rows: adding it changes nothing."""
        return cls()

    @property
    def labelled_rows(self) -> int:
        """Rows whose true label was known."""
        return sum(self.true.values())

    def __add__(self, other: "Profile") -> "Profile":
        """Count the rows of both; raises ValueError for other bins."""
        stretches = [one for one in (self.stretch, other.stretch) if one is not None]
        histograms = {**self.histograms, **other.histograms}
        for name in self.histograms.keys() & other.histograms.keys():
            histograms[name] = tuple(starmap(add, zip(self.histograms[name], other.histograms[name], strict=True)))
        return Profile(
            rows=self.rows + other.rows,
            histograms=histograms,
            predicted=dict(Counter(self.predicted) + Counter(other.predicted)),
            true=dict(Counter(self.true) + Counter(other.true)),
            hits=self.hits + other.hits,
            dependence=dict(Counter(self.dependence) | Counter(other.dependence)),
            stretch=stretches[0].joined(stretches[-1]) if stretches else None,
        )

    def as_json(self) -> dict[str, Any]:
        """Return JSON values, a few kB as text."""
        return {"format": PROFILE_FORMAT, **asdict(self)}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "Profile":
        """Read what `as_json` returned; raises ValueError, KeyError or TypeError for anything else."""
        if fields["format"] != PROFILE_FORMAT:
            raise ValueError(f"got profile format {fields['format']}, expected {PROFILE_FORMAT}")
        predicted, true = (
            {str(label): int(rows) for label, rows in dict(fields[kind]).items()} for kind in ("predicted", "true")
        )
        return cls(
            rows=int(fields["rows"]),
            histograms={str(name): tuple(map(int, counts)) for name, counts in dict(fields["histograms"]).items()},
            predicted=predicted,
            true=true,
            hits=int(fields["hits"]),
            dependence={str(name): float(share) for name, share in dict(fields["dependence"]).items()},
            stretch=None if fields["stretch"] is None else Stretch(*fields["stretch"]),
        )


def write_profile(folder: Path, reference: Profile) -> None:
    """Add what the validation rows looked like to the folder of a model that is served."""
    (folder / PROFILE).write_text(json.dumps(reference.as_json(), separators=(",", ":")), encoding="utf-8")
    add_part(folder, PROFILE)


def read_profile(folder: Path) -> Profile | None:
    """Read what a model's validation rows looked like, without the model; None for one without, or of another format.

    Raises IntegrityError (E-INT-001).
    """
    sha256 = read_serving_fields(folder)["sha256"].get(PROFILE)
    if sha256 is None:
        return None
    check_part(folder / PROFILE, sha256)
    fields = json.loads((folder / PROFILE).read_bytes())
    return Profile.from_json(fields) if fields["format"] == PROFILE_FORMAT else None
