"""The spellings of labels that a pass over a source met: how often and where, and which of them name one class."""

from collections import Counter
from dataclasses import dataclass, field

import polars as pl

from tasks.errors import InputError, plural
from tasks.sources.label_names import label_name, look_of, plain_label, spelled_out
from tasks.sources.settings import LabelledSource

NUM_EXAMPLES = 3


@dataclass
class Spellings:
    """Labels as they are written in the rows that are kept: how many rows have each, and file and line of the first."""

    rows: Counter[str] = field(default_factory=Counter)
    first: dict[str, tuple[str, int | None]] = field(default_factory=dict)

    def add(self, rows: pl.DataFrame) -> None:
        """Count a batch (label, file, line); rows without a label do not count."""
        found = rows.drop_nulls("label").group_by("label", maintain_order=True).agg("file", "line")
        for label, files, lines in found.iter_rows():
            self.rows[label] += len(files)
            self.first.setdefault(label, (files[0], lines[0]))

    def merged(self, settings: LabelledSource) -> dict[str, str]:
        """Map the names of classes that have other spellings to the most frequent one, where the source asks for it.

        Raises InputError (E-DATA-030) naming the first that looks like another, unless the source says what they are.
        """
        if settings.similar_labels == "keep":
            return {}
        named = self._named(settings)
        groups = [group for group in _group_by_look(self._count(named)) if len(group) > 1]
        if groups and settings.similar_labels == "error":
            raise self._look_alike(groups, named, settings.label_column)
        return {name: group[0] for group in groups for name in group[1:]}

    def warnings(self, settings: LabelledSource) -> list[str]:
        """Say how many rows had their label changed, and give examples."""
        rows = self._count(self._named(settings))
        plain = [(label, plain_label(label), rows) for label, rows in self.rows.items() if plain_label(label) != label]
        listed = {label_name(label) for label in settings.labels}
        truth = [
            (label, name, rows)
            for label, rows in self.rows.items()
            if (name := label_name(label)) != plain_label(label) and name not in listed
        ]
        folded = [(name, other, rows[name]) for name, other in self.merged(settings).items()]
        said = {
            "were brought to one Unicode form, without invisible characters": plain,
            "were written as truth values are": truth,
            "took the most frequent spelling": folded,
        }
        return [
            f"labels of {plural(sum(rows for *_, rows in changes), 'row')} {what}: {_examples(changes)}"
            for what, changes in said.items()
            if changes
        ]

    def _named(self, settings: LabelledSource) -> dict[str, str]:
        """The name of its class for each label, as the source gives it."""
        given = {label_name(label): plain_label(name) for label, name in settings.labels.items()}
        return {label: given.get(label_name(label), label_name(label)) for label in self.rows}

    def _count(self, named: dict[str, str]) -> Counter[str]:
        rows: Counter[str] = Counter()
        for label, name in named.items():
            rows[name] += self.rows[label]
        return rows

    def _look_alike(self, groups: list[list[str]], named: dict[str, str], column: str) -> InputError:
        rows, rare = self._count(named), {name for group in groups for name in group[1:]}
        label = next(label for label in self.first if named[label] in rare)
        group = next(group for group in groups if named[label] in group)
        others = ", ".join(f"{spelled_out(one)} ({plural(rows[one], 'row')})" for one in group if one != named[label])
        more = f"; {len(groups) - 1} more labels have several spellings" if len(groups) > 1 else ""
        file, line = self.first[label]
        return InputError(
            "E-DATA-030",
            f"got {spelled_out(label)} ({plural(rows[named[label]], 'row')}), which reads like {others}{more}.",
            fix='spell the label in one way, or set source.similar_labels = "merge" if it is one class, "keep" if not.',
            file=file,
            row=line,
            column=column,
        )


def _group_by_look(names: Counter[str]) -> list[list[str]]:
    """Gather names that look alike, in each group the most frequent one first, of equals the shortest."""
    groups: dict[str, list[str]] = {}
    for name in sorted(names, key=lambda name: (-names[name], len(name), name)):
        groups.setdefault(look_of(name), []).append(name)
    return list(groups.values())


def _examples(changes: list[tuple[str, str, int]]) -> str:
    shown = [
        f"{spelled_out(old)} to {spelled_out(new)} ({plural(rows, 'row')})" for old, new, rows in changes[:NUM_EXAMPLES]
    ]
    return ", ".join(shown) + (f" and {len(changes) - NUM_EXAMPLES} more" if len(changes) > NUM_EXAMPLES else "")
