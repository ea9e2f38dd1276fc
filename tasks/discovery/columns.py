"""What the columns of a table hold: numbers and how they are written, few names, or texts."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import polars as pl

from tasks.discovery.draft import Choice, Question
from tasks.discovery.notation import BLANK, GROUPS, MAX_MARKERS, PLAIN, Notation
from tasks.errors import plural, quoted

CODE = r"^0\d+$"
# A column of numbers may hold other words for missing values in at most this share of its rows.
MOST_MARKED = 0.5
MIN_NUMBERS = 2
FAR, MIN_REPEATS = 1.0, 3
USUAL_MARKS = (-999.0, -9999.0, -99999.0)
FEW = 2
SENTENCE_WORDS = 2.5
CJK = r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0e7f]"


@dataclass(frozen=True, eq=False)
class Column:
    """The cells of a column, null where they are empty, and what they are as a whole.

    `cells` are those of the first rows, `others` some from anywhere.
    """

    name: str
    cells: pl.Series
    others: pl.Series = field(default_factory=lambda: pl.Series(dtype=pl.String))
    notation: Notation = field(default_factory=Notation)

    @cached_property
    def filled(self) -> pl.Series:
        """Cells that hold something, wherever they are."""
        return pl.concat([self.cells, self.others]).drop_nulls()

    @cached_property
    def counts(self) -> dict[str, int]:
        """How often each content occurs, the most frequent first."""
        counted = self.filled.alias("cell").value_counts(sort=True)
        return dict(zip(counted["cell"], counted["count"], strict=True))

    @property
    def distinct(self) -> int:
        """Number of different contents."""
        return len(self.counts)

    @cached_property
    def is_flag(self) -> bool:
        """Whether cells say yes or no: 1 and 0, true and false."""
        contents = {str(cell).casefold() for cell in self.counts}
        return bool(contents) and (contents <= {"0", "1"} or contents <= {"true", "false"})

    @cached_property
    def markers(self) -> tuple[str, ...] | None:
        """Words that stand for missing values among numbers; None if this is not a column of numbers."""
        if self.filled.is_empty() or self.filled.str.contains(CODE).any():
            return None
        if self.is_flag:
            return ()
        decimal, thousands = re.escape(self.notation.decimal), re.escape(self.notation.thousands)
        patterns = [PLAIN.replace("[.]", f"[{self.notation.decimal}]")]
        patterns += [GROUPS.format(thousands, decimal)] if thousands else []
        others = self.filled.filter(~self.filled.str.contains("|".join(patterns)))
        num_numbers, markers = self.filled.len() - others.len(), others.unique().sort()
        is_column = (
            markers.len() <= MAX_MARKERS
            and others.len() <= MOST_MARKED * self.filled.len()
            and num_numbers >= min(MIN_NUMBERS, self.filled.len())
            and not markers.str.contains(r"\d").any()
        )
        return tuple(markers) if is_column and num_numbers else None

    @cached_property
    def numbers(self) -> pl.Series:
        """The cells as numbers, null where they are none."""
        cells = self.cells
        if self.is_flag:
            cells = cells.str.to_lowercase().replace({"true": "1", "false": "0"})
        if self.notation.thousands:
            cells = cells.str.replace_all(self.notation.thousands, "", literal=True)
        if self.notation.decimal == ",":
            cells = cells.str.replace(",", ".", literal=True)
        return cells.cast(pl.Float64, strict=False)

    @property
    def is_number(self) -> bool:
        """Whether this is a column of numbers."""
        return self.markers is not None

    @cached_property
    def is_whole(self) -> bool:
        """Whether its numbers are whole."""
        found = self.numbers.drop_nulls()
        return self.is_number and bool((found == found.round()).all())

    @cached_property
    def words(self) -> float:
        """Words of a cell on average; characters of scripts that part no words count as half a word."""
        if self.filled.is_empty():
            return 0.0
        sample = self.filled.head(5_000)
        counted = sample.str.count_matches(r"\S+").cast(pl.Float64) + sample.str.count_matches(CJK) / 2
        return float(counted.sum()) / counted.len()

    @cached_property
    def is_unparted(self) -> bool:
        """Whether most of it is in a script that puts no spaces between words."""
        sample = self.filled.head(2_000)
        letters = sample.str.len_chars().sum()
        return (
            bool(letters)
            and sample.str.count_matches(CJK).sum() > letters / 3
            and sample.str.count_matches(r"\s").sum() < letters / 8
        )

    @property
    def is_text(self) -> bool:
        """Whether cells are sentences, most of them different."""
        return not self.is_number and self.words >= SENTENCE_WORDS and self.distinct > self.filled.len() / 2

    @property
    def is_class(self) -> bool:
        """Whether there are few different contents, each of them several times."""
        return FEW <= self.distinct <= max(FEW, min(100, self.filled.len() // 5)) and self.words < 6  # noqa: PLR2004


def as_column(cells: pl.Series, notation: Notation, num_first: int | None = None) -> Column:
    """A column of raw cells: without white space around them, null where nothing is said."""
    plain = cells.str.strip_chars()
    is_blank = plain.str.to_lowercase().is_in(BLANK)
    known = pl.select(pl.when(~is_blank).then(plain)).to_series().alias(cells.name)
    first = known.len() if num_first is None else num_first
    return Column(cells.name, known[:first], known[first:], notation)


def find_sentinels(columns: Sequence[Column]) -> Question | None:
    """Ask about numbers that may stand for missing values: far from all others, and the same again and again."""
    found: dict[float, tuple[str, int]] = {}
    for column in columns:
        numbers = column.numbers.drop_nulls()
        distinct = numbers.unique().sort().to_list()
        for end, rest in ((distinct[:1], distinct[1:]), (distinct[-1:], distinct[:-1])):
            if len(rest) < MIN_REPEATS:
                continue
            (mark,), repeats = end, int((numbers == end[0]).sum())
            is_far = min(abs(mark - rest[0]), abs(mark - rest[-1])) > FAR * (rest[-1] - rest[0])
            if mark in USUAL_MARKS or (is_far and repeats >= MIN_REPEATS and mark not in (0.0, 1.0)):
                found.setdefault(mark, (column.name, repeats))
    if not found:
        return None
    marks = sorted(found)
    shown = ", ".join(f"{mark:g} ({plural(found[mark][1], 'time')} in {quoted(found[mark][0])})" for mark in marks)
    missing, measured = ({"source.sentinels": values} for values in (marks, []))
    choices = (Choice(missing, "missing"), Choice(measured, "measured values"))
    return Question(f"does {shown} stand for a missing value?", choices)
