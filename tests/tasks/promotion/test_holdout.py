"""Which split a registered version has learned from, as the ledger tells."""

from pathlib import Path

import pytest

from tasks.errors import InputError
from tasks.promotion.holdout import find_learned_split
from tasks.promotion.ledger import Draft, append
from tasks.registry.registered_model import RegisteredModel
from tasks.store import artefacts
from tasks.store.artefacts import Artefact
from tasks.store.manifest import Summary


def make_split(number: int) -> Artefact:
    def write(folder: Path) -> Summary:
        (folder / "train.txt").write_text(f"text {number}")
        return Summary(rows=number)

    return artefacts.build("split", write, module="tasks.store.artefacts", config={"number": number})


def version(number: str, content: str) -> RegisteredModel:
    return RegisteredModel(name="notes", version=number, artifact_uri="", folder=Path(), content=content)


@pytest.fixture
def splits(project: Path) -> list[Artefact]:
    """Three versions: the first became champion, the second was kept out, the third took over."""
    made = [make_split(number) for number in (1, 2, 3)]
    told = {"model": "notes", "reason": "r", "actor": "gate"}
    first = {"champion": "1", "champion_content": "one"}
    drafts = [
        Draft(action="first", **told, **first, splits=made[0].reference),
        Draft(action="kept", **told, **first, challenger="2", challenger_content="two", splits=made[1].reference),
        Draft(action="promoted", **told, champion="3", champion_content="three", splits=made[2].reference),
        Draft(action="rollback", **told, **first, challenger="3", challenger_content="three"),
    ]
    for number, draft in enumerate(drafts):
        append(draft, expected=number)
    return made


def test_each_version_has_the_split_of_its_own_run(splits: list[Artefact]):
    versions = [version("1", "one"), version("2", "two"), version("3", "three")]

    assert [find_learned_split(one).reference for one in versions] == [split.reference for split in splits]


def test_a_version_that_was_registered_again_is_known_by_its_content(splits: list[Artefact]):
    assert find_learned_split(version("1", "three")).reference == splits[2].reference


def test_of_a_version_of_others_nobody_knows_what_it_has_learned(splits: list[Artefact]):
    with pytest.raises(InputError, match=r"E-TRN-006 which texts notes/4 has learned"):
        find_learned_split(version("4", "four"))


def test_a_split_that_is_gone_is_told(splits: list[Artefact]):
    (splits[0].path / "train.txt").write_text("edited")
    splits[0].path.joinpath("manifest.json").unlink()

    with pytest.raises(InputError, match=r"leave pretrain\.models out"):
        find_learned_split(version("1", "one"))
