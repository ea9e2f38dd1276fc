"""Drafted recipes as TOML that people read: what was guessed says so, and questions stand where answers will."""

import json
import re
import textwrap
from collections.abc import Iterator, Mapping

from flows.recipes.drafted_recipe import Drafted
from tasks.discovery.draft import UNANSWERED, Choice, Question, Setting
from tasks.errors import printable

WIDTH = 110
UNBROKEN = "\0"  # stands for spaces within a text, at which no line ends
COMMENT_AT = 34
SECTIONS = ("source", "split", "encode", "shard", "training")
HEAD = "Written by `rnnflow new`. A comment after a setting says why it was chosen; set another where it is wrong."
OPEN = 'Where "?" stands, `rnnflow train` waits for an answer.'


def write_recipe(drafted: Drafted, *, is_open: bool = True) -> str:
    """The recipe as text; with `is_open` questions are left for people, else they are not there any more."""
    draft = drafted.draft
    lines = [f"# {line}" for line in _wrapped(f"{drafted.path}: {draft.reason}.")]
    lines += [f"# {line}" for line in _wrapped(HEAD + (f" {OPEN}" if is_open and drafted.questions else ""))]
    others = " or ".join(f'"{one.kind}"' for one in drafted.others)
    lines += ["", f"name = {as_toml(drafted.name)}", _line("kind", draft.kind, f"or {others}" if others else "")]
    for section in SECTIONS:
        body = list(_section(drafted, section))
        lines += ["", f"[{section}]", *body] if body else []
    for finding in draft.settings:
        if finding.key == "candidates" and isinstance(finding.value, list):
            lines += ["", f"# {finding.why}", *(line for one in finding.value for line in _candidate(one))]
    return "\n".join(lines).rstrip() + "\n"


def as_toml(value: object) -> str:
    """A value as TOML has it."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(as_toml, value))}]"
    if isinstance(value, Mapping):
        keys = {str(key): key if re.fullmatch(r"[\w-]+", str(key), re.ASCII) else as_toml(str(key)) for key in value}
        return "{ " + ", ".join(f"{keys[str(key)]} = {as_toml(one)}" for key, one in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def describe_choice(choice: Choice) -> str:
    """What to write for an answer, and what it means."""
    settings = [
        f"{key.rpartition('.')[2]} = {as_toml(value)}" for key, value in choice.settings.items() if value is not None
    ]
    return f"{' and '.join(settings) or 'remove the line'}: {printable(choice.means)}"


def _section(drafted: Drafted, section: str) -> Iterator[str]:
    if section == "source":
        if not any(one.key == "source.dataset" for one in drafted.draft.settings):
            yield 'dataset = "files"'
        yield f"path = {as_toml(drafted.path)}"
    inside = ""
    for finding in drafted.draft.findings:
        inside = finding.key.partition(".")[0] or inside
        if inside == section:
            yield from _lines_of(finding)


def _lines_of(finding: Setting | Question) -> Iterator[str]:
    if isinstance(finding, Question):
        yield f"# {printable(finding.text)}"
        yield from (f"#   {describe_choice(choice)}" for choice in finding.choices)
        yield f"{_field(finding.key)} = {as_toml(UNANSWERED)}"
    elif not finding.key:
        yield from (f"# {line}" for line in _wrapped(printable(finding.why)))
    else:
        yield _line(_field(finding.key), finding.value, printable(finding.why))


def _candidate(candidate: Mapping[str, object]) -> list[str]:
    return ["[[candidates]]", *(f"{key} = {as_toml(value)}" for key, value in candidate.items()), ""]


def _field(key: str) -> str:
    return key.partition(".")[2]


def _line(field: str, value: object, why: str) -> str:
    line = f"{field} = {as_toml(value)}"
    if isinstance(value, list) and len(line) > WIDTH:
        items = _wrapped(", ".join(as_toml(one).replace(" ", UNBROKEN) for one in value))
        line = "\n".join([f"{field} = [", *(f"    {item}".replace(UNBROKEN, " ") for item in items), "]"])
    if not why:
        return line
    if len(line) + len(why) + 4 > WIDTH:
        return "\n".join([*(f"# {one}" for one in _wrapped(why)), line])
    return f"{line:<{COMMENT_AT}}  # {why}" if "\n" not in line else f"# {why}\n{line}"


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH - 4, break_long_words=False, break_on_hyphens=False)
