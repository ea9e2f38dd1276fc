"""What Python programs import from the package, and what importing it costs."""

import importlib
import sys
from pathlib import Path

import polars as pl
import pytest

import flows
from flows import from_python
from flows.commands import launch
from flows.outcome import Outcome
from tasks.errors import InputError
from tests.processes import Fresh


def test_importing_the_package_loads_nothing(fresh_process: Fresh, tmp_path: Path):
    code = """
import sys
before = set(sys.modules)
import flows
from flows import predict, save_frame, train
new = {name.partition(".")[0] for name in set(sys.modules) - before} - sys.stdlib_module_names
print(sorted(new), callable(train))
"""

    done = fresh_process.run(code, cwd=tmp_path, PYTHONPATH=str(Path(flows.__file__).parents[1]))

    assert done.stdout == "['flows'] True\n", done.stderr


@pytest.mark.parametrize("name", flows.__all__)
def test_every_name_that_is_offered_can_be_imported(name: str):
    assert getattr(flows, name).__name__ == name
    assert name in dir(flows)


def test_a_name_that_is_not_offered_is_refused():
    with pytest.raises(AttributeError, match="no attribute 'sparkle'"):
        _ = flows.sparkle


@pytest.mark.parametrize("name", ["train", "predict"])
def test_a_function_keeps_its_name_when_the_module_of_its_flow_is_imported(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delitem(sys.modules, f"flows.{name}", raising=False)

    module = importlib.import_module(f"flows.{name}")

    assert module is sys.modules[f"flows.{name}"]
    assert getattr(flows, name) is getattr(from_python, name)


def test_training_refuses_what_cannot_be_read_before_a_server_is_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setattr(launch, "run_on_server", lambda *_, **__: pytest.fail("a server was started"))
    recipe = flows.ClassifyRecipe(name="gone", source={"path": str(tmp_path / "gone.csv")})

    with pytest.raises(InputError, match="E-SRC-001"):
        flows.train(recipe)


def test_a_model_is_asked_by_the_name_that_an_outcome_gives(outcome: Outcome):
    assert outcome.model == "reviews/3"
    assert outcome.metrics["valid"]["accuracy"]["value"] == 0.8911


def test_an_outcome_shows_its_report_within_a_frame_of_its_own(outcome: Outcome, project: Path):
    page = project / "report.html"
    page.write_text('<p class="x">5 < 6</p>')

    shown = Outcome(**{**vars(outcome), "report": str(page)})._repr_html_()

    assert shown is not None
    assert 'srcdoc="&lt;p class=&quot;x&quot;&gt;5 &lt; 6&lt;/p&gt;"' in shown
    assert Outcome(**{**vars(outcome), "report": "", "registered": {}})._repr_html_() is None


def test_rows_that_have_no_answer_come_with_their_reasons(monkeypatch: pytest.MonkeyPatch, project: Path):
    errors = project / "errors.jsonl"
    errors.write_text('{"row": 2, "code": "E-DATA-020"}\n')

    answers = from_python._read_answers(project / "none.parquet", errors, {"rows": 1, "bad": 1, "errors": errors})

    assert answers.table.is_empty()
    assert answers.refused.rows() == [(2, "E-DATA-020")]
    assert answers.counts == {"rows": 1, "bad": 1}
    assert isinstance(answers.refused, pl.DataFrame)
