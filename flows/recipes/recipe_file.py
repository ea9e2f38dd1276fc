"""Recipes as text: found by name or path, read as TOML, changed key by key.

Needs the standard library only, so that a mistyped name is reported before anything heavy is imported.
"""

import glob
import itertools
import re
import shlex
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeGuard

from tasks.errors import InputError, did_you_mean, nearest, quoted

SHIPPED = Path(__file__).parent
MAX_BYTES = 1_000_000
DATA = frozenset(
    {
        *(".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".json", ".parquet", ".ts", ".dat", ".data", ".xlsx"),
        *(".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".zst"),
    }
)


def shipped_recipes() -> dict[str, Path]:
    """The recipes that come with the package, by name."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.toml"), key=lambda path: path.stem)}


def describe_recipe(path: Path) -> str:
    """The first sentence of a recipe's comment."""
    lines = itertools.takewhile(lambda line: line.startswith("#"), path.read_text(encoding="utf-8").splitlines())
    comment = " ".join(line.removeprefix("#").strip() for line in lines)
    return f"{comment.partition('. ')[0].rstrip('.')}."


def locate_recipe(recipe: str) -> Path:
    """Return the file of a shipped name or of a path.

    Raises InputError: E-CFG-001, and E-CFG-020 for data in place of a recipe.
    """
    if recipe in shipped_recipes():
        return shipped_recipes()[recipe]
    path = Path(recipe)
    if _holds_data(path, recipe):
        remedy = f"run: rnnflow new {shlex.quote(recipe)}, then rnnflow train with the recipe that it writes."
        raise InputError("E-CFG-020", "is data, expected a recipe.", fix=remedy, file=recipe)
    if path.is_file():
        return path
    if path.suffix == ".toml" or len(path.parts) > 1:
        found = did_you_mean(path.name, (other.name for other in path.parent.glob("*.toml")))
        raise InputError("E-CFG-001", "is not a file.", fix=f"check the path of the recipe{found}", file=path)
    raise InputError(
        "E-CFG-001",
        f"no recipe is named {quoted(recipe)}.",
        fix=f"{suggestion(recipe, shipped_recipes(), 'choose one of')}, or give the path of a TOML file.",
    )


def _holds_data(path: Path, recipe: str) -> bool:
    """Tell whether an argument names data rather than a recipe: by its suffix, as a folder, a pattern or an address."""
    is_data_file = path.is_file() and not DATA.isdisjoint(suffix.lower() for suffix in path.suffixes)
    return is_data_file or path.is_dir() or glob.has_magic(recipe) or recipe.startswith(("http://", "https://"))


def read_table(path: Path) -> dict:
    """Parse a recipe; its name defaults to that of the file.

    Raises InputError (E-CFG-002) with the line for what is not TOML in UTF-8.
    """
    content = path.read_bytes()
    if len(content) > MAX_BYTES:
        raise InputError(
            "E-CFG-002", f"got {len(content)} bytes, expected a recipe.", fix="give a TOML file.", file=path
        )
    try:
        table = tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        row = content.count(b"\n", 0, error.start) + 1
        raise InputError("E-CFG-002", "is not UTF-8.", fix="save it as UTF-8.", file=path, row=row) from error
    except tomllib.TOMLDecodeError as error:
        raise _syntax_error(path, str(error)) from error
    return {"name": path.stem, **table}


def parse_assignment(text: str) -> tuple[tuple[str, ...], object]:
    """Split `section.field=value` into keys and a TOML value; anything else is a string.

    Raises InputError (E-CFG-006).
    """
    path, equals, value = text.partition("=")
    keys = tuple(key.strip() for key in path.split("."))
    if not equals or not all(keys):
        raise InputError(
            "E-CFG-006",
            f"--set: got {quoted(text)}, expected section.field=value.",
            fix="write for example --set training.epochs=1",
        )
    try:
        parsed = tomllib.loads(f"value = {value}")
    except tomllib.TOMLDecodeError:
        return keys, value
    return keys, parsed["value"] if set(parsed) == {"value"} else value


def assign(table: dict, keys: tuple[str, ...], value: object) -> None:
    """Set one field of a raw recipe; members of a list of tables are addressed by their `name`.

    A list of tables that gets names keeps the members so named, in that order.
    Raises InputError: E-CFG-003 for a name no member has, E-CFG-006 for a field of what is not a section.
    """
    *sections, field = keys
    node: object = table
    for depth, key in enumerate(sections):
        if isinstance(node, list) and not _are_tables(node):
            raise _not_a_section(keys, depth - 1)
        node = _member(node, key) if isinstance(node, list) else node.setdefault(key, {})
        if not isinstance(node, dict | list):
            raise _not_a_section(keys, depth)
    if isinstance(node, list):
        raise _not_a_section(keys, len(sections))
    node[field] = _chosen(node.get(field), value)


def line_of(path: Path, keys: tuple[str, ...]) -> int | None:
    """Find the line that sets a key; None unless exactly one line can be meant."""
    pattern = re.compile(rf"\s*(?:{re.escape(keys[-1])}\s*=|\[+.*\b{re.escape(keys[-1])}\s*\])")
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    found = [number for number, line in enumerate(lines, start=1) if pattern.match(line)]
    return found[0] if len(found) == 1 else None


def suggestion(wrong: str, known: Iterable[str], otherwise: str) -> str:
    """Name the known word nearest to a wrong one, else list what is known."""
    names = list(known)
    near = nearest(wrong, names)
    return f"{otherwise} {', '.join(names)}" if near is None else f'write "{near}"'


def _chosen(present: object, value: object) -> object:
    """Read names given to a list of tables as the choice of its members."""
    names = value.split(",") if isinstance(value, str) else value
    if not _are_tables(present) or not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return value
    return [_member(present, name.strip()) for name in names]


def _are_tables(value: object) -> TypeGuard[list[dict[str, Any]]]:
    return isinstance(value, list) and all(isinstance(member, dict) for member in value)


def _member(tables: list[dict], name: str) -> dict:
    for table in tables:
        if table.get("name") == name:
            return table
    known = [str(table.get("name")) for table in tables]
    raise InputError(
        "E-CFG-003",
        f"--set: no candidate is named {quoted(name)}.",
        fix=f"{suggestion(name, known, 'choose among')}.",
    )


def _not_a_section(keys: tuple[str, ...], depth: int) -> InputError:
    return InputError(
        "E-CFG-006",
        f"--set: got {quoted('.'.join(keys))}, but {quoted('.'.join(keys[: depth + 1]))} has no such fields.",
        fix="name a field of a section, for example --set training.epochs=1",
    )


def _syntax_error(path: Path, message: str) -> InputError:
    line = re.search(r" \(at line (\d+), column (\d+)\)", message)
    reason = message.replace(line[0], "") if line else message
    column = f" at column {line[2]}" if line else ""
    return InputError(
        "E-CFG-002",
        f"is not TOML{column}: {reason[:1].lower()}{reason[1:]}.",
        fix='write text in quotes (name = "value") and sections in brackets ([encode]).',
        file=path,
        row=int(line[1]) if line else None,
    )
