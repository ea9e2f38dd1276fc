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
MAX_SHOWN = 8
NAME_COLUMNS = (
    "name the columns that are meant, as in --set source.text_columns=body --set source.label_column=queue --set "
    "source.time_columns=day."
)
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
    parts = re.split(r"[/\\]", location.split("?", maxsplit=1)[0])
    last = next((part for part in reversed(parts) if part and not re.search(r"[*?\[]", part)), DEFAULT)
    stem = last if Path(last).is_dir() else last.removesuffix("".join(suffixes_of(last)))
    return re.sub(r"[^\w.-]+", "-", stem, flags=re.ASCII).strip("-._")[:64] or "data"


def _with_given(draft: Draft, given: Mapping[str, object], reasons: Mapping[str, str]) -> Iterator[Setting | Question]:
    """The findings of a draft with what is given in their places, and the rest of it after them."""
    left = {key: value for key, value in given.items() if value is not None}
    for finding in draft.findings:
        of_choices = (key for one in getattr(finding, "choices", ()) for key in one.settings)
        keys = dict.fromkeys([finding.key, *of_choices])
        if not keys.keys() & given.keys():
            yield finding
        yield from (Setting(key, left.pop(key), reasons.get(key, ANSWERED)) for key in keys if key in left)
    yield from (Setting(key, value, reasons.get(key, ANSWERED)) for key, value in left.items())


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
    names = [*map(quoted, seen.columns)]
    more = f" and {len(names) - MAX_SHOWN} more" if len(names) > MAX_SHOWN else ""
    problem = f"fits no kind of problem: {reasons}; it has {', '.join(names[:MAX_SHOWN])}{more}."
    return InputError("E-NEW-001", problem, fix=NAME_COLUMNS, file=location)
