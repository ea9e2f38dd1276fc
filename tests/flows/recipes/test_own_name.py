"""A model's name belongs to one kind of problem, which is seen before anything is computed."""

from pathlib import Path

import pytest

from flows.recipes.kinds import validate_recipe
from flows.recipes.own_name import held_split_of
from tasks.errors import InputError
from tasks.promotion import ledger
from tasks.store import artefacts
from tasks.store.manifest import Summary

ROOT = Path(__file__).parents[3]
SOURCES = {
    "classify": {"path": "rows.csv"},
    "classify-series": {"path": "rows.csv", "id_column": "id"},
    "forecast": {"path": "rows.csv"},
    "detect": {"path": "rows.csv"},
    "language": {"path": "rows.csv"},
}


def crown(kind: str) -> artefacts.Artefact:
    """Give the name `loads` a champion whose rows were divided as a kind does."""
    splits = artefacts.build(
        "split",
        lambda _folder: Summary.model_validate({"rows": 1, "splits": {}, "kind": kind}),
        module="tasks.store.artefacts",
        config={"kind": kind},
    )
    draft = {"action": "first", "champion": "1", "reason": "first", "actor": "gate", "holdout": "rows"}
    ledger.append(ledger.Draft(model="loads", splits=splits.reference, **draft), expected=0)
    return splits


@pytest.mark.parametrize("owner", SOURCES)
@pytest.mark.parametrize("kind", SOURCES)
def test_a_name_is_kept_for_the_kind_of_its_champion(owner: str, kind: str):
    recipe = validate_recipe({"name": "loads", "kind": kind, "source": SOURCES[kind]})
    assert held_split_of(recipe) is None
    splits = crown(owner)

    if kind == owner:
        assert held_split_of(recipe).key == splits.key
    else:
        with pytest.raises(InputError) as error:
            held_split_of(recipe)
        assert str(error.value) == (
            f'E-DATA-031 the name "loads" belongs to a model of kind {owner}, and the recipe is of kind {kind}.\n'
            "Fix: set registry.model_name to an unused name."
        )
        own = validate_recipe(
            {"name": "loads", "kind": kind, "source": SOURCES[kind], "registry": {"model_name": "others"}}
        )
        assert held_split_of(own) is None


def test_the_name_is_checked_without_mlflow(fresh_process):
    code = "import sys, flows.recipes.own_name; print(sorted({'mlflow', 'torch', 'sklearn'} & set(sys.modules)))"

    assert fresh_process.run(code, cwd=ROOT).stdout.strip() == "[]"
