"""What the README and the docs name exists, and the generated page is up to date."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from flows.commands.cli import main
from flows.recipes.recipe_page import write_page

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "benchmarks" / "README.md"]
MADE_BY_RUNS = ("data/", "mlruns/", ".venv")


def commands_of(page: Path) -> set[str]:
    return set(
        re.findall(r"\brnnflow ([a-z]+)\b(?!-)", "\n".join(re.findall(r"```.*?```|`[^`]+`", page.read_text(), re.S)))
    )


def options_of(page: Path) -> set[str]:
    lines = re.findall(r"(rnnflow [a-z]+ [^`\n]*)", page.read_text())
    return {option for line in lines for option in re.findall(r"(?<!\w)--[a-z-]+", line)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path):
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text())

    for link in links:
        assert link.startswith("https://") or (page.parent / link).exists(), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_exists(page: Path):
    paths = re.findall(r"`((?:flows|tasks|rnnmodels|tests|benchmarks|docs)/[\w./-]+)`", page.read_text())

    for path in paths:
        assert (ROOT / path).exists(), path


def test_every_command_exists():
    known = set(main.commands)

    assert commands_of(ROOT / "README.md")
    assert commands_of(ROOT / "README.md") <= known


def test_every_option_exists():
    helps = "".join(CliRunner().invoke(main, [name, "--help"]).output for name in main.commands)

    for option in options_of(ROOT / "README.md"):
        assert option in helps, option


def test_every_make_target_exists():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))

    for page in PAGES:
        assert set(re.findall(r"^make ([a-z]+)", page.read_text(), re.M)) <= targets


def test_the_page_of_recipes_is_up_to_date():
    assert (ROOT / "docs" / "recipes.md").read_text() == write_page(), (
        "run: python -m flows.recipes.recipe_page > docs/recipes.md"
    )


def test_no_page_speaks_of_one_machine():
    for page in PAGES:
        assert not re.search(r"/home/|/root/|/tmp/", page.read_text()), page


def test_every_error_code_has_one_row_and_every_row_a_code():
    sources = "".join(path.read_text() for room in ("flows", "tasks") for path in (ROOT / room).rglob("*.py"))
    cells = re.findall(r"^\| (E-[^|]+) \|", (ROOT / "docs/errors.md").read_text(), re.M)
    explained = [
        f"E-{family}-{number:03}"
        for family, first, last in re.findall(r"E-([A-Z]+)-(\d{3})(?: to E-[A-Z]+-(\d{3}))?", " ".join(cells))
        for number in range(int(first), int(last or first) + 1)
    ]

    # The table of exit statuses speaks of E-BUG-001.
    assert sorted(explained) == sorted(set(re.findall(r'"(E-[A-Z]+-\d{3})"', sources)) - {"E-BUG-001"})
