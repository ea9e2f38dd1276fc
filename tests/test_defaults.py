"""Every kind trains with all defaults on the smallest tables that its documentation describes, or says what to set.

A remedy that names a setting is followed to the letter, until the recipe trains.
"""

import itertools
import random
import re
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flows.recipes.recipe import build_recipe
from tasks.baseline import fit_baselines
from tasks.contract.contest import Contest, Scored
from tasks.contract.lineage import Lineage
from tasks.contract.recipe import Recipe
from tasks.encode import encode
from tasks.errors import RnnflowError
from tasks.evaluate import evaluate
from tasks.fit import fit
from tasks.ingest import ingest
from tasks.kinds import find_kind
from tasks.reporting.findings import describe_outdone, gather_findings
from tasks.shard import shard
from tasks.split import split

pytestmark = pytest.mark.costly

MAX_REMEDIES = 4
NAMED_SETTING = re.compile(
    r"\b((?:source|split|encode|shard|candidates|training|baseline)\.[\w.-]+) = (\[[^\]]*\]|[^\s;,]+)"
)
START = datetime(2026, 3, 1)
WRITERS = {"csv": "write_csv", "jsonl": "write_ndjson", "parquet": "write_parquet"}


def texts(per_label: int, *, labels: tuple = ("bad", "good"), words: int = 6) -> pl.DataFrame:
    draw = random.Random(1)
    pairs = [(label, number) for number in range(per_label) for label in labels]
    cells = [" ".join(draw.choices([f"{label}{i}" for i in range(9)], k=words)) + f" u{n}" for label, n in pairs]
    return pl.DataFrame({"text": cells, "label": [label for label, _ in pairs]})


def series(rows: int, *, ids: tuple = (), integer: bool = False, steps: bool = False) -> pl.DataFrame:
    draw = random.Random(1)
    values = [50 + 9 * (row % 24) + draw.gauss(0, 1) for row in range(rows)]
    times = list(range(rows)) if steps else [START + timedelta(hours=row) for row in range(rows)]
    one = pl.DataFrame({"time": times, "value": [round(value) if integer else value for value in values]})
    return pl.concat([one.with_columns(id=pl.lit(name)) for name in ids]) if ids else one


def sequences(per_label: int, *, longest: int, channels: int = 1, labels: tuple = (0, 1)) -> pl.DataFrame:
    draw = random.Random(1)
    rows = [
        {"id": number, "time": step, "label": labels[number % len(labels)]}
        | {f"value_{channel}": draw.gauss(number % len(labels), 1) for channel in range(channels)}
        for number in range(per_label * len(labels))
        for step in range(draw.randint(max(1, longest - 3), longest))
    ]
    return pl.DataFrame(rows)


def describe_columns(kind: str, table: pl.DataFrame) -> dict:
    """The section `source` that a user has to write for a table."""
    if kind in ("classify", "language"):
        return {}
    values = [name for name in table.columns if name.startswith("value")]
    ids = {"id_column": "id"} if "id" in table.columns else {}
    unit = {} if table["time"].dtype.is_temporal() else {"time_unit": "step"}
    return {"value_columns": values, **ids, **unit}


def recipe_for(kind: str, table: pl.DataFrame, *, form: str, folder: Path, remedies: list[str]) -> Recipe:
    path = folder / f"rows.{form}"
    getattr(table, WRITERS[form])(path)
    (folder / "new.toml").touch()
    raw = {"name": "new", "kind": kind, "source": {"path": str(path), **describe_columns(kind, table)}}
    quick = ["training.epochs=1", 'training.device="cpu"', "evaluate.resamples=100"]
    return build_recipe(folder / "new.toml", raw, settings=[*quick, *remedies])


def prepare(recipe: Recipe) -> Lineage:
    rows = ingest.fn(find_kind(recipe.kind), recipe.source)
    splits = split.fn(find_kind(recipe.kind), rows, recipe.split)
    encoded = encode.fn(find_kind(recipe.kind), splits, recipe.encode)
    return Lineage(
        rows=rows, splits=splits, encoded=encoded, shards=shard.fn(find_kind(recipe.kind), encoded, recipe.shard)
    )


def train(recipe: Recipe) -> Contest:
    """All stages up to the choice of the best model, and what is said of them."""
    lineage = prepare(recipe)
    fitted = [fit.fn(find_kind(recipe.kind), lineage.shards, candidate) for candidate in recipe.candidates]
    models = (fitted, fit_baselines.fn(find_kind(recipe.kind), lineage, recipe.baseline).fitted)
    candidates, baselines = (
        tuple(
            Scored(model=model, evaluation=evaluate.fn(find_kind(recipe.kind), model, lineage, recipe.evaluate))
            for model in group
        )
        for group in models
    )
    contest = Contest(candidates=candidates, baselines=baselines, settings=recipe.evaluate)
    assert gather_findings(lineage, contest).data["ingest"]["rows"]
    presenting = find_kind(recipe.kind).report.load()
    describe_outdone(contest, presenting)
    presenting.compare_with_baseline(contest, contest.baseline)
    return contest


def follow_remedies(kind: str, table: pl.DataFrame, folder: Path, run, *, form: str = "csv") -> list[str]:
    """Run a table's recipe; where it is refused, set what the remedy names and run again. Returns what was set."""
    remedies: list[str] = []
    for _attempt in range(MAX_REMEDIES):
        try:
            run(recipe_for(kind, table, form=form, folder=folder, remedies=remedies))
        except RnnflowError as error:
            named = [f"{key}={value}" for key, value in NAMED_SETTING.findall(error.fix)]
            assert named, error  # noqa: PT017 (a refusal without a setting to change is what is looked for)
            remedies += named
        else:
            return remedies
    raise AssertionError(f"remedies that lead nowhere: {remedies}")


SMALLEST = {
    "texts": ("classify", texts(10)),
    "texts-with-whole-numbers-as-labels": ("classify", texts(10, labels=(0, 1, 2))),
    "texts-to-go-on-writing": ("language", texts(10).select("text")),
    "a-single-text-to-go-on-writing": ("language", texts(1, labels=("a",), words=80).select("text")),
    "one-series-of-one-channel": ("forecast", series(250)),
    "two-series-with-whole-numbers": ("forecast", series(250, ids=(1, 2), integer=True)),
    "a-series-of-steps": ("forecast", series(250, steps=True)),
    "sequences-of-two-channels": ("classify-series", sequences(6, longest=9, channels=2)),
    "sequences-of-one-step": ("classify-series", sequences(6, longest=1, channels=2, labels=("a", "b", "c"))),
    "one-series-to-watch": ("detect", series(1300)),
    "steps-to-watch": ("detect", series(1300, steps=True)),
    "series-to-watch-with-whole-numbers": ("detect", series(1300, ids=(1, 2), integer=True)),
}
FORMS = dict(zip(SMALLEST, itertools.cycle(WRITERS)))


@pytest.mark.parametrize("name", SMALLEST)
def test_the_smallest_tables_train_with_all_defaults(name: str, tmp_path: Path):
    kind, table = SMALLEST[name]

    assert follow_remedies(kind, table, tmp_path, train, form=FORMS[name]) == []


@pytest.mark.parametrize(
    ("kind", "rows"), [("forecast", 12), ("forecast", 60), ("forecast", 150), ("detect", 12), ("detect", 400)]
)
def test_series_too_short_for_the_defaults_train_once_the_remedies_are_followed(kind: str, rows: int, tmp_path: Path):
    remedies = follow_remedies(kind, series(rows), tmp_path, train)

    assert "shard.horizon" in remedies[0] or "shard.horizon" in remedies[1]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kind=st.sampled_from(["forecast", "detect"]), rows=st.integers(8, 400), ids=st.sampled_from([(), (1, 2)]))
def test_the_windows_that_a_remedy_names_fit(kind: str, rows: int, ids: tuple, tmp_path: Path):
    follow_remedies(kind, series(rows, ids=ids), tmp_path, prepare)


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_small_table_trains_or_names_the_setting_to_change(tmp_path: Path, data: st.DataObject):
    form = data.draw(st.sampled_from(list(WRITERS)))
    whole = data.draw(st.booleans())
    ids = data.draw(st.sampled_from([(), (1, 2), ("a", "b", "c")]))
    labels = data.draw(st.sampled_from([("a", "b"), (0, 1), ("x", "y", "z")]))
    many, channels = data.draw(st.integers(4, 12)), data.draw(st.integers(2, 3))
    steps = data.draw(st.booleans())
    kind, table = data.draw(
        st.sampled_from(
            [
                ("classify", texts(many + 6, labels=labels, words=data.draw(st.integers(2, 8)))),
                ("forecast", series(data.draw(st.integers(8, 400)), ids=ids, integer=whole, steps=steps)),
                ("classify-series", sequences(many, longest=many, channels=channels, labels=labels)),
                ("detect", series(data.draw(st.integers(12, 600)), ids=ids, integer=whole, steps=steps)),
            ]
        )
    )

    follow_remedies(kind, table, tmp_path, train, form=form)
