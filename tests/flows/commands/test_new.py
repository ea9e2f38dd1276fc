"""The command that turns a file into a recipe."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flows.commands import new as command
from flows.commands.cli import main
from flows.recipes.recipe import load_recipe

TICKETS = "body,queue\n" + "".join(
    f'"{word} again, please help me with number {row}",{queue}\n'
    for row in range(40)
    for word, queue in (("invoice", "billing"), ("parcel", "delivery"))
)
SALES = "date,units\n" + "".join(
    f"{month:02}/01/{year},{month % 5}\n" for year in range(2015, 2021) for month in range(1, 13)
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tickets.csv").write_text(TICKETS)
    (tmp_path / "sales.csv").write_text(SALES)
    return tmp_path


def run(*arguments: str, answers: str = "") -> Result:
    return CliRunner().invoke(main, ["new", *arguments], input=answers)


def test_what_is_written_is_a_recipe_that_reads_the_file(folder: Path):
    result = run("tickets.csv")

    assert result.exit_code == 0, result.output
    assert "classify: texts in" in result.output
    assert "Next: rnnflow train tickets.toml" in result.output
    source = load_recipe(str(folder / "tickets.toml")).source
    assert (source.text_columns, source.label_column) == (("body",), "queue")
    assert '# 2 classes: "billing" 40, "delivery" 40' in (folder / "tickets.toml").read_text()


def test_the_first_rows_are_shown_as_they_will_be_read():
    lines = run("tickets.csv").output.splitlines()

    assert any("invoice again" in line and "billing" in line for line in lines)


def test_an_existing_recipe_is_kept_unless_it_is_to_be_replaced(folder: Path):
    (folder / "tickets.toml").write_text("mine")

    refused = run("tickets.csv")

    assert refused.exit_code == 2
    assert "E-NEW-002 tickets.toml: exists already." in refused.output
    assert (folder / "tickets.toml").read_text() == "mine"
    assert run("tickets.csv", "--force").exit_code == 0
    assert run("tickets.csv", "--output", "other.toml").exit_code == 0


def test_a_question_is_left_in_the_recipe_and_training_waits_for_its_answer(folder: Path):
    result = run("sales.csv")

    assert result.exit_code == 0, result.output
    assert '? which day is "02/01/2015"?' in result.output
    assert 'time_format = "?"' in (folder / "sales.toml").read_text()
    trained = CliRunner().invoke(main, ["train", "sales.toml"])
    assert trained.exit_code == 2
    assert 'E-CFG-019 sales.toml:15: source.time_format = "?": which day is "02/01/2015"?' in trained.output


def test_the_first_answers_are_taken_on_request(folder: Path):
    assert run("sales.csv", "--yes").exit_code == 0

    assert load_recipe(str(folder / "sales.toml")).source.time_format == "%m/%d/%Y"


def test_a_first_guess_says_so_and_shows_the_other_answer(folder: Path):
    run("sales.csv", "--yes")
    guessed = (folder / "sales.toml").read_text()
    run("sales.csv", "--force", "--set", "source.time_format=%d/%m/%Y")

    assert "# the first guess, taken by --yes; or time_format = " in guessed
    assert "as you said" not in guessed
    assert 'time_format = "%d/%m/%Y"            # as you said' in (folder / "sales.toml").read_text()


def test_names_of_classes_that_are_no_bare_keys_are_quoted(folder: Path):
    reviews = [{"body": f"bought it, number {row}, would do so again", "stars": row % 2 + 0.0} for row in range(40)]
    (folder / "reviews.jsonl").write_text("".join(json.dumps(one) + "\n" for one in reviews))

    assert run("reviews.jsonl", "--yes").exit_code == 0

    assert load_recipe(str(folder / "reviews.toml")).source.labels == {"0.0": "0", "1.0": "1"}


def test_names_with_spaces_stay_whole_in_a_list_of_several_lines(folder: Path):
    names = [f"relative humidity of  room {number} (%)" for number in range(9)]
    rows = [f"2024-01-{row // 24 + 1:02} {row % 24:02}:00,{','.join([f'{row % 7}.25'] * 9)}" for row in range(600)]
    (folder / "rooms.csv").write_text("\n".join([",".join(["time", *names]), *rows]) + "\n")

    assert run("rooms.csv").exit_code == 0

    assert load_recipe(str(folder / "rooms.toml")).source.value_columns == tuple(names)


def test_columns_are_shown_whole_or_counted(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "80")
    names = [f"Global_reactive_power_{number}" for number in "abcdef"]
    rows = [f"2006-12-16 {row // 60:02}:{row % 60:02},{','.join([f'{row % 7}.25'] * 6)}" for row in range(600)]
    (folder / "power.csv").write_text("\n".join([",".join(["time", *names]), *rows]) + "\n")

    shown = run("power.csv").output

    assert "2006-12-16 00:01:00                      1.25                      1.25" in shown
    assert "and 4 more columns" in shown
    assert "…" not in shown


def test_questions_are_asked_in_a_terminal(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(command, "is_terminal", lambda: True)

    result = run("sales.csv", answers="2\n")

    assert "2  2 January 2015" in result.output
    assert load_recipe(str(folder / "sales.toml")).source.time_format == "%d/%m/%Y"


def test_settings_answer_in_advance(folder: Path):
    assert run("sales.csv", "--set", "source.time_format=%m/%d/%Y", "--set", "shard.horizon=3").exit_code == 0

    recipe = load_recipe(str(folder / "sales.toml"))
    assert (recipe.source.time_format, recipe.shard.horizon) == ("%m/%d/%Y", 3)


def test_another_kind_that_fits_can_be_chosen(folder: Path):
    (folder / "load.csv").write_text(
        "time,load\n" + "".join(f"2024-01-{r // 24 + 1:02} {r % 24:02}:00,{r % 24}\n" for r in range(700))
    )

    result = run("load.csv", "--kind", "detect", "--json")

    assert json.loads(result.stdout)["kind"] == "detect"
    assert load_recipe(str(folder / "load.toml")).kind == "detect"


def test_a_fault_in_the_rows_is_told_before_anything_is_written(folder: Path):
    (folder / "tickets.csv").write_text(TICKETS + "one,two,three\n")

    result = run("tickets.csv")

    assert result.exit_code == 2
    assert "E-CSV-002 tickets.csv:82" in result.output
    assert not (folder / "tickets.toml").exists()


def test_data_of_no_kind_are_told_with_what_each_kind_lacks(folder: Path):
    (folder / "iris.csv").write_text("width,species\n" + "".join(f"{r * 7 % 13}.5,{'ab'[r % 2]}\n" for r in range(90)))

    result = run("iris.csv")

    assert result.exit_code == 2
    assert (
        "E-NEW-001 iris.csv: fits no kind of problem: for classify and language no column holds sentences"
        in result.output
    )


def test_a_look_imports_neither_torch_nor_prefect(folder: Path):
    code = (
        "import sys; from flows.commands.cli import main; main(['new', 'tickets.csv'], standalone_mode=False);"
        "print(sorted({'torch', 'prefect', 'mlflow', 'pandas', 'sklearn'} & set(sys.modules)))"
    )

    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=folder)

    assert shown.stdout.splitlines()[-1] == "[]"
