"""A recipe from a look at some files: the kind that fits best drafts it, and answers are worked in one by one."""

import dataclasses
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from flows.recipes.recipe_file import assign
from tasks.discovery.draft import Draft, Question, Setting
from tasks.discovery.files import find
from tasks.discovery.seen import Seen, look
from tasks.errors import InputError, quoted
from tasks.kinds import DEFAULT, all_kinds
from tasks.sources.input_files import suffixes_of
from tasks.sources.settings import GIB
from tasks.store import artefacts

ANSWERED = "as you said"
MAX_DOWNLOAD_BYTES = 4 * GIB


@dataclass(frozen=True, kw_only=True)
class Drafted:
    """A draft of the best kind, what was seen, and the kinds that would fit as well, the best first."""

    name: str
    path: str
    seen: Seen
    draft: Draft
    others: tuple[Draft, ...]

    @property
    def questions(self) -> list[Question]:
        """What is still to be answered."""
        return list(self.draft.questions)

    def as_table(self) -> dict:
        """The recipe as TOML has it; of a question that is open the likeliest answer."""
        table: dict = {"name": self.name, "kind": self.draft.kind}
        for key, value in self.settings():
            assign(table, tuple(key.split(".")), value)
        return table

    def settings(self) -> Iterator[tuple[str, object]]:
        """Keys and values; of an open question the likeliest answer."""
        if not any(one.key == "source.dataset" for one in self.draft.settings):
            yield "source.dataset", "files"
        yield "source.path", self.path
        for finding in self.draft.findings:
            found = finding.choices[0].settings if isinstance(finding, Question) else {finding.key: finding.value}
            yield from ((key, value) for key, value in found.items() if key and value is not None)


def draft_recipe(
    location: str,
    *,
    given: Mapping[str, object],
    reasons: Mapping[str, str] = MappingProxyType({}),
    kind: str = "",
    name: str = "",
) -> Drafted:
    """Look at files and draft a recipe of the kind that fits best, or of the given one.

    `given` are settings by key, such as `source.label_column`, None for one that is left out, and `reasons` say why
    those were given that nobody chose. Raises InputError: E-NEW-001 for files of no kind, and what `find` and `look`
    raise.
    """
    found = find(location, str(given.get("source.include") or ""))
    seen = look(found, given)
    drafts = [one.drafts.load().draft(seen) for one in all_kinds().values() if one.drafts is not None]
    fitting = sorted((one for one in drafts if not one.lacks), key=lambda one: -one.fit)
    chosen = [one for one in fitting if not kind or one.kind == kind]
    if not chosen:
        raise _of_no_kind(location, seen, [one for one in drafts if not kind or one.kind == kind])
    draft = dataclasses.replace(chosen[0], findings=tuple(_with_given(chosen[0], given, reasons)))
    others = tuple(one for one in fitting if one.kind != draft.kind)
    return Drafted(name=name or name_of(location), path=found.location, seen=seen, draft=draft, others=others)


def fetch(location: str) -> str:
    """The path of a location; what an address names is downloaded into the project first.

    Raises what `download` raises, E-INT-001 aside: its content is not known in advance.
    """
    if not location.startswith(("http://", "https://")):
        return location
    from tasks.sources.downloads import download_unpinned

    path = download_unpinned(location, artefacts.home() / "data" / "downloads", max_bytes=MAX_DOWNLOAD_BYTES)
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def name_of(location: str) -> str:
    """A recipe's name after its file, or after the folder of several."""
    parts = [
        part
        for part in re.split(r"[/\\]", location.split("?", maxsplit=1)[0])
        if part and not re.search(r"[*?\[]", part)
    ]
    last = parts[-1] if parts else DEFAULT
    ending = "".join(suffixes_of(last))
    stem = last[: len(last) - len(ending)] if ending and not Path(last).is_dir() else last
    plain = re.sub(r"[^\w.-]+", "-", stem, flags=re.ASCII).strip("-._")
    return (plain or "data")[:64]


def _with_given(draft: Draft, given: Mapping[str, object], reasons: Mapping[str, str]) -> Iterator[Setting | Question]:
    def said(key: str) -> Setting:
        return Setting(key, given[key], reasons.get(key, ANSWERED))

    used: set[str] = set()
    for finding in draft.findings:
        keys = (
            [key for choice in finding.choices for key in choice.settings]
            if isinstance(finding, Question)
            else [finding.key]
        )
        found = [key for key in dict.fromkeys(keys) if key in given]
        if not found:
            yield finding
        yield from (said(key) for key in found if key not in used and given[key] is not None)
        used |= set(found)
    yield from (said(key) for key, value in given.items() if key not in used and value is not None)


def _of_no_kind(location: str, seen: Seen, drafts: list[Draft]) -> InputError:
    if not seen.columns:
        what, _, remedy = (seen.what or "documents without folders named after classes").partition("; ")
        problem = f"holds {what}, which no kind of problem ({', '.join(all_kinds())}) learns from."
        fix = remedy.replace("FILE", shlex.quote(location)) or "give a table, or a folder of texts for each class."
        return InputError("E-NEW-001", problem, fix=fix, file=location)
    lacks: dict[str, list[str]] = {}
    for one in drafts:
        lacks.setdefault(one.lacks, []).append(one.kind)
    reasons = "; ".join(f"for {' and '.join(kinds)} {lack}" for lack, kinds in lacks.items())
    columns = ("source.text_columns=body", "source.label_column=queue", "source.time_columns=day")
    fix = f"name the columns that are meant, as in {' '.join(f'--set {one}' for one in columns)}."
    return InputError(
        "E-NEW-001", f"fits no kind of problem: {reasons}; it has {_listed(seen)}.", fix=fix, file=location
    )


def _listed(seen: Seen) -> str:
    names = [quoted(name) for name in seen.columns]
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")  # noqa: PLR2004
