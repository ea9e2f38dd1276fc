"""Texts to numbers: decimal marks, marks between thousands, and what is true or false.

A mark that may be either is never guessed: "1,234" is refused until a setting says what its comma is.
"""

import re

import polars as pl

from tasks.sources.row_checks import Check

TRUTHS = {"true": "1", "false": "0"}
# What typesetting puts in place of a space or an apostrophe.
ALSO_WRITTEN = {" ": " \u00a0\u2009\u202f", "'": "'\u2019"}
ONE_COMMA = r"^[+-]?\d+,\d+$"
POINT_THEN_COMMA = r"^[+-]?[1-9]\d{0,2}([.]\d{3})+,\d+$"
COMMAS_THEN_POINT = r"^[+-]?[1-9]\d{0,2}(,\d{3})+[.]\d+$|^[+-]?[1-9]\d{0,2}(,\d{3}){2,}$"
POINTS = r"^[+-]?[1-9]\d{0,2}([.]\d{3})+$"
SPACES = r"^[+-]?[1-9]\d{0,2}([ \u00a0\u2009\u202f]\d{3})+([.,]\d+)?$"
APOSTROPHES = r"^[+-]?[1-9]\d{0,2}(['\u2019]\d{3})+([.,]\d+)?$"


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
    cell, mark = pl.col(role), {".": "point", ",": "comma"}[decimal]

    def when(bad: pl.Expr, problem: str, fix: str) -> Check:
        return Check("E-SER-001", role, is_no_number & bad, f"got {{value}}, expected a number{problem}.", fix)

    checks = []
    if thousands:
        checks.append(
            when(
                cell.str.contains(thousands, literal=True),
                f' with groups of three digits between its marks "{thousands}"',
                "correct it, or thousands and decimal if these are other marks.",
            )
        )
    else:
        if decimal == ".":
            checks += [
                when(
                    cell.str.contains(POINT_THEN_COMMA),
                    " with a decimal point",
                    'set decimal = "," and thousands = ".".',
                ),
                when(cell.str.contains(COMMAS_THEN_POINT), " without marks between thousands", 'set thousands = ",".'),
                when(
                    cell.str.contains(ONE_COMMA),
                    " with a decimal point",
                    'set decimal = "," if it has a decimal comma, or thousands = "," if the comma parts thousands.',
                ),
            ]
        else:
            read = 'set thousands = "." if the points part thousands, or decimal = "." if the point is decimal.'
            checks += [
                when(cell.str.contains(POINT_THEN_COMMA), " without marks between thousands", 'set thousands = ".".'),
                when(cell.str.contains(POINTS), " with a decimal comma", read),
            ]
        checks += [
            when(cell.str.contains(pattern), " without marks between thousands", f'set thousands = "{spelled}".')
            for pattern, spelled in ((SPACES, " "), (APOSTROPHES, "'"))
        ]
    return [
        *checks,
        when(
            ~cell.str.contains(r"\d"),
            "",
            "if it means a missing value, list it: missing_values = [{value}]; else write a number.",
        ),
        when(
            pl.lit(True),
            " with a decimal comma" if decimal == "," else "",
            f"write it with a decimal {mark}, without separators or units, and leave cells of missing values empty.",
        ),
    ]
