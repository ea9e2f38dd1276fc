"""Held rows keep their side and follow the source's truth: corrected, renamed, retired and new labels."""

from pathlib import Path

import polars as pl
import pytest

from tasks.contract.lineage import Lineage
from tasks.errors import InputError
from tasks.kinds.classify.gate import GATE
from tasks.kinds.classify.recipe import CLASSIFY
from tasks.labelled.scoring import score_logits
from tasks.split import split
from tasks.store import artefacts
from tasks.store.artefacts import Artefact
from tasks.store.manifest import Summary
from tests.tasks.kinds.classify.test_split import DEFAULTS, ingested, make_rows, texts_of

NEG, POS = pl.col("label") == "neg", pl.col("label") == "pos"


def relabelled(rows: pl.DataFrame, names: dict[str, str]) -> pl.DataFrame:
    return rows.with_columns(pl.col("label").replace(names))


def told(rows: pl.DataFrame) -> Artefact:
    return ingested(rows.with_columns(row=pl.int_range(pl.len(), dtype=pl.UInt32)))


def labels_of(splits: Artefact, name: str) -> dict[str, int]:
    return dict(texts_of(splits, name).group_by("label").len().rows())


def warnings_of(splits: Artefact) -> list[str]:
    return [warning for warning in splits.summary["warnings"] if warning != "from ingest"]


def holdout_of(splits: Artefact):
    return GATE.read_holdout(Lineage(rows=splits, splits=splits, encoded=splits, shards=splits))


@pytest.fixture
def rows() -> pl.DataFrame:
    """Rows of three labels, 60 of each but 120 of `mid`."""
    third = pl.col("row") % 4
    return make_rows(240).with_columns(
        label=pl.when(third == 0).then(pl.lit("neg")).when(third == 1).then(pl.lit("pos")).otherwise(pl.lit("mid"))
    )


@pytest.fixture
def first(rows: pl.DataFrame) -> Artefact:
    return split.fn(CLASSIFY, told(rows), DEFAULTS)


def test_corrected_labels_are_taken_and_counted(rows, first):
    second = split.fn(CLASSIFY, told(relabelled(rows, {"neg": "pos", "pos": "neg"})), DEFAULTS, first)

    for name in ("valid", "test"):
        swapped = relabelled(texts_of(first, name), {"neg": "pos", "pos": "neg"})
        assert texts_of(second, name).equals(swapped)
    assert warnings_of(second) == [
        "24 of 48 held rows have another label in the source now: the source's label is taken "
        '("neg" to "pos" 12, "pos" to "neg" 12)'
    ]
    holdout = holdout_of(second)
    assert (holdout.origin, holdout.names) == (holdout_of(first).digest, {})
    assert holdout.notes == (
        "The test rows changed with the source (rows with another label: 12): both models were scored again.",
    )


def test_held_rows_that_nothing_is_said_of_stay(rows, first):
    lost = set(texts_of(first, "test")["text"])
    unlabelled = pl.when(pl.col("row") % 3 > 0).then("label")

    second = split.fn(
        CLASSIFY, told(rows.filter(~pl.col("text").is_in(lost)).with_columns(label=unlabelled)), DEFAULTS, first
    )

    assert texts_of(second, "test").equals(texts_of(first, "test"))
    assert holdout_of(second).origin == ""
    assert holdout_of(second).notes == ()


def test_a_held_row_with_several_labels_in_the_source_keeps_its_own(rows, first):
    disputed = texts_of(first, "test").filter(NEG).head(2)
    copies = rows.join(disputed.select("text"), on="text").with_columns(label=pl.lit("pos"))

    second = split.fn(CLASSIFY, told(pl.concat([rows, copies])), DEFAULTS, first)

    assert texts_of(second, "test").equals(texts_of(first, "test"))
    assert not set(disputed["text"]) & set(texts_of(second, "train")["text"])
    assert warnings_of(second)[0] == "2 of 48 held rows have several labels in the source: they keep the one they had"


def test_a_renamed_label_is_followed_by_rows_the_source_has_lost(rows, first):
    lost = texts_of(first, "test").filter(NEG)["text"][0]
    renamed = relabelled(rows, {"neg": "Negative"}).filter(pl.col("text") != lost)

    second = split.fn(CLASSIFY, told(renamed), DEFAULTS, first)
    third = split.fn(CLASSIFY, told(relabelled(renamed, {"Negative": "bad"})), DEFAULTS, second)

    assert labels_of(second, "test") == {"Negative": 6, "mid": 12, "pos": 6}
    assert labels_of(third, "test") == {"bad": 6, "mid": 12, "pos": 6}
    assert warnings_of(second) == ['label "neg" is called "Negative" in the source now']
    assert holdout_of(third).names == {"Negative": "bad", "neg": "bad"}


def test_rows_of_a_retired_label_leave_and_return_with_it(rows, first):
    second = split.fn(CLASSIFY, told(rows.filter(~NEG)), DEFAULTS, first)
    third = split.fn(CLASSIFY, told(rows), DEFAULTS, second)

    assert labels_of(second, "test") == {"mid": 12, "pos": 6}
    assert warnings_of(second) == [
        'the source has no rows labelled "neg": 12 held rows are left out of validation and test'
    ]
    assert (
        holdout_of(second)
        .notes[0]
        .startswith("The test rows changed with the source (rows that left with their label: 6)")
    )
    for name in ("valid", "test"):
        assert texts_of(third, name).equals(texts_of(first, name))
    assert warnings_of(third) == ["12 held rows are in validation and test again, as the source has their label again"]


def test_a_new_label_gets_its_share_of_validation_and_test(rows, first):
    new = make_rows(40, seed=5).with_columns(label=pl.lit("new"))

    second = split.fn(CLASSIFY, told(pl.concat([rows, new])), DEFAULTS, first)

    for name in ("valid", "test"):
        assert labels_of(second, name) == {**labels_of(first, name), "new": 4}
    assert labels_of(second, "train")["new"] == 32
    assert warnings_of(second) == []
    assert 'rows of the new label "new": 4' in holdout_of(second).notes[0]


def test_a_new_label_with_too_few_rows_is_named(rows, first):
    new = make_rows(2, seed=5).with_columns(label=pl.lit("new"))

    with pytest.raises(InputError, match=r'E-DATA-003 .*label "new" has 2 distinct texts, expected at least 3'):
        split.fn(CLASSIFY, told(pl.concat([rows, new])), DEFAULTS, first)


def test_a_label_whose_rows_are_all_held_has_a_remedy_that_works(rows, first):
    held = pl.concat(texts_of(first, name) for name in ("valid", "test"))["text"]
    only_held = rows.filter(~NEG | pl.col("text").is_in(held.implode()))

    with pytest.raises(InputError) as error:
        split.fn(CLASSIFY, told(only_held), DEFAULTS, first)

    assert str(error.value) == (
        'E-DATA-004 column "label": label "neg" occurs in the valid rows, which are kept from an earlier training, '
        "but in no training row.\n"
        "Fix: add other rows with this label, or remove its rows from the source: the kept ones are then removed, too."
    )
    assert labels_of(split.fn(CLASSIFY, told(rows.filter(~NEG)), DEFAULTS, first), "test") == {"mid": 12, "pos": 6}


def test_a_refused_split_leaves_nothing_half_done(rows, first, project):
    with pytest.raises(InputError, match="E-DATA-002"):
        split.fn(CLASSIFY, told(rows.with_columns(label=pl.lit("one"))), DEFAULTS, first)

    assert not list(project.glob("data/split/*.partial"))


def test_an_official_test_split_without_a_label_is_said(rows):
    official = pl.when(POS | (pl.col("row") % 3 > 0)).then(pl.lit("train")).otherwise(pl.lit("test"))

    splits = split.fn(CLASSIFY, ingested_official(rows.with_columns(split=official)), DEFAULTS)

    assert warnings_of(splits) == ['label "pos": 54 training rows, no test row, so its accuracy is unknown']


def test_classes_that_have_one_name_now_answer_as_one():
    logits = [[3.0, 0.0, 1.0], [0.0, 3.0, 1.0]]
    scores, _ = score_logits(pl.DataFrame(logits, orient="row").to_numpy(), ["a", "a", "b"], 1.0, pl.Series(["a", "a"]))

    assert scores["predicted"].to_list() == ["a", "a"]
    assert scores["loss"][0] == pytest.approx(scores["loss"][1])
    assert scores["loss"][0] < 0.13


def ingested_official(rows: pl.DataFrame) -> Artefact:
    def write(folder: Path) -> dict:
        rows.write_parquet(folder / "rows.parquet")
        return Summary.model_validate({"rows": rows.height, "splits": {"test": 1, "train": 1}, "warnings": []})

    return artefacts.build(
        "ingest", write, module="tasks.store.artefacts", config={}, inputs={"rows": str(rows.hash_rows().sum())}
    )
