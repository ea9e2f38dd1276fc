import importlib
import sys
from pathlib import Path

import pytest

from tasks.registry.packaging import copy_served_code
from tasks.store import fingerprint


def forget_code() -> None:
    """Let modules be read again, as a new process does."""
    importlib.invalidate_caches()
    readers = ("reached_modules", "_module_path", "_imports_of", "_source_digest", "_read_module", "read_source")
    for reader in readers:
        getattr(fingerprint, reader).cache_clear()


def digest_anew() -> str:
    forget_code()
    return fingerprint.code_digest("rooms.stage")


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package `rooms` whose module `stage` reaches `helper` through `middle`."""
    package = tmp_path / "rooms"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "stage.py").write_text("from rooms.middle import pass_on\n")
    (package / "middle.py").write_text("def pass_on():\n    from rooms import helper\n    return helper.SIZE\n")
    (package / "helper.py").write_text("import numpy\nSIZE = 1\n")
    (package / "stranger.py").write_text("SIZE = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(fingerprint, "PROJECT_PACKAGES", ("rooms",))
    forget_code()
    yield package
    forget_code()
    for name in [name for name in sys.modules if name.partition(".")[0] == "rooms"]:
        del sys.modules[name]


def test_imports_are_followed_through_functions_and_packages(code: Path):
    assert list(fingerprint.reached_modules("rooms.stage")) == ["rooms", "rooms.helper", "rooms.middle", "rooms.stage"]


def test_an_indirect_helper_changes_the_digest(code: Path):
    before = digest_anew()
    (code / "helper.py").write_text("import numpy\nSIZE = 2\n")

    assert digest_anew() != before


@pytest.mark.parametrize("source", ["import numpy\nSIZE = 1  # one\n", '"""Sizes."""\n\nimport numpy\n\nSIZE = (1)\n'])
def test_comments_docstrings_and_layout_do_not(code: Path, source: str):
    before = digest_anew()
    (code / "helper.py").write_text(source)

    assert digest_anew() == before


def test_a_module_nobody_reaches_does_not(code: Path):
    before = digest_anew()
    (code / "stranger.py").write_text("SIZE = 2\n")

    assert digest_anew() == before


def test_a_template_beside_a_module_is_part_of_it(code: Path):
    before = digest_anew()
    (code / "helper.html.j2").write_text("<p>")

    assert digest_anew() != before


def test_versions_are_those_of_reached_libraries(code: Path):
    assert list(fingerprint.installed_versions("rooms.stage")) == ["python", "numpy"]
    assert list(fingerprint.installed_versions("rooms.stranger")) == ["python"]


TYPED = """from typing import TYPE_CHECKING

from rooms import helper

if TYPE_CHECKING:
    import polars

    from rooms.stranger import Size
else:
    import scipy
"""


def test_what_only_a_type_checker_imports_is_not_reached(code: Path):
    (code / "stage.py").write_text(TYPED)
    before = digest_anew()

    assert list(fingerprint.reached_modules("rooms.stage")) == ["rooms", "rooms.helper", "rooms.stage"]
    assert list(fingerprint.installed_versions("rooms.stage")) == ["python", "numpy", "scipy"]

    (code / "stage.py").write_text(TYPED.replace("import polars", "import pyarrow"))
    assert digest_anew() == before


@pytest.fixture
def foreign(code: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same package as one of others, which a stage of theirs is in; it imports relatively, and does something."""
    monkeypatch.setattr(fingerprint, "PROJECT_PACKAGES", ("tasks", "rnnmodels"))
    (code / "__init__.py").write_text("LEVEL = 1\n")
    (code / "stage.py").write_text("import yaml\nfrom .middle import pass_on\nfrom tasks.errors import quoted\n")
    (code / "middle.py").write_text("from . import helper\n")
    (code.parent / "lonely.py").write_text("SIZE = 1\n")
    forget_code()
    return code


def test_the_package_of_a_kind_of_others_counts_for_its_stages(foreign: Path):
    reached = ["rooms", "rooms.helper", "rooms.middle", "rooms.stage", "tasks.errors"]
    assert list(fingerprint.reached_modules("rooms.stage")) == reached
    assert list(fingerprint.reached_modules("tasks.errors", "lonely")) == ["lonely", "tasks.errors"]
    for edited in ("__init__.py", "helper.py"):
        before = digest_anew()
        (foreign / edited).write_text("SIZE = 2\n")
        assert digest_anew() != before, edited


def test_every_library_that_others_import_counts(foreign: Path):
    assert list(fingerprint.installed_versions("rooms.stage")) == ["python", "PyYAML", "numpy"]


def test_the_code_of_others_is_shipped_as_it_is(foreign: Path, tmp_path: Path):
    packages = copy_served_code(tmp_path / "shipped", "rooms.stage")

    assert [package.name for package in packages] == ["rooms", "tasks"]
    shipped = {path.relative_to(tmp_path / "shipped").as_posix() for path in (tmp_path / "shipped").rglob("*.py")}
    names = ("__init__", "helper", "middle", "stage")
    assert shipped == {*(f"rooms/{name}.py" for name in names), "tasks/__init__.py", "tasks/errors.py"}
    assert (tmp_path / "shipped/rooms/__init__.py").read_text() == "LEVEL = 1\n"


def test_a_served_forecaster_ships_nothing_of_a_text_classifier():
    shipped = set(fingerprint.reached_modules("tasks.panel.served_model", "tasks.kinds.forecast.forecaster"))

    assert "rnnmodels.forecasters.forecaster" in shipped
    assert not shipped & {"rnnmodels.classifiers.classifier", "rnnmodels.layers.pooling"}


def test_what_json_cannot_hold_is_refused():
    with pytest.raises(TypeError):
        fingerprint.digest_of({1, 2})
    with pytest.raises(ValueError, match="not JSON compliant"):
        fingerprint.digest_of(float("nan"))
