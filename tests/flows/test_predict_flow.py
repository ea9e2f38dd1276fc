"""The flow `predict`: the same work as the command's, shown on the dashboard."""

import inspect
import sys
from pathlib import Path

import pytest
from prefect.artifacts import Artifact

from flows.predict import describe, predict, predict_from_file
from tasks.kinds import BUILT_IN, find_kind
from tasks.kinds.classify.predict import PredictedFile
from tasks.prediction.dispatch import predict_file


@pytest.fixture(autouse=True)
def _on_a_server(server: str):
    """Flows of this module need one."""


def predicted(**changes: object) -> PredictedFile:
    fields = {
        "model": "reviews/3", "rows": 1200, "bad": 0, "output": Path("out|1.csv"), "errors": None, "wall_s": 1.5,
        "rows_per_s": 812.4, "kept_rows": 400, "labelled_rows": 0, "unlisted_rows": 0, "accuracy": None,
        "rows_read": 1200, "left_out": 0, "blank_lines": 0,
    }  # fmt: skip
    return PredictedFile(**fields | changes)


def test_the_flow_does_what_the_command_does_within_the_project_folder(project: Path, monkeypatch: pytest.MonkeyPatch):
    calls = []

    def stand_in(*arguments: object, **options: object) -> PredictedFile:
        calls.append((arguments, options))
        return predicted()

    monkeypatch.setattr(sys.modules["flows.predict"], "predict_from_file", stand_in)

    assert predict("reviews", "in.csv", "/elsewhere/out.csv", label_column="stars") == predicted()

    assert calls == [
        (
            ("reviews", project / "in.csv", Path("/elsewhere/out.csv")),
            {"text_column": None, "label_column": "stars", "source": {}, "overwrite": False},
        )
    ]
    artifact = Artifact.get("prediction")
    assert "| rows per second | 812 |" in artifact.data
    assert "| output | `out&#124;1.csv` |" in artifact.data


def test_the_task_is_the_function_of_the_command():
    assert predict_from_file.fn is predict_file
    parameters = list(inspect.signature(predict.fn).parameters)
    for kind in BUILT_IN:
        of_kind = find_kind(kind).predict.load().predict_file
        bound = getattr(of_kind, "keywords", {})
        names = [name for name in inspect.signature(of_kind).parameters if name not in bound]
        # What the flow takes as assignments, the task takes checked.
        assert [{"source": "settings"}.get(name, name) for name in names] == parameters, kind


def test_the_form_shows_bounds_and_explains_each_field():
    fields = predict.parameters.model_dump()["properties"]

    assert all(field["description"] for field in fields.values())
    assert fields["model"]["minLength"] == 1
    assert predict.parameters.required == ["model", "input_path", "output_path"]


def test_what_is_not_known_is_not_shown():
    assert "accuracy" not in describe(predicted())
    text = describe(predicted(bad=2, errors=Path("e.jsonl"), accuracy=0.91234, labelled_rows=50, unlisted_rows=3))
    assert "| accuracy | 91.23% of 50 labelled rows |" in text
    assert "| rows read | 1,200 |\n| rows left out by where | 0 |" in text
    assert "| rows refused | 2 |\n| their reasons | `e.jsonl` |" in text
    assert "| labels that the model does not know | 3 |" in text


def test_the_form_says_what_each_kind_makes_of_a_file():
    said = {
        "classify": "Classify the texts",
        "classify-series": "sequences",
        "forecast": "forecast",
        "detect": "detect",
        "language": "nats per character",
    }

    assert set(said) == set(BUILT_IN)
    assert not [kind for kind, words in said.items() if words not in predict.description]
