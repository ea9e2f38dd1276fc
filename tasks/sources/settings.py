"""What a source is: the settings that say which rows to read, and the built-in data sets.

A built-in data set is a preset of the general settings, so every source goes through the same readers.
Importing this needs nothing but pydantic, so that recipes are checked fast.
"""

import codecs
from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from rnnmodels.config import Settings
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
        raise ValueError(f"{earlier[0]} is the earlier spelling of {name}, and the two differ; remove {earlier[0]}")
    return others | {name: columns or named}


def is_wide(encoding: str) -> bool:
    """Tell whether an encoding takes two or four bytes for each letter of ASCII."""
    return codecs.lookup(encoding).name.startswith(WIDE_ENCODINGS)


class FileSettings(Settings):
    """Which files to read and how, whatever their rows mean; a subclass names the columns it wants."""

    presets: ClassVar[Mapping[str, Mapping[str, object]]] = {"files": {}}
    # What may be set for a built-in data set, whose layout is known.
    free: ClassVar[frozenset[str]] = frozenset({"dataset", "path", "on_bad_rows"})
    reads_documents: ClassVar[bool] = False
    # Lists of columns, and the settings that once named one column each.
    earlier_spellings: ClassVar[Mapping[str, Sequence[str]]] = {}
    # Formats of tables that only some sources have, by suffix.
    own_formats: ClassVar[Mapping[str, str]] = {}

    dataset: str = Field("files", description="`files` are your own; others are built in.")
    path: str | None = Field(
        None,
        min_length=1,
        max_length=4096,
        description="File, folder or glob; for a built-in data set a local copy. Relative to the working directory.",
    )
    format: str = Field("auto", description="How files are read; `auto` goes by the suffix.")
    where: dict[str, str] = Field({}, max_length=16, description="Keep only rows whose columns have these values.")
    quoted: bool = Field(True, description='Whether fields of CSV and TSV may be quoted with `"`.')
    delimiter: str = Field(
        "auto",
        min_length=1,
        max_length=4,
        description="Character that separates the fields of CSV and TSV; `auto` finds comma, semicolon, tab or pipe.",
    )
    columns: ColumnNames = Field(
        (), max_length=4096, description="Names of the columns of a CSV or TSV file without a header line, in order."
    )
    comment: str | None = Field(
        None, min_length=1, max_length=8, description='Lines of a table that begin with this, such as "#", are skipped.'
    )
    missing_values: tuple[Annotated[str, Field(min_length=1, max_length=64)], ...] = Field(
        (),
        max_length=16,
        description='Texts that mean a missing value, such as "?", in columns of texts, labels, splits and numbers.',
    )
    include: str = Field("*", min_length=1, max_length=256, description="Pattern of the tables to read in an archive.")
    encoding: str = Field(
        "utf-8", max_length=64, description='Encoding of text files, such as "cp1252", "gb18030", "utf-16".'
    )
    on_bad_rows: Literal["error", "skip"] = Field(
        "error", description="`skip` leaves bad rows and unreadable files out, and stores how many and the first few."
    )
    # Each bound is checked before the memory or the time is spent.
    max_bytes: int = Field(32 * GIB, ge=1, le=2**50, description="Maximum decompressed bytes of the source.")
    max_rows: int = Field(100_000_000, ge=1, le=2**32 - 1, description="Maximum rows kept from the source.")
    max_ratio: float = Field(200, ge=1, le=1_000_000, description="Maximum decompressed bytes per compressed byte.")
    max_members: int = Field(1_000_000, ge=1, le=100_000_000, description="Maximum files in a folder or archive.")
    max_document_bytes: int = Field(
        10 * 2**20, ge=1, le=2**31 - 1, description="Maximum bytes of a document or of a line of a table."
    )

    @field_validator("delimiter", mode="before")
    @classmethod
    def _was_once_unset(cls, delimiter: object) -> object:
        return "auto" if delimiter is None else delimiter

    @field_validator("delimiter")
    @classmethod
    def _parts_fields(cls, delimiter: str) -> str:
        if delimiter != "auto" and (len(delimiter) > 1 or delimiter in '"\r\n\0'):
            raise ValueError(f"{delimiter!r} cannot separate fields; write a character such as ; or | or \\t, or auto")
        return delimiter

    @field_validator("columns")
    @classmethod
    def _names_each_once(cls, columns: tuple[str, ...]) -> tuple[str, ...]:
        repeated = sorted({column for column in columns if columns.count(column) > 1})
        if repeated:
            raise ValueError(f"{', '.join(repeated)} is named twice; give each column a name of its own")
        return columns

    @field_validator("encoding")
    @classmethod
    def _is_read(cls, encoding: str) -> str:
        ascii_bytes = bytes(range(128))
        try:
            is_read = is_wide(encoding) or ascii_bytes.decode(encoding) == ascii_bytes.decode("ascii")
        except (LookupError, UnicodeError):
            is_read = False
        if not is_read:
            raise ValueError(f"{encoding} is unknown or does not extend ASCII; convert the files to utf-8 with iconv")
        return encoding

    @model_validator(mode="after")
    def _names_a_source(self) -> Self:
        if self.dataset == "files" and self.path is None:
            raise ValueError('dataset "files" needs a path')
        return self

    @model_validator(mode="after")
    def _leaves_a_preset_alone(self) -> Self:
        fields = type(self).model_fields
        layout = [name for name in fields if name not in self.free and not name.startswith("max_")]
        changed = [name for name in layout if getattr(self, name) != fields[name].default]
        if self.dataset != "files" and changed:
            raise ValueError(f'dataset "{self.dataset}" has a fixed layout; remove {", ".join(changed)}')
        return self

    @model_validator(mode="before")
    @classmethod
    def _knows_earlier_spellings(cls, given: object) -> object:
        if not isinstance(given, Mapping):
            return given
        # What a validator returns is read as Python's, of which strict reading takes no list for a tuple.
        return {
            name: tuple(value) if isinstance(value, list) else value for name, value in cls.respelled(given).items()
        }

    @classmethod
    def respelled(cls, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """Settings under their names of today; raises ValueError where both names are given and differ."""
        for name, earlier in cls.earlier_spellings.items():
            given = _with_list(given, name, earlier)
        return given

    def with_preset(self) -> Self:
        """Fill in the layout of a built-in data set."""
        return self.model_copy(update=self.presets[self.dataset])

    @property
    def decimal_mark(self) -> str:
        """What stands before the fraction of a number in a text; sources of numbers let a recipe say it."""
        return "."

    @property
    def reads_lines(self) -> bool:
        """Whether each line of a document is a row; sources of unlabelled texts let a recipe say it."""
        return False

    def wanted_columns(self) -> dict[str, str]:
        """Map the roles of columns (text, label, split, `where` ...) to their names in the source.

        The first word of a role says what its cells are.
        """
        return self.named_columns() | {f"where {column}": column for column in self.where}

    def named_columns(self) -> dict[str, str]:
        """Map the roles of the columns that become part of a row to their names in the source."""
        raise NotImplementedError


class MemoryTask(FileSettings):
    """Sequences that `tasks.sources.memory_tasks` makes, where the data set is one of those; else nothing."""

    made: ClassVar[frozenset[str]] = frozenset({"lag", "sequences", "seed"})
    free: ClassVar[frozenset[str]] = FileSettings.free | made

    lag: int = Field(
        50, ge=2, le=10_000, description="Of `adding` and `copy`: steps from what must be remembered to the end."
    )
    sequences: int = Field(3_000, ge=20, le=1_000_000, description="Of `adding` and `copy`: how many are made.")
    seed: int = Field(1, ge=0, lt=2**32, description="Of `adding` and `copy`: seed of the random numbers.")

    @model_validator(mode="after")
    def _is_made_or_read(self) -> Self:
        is_made = self.dataset in MEMORY_CHANNELS
        fields = type(self).model_fields
        changed = sorted(name for name in self.made if getattr(self, name) != fields[name].default)
        if changed and not is_made:
            raise ValueError(f"{', '.join(changed)} only applies to {' and '.join(MEMORY_CHANNELS)}; remove it")
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
