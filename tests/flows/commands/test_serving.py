"""The commands that ask a registered model: what they pass on, what they print, how they end."""

import json
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flows.commands.cli import main
from flows.commands.serving import PrintableFormatter
from tasks.kinds.classify.predict import PredictedFile
from tasks.prediction import dispatch
from tasks.serving import server

OUTCOME = {
    "model": "reviews/3", "rows": 1200, "bad": 0, "output": Path("o.csv"), "errors": None, "wall_s": 1.5,
    "rows_per_s": 812.4, "kept_rows": 0, "labelled_rows": 0, "unlisted_rows": 0, "accuracy": None,
    "rows_read": 1200, "left_out": 0, "blank_lines": 0,
    "comment_lines": 0, "merged": 0, "foreign": 0, "first_fault": None,
    "refused_items": 0, "warnings": [],
}  # fmt: skip


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


@pytest.fixture
def predicted(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list]:
    """Replace the prediction by its result; returns what it was called with."""

    def replace(**changes: object) -> list:
        calls = []

        def predict_file(*arguments: object, **options: object) -> PredictedFile:
            calls.append((arguments, options))
            return PredictedFile(**{**OUTCOME, **changes})

        monkeypatch.setattr(dispatch, "predict_file", predict_file)
        return calls

    return replace


def test_a_prediction_says_what_it_wrote_and_how_fast(predicted):
    calls = predicted()

    options = ("--text-column", "body", "--label-column", "stars", "--overwrite")
    result = invoke("predict", "reviews@champion", "i.csv", "o.csv", *options)

    assert calls == [
        (
            ("reviews@champion", Path("i.csv"), Path("o.csv")),
            {"text_column": "body", "label_column": "stars", "overwrite": True},
        )
    ]
    assert (result.exit_code, result.stdout) == (
        0,
        "o.csv: 1,200 rows classified by reviews/3 (812 rows/s).\n1,200 rows read, none refused.\n",
    )


def test_a_prediction_that_went_on_says_so_and_labels_give_accuracy(predicted):
    predicted(kept_rows=400, labelled_rows=900, unlisted_rows=2, accuracy=0.91234)

    assert invoke("predict", "reviews", "i.csv", "o.csv").stdout == (
        "o.csv: 1,200 rows classified by reviews/3 (812 rows/s, 400 of them in an earlier call).\n"
        "1,200 rows read, none refused.\n"
        "Accuracy 91.23% on 900 labelled rows.\n"
        "2 rows have a label that the model does not know.\n"
    )


@pytest.mark.parametrize(("options", "status"), [([], 2), (["--skip-bad"], 0)])
def test_bad_rows_fail_a_prediction_unless_they_may_be_skipped(predicted, options: list[str], status: int):
    fault = "E-TEXT-001 row 7: got null, expected a text"
    predicted(rows_read=1212, bad=3, left_out=10, blank_lines=2, errors=Path("o.csv.errors.jsonl"), first_fault=fault)

    result = invoke("predict", "reviews", "i.csv", "o.csv", *options)

    assert result.exit_code == status
    assert result.stdout == (
        "o.csv: 1,197 rows classified by reviews/3 (812 rows/s).\n"
        "1,212 rows read: 10 left out by `where`, 2 blank, 3 refused.\n"
    )
    assert result.stderr == (
        "o.csv.errors.jsonl: 3 rows could not be answered; the first: E-TEXT-001 row 7: got null, expected a text\n"
    )


def test_a_prediction_as_json(predicted):
    predicted(bad=3, errors=Path("o.csv.errors.jsonl"))

    assert json.loads(invoke("predict", "reviews", "i.csv", "o.csv", "--json").stdout) == {
        **OUTCOME,
        "bad": 3,
        "output": "o.csv",
        "errors": "o.csv.errors.jsonl",
    }


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list:
    calls = []
    monkeypatch.setattr(server, "serve_model", lambda model, **options: calls.append((model, options)))
    monkeypatch.setattr(server, "sole_model", lambda: "alone")
    root = logging.getLogger()
    before = (list(root.handlers), root.level)
    yield calls
    root.handlers[:], root.level = before


def test_a_service_gets_its_caps(served: list):
    invoke("serve", "reviews", "--port", "0", "--host", "::1", "--set", "max_texts=7", "--set", "poll_s=0.5")
    invoke("serve")

    (model, options), (alone, defaults) = served
    assert (model, options["host"], options["port"]) == ("reviews", "::1", 0)
    assert options["changed"] == {"max_texts": 7, "poll_s": 0.5}
    assert (alone, defaults["host"], defaults["port"]) == ("alone", "127.0.0.1", 8080)


def test_a_log_record_is_one_line_that_acts_on_no_terminal():
    record = logging.LogRecord("tasks.x", logging.INFO, "f", 1, "GET %s", ("/\x1b[31m\nforged",), None)

    assert PrintableFormatter("%(message)s").format(record) == "GET /\\x1b[31m\\nforged"
