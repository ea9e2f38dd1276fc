"""What every row must be, whichever reader found it: one table of checks, evaluated a batch at a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import polars as pl

from tasks.errors import InputError, did_you_mean, quoted
from tasks.sources.intake import Intake
from tasks.sources.label_names import label_name, look_of, plain_label
from tasks.sources.settings import FileSettings, LabelledSource

# The names of official splits in the wild, and ours.
SPLIT_NAMES = {
    "train": "train",
    **dict.fromkeys(("valid", "val", "validation", "dev"), "valid"),
    "test": "test",
    **dict.fromkeys(("unlabelled", "unlabeled", "unsup", "unsupervised"), "unlabelled"),
}

NUMBER = r"(?i)^\s*[+-]?(\d+[.,]\d*|[.,]\d+|\d+([.,]\d*)?e[+-]?\d+|nan|inf|infinity)\s*$"
# Where the cells of a column have become rows: the column of each.
OF_COLUMN = "of column"
FULL_WIDTH_NUMBER = r"^\d*[^\D0-9]\d*$"
# By the first word of a column's role. A name or a time that is missing is a fault, whatever stands for it.
MAY_BE_MISSING = ("text", "label", "split", "value", "known")


@dataclass(frozen=True)
class Check:
    """A fault a row can have: where `bad` holds, the row is refused with this code, problem and remedy.

    `column` is the role of the column to name; `{value}` in problem and remedy stands for its cell, of which the
    remedy names the nearest of the `known` values.
    """

    code: str
    column: str
    bad: pl.Expr
    problem: str
    fix: str
    known: Sequence[str] = ()


def split_check(*, is_named: bool) -> Check:
    """What an official split must be, where a column is named for it."""
    return Check(
        "E-DATA-022",
        "split",
        ~pl.col("split").is_in([*SPLIT_NAMES.values()]) if is_named else pl.lit(False),
        f"got {{value}}, expected one of {', '.join(SPLIT_NAMES)}.",
        "write one of these names.",
        known=tuple(SPLIT_NAMES),
    )


def label_checks(settings: LabelledSource) -> list[Check]:
    """List what official split and label must be, whatever is labelled."""
    label, split = class_name(pl.col("label")), pl.col("split")
    not_a_name = partial(Check, "E-DATA-013", "label")
    # What a recipe lists is a label, however it looks.
    is_listed = label.is_in([*map(label_name, settings.labels)])
    return [
        split_check(is_named=settings.split_column is not None),
        Check(
            "E-DATA-021",
            "label",
            label.is_null() & split.ne_missing("unlabelled"),
            "got nothing, expected a label.",
            'fill the label in, drop the row, or put it in the split "unlabelled".',
        ),
        Check("E-ENC-004", "label", holds_nul(label), "contains a NUL character.", "remove it."),
        not_a_name(
            label.str.contains(NUMBER) & ~is_listed,
            "got {value}, expected a name or an integer.",
            "write class names or integers, without decimal point or comma, or list them in `labels`; a quantity to "
            "predict is not a label.",
        ),
        not_a_name(
            label.str.contains(FULL_WIDTH_NUMBER) & ~is_listed,
            "got {value}, expected digits 0 to 9.",
            "write the number with ASCII digits.",
        ),
        not_a_name(
            (label.str.strip_chars() == "-100") & ~is_listed,
            "got {value}, which training would ignore.",
            'drop the row, or put it in the split "unlabelled".',
        ),
        not_a_name(
            label.str.strip_chars() != label,
            "got {value}, expected no white space around it.",
            "remove the white space.",
        ),
        Check(
            "E-DATA-012",
            "label",
            ~is_listed if settings.labels else pl.lit(False),
            f"got {{value}}, expected one of {', '.join(settings.labels)}.",
            "correct the label, or add it to `labels`.",
            known=tuple(settings.labels),
        ),
    ]


def check_labelled(raw: pl.DataFrame, intake: Intake, checks: Sequence[Check]) -> pl.DataFrame:
    """Filter by `where`, refuse the rows that `checks` find bad, and give labels the names of their classes."""
    rows = refuse_rows(with_label_and_split(filter_rows(raw, intake)), checks, intake)
    intake.spellings.add(rows)
    return rows.with_columns(label=renamed_label(intake.settings))


def with_label_and_split(raw: pl.DataFrame) -> pl.DataFrame:
    """Put official splits under our names, and leave out labels that are empty or not to be read."""
    return with_split(raw).with_columns(label=_label())


def with_split(raw: pl.DataFrame) -> pl.DataFrame:
    """Put official splits under our names; one that we do not know stays, for its check to find."""
    return raw.with_columns(split=_split(raw))


def renamed_label(settings: LabelledSource) -> pl.Expr:
    """The label in plain spelling, under the name that `labels` gives it."""
    names = {label_name(label): plain_label(name) for label, name in settings.labels.items()}
    return class_name(pl.col("label")).replace(names)


def plain(column: pl.Expr) -> pl.Expr:
    """The cells of a column in Unicode form C, without characters that nobody sees."""
    return _spelled(column, plain_label)


def class_name(column: pl.Expr) -> pl.Expr:
    """The cells of a column as labels: in plain spelling, truth values in the one that all formats share."""
    return _spelled(column, label_name)


def settle_cells(raw: pl.DataFrame, settings: FileSettings) -> pl.DataFrame:
    """Empty the cells that hold one of `missing_values`."""
    if not settings.missing_values:
        return raw
    cells = pl.col([role for role in raw.columns if role.partition(" ")[0] in MAY_BE_MISSING])
    return raw.with_columns(pl.when(~cells.str.strip_chars().is_in(settings.missing_values)).then(cells))


def split_name(name: str) -> str | None:
    """Our name of an official split, however it is written; None for a name that we do not know."""
    return SPLIT_NAMES.get(look_of(name))


def filter_rows(raw: pl.DataFrame, intake: Intake) -> pl.DataFrame:
    """Keep the rows that `where` asks for, and count the others."""
    rows = raw
    for column, value in intake.settings.where.items():
        kept = rows.filter(class_name(pl.col(f"where {column}")) == label_name(value))
        intake.filtered[column] += rows.height - kept.height
        rows = kept
    return rows


def refuse_rows(rows: pl.DataFrame, checks: Sequence[Check], intake: Intake) -> pl.DataFrame:
    """Reject the rows in which a check finds a fault, each for its first one, and return the others."""
    faults = [pl.when(check.bad).then(number) for number, check in enumerate(checks)]
    rows = rows.with_columns(fault=pl.coalesce(faults))
    shown = dict.fromkeys(check.column for check in checks)
    named = [name for name in (OF_COLUMN,) if name in rows.columns]
    bad_rows = rows.filter(pl.col("fault").is_not_null()).select("file", "line", "fault", *named, *shown)
    for row in bad_rows.iter_rows(named=True):
        intake.reject(_error(checks[row["fault"]], row, intake.settings))
    return rows.filter(pl.col("fault").is_null())


def _split(raw: pl.DataFrame) -> pl.Expr:
    if "split" not in raw.columns:
        return pl.lit(None, pl.String)
    found = raw["split"].drop_nulls().unique()
    return pl.col("split").replace({name: split_name(name) or name for name in found})


def _label() -> pl.Expr:
    """The label as it is written, null where it is empty or not to be read."""
    absent = (plain(pl.col("label")) == "") | pl.col("split").eq_missing("unlabelled")
    return pl.when(~absent).then("label")


def _spelled(column: pl.Expr, spell: Callable[[str], str]) -> pl.Expr:
    def replaced(cells: pl.Series) -> pl.Series:
        changed = {cell: name for cell in cells.unique().drop_nulls() if (name := spell(cell)) != cell}
        return cells.replace(changed) if changed else cells

    return column.map_batches(replaced, return_dtype=pl.String, is_elementwise=True)


def holds_nul(cell: pl.Expr) -> pl.Expr:
    """Whether a cell has a character that no text has."""
    return cell.str.contains("\0", literal=True)


def _error(check: Check, row: dict, settings: FileSettings) -> InputError:
    value = "null" if row[check.column] is None else quoted(row[check.column])
    fix = check.fix.replace("{value}", value)
    return InputError(
        check.code,
        check.problem.replace("{value}", value),
        fix=fix if not check.known else fix.removesuffix(".") + did_you_mean(str(row[check.column]), check.known),
        file=row["file"],
        row=row["line"],
        column=row.get(OF_COLUMN)
        or ", ".join(name for role, name in settings.named_columns().items() if _is_of(role, check.column))
        or None,
    )


def _is_of(role: str, asked: str) -> bool:
    """Tell whether a role is the one that is asked for, or one of several that make it up."""
    return role == asked or role.startswith(f"{asked} ")


def count_names(names: pl.Series) -> dict[str, int]:
    """Rows by name, sorted; those without one do not count."""
    return dict(names.drop_nulls().value_counts().sort(names.name).iter_rows())
