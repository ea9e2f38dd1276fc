"""Recipes that wait for answers: a field that holds "?" is a question, whose words stand above it as a comment."""

import re
from collections.abc import Iterator
from pathlib import Path

from flows.recipes.recipe_file import line_of
from tasks.discovery.draft import UNANSWERED
from tasks.errors import InputError


def refuse_open_questions(path: Path, raw: dict) -> None:
    """Raise InputError (E-CFG-019) for the first field of a raw recipe that is still a question."""
    for keys, value in _leaves(raw, ()):
        if value == UNANSWERED:
            raise _unanswered(path, keys)


def _leaves(node: object, keys: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], object]]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _leaves(value, (*keys, str(key)))
    else:
        yield keys, node


def _unanswered(path: Path, keys: tuple[str, ...]) -> InputError:
    row = line_of(path, keys)
    question, *choices = _comment_above(path, row) or ["it is not answered"]
    written = "; or ".join(choices) or "write a value"
    return InputError(
        "E-CFG-019",
        f'{".".join(keys)} = "?": {question}',
        fix=f"write {written.removeprefix('write ')}."
        if choices
        else f"write a value, or --set {'.'.join(keys)}=VALUE.",
        file=path,
        row=row,
    )


def _comment_above(path: Path, row: int | None) -> list[str]:
    """The lines of the comment that ends above a line: the question and its choices."""
    if row is None:
        return []
    lines = path.read_text(encoding="utf-8-sig").splitlines()[: row - 1]
    comment: list[str] = []
    while lines and (match := re.match(r"#\s*(.*)", lines[-1])):
        text, is_choice = match[1], lines.pop().startswith("#   ")
        comment.insert(0, text)
        if not is_choice:
            break
    return comment
