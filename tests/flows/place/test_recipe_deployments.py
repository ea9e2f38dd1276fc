"""Recipes of a project folder as deployments of a real Prefect server."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from prefect.utilities.schema_tools import validate

from flows.commands.cli import main
from flows.place.furnishing import ensure_pools
from flows.place.prefect_api import ask
from flows.place.project_recipes import deploy_project
from flows.place.recipe_deployments import Surroundings, deploy_recipe, read_surroundings
from flows.place.settings import PlaceSettings, place_folder, save_settings
from flows.recipes.recipe import build_recipe, load_recipe
from flows.recipes.recipe_file import read_table, shipped_recipes
from flows.trigger import trigger_of
from tasks.errors import InputError

RECIPE = """name = "{name}"
[source]
path = "rows.csv"
max_rows = 1000
[training]
epochs = {epochs}
"""
SCHEDULE = '[schedule]\ncron = "{cron}"\ntimezone = "Europe/Berlin"\n'
FLOWS = ("train", "retrain", "predict", "monitor")


@pytest.fixture
def around(prefect_api: str) -> Surroundings:
    """What `up` knows of a place with that server."""
    settings = PlaceSettings(given_prefect=prefect_api)
    ensure_pools(settings)
    return Surroundings(settings=settings, code="code", taken=("train",))


def write_recipe(folder: Path, name: str, *, epochs: int = 2, cron: str = "") -> Path:
    file = folder / f"{name}.toml"
    file.write_text(RECIPE.format(name=name, epochs=epochs) + (SCHEDULE.format(cron=cron) if cron else ""))
    return file


def deployed(around: Surroundings, flow: str, name: str) -> dict:
    return ask(f"{around.settings.prefect_api}/deployments/name/{flow}/{name}")


def times_of(one: dict) -> list[tuple[str, str, bool]]:
    return [(each["schedule"]["cron"], each["schedule"]["timezone"], each["active"]) for each in one["schedules"]]


def test_a_recipe_becomes_four_deployments_that_run_with_a_click(around: Surroundings, project: Path):
    file = write_recipe(project, "clicks", cron="0 3 * * 1")

    done = deploy_recipe(file, around)

    assert set(done.addresses) == set(FLOWS)
    assert done.schedules == ["0 3 * * 1 Europe/Berlin"]
    ones = {flow: deployed(around, flow, "clicks") for flow in FLOWS}
    assert {one["work_pool_name"] for one in ones.values()} == {"cpu"}
    assert {flow: times_of(one) for flow, one in ones.items()} == {
        "train": [],
        "retrain": [("0 3 * * 1", "Europe/Berlin", True)],
        "predict": [],
        "monitor": [("0 2 * * *", "Europe/Berlin", True)],
    }
    assert (ones["retrain"]["concurrency_options"]["collision_strategy"]) == "CANCEL_NEW"
    assert ones["monitor"]["parameters"] == ones["predict"]["parameters"] == {"model": "clicks"}
    assert file.read_text().strip() in ones["train"]["description"]
    # Prefect asks before a quick run for what is required.
    required = {flow: one["parameter_openapi_schema"].get("required") for flow, one in ones.items()}
    assert required == {"train": [], "retrain": [], "predict": ["input_path", "output_path"], "monitor": []}
    for flow in ("train", "retrain"):
        schema, parameters = ones[flow]["parameter_openapi_schema"], ones[flow]["parameters"]
        assert validate(parameters, schema) == []
        assert "anyOf" not in schema["properties"]["recipe"]
        assert parameters["recipe"]["source"] == {"path": "rows.csv"}
        assert parameters["recipe"]["training"] == {"epochs": 2}
        assert parameters["recipe"]["advanced"] == {"source": {"max_rows": 1000}}


def test_a_forecasting_recipe_can_be_backtested_as_well(around: Surroundings):
    done = deploy_recipe(shipped_recipes()["sea-temperature"], around)

    assert set(done.addresses) == {*FLOWS, "backtest"}


def test_a_changed_file_is_deployed_again_and_a_paused_schedule_stays_paused(around: Surroundings, project: Path):
    write_recipe(project, "paused", cron="0 3 * * 1")
    first = deploy_project(around)
    api = around.settings.prefect_api
    one = deployed(around, "retrain", "paused")
    ask(f"{api}/deployments/{one['id']}/schedules/{one['schedules'][0]['id']}", {"active": False}, method="PATCH")
    mine = [{"schedule": {"cron": "7 7 * * 7", "timezone": "UTC"}, "active": True}]
    ask(f"{api}/deployments/{one['id']}/schedules", mine)

    assert [each.name for each in first.deployed] == ["paused"]
    assert (deploy_project(around).deployed, deploy_project(around).unchanged[0]) == ([], "paused")

    write_recipe(project, "paused", epochs=5, cron="0 4 * * 2")
    again = deploy_project(around)

    assert again.deployed[0].schedules[-1] == "0 4 * * 2 Europe/Berlin (paused)"
    one = deployed(around, "retrain", "paused")
    assert sorted(times_of(one)) == [("0 4 * * 2", "Europe/Berlin", False), ("7 7 * * 7", "UTC", True)]
    assert one["parameters"]["recipe"]["training"] == {"epochs": 5}

    write_recipe(project, "paused", epochs=5)
    deploy_project(around)

    assert times_of(deployed(around, "retrain", "paused")) == [("7 7 * * 7", "UTC", True)]


def test_the_command_states_a_schedule_which_up_leaves_alone(
    around: Surroundings, project: Path, monkeypatch: pytest.MonkeyPatch
):
    file = write_recipe(project, "weekly")
    (project / "rows.csv").write_text("text,label\ngood,a\nbad,b\n")
    place_folder()
    save_settings(around.settings)
    monkeypatch.setattr("flows.place.furnishing.update_automations", lambda: None)
    options = ["--cron", "0 3 * * 1", "--timezone", "Europe/Berlin"]

    shown = CliRunner().invoke(main, ["deploy", str(file), *options])

    assert shown.exit_code == 0, shown.output
    assert shown.output.splitlines()[0] == (
        "Deployed weekly.toml: train/weekly, retrain/weekly, predict/weekly, monitor/weekly; "
        "trained again 0 3 * * 1 Europe/Berlin."
    )
    write_recipe(project, "weekly", epochs=3)
    deploy_project(around)
    assert times_of(deployed(around, "retrain", "weekly")) == [("0 3 * * 1", "Europe/Berlin", True)]

    wrong = CliRunner().invoke(main, ["deploy", str(file), "--cron", "0 3 * * x"])
    assert (wrong.exit_code, wrong.output.splitlines()[0]) == (
        2,
        'E-CFG-004 --cron: got "0 3 * * x", which is not a cron expression.',
    )
    write_recipe(project, "weekly", cron="0 5 * * 1")
    twice = CliRunner().invoke(main, ["deploy", str(file), *options])
    assert (twice.exit_code, twice.output.split()[0]) == (2, "E-CFG-031")


def test_every_recipe_of_the_folder_is_deployed_and_all_else_is_named(around: Surroundings, project: Path):
    write_recipe(project, "good")
    for name in ("twin-a", "twin-b"):
        (project / f"{name}.toml").write_text(RECIPE.format(name="twin", epochs=1))
    write_recipe(project, "train")
    write_recipe(project, "broken", epochs=0)
    (project / "typo.toml").write_text("name = ")
    (project / "pyproject.toml").write_text("[project]\nname = 'x'\n")

    done = deploy_project(around)

    assert [one.name for one in done.deployed] == ["good"]
    said = {note.split()[0]: note.replace(str(project), "") for note in done.notes}
    assert 'E-CFG-004 /broken.toml:6: training.epochs: got "0"' in said["broken.toml"]
    assert said["pyproject.toml"] == "pyproject.toml was left alone: a recipe has a section [source]."
    assert 'E-CFG-030 /train.toml: the name "train" is that of a deployment in prefect.yaml.' in said["train.toml"]
    assert said["twin-a.toml"] == 'twin-a.toml was not deployed: another recipe is named "twin", too.'
    assert "typo.toml was not deployed: E-CFG-002 /typo.toml: is not TOML" in said["typo.toml"]


def test_a_recipe_whose_file_is_gone_stays_deployed_and_is_named(around: Surroundings, project: Path):
    file = write_recipe(project, "gone")
    write_recipe(project, "here")
    deploy_project(around)
    file.unlink()

    assert (
        "gone is deployed, but by no recipe of the project folder; it stays as it is." in deploy_project(around).notes
    )
    assert deployed(around, "train", "gone")["parameters"]["recipe"]["name"] == "gone"


def test_a_folder_without_recipes_gets_the_example(around: Surroundings):
    assert "reviews" in [one.name for one in deploy_project(around).deployed]
    done = deploy_project(around)
    assert (done.deployed, "reviews" in done.unchanged) == ([], True)
    stored = deployed(around, "train", "reviews")["parameters"]["recipe"]
    assert stored["name"] == "reviews"


def test_a_name_of_somebody_elses_deployment_is_refused(around: Surroundings, project: Path):
    api = around.settings.prefect_api
    flow = ask(f"{api}/flows/", {"name": "predict"})["id"]
    ask(f"{api}/deployments/", {"name": "theirs", "flow_id": flow, "tags": ["other"]})

    with pytest.raises(InputError, match=r'E-CFG-030 .*"predict/theirs" exists, and was not made from a recipe'):
        deploy_recipe(write_recipe(project, "theirs"), around)


def test_a_recipe_of_another_project_on_the_same_server_is_left_alone(
    around: Surroundings, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    deploy_recipe(write_recipe(project, "shared"), around)
    other = tmp_path / "other"
    other.mkdir()
    monkeypatch.setenv("RNNFLOW_HOME", str(other))
    write_recipe(other, "shared")

    done = deploy_project(around)

    assert [note for note in done.notes if "E-CFG-030" in note] == [
        f'shared.toml was not deployed: E-CFG-030 {other / "shared.toml"}: the deployment "train/shared" is that of '
        f'the project folder "{project}". Fix: give the recipe another name, as in name = "tickets".'
    ]
    assert (done.deployed, done.unchanged) == ([], [])


def test_a_recipe_whose_rows_are_not_there_is_not_deployed(around: Surroundings, project: Path):
    place_folder()
    save_settings(around.settings)

    shown = CliRunner().invoke(main, ["deploy", str(write_recipe(project, "early"))])

    assert (shown.exit_code, shown.output.splitlines()[0]) == (2, "E-SRC-001 rows.csv: does not exist.")


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        ('cron = "weekly"', 'schedule.cron: got "weekly", which is not a cron expression.'),
        ('cron = "0 3 * * 1"\ntimezone = "Berlin"', 'schedule.timezone: got "Berlin", which is not a time zone.'),
        ('timezone = "Etc/UTC"', "schedule.cron: is missing."),
        ('cron = "0 3 * * 1"\nzone = "Etc/UTC"', "schedule.zone: unknown key."),
    ],
)
def test_a_schedule_that_says_nothing_is_refused_wherever_the_recipe_is_read(project: Path, schedule: str, said: str):
    file = write_recipe(project, "mine")
    file.write_text(f"{file.read_text()}[schedule]\n{schedule}\n")

    with pytest.raises(InputError) as caught:
        load_recipe(str(file))

    assert said in str(caught.value)


def test_a_schedule_changes_neither_the_recipe_nor_what_counts_as_news(project: Path):
    plain, scheduled = write_recipe(project, "plain"), project / "scheduled.toml"
    scheduled.write_text(plain.read_text() + SCHEDULE.format(cron="* * * * *"))
    recipes = [build_recipe(file, read_table(file)) for file in (plain, scheduled)]

    assert recipes[0] == recipes[1]
    assert trigger_of(recipes[0], "rows") == trigger_of(recipes[1], "rows")


def test_a_place_that_is_not_up_is_named(project: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")

    shown = CliRunner().invoke(main, ["deploy", str(write_recipe(project, "mine"))])

    assert (shown.exit_code, shown.output) == (
        5,
        'E-SVC-001 no Prefect server answers at "http://127.0.0.1:9/api".\n'
        "Fix: start one with `rnnflow up`, then try again.\n",
    )


def test_pool_and_steps_are_those_of_the_projects_own_file(project: Path):
    file = project / "prefect.yaml"
    file.write_text(
        "deployments:\n  - {name: a, entrypoint: flows.train.train, work_pool: {name: big}}\npull: [{x: {}}]"
    )

    around = read_surroundings(PlaceSettings(), file, "code")

    assert (around.pool, around.pull_steps, around.taken) == ("big", [{"x": {}}], ("a",))
    assert read_surroundings(PlaceSettings(), Path("prefect.yaml"), "code").pool == "cpu"
