"""What is known of the rows that a registered version was trained on."""

from pathlib import Path

import pytest

from tasks import pretrained
from tasks.errors import InputError
from tasks.registry.registered_model import RegisteredModel
from tasks.store import artefacts
from tasks.store.artefacts import Artefact
from tasks.store.manifest import Summary


@pytest.fixture
def split(project: Path) -> Artefact:
    def write(folder: Path) -> Summary:
        (folder / "train.txt").write_text("a text")
        return Summary(rows=1)

    return artefacts.build("split", write, module="tasks.store.artefacts", config={})


@pytest.fixture
def model(tmp_path: Path) -> RegisteredModel:
    return RegisteredModel(name="notes", version="2", artifact_uri="", folder=tmp_path / "registered")


def test_the_tags_of_a_version_name_its_split(split: Artefact, model: RegisteredModel, monkeypatch: pytest.MonkeyPatch):
    tags = {"rnnflow.splits": split.reference, "rnnflow.start": ""}
    monkeypatch.setattr(
        pretrained, "read_tags", lambda name, version: tags if (name, version) == ("notes", "2") else {}
    )

    assert pretrained.find_trained_on(model).reference == split.reference


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({}, "they are not in this project's store"),
        ({"rnnflow.splits": "split/0123456789abcdef01234567"}, "they are not in this project's store"),
        ({"rnnflow.start": "the champion, notes/1"}, "it was itself started from the champion, notes/1"),
    ],
)
def test_a_version_of_which_nobody_knows_the_texts_is_refused(
    model: RegisteredModel, monkeypatch: pytest.MonkeyPatch, tags: dict[str, str], reason: str
):
    monkeypatch.setattr(pretrained, "read_tags", lambda name, version: tags)

    with pytest.raises(InputError, match="E-TRN-006") as refused:
        pretrained.find_trained_on(model)
    assert reason in str(refused.value)


def test_a_classifier_is_refused(model: RegisteredModel):
    model.parts.mkdir(parents=True)
    (model.parts / "serving.json").write_text('{"kind": "classify"}')

    with pytest.raises(InputError, match="E-TRN-004 notes/2 is a model of the kind classify"):
        pretrained.refuse_other_kind(model)
