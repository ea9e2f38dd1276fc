"""What the pages for newcomers show works as it stands there."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import nbclient
import nbformat
import pytest

from tests.pages import blocks_of, run_page
from tests.processes import Fresh

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def newcomer(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict]]:
    """The folder of someone who has worked through the basics, and the names of that session."""
    folder = tmp_path_factory.mktemp("newcomer")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RNNFLOW_HOME", str(folder))
        patch.setenv("PREFECT_API_URL", server)
        patch.chdir(folder)
        yield folder, run_page(DOCS / "basics.md")


def test_the_basics_are_true_from_top_to_bottom(newcomer: tuple[Path, dict]):
    folder, names = newcomer

    assert len(names["epochs"]) > 1
    assert (folder / "answers.csv").read_text().count("notes/1") == 600
    assert (folder / "curves.png").stat().st_size > 5_000


def test_python_does_what_the_commands_do(
    newcomer: tuple[Path, dict], server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = shutil.copytree(newcomer[0], tmp_path / "project")
    monkeypatch.setenv("RNNFLOW_HOME", str(folder))
    monkeypatch.setenv("PREFECT_API_URL", server)
    monkeypatch.chdir(folder)

    names = run_page(DOCS / "api.md")

    assert all(stage["cached"] for stage in names["outcome"].stages if stage["name"] != "publish")
    assert Path(names["recipe"].source.path).parent == folder / "data" / "frames"
    assert "<iframe srcdoc=" in names["outcome"]._repr_html_()


def test_the_networks_need_no_prefect_and_no_mlflow(fresh_process: Fresh, tmp_path: Path):
    page = (DOCS / "api.md").read_text()
    alone = page[: page.index("## The networks alone")].count("\n")
    code = "".join(block.text for block in blocks_of(DOCS / "api.md") if block.line > alone)
    others = "{'prefect', 'mlflow', 'polars', 'pandas', 'flows', 'tasks'}"

    done = fresh_process.run(
        f"{code}\nimport sys\nprint(sorted({others} & set(sys.modules)))", cwd=tmp_path, PYTHONPATH=str(DOCS.parent)
    )

    assert done.stdout.splitlines()[-1:] == ["[]"], done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.costly
def test_the_tour_can_be_taken(server: str, project: Path, monkeypatch: pytest.MonkeyPatch):
    notebook = nbformat.read(DOCS / "tour.ipynb", nbformat.NO_CONVERT)
    nbformat.validate(notebook)
    stored = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not [cell for cell in stored if cell.outputs or cell.execution_count]
    monkeypatch.setenv("PREFECT_API_URL", server)

    nbclient.NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(project)}}).execute()

    shown = {kind for cell in stored for output in cell.outputs for kind in output.get("data", {})}
    assert {"text/html", "image/png"} <= shown
    assert any("<iframe srcdoc=" in html for html in _all_of(stored, "text/html"))
    assert (project / "mlruns").is_dir()
    assert (project / "data" / "frames").is_dir()


def _all_of(cells: list, kind: str) -> list[str]:
    return [output["data"][kind] for cell in cells for output in cell.outputs if kind in output.get("data", {})]
