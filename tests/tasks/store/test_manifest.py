"""Summaries: what a stage reports is what a later one reads."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.errors import IntegrityError
from tasks.store import artefacts
from tasks.store.artefacts import Artefact
from tasks.store.manifest import Summary


class Measured(Summary):
    """A summary with fields of its own."""

    figures: dict[str, float]
    zone: str | None


def keep(summary: Summary) -> Artefact:
    with artefacts.refreshing(True):
        return artefacts.build("measure", lambda _folder: summary, module="tasks.store.manifest", config={})


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    figures=st.dictionaries(st.text(max_size=3), st.floats(allow_nan=False, allow_infinity=False), max_size=3),
    rows=st.integers(),
    said=st.lists(st.text(max_size=5), max_size=2),
)
def test_every_number_and_word_comes_back_as_it_was(project: Path, figures, rows, said):
    summary = Measured(rows=rows, warnings=said, figures=figures, zone=None, for_people={"share": 1 / 3, "all": said})

    assert Measured.of(keep(summary)) == summary


def test_what_has_nothing_to_say_is_not_stored(project: Path):
    stored = keep(Measured(rows=3, figures={}, zone=None, problems=["one"], warnings=[])).summary

    assert stored == {"rows": 3, "figures": {}, "zone": None, "problems": ["one"]}


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        ({"zone": None}, "figures: Field required"),
        ({"figures": {}}, "zone: Field required"),
        ({"figures": {"loss": "0.5"}, "zone": None}, r"figures\.loss: Input should be a valid number"),
        ({"figures": {}, "zone": 3}, "zone: Input should be a valid string"),
        ({"figures": {}, "zone": None, "warnings": "few rows"}, "warnings: Input should be a valid array"),
    ],
)
def test_a_field_that_is_missing_or_of_another_type_is_named(project: Path, stored: dict, message: str):
    artefact = keep(Summary(rows=3, **{name: value for name, value in stored.items() if name != "warnings"}))
    if "warnings" in stored:
        text = (artefact.path / "manifest.json").read_text()
        (artefact.path / "manifest.json").write_text(text.replace('"rows": 3', '"rows": 3, "warnings": "few rows"'))

    with pytest.raises(IntegrityError, match=rf"^E-INT-005 the summary of measure/\w+ is no Measured: {message}"):
        Measured.of(artefact)
