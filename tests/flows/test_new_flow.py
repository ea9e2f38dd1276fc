"""The flow `new`: a recipe as an artifact, for people who work in Prefect's pages."""

from pathlib import Path

import pytest
from prefect.artifacts import Artifact
from prefect.utilities.callables import parameter_schema

from flows.new import new

SALES = "date,units\n" + "".join(
    f"{month:02}/01/{year},{month % 5}\n" for year in range(2015, 2021) for month in range(1, 13)
)


@pytest.fixture
def sales(project: Path) -> Path:
    path = project / "sales.csv"
    path.write_text(SALES)
    return path


def test_the_recipe_and_its_questions_are_shown_and_nothing_is_written(server, sales: Path):
    state = new(str(sales), return_state=True)

    assert state.message == 'recipe for forecast: "units" over time, in steps of 1mo; 1 question left'
    shown = Artifact.get("recipe-sales").data
    assert 'time_format = "?"' in shown
    assert '**which day is "02/01/2015"?** time_format = "%m/%d/%Y": 1 February 2015; or' in shown
    assert [path.name for path in sales.parent.glob("*.toml")] == []


def test_settings_answer_in_advance(server, sales: Path):
    state = new(str(sales), settings=["source.time_format=%m/%d/%Y"], return_state=True)

    assert state.message.endswith("0 questions left")
    assert state.result()["source"]["time_format"] == "%m/%d/%Y"


@pytest.mark.parametrize("parameter", ["path", "kind", "settings"])
def test_every_parameter_of_the_form_is_described(parameter: str):
    assert parameter_schema(new).properties[parameter]["description"]
