"""What a source is: the settings that say which rows to read, and the built-in data sets.

A built-in data set is a preset of the general settings, so every source goes through the same readers.
Importing this needs nothing but pydantic, so that recipes are checked fast.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from tasks.sources.label_names import label_name, plain_label, spelled_out

GIB = 2**30
# The channels of sequences that are made to measure memory, by data set.
MEMORY_CHANNELS = {"adding": ("number", "marker"), "copy": ("a", "b", "c", "d", "cue")}
# Encodings of two or four bytes a unit, which the readers bring to UTF-8 first.
WIDE_ENCODINGS = ("utf-16", "utf-32")


def _listed(names: Any) -> Any:  # noqa: ANN401
    """Read nothing or one name as a list of it."""
    return (names,) if isinstance(names, str) else names or ()


ColumnName = Annotated[str, Field(min_length=1, max_length=256)]
# One name may stand for a list of one.
ColumnNames = Annotated[tuple[ColumnName, ...], BeforeValidator(_listed)]


def _with_list(given: Mapping[str, Any], name: str, earlier: Sequence[str]) -> Mapping[str, Any]:
    """Settings with a list of columns in place of the settings that once named one each."""
    others = {key: value for key, value in given.items() if key not in earlier}
    lists = [_listed(given[spelling]) for spelling in earlier if given.get(spelling) is not None]
    columns = _listed(given.get(name))
    if not lists or not all(isinstance(names, Collection) for names in (columns, *lists)):
        return {name: lists[0], **others} if lists else others
    named = [column for names in lists for column in names]
    if columns and not set(named) <= set(columns):
        raise ValueError(f"remove {', '.join(changed)}: only {' and '.join(MEMORY_CHANNELS)} are made so")
        if is_made and self.path is not None:
            raise ValueError(f'dataset "{self.dataset}" is made, not read; remove path')
        return self


class LabelledSource(FileSettings):
    """Which columns hold a label and an official split, whatever is labelled."""

    label_column: str = Field("label", min_length=1, max_length=256, description="Column that holds the label.")
    split_column: str | None = Field(
        None, min_length=1, max_length=256, description="Column that holds the official split, if there is one."
    )
    labels: dict[str, str] = Field(
        {}, max_length=1000, description="Allowed labels and the names to give them; empty accepts any."
    )
    similar_labels: Literal["error", "merge", "keep"] = Field(
        "error",
        description="How to treat labels that differ only in case, width, surrounding marks or leading zeros: "
        "`merge` gives all of them the most frequent spelling, `keep` treats them as different classes.",
    )

    @field_validator("labels")
    @classmethod
    def _names_each_label_once(cls, labels: dict[str, str]) -> dict[str, str]:
        names: dict[str, str] = {}
        for label, name in labels.items():
            if names.setdefault(label_name(label), plain_label(name)) != plain_label(name):
                raise ValueError(f"label {spelled_out(label)} gets two names")
        return labels

    @model_validator(mode="after")
    def _knows_labels_from_missing_ones(self) -> Self:
        both = [label for label in self.labels if label in self.missing_values]
        if both:
            raise ValueError(f"{spelled_out(both[0])} is listed in labels and in missing_values; remove one of the two")
        return self

    def named_columns(self) -> dict[str, str]:
        """The columns of the label and, if there is one, the official split."""
        roles = {"label": self.label_column, "split": self.split_column}
        return {role: column for role, column in roles.items() if column is not None}
