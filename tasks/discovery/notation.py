"""How the numbers of a table are written: decimal mark and marks between thousands, or a question where two fit."""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from tasks.discovery.draft import Choice, Question, Setting
from tasks.errors import quoted

# As the readers of numbers have them.
BLANK = ("", "na", "nan", "n/a", "null", "none")
PLAIN = r"^[+-]?(\d+[.]?\d*|[.]\d+)([eE][+-]?\d+)?$"
GROUPS = r"^[+-]?\d{{1,3}}({0}\d{{3}})+({1}\d*)?$"
MAX_MARKERS = 3
SPACES = " '\u00a0\u202f\u2019"
DIGITS = rf"^[+-]?[\d.,{SPACES}]*\d[\d.,{SPACES}]*([eE][+-]?\d+)?$"
MAX_EXAMINED, MAX_EXAMINED_COLUMNS = 20_000, 100
# What numbers look like that one notation reads, or several.
SHAPES = {
    "comma groups": r"^[+-]?\d{1,3}(,\d{3})+([.]\d*)?$",
    "comma groups and point": r"^[+-]?\d{1,3}(,\d{3})+[.]\d+$|,\d{3},\d{3}",
    "comma decimals": r"^[+-]?\d*,(\d{1,2}|\d{4,})$|^[+-]?(0|\d{4,})?,\d+$",
    "point groups": r"^[+-]?[1-9]\d{0,2}([.]\d{3})+$",
    "point groups and comma": r"^[+-]?\d{1,3}([.]\d{3})+,\d+$",
    "many points": r"^[+-]?\d{1,3}[.]\d{3}[.]\d{3}",
    "point decimals": r"^[+-]?\d*[.]\d+$",
    "point": r"[.]",
    **{mark: GROUPS.format(mark, "[.,]") for mark in SPACES},
}
THREE = r"^[+-]?[1-9]\d{0,2}[.]\d{3}$"


@dataclass(frozen=True)
class Notation:
    """How numbers are written in a table."""

    decimal: str = "."
    thousands: str = ""


def find_notation(columns: Iterable[pl.Series], *, delimiter: str) -> tuple[Notation, list[Setting | Question]]:
    """How the numbers of a table are written, by all columns that could be numbers; a question where two ways fit."""
    numbers = [one for one in map(_digits_of, itertools.islice(columns, MAX_EXAMINED_COLUMNS)) if one.len()]
    shapes = [{name for name, shape in SHAPES.items() if one.str.contains(shape).any()} for one in numbers]
    cells = pl.concat([pl.Series(dtype=pl.String), *(one.alias("") for one in numbers)])
    notation = _find_certain(set().union(*shapes))
    if notation is not None:
        marks = {"decimal": notation.decimal.strip("."), "thousands": notation.thousands}
        whys = {mark: f"as in {quoted(example)}" for mark in marks.values() if (example := _first(cells, mark))}
        return notation, [Setting(f"source.{key}", mark, whys.get(mark, "")) for key, mark in marks.items() if mark]
    commas = [one for one, found in zip(numbers, shapes, strict=True) if "comma groups" in found]
    if commas:
        return Notation(".", ","), [_ask(_first(commas[0], ","), ",", Notation(".", ","), Notation(",", ""))]
    # In files with semicolons points may be between thousands.
    pointed = [
        one.filter(one.str.contains(r"[.]")) for one, found in zip(numbers, shapes, strict=True) if "point" in found
    ]
    if delimiter == ";" and pointed and all(one.str.contains(THREE).all() for one in pointed):
        return Notation(), [_ask(_first(pointed[0], "."), ".", Notation(), Notation(",", "."))]
    return Notation(), []


def _find_certain(shapes: set[str]) -> Notation | None:
    """What no other notation reads; None where there are no marks or two ways to read them."""
    spaces = next((mark for mark in SPACES if mark in shapes), "")
    if spaces:
        return Notation("," if "comma decimals" in shapes else ".", spaces)
    if shapes & {"comma decimals", "point groups and comma", "many points"}:
        return Notation(",", "." if shapes & {"point groups", "point groups and comma"} else "")
    is_clear = shapes & {"comma groups and point", "point decimals"}
    return Notation(".", ",") if "comma groups" in shapes and is_clear else None


def _digits_of(cells: pl.Series) -> pl.Series:
    """The cells of a column that are digits and marks; none of a column that holds other things."""
    filled = cells.drop_nulls().unique(maintain_order=True).head(MAX_EXAMINED)
    filled = filled.filter(~filled.str.to_lowercase().is_in(BLANK))
    digits = filled.filter(filled.str.contains(DIGITS))
    num_others = filled.len() - digits.len()
    return digits if num_others <= min(MAX_MARKERS, digits.len()) else digits[:0]


def _first(cells: pl.Series, mark: str) -> str:
    """The first cell with a mark that is not a date."""
    marked = cells.filter(cells.str.contains(mark, literal=True) & ~cells.str.contains(r"^\d+[.]\d+[.]\d+$"))
    return marked[0] if mark and marked.len() else ""


def _ask(example: str, mark: str, *notations: Notation) -> Question:
    choices = []
    for one in notations:
        groups = one.thousands == mark
        means = f"the number {example.replace(mark, '' if groups else '.')}, {mark!r} "
        means += "parts thousands" if groups else "is the decimal mark"
        choices.append(Choice({"source.thousands": one.thousands or None, "source.decimal": one.decimal}, means))
    return Question(f"which number is {quoted(example)}?", tuple(choices))
