"""Pages of the docs as programs: their Python and their commands, run in the order in which they stand."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from click.testing import CliRunner

from flows.commands.cli import main

# It looks at the machine and says what it found by its status.
MAY_COMPLAIN = ("doctor",)


@dataclass(frozen=True)
class Block:
    """Lines between fences, and the line of the page on which the first of them stands."""

    language: str
    text: str
    line: int


def blocks_of(page: Path) -> Iterator[Block]:
    text = page.read_text()
    for fence in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.M | re.S):
        yield Block(fence[1], fence[2], text.count("\n", 0, fence.start(2)) + 1)


def run_page(page: Path) -> dict:
    """Run a page from top to bottom in the working directory; returns the names that its Python has defined."""
    names: dict = {"__name__": "__main__"}
    for block in blocks_of(page):
        if block.language == "python":
            run_python(page, block, names)
        elif not block.language:
            run_commands(page, block)
    return names


def run_python(page: Path, block: Block, names: dict) -> None:
    """Run statements one by one; an expression with a comment on the next line must have the value that it says."""
    # With blank lines before it, every line has the number that it has on the page.
    source = "\n" * (block.line - 1) + block.text
    lines = source.splitlines()
    for statement in ast.parse(source).body:
        following = lines[statement.end_lineno : statement.end_lineno + 1]
        if isinstance(statement, ast.Expr) and following and following[0].startswith("# "):
            code = compile(ast.Expression(statement.value), page, "eval")
            assert repr(eval(code, names)) == following[0].removeprefix("# "), f"{page.name}:{statement.lineno}"
        else:
            exec(compile(ast.Module([statement], []), page, "exec"), names)


def run_commands(page: Path, block: Block) -> None:
    for number, line in enumerate(block.text.splitlines(), start=block.line):
        program, *arguments = line.split("  #")[0].split()
        assert program == "rnnflow", f"{page.name}:{number}"
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0 or arguments[0] in MAY_COMPLAIN, f"{page.name}:{number}\n{result.output}"
