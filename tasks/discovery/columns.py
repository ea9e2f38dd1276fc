"""What the columns of a table hold: numbers and how they are written, few names, or texts."""

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import polars as pl

from tasks.discovery.draft import Choice, Question, Setting
from tasks.errors import plural, quoted

# As the readers of numbers have them.
BLANK = ("", "na", "nan", "n/a", "null", "none")
PLAIN = r"^[+-]?(\d+[.]?\d*|[.]\d+)([eE][+-]?\d+)?$"
DECIMAL_COMMA = r"^[+-]?\d*,\d+$"
GROUPS = r"^[+-]?\d{{1,3}}({0}\d{{3}})+({1}\d*)?$"
SPACES = " '\u00a0\u202f\u2019"
CODE = r"^0\d+$"
THREE = r"^[+-]?[1-9]\d{0,2}[.]\d{3}$"
# A column of numbers may hold so many other words, for missing values, in so large a share of its rows.
MAX_MARKERS = 3
MAX_EXAMINED_COLUMNS = 100
MOST_MARKED = 0.5
MIN_NUMBERS = 2
FAR = 1.0
MIN_REPEATS = 3
FEW = 2
SENTENCE_WORDS = 2.5
CJK = r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0e7f]"


@dataclass(frozen=True)
class Notation:
    """How numbers are written in a table."""

    decimal: str = "."
    thousands: str = ""


@dataclass(frozen=True)
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
        """Words that stand for missing values among numbers; None if this is no column of numbers."""
        if self.filled.is_empty() or self.filled.str.contains(CODE).any():
            return None
        if self.is_flag:
            return ()
        others = {cell: count for cell, count in self.counts.items() if not self._is_number(cell)}
        num_numbers = self.filled.len() - sum(others.values())
        is_column = (
            len(others) <= MAX_MARKERS
            and sum(others.values()) <= MOST_MARKED * self.filled.len()
            and num_numbers >= min(MIN_NUMBERS, self.filled.len())
            and not any(re.search(r"\d", cell) for cell in others)
        )
        return tuple(sorted(others)) if is_column and num_numbers else None

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

    def _is_number(self, cell: str) -> bool:
        decimal, thousands = re.escape(self.notation.decimal), self.notation.thousands
        groups = GROUPS.format(re.escape(thousands), decimal) if thousands else "$^"
        plain = PLAIN.replace("[.]", f"[{self.notation.decimal}]")
        return re.match(plain, cell) is not None or re.match(groups, cell) is not None


def as_column(cells: pl.Series, notation: Notation, num_first: int | None = None) -> Column:
    """A column of raw cells: without white space around them, null where nothing is said."""
    plain = cells.str.strip_chars()
    is_blank = plain.str.to_lowercase().is_in(BLANK)
    known = pl.select(pl.when(~is_blank).then(plain)).to_series().alias(cells.name)
    first = known.len() if num_first is None else num_first
    return Column(cells.name, known[:first], known[first:], notation)


def find_notation(columns: Iterable[pl.Series], *, delimiter: str) -> tuple[Notation, list[Setting | Question]]:
    """How the numbers of a table are written, by all columns that could be numbers; a question where two ways fit."""
    marks = [one for one in map(_Marks, itertools.islice(columns, MAX_EXAMINED_COLUMNS)) if one.is_number]
    notation = _find_certain(marks)
    if notation is not None:
        return notation, _written(notation, marks)
    commas = next((one.examples[","] for one in marks if one.comma_groups), "")
    if commas:
        return Notation(".", ","), [_ask(commas, ",", Notation(".", ","), Notation(",", ""))]
    # In files with semicolons points may be between thousands.
    threes = [one for one in marks if one.only_threes]
    if delimiter == ";" and threes and len(threes) == sum(one.point_decimals for one in marks):
        return Notation(), [_ask(threes[0].examples["."], ".", Notation(), Notation(",", "."))]
    return Notation(), []


def _find_certain(marks: Sequence["_Marks"]) -> Notation | None:
    """What no other notation reads; None where there are no marks or two ways to read them."""
    has_comma = any(one.comma_decimals for one in marks)
    spaces = next((one.spaces for one in marks if one.spaces), "")
    if spaces:
        return Notation("," if has_comma else ".", spaces)
    mixed = any(one.point_groups_and_comma for one in marks)
    if has_comma or mixed or any(one.many_points for one in marks):
        return Notation(",", "." if any(one.point_groups or one.point_groups_and_comma for one in marks) else "")
    groups = any(one.comma_groups or one.comma_groups_and_point for one in marks)
    clear = any(one.many_commas or one.comma_groups_and_point or one.point_decimals for one in marks)
    return Notation(".", ",") if groups and clear else None


class _Marks:
    """Which marks are between the digits of a column."""

    def __init__(self, cells: pl.Series) -> None:
        filled = cells.drop_nulls().unique(maintain_order=True).head(20_000)
        filled = filled.filter(~filled.str.to_lowercase().is_in(BLANK))
        digits = filled.filter(filled.str.contains(rf"^[+-]?[\d.,{SPACES}]*\d[\d.,{SPACES}]*([eE][+-]?\d+)?$"))
        others = filled.len() - digits.len()
        self.is_number = digits.len() > 0 and others <= MAX_MARKERS and digits.len() >= others
        self.comma_groups = self._any(digits, GROUPS.format(",", "[.]"))
        self.point_groups_and_comma = self._any(digits, r"^[+-]?\d{1,3}([.]\d{3})+,\d+$")
        self.comma_groups_and_point = self._any(digits, r"^[+-]?\d{1,3}(,\d{3})+[.]\d+$")
        self.many_commas = self._any(digits, r",\d{3},\d{3}")
        self.many_points = self._any(digits, r"^[+-]?\d{1,3}[.]\d{3}[.]\d{3}")
        self.point_groups = self._any(digits, r"^[+-]?[1-9]\d{0,2}([.]\d{3})+$")
        is_group = digits.str.contains(GROUPS.format(",", "[.]"))
        self.comma_decimals = bool((digits.str.contains(DECIMAL_COMMA) & ~is_group).any()) or self._any(
            digits, r"^[+-]?0,\d+$"
        )
        self.point_decimals = self._any(digits, r"^[+-]?\d*[.]\d+$")
        points = digits.filter(digits.str.contains(r"[.]"))
        self.only_threes = points.len() > 0 and bool(points.str.contains(THREE).all())
        spaced = next((mark for mark in SPACES if self._any(digits, GROUPS.format(mark, "[.,]"))), "")
        self.spaces = spaced
        self.examples = {mark: _first(digits, mark) for mark in f".,{SPACES}"}

    @staticmethod
    def _any(cells: pl.Series, pattern: str) -> bool:
        return bool(cells.str.contains(pattern).any())


def _first(cells: pl.Series, mark: str) -> str:
    """The first cell with a mark that is no date."""
    marked = cells.filter(cells.str.contains(mark, literal=True) & ~cells.str.contains(r"^\d+[.]\d+[.]\d+$"))
    return marked[0] if marked.len() else ""


def _written(notation: Notation, marks: Sequence[_Marks]) -> list[Setting | Question]:
    def why(mark: str) -> str:
        example = next((one.examples[mark] for one in marks if one.examples[mark]), "")
        return f"as in {quoted(example)}" if example else ""

    found: list[Setting | Question] = []
    if notation.decimal != ".":
        found.append(Setting(key="source.decimal", value=notation.decimal, why=why(notation.decimal)))
    if notation.thousands:
        found.append(Setting(key="source.thousands", value=notation.thousands, why=why(notation.thousands)))
    return found


def _ask(example: str, mark: str, first: Notation, second: Notation) -> Question:
    def choice(notation: Notation) -> Choice:
        groups = notation.thousands == mark
        settings: Mapping[str, object] = {
            "source.thousands": notation.thousands or None,
            "source.decimal": notation.decimal,
        }
        shown = example.replace(mark, "" if groups else ".")
        return Choice(
            settings=settings,
            means=f"the number {shown}, {mark!r} {'parts thousands' if groups else 'is the decimal mark'}",
        )

    return Question(text=f"which number is {quoted(example)}?", choices=(choice(first), choice(second)))


def find_sentinels(columns: Sequence[Column]) -> Question | None:
    """Ask about numbers that may stand for missing values: far from all others, and the same again and again."""
    found: dict[float, tuple[str, int]] = {}
    for column in columns:
        numbers = column.numbers.drop_nulls().sort()
        distinct = numbers.unique(maintain_order=True)
        if distinct.len() <= MIN_REPEATS:
            continue
        for end, rest in ((distinct[0], distinct[1:]), (distinct[-1], distinct[:-1])):
            spread = rest[-1] - rest[0]
            nearest = min(abs(end - rest[0]), abs(end - rest[-1]))
            repeats = int((numbers == end).sum())
            is_usual = end in (-999.0, -9999.0, -99999.0)
            is_far = nearest > FAR * spread and repeats >= MIN_REPEATS and end not in (0.0, 1.0)
            if is_usual or is_far:
                found.setdefault(float(end), (column.name, repeats))
    if not found:
        return None
    marks = sorted(found)
    shown = ", ".join(f"{mark:g} ({plural(found[mark][1], 'time')} in {quoted(found[mark][0])})" for mark in marks)
    return Question(
        text=f"does {shown} stand for a missing value?",
        choices=(
            Choice(settings={"source.sentinels": marks}, means="missing"),
            Choice(settings={"source.sentinels": []}, means="measured values"),
        ),
    )
