"""Recipes that wait for answers: a field that holds "?" is a question, whose words stand above it as a comment."""

from collections.abc import Iterator
from pathlib import Path

from flows.recipes.recipe_file import line_of
from tasks.discovery.draft import UNANSWERED
from tasks.errors import InputError


def refuse_open_questions(path: Path, raw: dict) -> None:
    """Raise InputError (E-CFG-019) for the first field of a raw recipe that is still a question."""
    for keys, value in _leaves(raw, ()):
        if value == UNANSWERED:
            key, row = ".".join(keys), line_of(path, keys)
            question, *choices = _comment_above(path, row) or ["it is not answered"]
            answers = "; or ".join(choices).removeprefix("write ") or f"a value, or --set {key}=VALUE"
            raise InputError("E-CFG-019", f'{key} = "?": {question}', fix=f"write {answers}.", file=path, row=row)


def _leaves(node: object, keys: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], object]]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _leaves(value, (*keys, str(key)))
    else:
        yield keys, node


def _comment_above(path: Path, row: int | None) -> list[str]:
    """The lines of the comment that ends above a line: the question and its choices."""
    lines = path.read_text(encoding="utf-8-sig").splitlines()[: (row or 1) - 1]
    comment: list[str] = []
    while lines and lines[-1].startswith("#"):
        line = lines.pop()
        comment.insert(0, line.lstrip("# "))
        if not line.startswith("#   "):
            break
    return comment
