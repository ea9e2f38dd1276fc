"""Kinds that other packages bring: each is found, and one that is broken is in nobody's way."""

import logging
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from flows.commands import doctor
from flows.recipes.recipe import load_recipe
from tasks import kinds
from tasks.errors import InputError
from tasks.kinds import BUILT_IN

RECIPE = """from typing import ClassVar, Literal
import dataclasses
from tasks.kinds.classify.recipe import CLASSIFY, ClassifyRecipe

class TonesRecipe(ClassifyRecipe):
    kind: Literal["tones"]

class NamelessRecipe(ClassifyRecipe):
    kind: str

TONES = dataclasses.replace(CLASSIFY, name="tones", recipe=TonesRecipe)
NAMELESS = dataclasses.replace(CLASSIFY, name="nameless", recipe=NamelessRecipe)
OTHER = {"name": "other"}
"""
WORKS = "tones = tones.recipe:TONES"


@pytest.fixture(autouse=True)
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Packages `tones`, which brings a kind, and `tunes`, which does not come through its own import."""
    for name, source in (("tones", RECIPE), ("tunes", "1 / 0\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
        (tmp_path / name / "recipe.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] in ("tones", "tunes")]:
        del sys.modules[name]
    forget()


def forget() -> None:
    for known in (kinds.known_kinds, kinds.find_kind, kinds.all_kinds):
        known.cache_clear()


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch):
    """A function that has packages bring kinds, told as lines of their entry points."""

    def run(*lines: str) -> None:
        pairs = [[part.strip() for part in line.split("=")] for line in lines]
        entries = [EntryPoint(name=name, value=value, group=kinds.GROUP) for name, value in pairs]
        monkeypatch.setattr(kinds, "entry_points", lambda group: entries)
        forget()

    return run


def test_a_kind_is_found_beside_ours(install):
    install(WORKS)

    assert list(kinds.all_kinds()) == [*BUILT_IN, "tones"]
    assert kinds.find_kind("tones").recipe.__name__ == "TonesRecipe"
    assert kinds.find_faults() == {}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("tunes = tunes.recipe:TUNES", 'ZeroDivisionError: "division by zero"'),
        ("gone = gone.recipe:GONE", "ModuleNotFoundError: \"No module named 'gone'\""),
        ("tones = tones.recipe:MISSING", "AttributeError: \"module 'tones.recipe' has no attribute 'MISSING'\""),
        ("other = tones.recipe:OTHER", "it is \"{'name': 'other'}\""),
        ("nameless = tones.recipe:NAMELESS", 'the field kind of its recipe is not Literal["nameless"]'),
    ],
)
def test_a_broken_kind_is_named_once_and_breaks_no_other(install, line: str, reason: str, caplog):
    name, value = line.split(" = ")
    install(line)

    with caplog.at_level(logging.WARNING):
        assert [set(kinds.all_kinds()) for _ in range(2)] == [set(BUILT_IN)] * 2
    assert load_recipe("reviews").kind == "classify"
    with pytest.raises(InputError) as caught:
        kinds.find_kind(name)

    assert caught.value.code == "E-CFG-018"
    assert caught.value.problem == f'{value} does not describe the kind "{name}": {reason}.'
    assert [record.message.startswith(f"E-CFG-018 {value} does not") for record in caplog.records] == [True]


def test_a_name_that_two_packages_claim_is_nobodys(install):
    install(WORKS, "tones = tunes.recipe:TONES")

    assert list(kinds.all_kinds()) == [*BUILT_IN]
    with pytest.raises(InputError, match=r'E-CFG-017 the kind "tones" is provided twice, by tones.* and tunes'):
        kinds.find_kind("tones")


def test_the_same_kind_may_be_listed_twice(install):
    install(WORKS, WORKS)

    assert kinds.find_kind("tones").name == "tones"


def test_a_name_of_ours_stays_ours(install):
    install("classify = tones.recipe:TONES")

    assert kinds.find_kind("classify").recipe.__module__ == "tasks.kinds.classify.recipe"
    assert list(kinds.all_kinds()) == [*BUILT_IN]
    assert kinds.find_faults()["classify"].problem.endswith("tones.recipe:TONES. Ours stays.")


def test_the_examination_of_a_machine_names_what_is_broken(install):
    install(WORKS, "tunes = tunes.recipe:TUNES")

    [finding] = doctor.examine_kinds()

    assert (finding.status, finding.subject) == (doctor.WARN, "kind tunes")
    assert finding.fix == "update or uninstall the package that provides it."


def test_a_kind_that_is_not_installed_is_refused(install):
    install()

    with pytest.raises(InputError, match=r'E-CFG-018 kind: got "tones", expected one of "classify"'):
        kinds.find_kind("tones")
