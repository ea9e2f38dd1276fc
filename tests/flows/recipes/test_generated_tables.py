"""Recipes of tables whose true reading is known: each setting is the true one, or a question that names it."""

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flows.recipes.drafted_recipe import Drafted, draft_recipe
from tasks.panel.drafted_times import find_readings
from tests.flows.recipes.generated_tables import Table, other_tables, series_tables, text_tables

DEFAULTS = {"source.delimiter": ",", "source.encoding": "utf-8", "source.decimal": ".", "source.thousands": ""}
MANY = settings(
    max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def draft(table: Table, folder: Path) -> Drafted:
    path = folder / "table.csv"
    path.write_bytes(table.content)
    return draft_recipe(str(path), given={})


def wrong_and_silent(table: Table, drafted: Drafted) -> dict[str, tuple[object, object]]:
    """Settings that are neither true nor asked for: what was drafted and what is true."""
    found = DEFAULTS | {one.key: one.value for one in drafted.draft.settings}
    answers = {
        key: [choice.settings.get(key) or DEFAULTS.get(key) for choice in one.choices]
        for one in drafted.questions
        for key in one.choices[0].settings
    }
    if "source.columns" in table.truth:  # the names are ours
        ours = dict(zip(found.get("source.columns", ()), table.truth["source.columns"], strict=True))
        found = {key: renamed(value, ours) for key, value in found.items()}
    return {
        key: (found.get(key), truth)
        for key, truth in table.truth.items()
        if (truth not in answers[key] if key in answers else found.get(key) != truth)
    }


def renamed(value: object, names: dict[str, str]) -> object:
    if isinstance(value, list):
        return [names.get(one, one) for one in value]
    return names.get(value, value) if isinstance(value, str) else value


@MANY
@given(table=text_tables())
def test_tables_of_texts_are_read_as_they_were_written(table: Table, tmp_path: Path):
    drafted = draft(table, tmp_path)

    assert drafted.draft.kind == table.kind
    assert wrong_and_silent(table, drafted) == {}


@MANY
@given(table=st.one_of(series_tables(), other_tables()))
def test_tables_of_series_are_read_as_they_were_written(table: Table, tmp_path: Path):
    drafted = draft(table, tmp_path)
    readings = [reading.times.to_list() for reading in find_readings(drafted.seen)]

    assert drafted.draft.kind == table.kind
    assert wrong_and_silent(table, drafted) == {}
    assert not table.times or table.times in readings
    assert len(readings) < 2 or any(one.key == "source.time_format" for one in drafted.questions)
