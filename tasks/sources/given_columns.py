"""The columns of a table that is given to a registered model; this module travels with it."""

from collections.abc import Collection, Sequence

from tasks.errors import InputError, quoted


def check_columns(present: Sequence[object], wanted: Collection[str]) -> None:
    """Refuse a table that lacks a column which the model needs, or has it twice.

    Raises InputError (E-REG-012).
    """
    for column in wanted:
        if present.count(column) != 1:
            raise InputError(
                "E-REG-012",
                f"is {'missing' if column not in present else 'repeated'}; the table has "
                f"{', '.join(quoted(str(name)) for name in present)}.",
                fix=f"give the table the columns {', '.join(wanted)}.",
                column=column,
            )
