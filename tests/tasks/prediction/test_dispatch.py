"""A registered model answers as its kind does, or says that its kind does not."""

from pathlib import Path

import pytest

from tasks.errors import InputError
from tasks.prediction.dispatch import begin_text


@pytest.fixture(autouse=True)
def home(registered_home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RNNFLOW_HOME", str(registered_home))


def test_a_model_of_a_kind_that_writes_nothing_is_refused():
    with pytest.raises(InputError) as caught:
        begin_text("reviews/1", "Once", length=5)

    assert str(caught.value) == (
        'E-GEN-003 model reviews/1 is of kind "classify", whose models write no texts.\n'
        'Fix: name a language model, trained by a recipe with kind = "language".'
    )


def test_a_model_that_is_not_registered_is_named():
    with pytest.raises(InputError, match='E-REG-001 model "nobody@champion" is not registered'):
        begin_text("nobody", "Once")
