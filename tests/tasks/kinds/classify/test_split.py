from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tasks.errors import InputError
from tasks.kinds.classify.recipe import CLASSIFY
from tasks.kinds.classify.split import SplitSettings
from tasks.labelled.division import divide
from tasks.split import split
from tasks.store import artefacts
from tasks.store.manifest import Summary
from tasks.text.division import cluster_texts, hash_folded_text
from tasks.text.near_duplicates import find_clusters
from tasks.text.telltales import find_telltale_tokens

WORDS = [f"word{i}" for i in range(2000)]


def make_rows(num_rows: int = 400, *, seed: int = 0, official: list[str | None] | None = None) -> pl.DataFrame:
    """Rows of 30 random words, labels in turn."""
    rng = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "row": np.arange(num_rows, dtype=np.uint32),
            "text": [" ".join(rng.choice(WORDS, 30)) for _ in range(num_rows)],
            "label": [("neg", "pos")[i % 2] for i in range(num_rows)],
            "source": ["rows.csv"] * num_rows,
            "split": pl.Series(official or [None] * num_rows, dtype=pl.String),
        }
    )


def with_text(rows: pl.DataFrame, row: int, text: str, label: str | None = None) -> pl.DataFrame:
    here = pl.col("row") == row
    return rows.with_columns(
        text=pl.when(here).then(pl.lit(text)).otherwise("text"),
        label=pl.when(here & pl.lit(label is not None)).then(pl.lit(label)).otherwise("label"),
    )


DEFAULTS = SplitSettings()


def divided(rows: pl.DataFrame, settings: SplitSettings) -> tuple[pl.DataFrame, pl.DataFrame]:
    return divide(rows.lazy(), settings, hash_folded_text, partial(cluster_texts, settings))


def parts_of(rows: pl.DataFrame, settings: SplitSettings = DEFAULTS) -> dict[int, str]:
    return dict(divided(rows, settings)[0].select("row", "part").rows())


def test_shares_hold_for_each_label():
    rows = make_rows(400)
    parts = parts_of(rows, SplitSettings(valid=0.1, test=0.2))

    by_label = rows.with_columns(part=pl.col("row").replace_strict(parts)).group_by("label", "part").len()
    assert sorted(by_label.rows()) == [
        (label, part, count)
        for label in ("neg", "pos")
        for part, count in (("test", 40), ("train", 140), ("valid", 20))
    ]


def test_the_draw_depends_on_the_seed_and_not_on_the_row_order():
    rows = make_rows()
    text_of = dict(rows.select("row", "text").rows())
    shuffled = rows.sample(fraction=1, shuffle=True, seed=3).with_columns(row=pl.int_range(pl.len(), dtype=pl.UInt32))
    text_of_shuffled = dict(shuffled.select("row", "text").rows())

    straight = {text_of[row]: part for row, part in parts_of(rows).items()}
    reordered = {text_of_shuffled[row]: part for row, part in parts_of(shuffled).items()}
    other_seed = {text_of[row]: part for row, part in parts_of(rows, SplitSettings(seed=2)).items()}

    assert reordered == straight
    assert other_seed != straight


def test_of_equal_texts_one_is_kept_after_folding_case_and_white_space():
    rows = make_rows()
    text = rows["text"][0]
    rows = with_text(with_text(rows, 10, f"  {text.upper()} "), 20, text.replace(" ", "\n\t"))

    assigned, dropped = divided(rows, SplitSettings())

    assert dropped.rows() == [(10, "same text", 0), (20, "same text", 0)]
    assert assigned.height == 398


def test_texts_that_differ_in_unicode_form_are_one():
    rows = with_text(with_text(make_rows(), 0, "caf\u00e9 au lait"), 10, "Cafe\u0301 au lait")

    _, dropped = divided(rows, SplitSettings())

    assert dropped.rows() == [(10, "same text", 0)]


def test_near_copies_without_spaces_between_words_are_found():
    text = "".join(chr(0x4E00 + 37 * index) for index in range(30))
    texts = [text, text[:-1] + "\u3042", "".join(reversed(text))]
    frame = pl.DataFrame({"row": pl.Series(range(3), dtype=pl.UInt32), "text": texts})

    assert find_clusters(frame.lazy(), threshold=0.7).sort("row").rows() == [(0, 0), (1, 0)]


def test_equal_texts_with_conflicting_labels_all_go():
    rows = make_rows()
    rows = with_text(rows, 11, rows["text"][0])  # row 0 is neg, row 11 is pos

    _, dropped = divided(rows, SplitSettings())

    assert dropped.rows() == [(0, "same text, other label", 0), (11, "same text, other label", 0)]


def test_planted_near_duplicates_never_straddle():
    rng = np.random.default_rng(1)
    rows = make_rows(600)
    planted = rng.permutation(600).reshape(-1, 2)[:60]
    for original, copy in planted:
        words = rows["text"][int(original)].split()
        words[rng.integers(30)] = "changed"
        rows = with_text(rows, int(copy), " ".join(words).upper() + "!")

    parts = parts_of(rows)
    unguarded = parts_of(rows, SplitSettings(near_duplicates=False))

    assert all(parts[int(a)] == parts[int(b)] for a, b in planted)
    assert any(unguarded[int(a)] != unguarded[int(b)] for a, b in planted)


def test_official_test_rows_stay_and_their_copies_elsewhere_go():
    official = ["train"] * 200 + ["test"] * 100 + ["unlabelled"] * 100
    rows = make_rows(official=official).with_columns(
        label=pl.when(pl.col("split") != "unlabelled").then(pl.col("label"))
    )
    rows = with_text(rows, 4, rows["text"][250])
    rows = with_text(rows, 6, rows["text"][252] + " and more")
    rows = with_text(rows, 310, rows["text"][254])
    rows = with_text(rows, 201, rows["text"][203])

    assigned, dropped = divided(rows, SplitSettings(valid=0.1))
    counts = dict(assigned.group_by("part").len().rows())

    assert dropped.rows() == [(4, "same text", 250), (6, "near duplicate", 252), (310, "same text", 254)]
    assert counts == {"test": 100, "valid": 20, "train": 178, "unlabelled": 99}


def test_a_label_with_too_few_texts_is_named():
    rows = make_rows(40).with_columns(label=pl.when(pl.col("row") < 2).then(pl.lit("rare")).otherwise("label"))

    with pytest.raises(InputError) as error:
        divided(rows, SplitSettings())

    assert str(error.value) == (
        'E-DATA-003 column "label": label "rare" has 2 distinct texts, expected at least 3: one for each split.\n'
        "Fix: add rows with this label, or remove the label."
    )


def test_shares_that_leave_no_training_rows_are_refused():
    with pytest.raises(ValueError, match="leaves no training rows"):
        SplitSettings(valid=0.5, test=0.5)


@pytest.mark.parametrize("texts", [["", "!!!", "?"], ["one"], []])
def test_texts_without_words_have_no_near_duplicates(texts: list[str]):
    frame = pl.DataFrame(
        {"row": pl.Series(range(len(texts)), dtype=pl.UInt32), "text": pl.Series(texts, dtype=pl.String)}
    )

    assert find_clusters(frame.lazy(), threshold=0.7).height == 0


def test_a_chain_of_near_duplicates_is_one_cluster():
    words = WORDS[:40]
    texts = [" ".join(words), " ".join([*words[:-2], "a", "b"]), " ".join(["c", "d", *words[2:-2], "a", "b"]), "other"]
    frame = pl.DataFrame({"row": pl.Series([5, 6, 7, 8], dtype=pl.UInt32), "text": texts})

    assert find_clusters(frame.lazy(), threshold=0.8).sort("row").rows() == [(5, 5), (6, 5), (7, 5)]


def test_a_token_that_tells_the_label_is_reported():
    rows = make_rows().with_columns(text=pl.col("text") + " label: " + pl.col("label"))

    assert find_telltale_tokens(rows.lazy()) == [
        f'the token "{label}" occurs in 100% of the rows labelled "{label}" and in almost no others: is the label '
        "part of the text?"
        for label in ("neg", "pos")
    ]
    assert find_telltale_tokens(make_rows().lazy()) == []


def ingested(rows: pl.DataFrame) -> artefacts.Artefact:
    def write(folder: Path) -> dict:
        rows.write_parquet(folder / "rows.parquet")
        return Summary.model_validate({"rows": rows.height, "splits": {}, "warnings": ["from ingest"]})

    digest = str(rows.hash_rows().sum())
    return artefacts.build("ingest", write, module="tasks.store.artefacts", config={}, inputs={"rows": digest})


def test_the_stage_writes_each_split_and_counts_what_it_dropped():
    rows = make_rows()
    rows = with_text(rows, 10, rows["text"][0])

    artefact = split.fn(CLASSIFY, ingested(rows), SplitSettings())

    assert artefact.summary["splits"] == {"test": 40, "train": 319, "valid": 40}
    assert artefact.summary["dropped"] == {"same text": 1}
    assert artefact.summary["labels"] == ["neg", "pos"]
    assert artefact.summary["warnings"] == [
        "from ingest",
        "dropped 1 of 400 rows (0.2%), same text: row 10 repeats row 0",
    ]
    assert pl.read_parquet(artefact.file("train.parquet")).columns == ["row", "text", "label"]


def test_a_test_label_that_training_never_sees_is_an_error():
    rows = make_rows(official=["train"] * 300 + ["test"] * 100)
    rows = with_text(rows, 350, rows["text"][350], label="mixed")

    with pytest.raises(InputError) as error:
        split.fn(CLASSIFY, ingested(rows), SplitSettings())

    assert str(error.value) == (
        'E-DATA-004 column "label": label "mixed" occurs in the test rows but in no training row.\n'
        "Fix: correct the label or the split column, or add training rows."
    )


def test_rows_that_all_contradict_one_another_are_an_error_that_says_so():
    rows = make_rows(40).with_columns(text=pl.lit("the same"))

    with pytest.raises(InputError, match="E-DATA-001 no rows are left: dropped 40 of 40 rows"):
        split.fn(CLASSIFY, ingested(rows), DEFAULTS)


def test_one_label_is_not_a_choice():
    with pytest.raises(InputError, match='E-DATA-002 column "label": the training rows have only the label "same"'):
        split.fn(CLASSIFY, ingested(make_rows().with_columns(label=pl.lit("same"))), SplitSettings())


def texts_of(splits: artefacts.Artefact, name: str) -> pl.DataFrame:
    return pl.read_parquet(splits.file(f"{name}.parquet")).select("text", "label").sort("text")


def test_rows_held_from_an_earlier_split_keep_their_side_when_rows_come_and_go():
    first = split.fn(CLASSIFY, ingested(make_rows(400)), DEFAULTS)
    tested = texts_of(first, "test")
    lost, relabelled = tested["text"][0], tested["text"][1]
    later = pl.concat([make_rows(400).filter(pl.col("text") != lost), make_rows(200, seed=9)])
    flipped = pl.when(pl.col("label") == "neg").then(pl.lit("pos")).otherwise(pl.lit("neg"))
    later = later.with_columns(
        row=pl.int_range(pl.len(), dtype=pl.UInt32),
        label=pl.when(pl.col("text") == relabelled).then(flipped).otherwise("label"),
    )

    second = split.fn(CLASSIFY, ingested(later), DEFAULTS, first)

    corrected = pl.when(pl.col("text") == relabelled).then(flipped).otherwise("label")
    assert texts_of(second, "test").equals(tested.with_columns(label=corrected))
    assert texts_of(second, "valid").equals(texts_of(first, "valid"))
    assert second.summary["splits"]["train"] == first.summary["splits"]["train"] + 200
    assert not set(texts_of(second, "train")["text"]) & set(tested["text"])


def test_without_held_rows_new_rows_move_old_ones():
    first = split.fn(CLASSIFY, ingested(make_rows(400)), DEFAULTS)

    second = split.fn(
        CLASSIFY,
        ingested(
            pl.concat([make_rows(400), make_rows(200, seed=9)]).with_row_index("n").drop("row").rename({"n": "row"})
        ),
        DEFAULTS,
    )

    assert not texts_of(second, "test").equals(texts_of(first, "test"))


def test_a_near_copy_of_a_held_test_row_is_not_trained_on():
    first = split.fn(CLASSIFY, ingested(make_rows(400)), DEFAULTS)
    near_copy = f"{texts_of(first, 'test')['text'][0]} really"
    later = with_text(
        pl.concat([make_rows(400), make_rows(1, seed=9)]).with_columns(row=pl.int_range(pl.len(), dtype=pl.UInt32)),
        400,
        near_copy,
    )

    second = split.fn(CLASSIFY, ingested(later), DEFAULTS, first)

    assert near_copy not in texts_of(second, "train")["text"].to_list()


def test_the_same_rows_under_the_same_settings_are_divided_once():
    rows = ingested(make_rows(400))
    first = split.fn(CLASSIFY, rows, DEFAULTS)

    assert split.fn(CLASSIFY, rows, DEFAULTS, first).cached
    assert not split.fn(CLASSIFY, rows, SplitSettings(seed=5), first).cached
    assert texts_of(split.fn(CLASSIFY, rows, SplitSettings(seed=5), first), "test").equals(texts_of(first, "test"))
