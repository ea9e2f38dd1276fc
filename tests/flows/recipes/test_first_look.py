"""What is wrong with a recipe or the beginning of its files is told before anything heavy is imported or started."""

from pathlib import Path

import pytest

from flows.recipes.first_look import refuse_unreadable
from flows.recipes.recipe import build_recipe
from tasks.errors import InputError

SOURCES = {
    "classify": ("text,label\nword,a\n", {}),
    "classify-series": ("id,time,value,label\n1,0,1.5,a\n", {"id_columns": "id", "time_unit": "step"}),
    "forecast": ("time,value\n2026-03-01,1.5\n2026-03-02,1.5\n", {}),
    "detect": ("time,value\n2026-03-01,1.5\n2026-03-02,1.5\n", {}),
    "language": ("text,label\nword,a\n", {}),
}


def look_at(folder: Path, kind: str, content: str, **source) -> None:
    (folder / "rows.csv").write_text(content)
    table = {"name": "t", "kind": kind, "source": {"path": str(folder / "rows.csv"), **source}}
    refuse_unreadable(build_recipe(folder / "t.toml", table))


@pytest.mark.parametrize("kind", SOURCES)
def test_a_good_beginning_is_accepted_and_a_bad_one_refused(tmp_path, kind):
    content, source = SOURCES[kind]
    look_at(tmp_path, kind, content, **source)

    wrong_column = "text_column" if kind in ("classify", "language") else "time_column"
    with pytest.raises(InputError, match="E-SRC-005"):
        look_at(tmp_path, kind, content, **source, **{wrong_column: "txt"})
    with pytest.raises(InputError, match=r"E-(CSV-002|SER-001|DATA-013)"):
        look_at(tmp_path, kind, content.replace("1.5", "broken").replace("word,a", "word"), **source)


WIDE = {
    "forecast": ("day,north\n2026-03-01,1.5\n", {"layout": "series_per_column", "time_columns": "day"}),
    "detect": ("north,south\n1.5,2\n", {"layout": "series_per_column", "time_unit": "order"}),
    "classify-series": ("label,t1,t2\na,1.5,2\n", {"layout": "series_per_row", "time_unit": "order"}),
}  # fmt: skip


@pytest.mark.parametrize("kind", WIDE)
def test_a_fault_of_a_wide_table_is_told_by_its_own_column(tmp_path, kind):
    content, source = WIDE[kind]

    look_at(tmp_path, kind, content, **source)

    with pytest.raises(InputError, match=r'E-SER-001 .*rows.csv:2 column "(north|t1)": got "broken"'):
        look_at(tmp_path, kind, content.replace("1.5", "broken"), **source)


@pytest.mark.parametrize("name", ["imdb", "etth1"])
def test_what_a_run_would_download_is_not_downloaded(project, name):
    kind = {"imdb": "classify", "etth1": "forecast"}[name]
    refuse_unreadable(build_recipe(project / "t.toml", {"name": "t", "kind": kind, "source": {"dataset": name}}))

    assert not (project / "data").exists()


HEAVY = ("torch", "prefect", "mlflow", "sklearn", "pandas", "matplotlib")
LOOK = f"""
import sys
from flows.recipes.recipe import load_recipe
from flows.recipes.first_look import refuse_unreadable
refuse_unreadable(load_recipe(sys.argv[1]))
print([name for name in {HEAVY} if name in sys.modules])
"""


@pytest.mark.parametrize("kind", SOURCES)
def test_a_look_imports_nothing_heavy(tmp_path, fresh_process, kind):
    content, source = SOURCES[kind]
    (tmp_path / "rows.csv").write_text(content)
    settings = "\n".join(f'{name} = "{value}"' for name, value in source.items())
    (tmp_path / "t.toml").write_text(f'kind = "{kind}"\n[source]\npath = "{tmp_path}/rows.csv"\n{settings}\n')

    done = fresh_process.run(LOOK, str(tmp_path / "t.toml"), cwd=Path.cwd())

    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_a_command_tells_it_before_a_server_is_started(project, fresh_process):
    (project / "rows.csv").write_text("text,label\nword,a\n")
    (project / "t.toml").write_text(f'[source]\npath = "{project}/rows.csv"\ntext_column = "txt"\n')
    code = "import sys; from flows.commands.cli import main; main(['train', sys.argv[1]])"

    done = fresh_process.run(code, str(project / "t.toml"), cwd=Path.cwd())

    assert done.returncode == 2
    assert 'did you mean "text"?' in done.stderr
    assert not (project / "data").exists()
