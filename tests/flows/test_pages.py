"""What the pages for newcomers show works as it stands there."""

from pathlib import Path

import pytest

from tests.pages import run_page

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def folder(project: Path, monkeypatch: pytest.MonkeyPatch, server: str) -> Path:
    """A project folder to work in, with a Prefect server that is up."""
    monkeypatch.setenv("PREFECT_API_URL", server)
    monkeypatch.chdir(project)
    return project


def test_the_basics_are_true_from_top_to_bottom(folder: Path):
    names = run_page(DOCS / "basics.md")

    assert names["loss"].item() < names["epochs"][0].train_loss
    assert (folder / "answers.csv").read_text().count("notes/1") == 600
    assert (folder / "curves.png").stat().st_size > 5_000
