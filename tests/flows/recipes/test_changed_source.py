"""What `predict --set` may change, and what it says of all else."""

import json
from pathlib import Path

import pytest

from flows.recipes.changed_source import change_source
from tasks.errors import InputError
from tasks.kinds import BUILT_IN, find_kind
from tasks.promotion import named_models
from tasks.registry.registered_model import RegisteredModel
from tasks.registry.served_parts import SERVING
from tasks.sources.settings import FileSettings

LOG = {"path": "log.csv", "time_zone": "Europe/Paris", "time_format": "%d/%m/%Y", "where": {"sensor": "temp"}}


@pytest.fixture
def register(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A function that has a name stand for a model of a kind, trained on a source."""
    model = RegisteredModel(name="m", version="1", artifact_uri="", folder=tmp_path)
    model.parts.mkdir(parents=True)
    monkeypatch.setattr(named_models, "resolve_model", lambda _: model)

    def run(kind: str, source: dict | None) -> None:
        serving = {} if source is None else {"source": source}
        (model.parts / SERVING).write_text(json.dumps({"kind": kind, "serving": serving}))

    return run


def error_of(*settings: str) -> str:
    with pytest.raises(InputError) as caught:
        change_source("m", settings)
    return str(caught.value)


def test_settings_are_spelled_as_in_a_recipe(register):
    register("forecast", LOG)

    assert change_source("m", []) == {}
    assert change_source("m", ["source.encoding=gbk", "source.where={}", "source.sentinels=[-1.0]"]) == {
        "encoding": "gbk",
        "where": {},
        "sentinels": [-1.0],
    }
    assert change_source("m", ["source.where.sensor=hum"]) == {"where": {"sensor": "hum"}}


def test_settings_are_checked_together_with_those_of_training(register):
    register("forecast", LOG)

    assert error_of("source.time_unit=s") == (
        'E-CFG-004 --set source: time_format needs time_unit "text".\nFix: change source so that this no longer holds.'
    )
    assert change_source("m", ["source.time_unit=s", 'source.time_format="%d/%m/%y"', "source.time_unit=text"]) == {
        "time_unit": "text",
        "time_format": "%d/%m/%y",
    }


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("source.encodin=gbk", 'E-CFG-003 --set source.encodin: unknown key.\nFix: write "source.encoding".'),
        ("source.quoted=perhaps", 'E-CFG-004 --set source.quoted: got "perhaps", expected a valid boolean'),
        (
            "source.path=b.csv",
            "E-OUT-005 --set source.path: has no effect on a prediction.\nFix: name the file as INPUT.",
        ),
        ("source.label_column=x", "E-OUT-005 --set source.label_column: has no effect on a prediction.\nFix: leave it"),
        ("training.epochs=1", "E-OUT-005 --set training.epochs: has no effect on a prediction.\nFix: change how the"),
        ("source=1", "E-OUT-005 --set source: has no effect on a prediction.\nFix: change how the file is read, as in"),
        ("encoding", 'E-CFG-006 --set: got "encoding", expected'),
    ],
)
def test_what_cannot_be_changed_is_refused_with_what_to_do(register, setting: str, message: str):
    register("forecast", LOG)

    assert error_of(setting).startswith(message)


def test_a_model_without_the_record_takes_settings_too(register):
    register("classify", None)

    assert change_source("m", ["source.encoding=gbk"]) == {"encoding": "gbk"}
    assert error_of("source.text_column=x").endswith("Fix: use --text-column.")


@pytest.mark.parametrize("kind", sorted(BUILT_IN))
def test_every_setting_of_a_source_is_taken_or_says_why_it_has_no_effect(register, kind: str):
    register(kind, {"path": "a.csv", **({"id_column": "id"} if kind == "classify-series" else {})})
    for name in find_kind(kind).recipe.settings_of("source", FileSettings).model_fields:
        with pytest.raises(InputError) as caught:
            change_source("m", [f"source.{name}.x.y=1"])  # what no setting has
        assert caught.value.code in ("E-OUT-005", "E-CFG-004", "E-CFG-006"), name
