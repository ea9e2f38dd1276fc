"""Texts to numbers: decimal marks, marks between thousands, and what is true or false.

A mark that may be either is never guessed: "1,234" is refused until a setting says what its comma is.
"""

import re

import polars as pl

from tasks.sources.row_checks import Check

TRUTHS = {"true": "1", "false": "0"}
# What typesetting puts in place of a space or an apostrophe.
ALSO_WRITTEN = {" ": " \u00a0\u2009\u202f", "'": "'\u2019"}
POINT_THEN_COMMA = r"^[+-]?[1-9]\d{0,2}([.]\d{3})+,\d+$"
UNMARKED, WITH_POINT, WITH_COMMA = " without marks between thousands", " with a decimal point", " with a decimal comma"
# How a cell may look where no mark parts its thousands, what was expected instead, and the setting that reads it.
HINTS = {
    ".": (
        (POINT_THEN_COMMA, WITH_POINT, 'set decimal = "," and thousands = ".".'),
        (r"^[+-]?[1-9]\d{0,2}(,\d{3})+[.]\d+$|^[+-]?[1-9]\d{0,2}(,\d{3}){2,}$", UNMARKED, 'set thousands = ",".'),
        (
            r"^[+-]?[1-9]\d{0,2},\d{3}$",
            WITH_POINT,
            'set decimal = "," if it has a decimal comma, or thousands = "," if the comma parts thousands.',
        ),
        (r"^[+-]?\d+,\d+$", WITH_POINT, 'set decimal = ",".'),
    ),
    ",": (
        (POINT_THEN_COMMA, UNMARKED, 'set thousands = ".".'),
        (
            r"^[+-]?[1-9]\d{0,2}([.]\d{3})+$",
            WITH_COMMA,
            'set thousands = "." if the points part thousands, or decimal = "." if the point is decimal.',
        ),
    ),
}
OTHER_MARKS = tuple(
    (rf"^[+-]?[1-9]\d{{0,2}}([{written}]\d{{3}})+([.,]\d+)?$", UNMARKED, f'set thousands = "{mark}".')
    for mark, written in ALSO_WRITTEN.items()
)


def parse_numbers(cell: pl.Expr, *, decimal: str, thousands: str) -> pl.Expr:
    """Cells without white space around them as Float64; null for what is not a number. True is 1, False 0."""
    is_foreign = pl.lit(False)
    if thousands:
        mark = f"[{re.escape(ALSO_WRITTEN.get(thousands, thousands))}]"
        grouped = rf"^[+-]?[1-9]\d{{0,2}}(?:{mark}\d{{3}})+(?:{re.escape(decimal)}\d*)?$"
        is_foreign |= cell.str.contains(mark) & ~cell.str.contains(grouped)
        cell = pl.when(~is_foreign).then(cell.str.replace_all(mark, ""))
    if decimal == ",":
        cell = pl.when(~cell.str.contains(".", literal=True)).then(cell.str.replace_all(",", ".", literal=True))
    return cell.str.to_lowercase().replace(TRUTHS).cast(pl.Float64, strict=False)


def check_numbers(role: str, is_no_number: pl.Expr, *, decimal: str, thousands: str) -> list[Check]:
    """The message on a cell that is not a number: which setting would read it, if one does."""
    hints = [*HINTS[decimal], *OTHER_MARKS]
    if thousands:
        between = f' with groups of three digits between its marks "{thousands}"'
        hints = [(re.escape(thousands), between, "correct it, or thousands and decimal if these are other marks.")]
    mark, expected = {".": ("point", ""), ",": ("comma", WITH_COMMA)}[decimal]
    hints += [
        (r"^\D*$", "", "if it means a missing value, list it: missing_values = [{value}]; else write a number."),
        (
            "",
            expected,
            f"write it with a decimal {mark}, without separators or units, and leave cells of missing values empty.",
        ),
    ]
    return [
        Check(
            "E-SER-001",
            role,
            is_no_number & pl.col(role).str.contains(pattern),
            f"got {{value}}, expected a number{problem}.",
            fix,
        )
        for pattern, problem, fix in hints
    ]
