"""How the numbers of a table are written: decimal mark and marks between thousands, or a question where two fit."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from tasks.discovery.draft import Choice, Question, Setting
from tasks.errors import quoted

# As the readers of numbers have them.
BLANK = ("", "na", "nan", "n/a", "null", "none")
PLAIN = r"^[+-]?(\d+[.]?\d*|[.]\d+)([eE][+-]?\d+)?$"
GROUPS = r"^[+-]?\d{{1,3}}({0}\d{{3}})+({1}\d*)?$"
MAX_MARKERS = 3
DECIMAL_COMMA = r"^[+-]?\d*,\d+$"
SPACES = " '\u00a0\u202f\u2019"
THREE = r"^[+-]?[1-9]\d{0,2}[.]\d{3}$"
MAX_EXAMINED_COLUMNS = 100


@dataclass(frozen=True)
class Notation:
    """How numbers are written in a table."""

    decimal: str = "."
    thousands: str = ""


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
    """The first cell with a mark that is not a date."""
    marked = cells.filter(cells.str.contains(mark, literal=True) & ~cells.str.contains(r"^\d+[.]\d+[.]\d+$"))
    return marked[0] if marked.len() else ""


def _written(notation: Notation, marks: Sequence[_Marks]) -> list[Setting | Question]:
    def why(mark: str) -> str:
        example = next((one.examples[mark] for one in marks if one.examples[mark]), "")
        return f"as in {quoted(example)}" if example else ""

    found: list[Setting | Question] = []
    if notation.decimal != ".":
        found.append(Setting("source.decimal", notation.decimal, why(notation.decimal)))
    if notation.thousands:
        found.append(Setting("source.thousands", notation.thousands, why(notation.thousands)))
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
            settings, f"the number {shown}, {mark!r} {'parts thousands' if groups else 'is the decimal mark'}"
        )

    return Question(f"which number is {quoted(example)}?", (choice(first), choice(second)))
