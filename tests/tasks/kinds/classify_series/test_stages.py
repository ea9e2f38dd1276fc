"""From sequences to shards: nothing leaks between splits, only training is fitted to, and padding is 0."""

import json

import numpy as np
import polars as pl
import pytest

from rnnmodels.classifiers.series_config import SeriesArchitecture, SeriesTraining
from tasks.baseline import fit_baselines
from tasks.contract.lineage import Lineage
from tasks.errors import InputError
from tasks.evaluate import evaluate
from tasks.fit import fit
from tasks.kinds.classify_series.baseline import SequenceBaselineSettings, measure_sequence
from tasks.kinds.classify_series.fit import SequenceCandidate
from tasks.kinds.classify_series.gate import GATE, digest_contents
from tasks.kinds.classify_series.recipe import CLASSIFY_SERIES
from tasks.kinds.classify_series.split import SequenceSplitSettings
from tasks.labelled.evaluate import ClassificationSettings
from tasks.labelled.fit import open_shards_of
from tasks.split import split
from tasks.store import artefacts
from tests.tasks.kinds.classify_series.conftest import draw_table

SPLITS = ("train", "valid", "test")
NUMBER = pl.col("id").str.slice(1).cast(pl.Int64)
OFFICIAL = pl.when(NUMBER < 8).then(pl.lit("test")).when(NUMBER < 16).then(pl.lit("valid")).otherwise(pl.lit("train"))
PART = OFFICIAL.alias("part")


def read_split(lineage, name, stage="splits"):
    return pl.read_parquet(getattr(lineage, stage).file(f"{name}.parquet"))


def test_copies_of_a_sequence_never_stand_on_two_sides(ingest_table):
    table = draw_table(30)
    copies = table.with_columns(id="copy of " + pl.col("id"))
    part = pl.when(pl.col("id").str.ends_with("5")).then(pl.lit("test")).otherwise(pl.lit("train"))

    both = pl.concat([copies.with_columns(part=pl.lit("train")), table.with_columns(part=part)])
    rows = ingest_table(both, split_column="part")
    splits = split.fn(CLASSIFY_SERIES, rows, SequenceSplitSettings())

    found = {name: pl.read_parquet(splits.file(f"{name}.parquet")) for name in SPLITS}
    contents = {name: set(digest_contents(frame)) for name, frame in found.items()}
    assert set(found["test"]["series"]) == {"s005", "s015", "s025"}
    assert not contents["train"] & contents["valid"] | contents["test"] & (contents["train"] | contents["valid"])
    assert splits.summary["dropped"] == {"same sequence": 30}
    assert splits.summary["warnings"] == [
        "dropped 30 of 60 rows (50.0%), same sequence: "
        "row 5 repeats row 35, row 15 repeats row 45, row 25 repeats row 55",
        'label "down": 13 training rows, no test row, so its accuracy is unknown',
    ]


def test_held_sequences_follow_the_source_and_other_channels_are_refused(ingest_table):
    table = draw_table(40)
    first = split.fn(CLASSIFY_SERIES, ingest_table(table), SequenceSplitSettings())
    named = table.with_columns(label=pl.col("label").replace({"up": "rising"}))

    second = split.fn(CLASSIFY_SERIES, ingest_table(named), SequenceSplitSettings(), first)
    holdout = GATE.read_holdout(Lineage(rows=second, splits=second, encoded=second, shards=second))

    assert sorted(holdout.labels) == ["down"] * 2 + ["rising"] * 2
    assert holdout.names == {"up": "rising"}
    assert holdout.notes[0].startswith('The test rows changed with the source (label "up" is "rising" now):')
    with pytest.raises(InputError, match=r'E-SEQ-010 the sequences have the channels "x", but those .* have "x", "y"'):
        split.fn(CLASSIFY_SERIES, ingest_table(named, value_columns=("x",)), SequenceSplitSettings(), second)


def test_a_sequence_with_two_labels_goes(ingest_table):
    table = draw_table(30)
    liar = table.filter(pl.col("id") == "s003").with_columns(id=pl.lit("liar"), label=pl.lit("down"))

    splits = split.fn(CLASSIFY_SERIES, ingest_table(pl.concat([table, liar])), SequenceSplitSettings())

    assert splits.summary["dropped"] == {"same sequence, other label": 2}


def test_too_few_sequences_of_a_label_are_refused(ingest_table):
    with pytest.raises(InputError) as caught:
        split.fn(CLASSIFY_SERIES, ingest_table(draw_table(4)), SequenceSplitSettings())

    assert str(caught.value) == (
        'E-DATA-003 column "label": label "down" has 2 distinct sequences, expected at least 3: one for each split.\n'
        "Fix: add rows with this label, or remove the label."
    )


def test_held_sequences_stay_where_they_were(ingest_table):
    table = draw_table(40)
    first = split.fn(CLASSIFY_SERIES, ingest_table(table), SequenceSplitSettings(seed=1))
    more = pl.concat([table, draw_table(20, seed=2).with_columns(id="new " + pl.col("id"))])

    second = split.fn(CLASSIFY_SERIES, ingest_table(more), SequenceSplitSettings(seed=1), first)

    for name in ("valid", "test"):
        kept = [pl.read_parquet(one.file(f"{name}.parquet"))["series"].to_list() for one in (first, second)]
        assert kept[0] == kept[1]
    assert second.summary["splits"]["train"] == first.summary["splits"]["train"] + 20


def test_changing_numbers_outside_training_changes_no_training_number(make_lineage):
    table = draw_table(40)
    honest = make_lineage(table.with_columns(PART), split_column="part")
    others = pl.col("part") != "train"
    changed = table.with_columns(PART).with_columns(pl.when(others).then(pl.col("x") * 9 + 7).otherwise("x").alias("x"))

    leaky = make_lineage(changed, split_column="part")

    assert read_split(leaky, "train", "encoded").equals(read_split(honest, "train", "encoded"))
    assert leaky.encoded.file("scaler.json").read_text() == honest.encoded.file("scaler.json").read_text()
    assert not read_split(leaky, "test", "encoded").equals(read_split(honest, "test", "encoded"))


def test_every_number_reaches_its_place_in_a_shard(make_lineage):
    lineage = make_lineage(draw_table(40))
    scales = json.loads(lineage.encoded.file("scaler.json").read_bytes())["columns"]
    labels = lineage.encoded.summary["labels"]
    for name, shards in open_shards_of(lineage.shards).items():
        source = {row["row"]: row for row in read_split(lineage, name).to_dicts()}
        seen = 0
        for block in shards.blocks:
            for row, steps, length, target in zip(block.row, block.steps, block.length, block.target, strict=True):
                one = source[int(row)]
                expected = [(np.array(one[key]) - scales[key]["centre"]) / scales[key]["scale"] for key in scales]
                np.testing.assert_allclose(steps[:length].T, np.array(expected), atol=1e-6)
                assert (length, labels[target]) == (one["length"], one["label"])
                assert not steps[length:].any()
                seen += 1
        assert seen == len(source)
    assert len(lineage.shards.summary["widths"]) == 3


@pytest.mark.parametrize(("keep", "kept"), [("head", slice(0, 5)), ("tail", slice(-5, None)), ("both", None)])
def test_longer_sequences_lose_whole_steps(make_lineage, keep, kept):
    lineage = make_lineage(draw_table(40), shards={"max_length": 5, "keep": keep})

    encoded = read_split(lineage, "train", "encoded")
    whole = {row: np.array(values).reshape(-1, 2) for row, values in encoded.select("row", "values").iter_rows()}
    cut = 0
    for block in open_shards_of(lineage.shards)["train"].blocks:
        for row, steps, length in zip(block.row, block.steps, block.length, strict=True):
            values = whole[int(row)]
            if len(values) > 5:
                cut += 1
                values = np.concatenate([values[:2], values[-3:]]) if kept is None else values[kept]
            assert np.array_equal(steps[:length], values)
    assert cut == lineage.shards.summary["truncated"]["train"] > 0


@pytest.mark.parametrize(("missing", "filled"), [("mean", 0.0), ("forward", None)])
def test_missing_numbers_are_filled_as_asked_and_never_from_another_sequence(make_lineage, missing, filled):
    table = draw_table(40).with_columns(x=pl.when(pl.col("time") == 1).then(None).otherwise("x"))

    train = read_split(make_lineage(table, encoding={"missing": missing}), "train", "encoded")

    for values in train["values"]:
        steps = values.to_numpy().reshape(-1, 2)
        assert steps[1, 0] == pytest.approx(steps[0, 0] if filled is None else filled, abs=1e-6)


def test_missing_numbers_without_a_policy_are_named(make_lineage):
    table = draw_table(40).with_columns(x=pl.when(pl.col("time") == 1).then(None).otherwise("x"))

    with pytest.raises(InputError, match=r'E-SER-009 column "x": a number is missing at 1 in series "s\d+"\.'):
        make_lineage(table)


def test_a_constant_channel_is_reported_and_left_unscaled(make_lineage):
    lineage = make_lineage(draw_table(40).with_columns(y=pl.lit(3.5)))

    assert lineage.encoded.summary["warnings"] == ['constant in the training sequences, so not scaled: "y"']
    assert {value for values in read_split(lineage, "test", "encoded")["values"] for value in values[1::2]} == {0.0}


def test_a_swing_that_floats_do_not_hold_is_a_problem(make_lineage):
    far = draw_table(30).with_columns(pl.col("x") + 1e9)

    assert "problems" not in make_lineage(far).encoded.summary
    problems = make_lineage(far, encoding={"method": "none"}).encoded.summary["problems"]
    assert [one[:13] for one in problems] == ["the variation"] * 3
    assert problems[0].endswith('set encode.method to "standard"')


def test_a_number_beyond_floats_once_scaled_is_named(make_lineage):
    table = draw_table(40).with_columns(PART)
    y = pl.when(pl.col("part") == "test").then(1e30).otherwise(pl.col("y") * 1e-20)

    with pytest.raises(InputError, match=r'E-SER-010 column "y": the number at 0 in series "s000" is out of range'):
        make_lineage(table.with_columns(y=y), split_column="part")


def test_figures_are_those_of_a_count_by_hand():
    figures = measure_sequence(np.array([[1.0], [2.0], [6.0]]))

    assert figures == pytest.approx([3, np.sqrt(14 / 3), 1, 6, 1, 6, 2.5, np.log(3)])
    assert measure_sequence(np.array([[4.0, 5.0]])).shape == (15,)
    assert np.isfinite(measure_sequence(np.array([[4.0]]))).all()


def test_network_and_baseline_are_evaluated_alike(make_lineage):
    lineage = make_lineage(draw_table(60))
    candidate = SequenceCandidate(
        name="gru",
        model=SeriesArchitecture(hidden_size=8),
        training=SeriesTraining(epochs=8, learning_rate=0.03, batch_steps=60, device="cpu", patience=8),
    )
    models = [
        fit.fn(CLASSIFY_SERIES, lineage.shards, candidate),
        *fit_baselines.fn(CLASSIFY_SERIES, lineage, SequenceBaselineSettings()).fitted,
    ]

    for model in models:
        evaluation = evaluate.fn(CLASSIFY_SERIES, model, lineage, ClassificationSettings(resamples=100, num_mistakes=5))
        metrics = json.loads(evaluation.file("metrics.json").read_bytes())
        assert metrics["metrics"]["test"]["accuracy"]["value"] > 0.8, model.summary["name"]
        assert [one["by"] for one in metrics["slices"]][:3] == ["label", "label", "length"]
        assert metrics["slices"][2]["slice"].endswith(" steps")
        mistakes = pl.read_parquet(evaluation.file("mistakes.parquet"))
        assert mistakes["text"].str.contains(r"^s\d+, \d+ steps$").all()
    assert models[1].summary["num_features"] == 15


def test_test_sequences_are_the_same_whatever_their_order_and_names(ingest_table):
    def holdout(table):
        rows = ingest_table(table.with_columns(PART), split_column="part", unsorted="sort")
        splits = split.fn(CLASSIFY_SERIES, rows, SequenceSplitSettings())
        return GATE.read_holdout(Lineage(rows=rows, splits=splits, encoded=splits, shards=splits))

    table = draw_table(40)
    first = holdout(table)
    with artefacts.refreshing(True):
        shuffled = holdout(table.sample(fraction=1, shuffle=True, seed=3))
    other = holdout(table.with_columns(x=pl.col("x") + (pl.col("id") == "s003").cast(pl.Float64)))

    assert first.digest == shuffled.digest != other.digest
    assert (first.rows, first.labels.to_list()) == (8, shuffled.labels.to_list())
    assert first.lengths.tolist() == shuffled.lengths.tolist()
