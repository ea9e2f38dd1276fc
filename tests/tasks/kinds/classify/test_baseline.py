import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from tasks.baseline import fit_baselines
from tasks.contract.lineage import Lineage
from tasks.kinds.classify.baseline import BaselineSettings, count_for_tfidf
from tasks.kinds.classify.recipe import CLASSIFY
from tasks.labelled.metrics import mean_loss
from tasks.progress import listening
from tasks.store import artefacts
from tasks.store.artefacts import Artefact
from tasks.store.manifest import Summary

SIZES = {"train": 300, "valid": 120, "test": 120}
FILLER = ["film", "plot", "actor", "scene", "music", "story", "camera", "night"]


def fit_both(splits: Artefact, settings: BaselineSettings) -> tuple[Artefact, ...]:
    """The baselines of texts, which read the splits alone."""
    lineage = Lineage(rows=splits, splits=splits, encoded=splits, shards=splits)
    return fit_baselines.fn(CLASSIFY, lineage, settings).fitted


def fit_baseline(splits: Artefact, settings: BaselineSettings) -> Artefact:
    """The baseline that weighs by TF-IDF."""
    return fit_both(splits, settings)[0]


def write_splits(labels: list[str], *, noise: float = 0.0, flip_test: bool = False) -> Artefact:
    """Splits in which each label has its own word, except for a share of `noise` of the rows."""
    generator = np.random.default_rng(5)

    def draw(split: str, rows: range) -> pl.DataFrame:
        target = generator.integers(len(labels), size=len(rows))
        shown = np.where(generator.random(len(rows)) < noise, generator.integers(len(labels), size=len(rows)), target)
        texts = [" ".join([*generator.choice(FILLER, size=6), f"planted{index}"]) for index in shown]
        if flip_test and split == "test":
            target = (target + 1) % len(labels)
        columns = {"row": rows, "text": texts, "label": [labels[index] for index in target]}
        return pl.DataFrame(columns, schema_overrides={"row": pl.UInt32})

    def write(folder: Path) -> dict:
        start = 0
        for split, size in SIZES.items():
            draw(split, range(start, start + size)).write_parquet(folder / f"{split}.parquet")
            start += size
        return Summary.model_validate(
            {"rows": start, "splits": SIZES, "labels": sorted(labels), "dropped": {}, "warnings": []}
        )

    config = {"labels": labels, "noise": noise, "flip_test": flip_test}
    return artefacts.build("split", write, module="tasks.store.artefacts", config=config)


def read_split(baseline: Artefact, split: str) -> tuple[np.ndarray, np.ndarray]:
    predictions = pl.read_parquet(baseline.file("predictions.parquet")).filter(split=split)
    return np.array(predictions["logits"].to_list()), predictions["target"].to_numpy()


@pytest.mark.parametrize("labels", [["neg", "pos"], ["c", "a", "b"]])
def test_a_planted_word_is_learned_by_both(labels: list[str]) -> None:
    both = fit_both(write_splits(labels), BaselineSettings())
    assert [one.summary["name"] for one in both] == ["tfidf-logistic", "naive-bayes-logistic"]
    for baseline in both:
        logits, targets = read_split(baseline, "test")
        assert logits.shape == (SIZES["test"], len(labels))
        assert (logits.argmax(axis=1) == targets).all()


def test_the_artefact_is_that_of_a_model() -> None:
    splits = write_splits(["neg", "pos"])
    baseline = fit_baseline(splits, BaselineSettings(c_grid=(1, 10)))
    predictions = pl.read_parquet(baseline.file("predictions.parquet"))
    assert predictions.schema == {
        "split": pl.String,
        "row": pl.UInt32,
        "target": pl.UInt16,
        "logits": pl.List(pl.Float32),
    }
    assert predictions["split"].value_counts().sort("split").rows() == [("test", 120), ("valid", 120)]
    assert (np.array(predictions["logits"].to_list())[:, 0] == 0).all()
    assert json.loads(baseline.file("history.json").read_bytes()) == []
    assert baseline.rows == 240
    assert set(baseline.summary) == {"rows", "name", "C", "num_features", "counted", "train_s"}
    named = pl.read_parquet(splits.file("test.parquet")).with_columns(target=(pl.col("label") == "pos").cast(pl.UInt16))
    assert predictions.filter(split="test").select("row", "target").equals(named.select("row", "target"))


def test_three_classes_get_log_probabilities() -> None:
    logits, _ = read_split(fit_baseline(write_splits(["a", "b", "c"]), BaselineSettings()), "valid")
    assert np.exp(logits).sum(axis=1) == pytest.approx(1, abs=1e-5)


def test_the_penalty_has_the_lowest_validation_loss_of_the_grid() -> None:
    grid = (0.01, 1, 100, 10_000)
    told = []
    with listening(told.append):
        baseline = fit_baseline(
            write_splits(["neg", "pos"], noise=0.3), BaselineSettings(c_grid=grid, naive_bayes=False)
        )
    losses = {event.figures["C"]: event.figures["valid_loss"] for event in told}
    assert tuple(losses) == grid
    assert baseline.summary["C"] == min(losses, key=losses.get) not in (grid[0], grid[-1])
    assert mean_loss(*read_split(baseline, "valid")) == pytest.approx(min(losses.values()), abs=1e-6)


def test_test_labels_change_nothing_but_the_recorded_targets() -> None:
    settings = BaselineSettings(c_grid=(0.01, 1, 100), naive_bayes=False)
    honest = fit_baseline(write_splits(["neg", "pos"], noise=0.3), settings)
    flipped = fit_baseline(write_splits(["neg", "pos"], noise=0.3, flip_test=True), settings)
    assert honest.key != flipped.key
    assert honest.summary["C"] == flipped.summary["C"]
    for split in ("valid", "test"):
        assert np.array_equal(read_split(honest, split)[0], read_split(flipped, split)[0])
    assert not np.array_equal(read_split(honest, "test")[1], read_split(flipped, "test")[1])


def test_features_are_learned_from_the_training_rows_alone() -> None:
    texts = {"train": ["good film", "bad film"], "valid": ["good music"], "test": ["strange music", ""]}
    settings = BaselineSettings(min_count=1)
    _, counted = count_for_tfidf({split: pl.Series(column) for split, column in texts.items()}, settings)
    features = counted.weigh("sublinear-tf-idf", counted.inverse_document_frequency())
    assert [matrix.shape for matrix in features.values()] == [(2, 5), (1, 5), (2, 5)]
    assert features["test"].nnz == 0
    assert np.linalg.norm(features["train"].toarray(), axis=1) == pytest.approx(1)


def test_the_most_frequent_features_are_kept() -> None:
    texts = dict.fromkeys(("train", "valid", "test"), pl.Series(["good good good", "bad bad", "film"]))
    _, counted = count_for_tfidf(texts, BaselineSettings(min_count=1, ngram_max=1, max_features=2))
    assert counted.ngrams.dictionary.to_list() == ["bad", "good"]


@pytest.mark.parametrize("sublinear", [True, False])
def test_weights_are_those_of_scikit_learn(sublinear: bool) -> None:
    generator = np.random.default_rng(2)
    texts = [" ".join(generator.choice(FILLER, size=size)) for size in generator.integers(1, 12, size=40)]
    split = {"train": pl.Series(texts), "valid": pl.Series(texts)}
    _, counted = count_for_tfidf(split, BaselineSettings(min_count=2))
    weighing = "sublinear-tf-idf" if sublinear else "tf-idf"
    ours = counted.weigh(weighing, counted.inverse_document_frequency())["train"].toarray()
    theirs = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=sublinear).fit_transform(texts).toarray()
    assert ours.shape == theirs.shape
    assert ours @ ours.T == pytest.approx(theirs @ theirs.T, abs=1e-5)  # whatever the order of the columns


def test_the_same_rows_give_the_same_bytes() -> None:
    splits = write_splits(["neg", "pos"])
    first = fit_baseline(splits, BaselineSettings())
    with artefacts.refreshing(True):
        again = fit_baseline(splits, BaselineSettings())
    assert not again.cached
    assert again.digest == first.digest


def write_texts(texts: dict[str, list[str]], labels: dict[str, list[str]]) -> Artefact:
    def write(folder: Path) -> dict:
        for split in SIZES:
            columns = {"row": range(len(texts[split])), "text": texts[split], "label": labels[split]}
            pl.DataFrame(columns, schema_overrides={"row": pl.UInt32}).write_parquet(folder / f"{split}.parquet")
        return Summary.model_validate({"rows": sum(map(len, texts.values())), "splits": {}, "labels": ["bad", "good"]})

    return artefacts.build("split", write, module="tasks.store.artefacts", config={"texts": texts})


def test_no_naive_bayes_is_fitted_where_the_recipe_says_so() -> None:
    splits = write_splits(["neg", "pos"])
    lineage = Lineage(rows=splits, splits=splits, encoded=splits, shards=splits)
    baselines = fit_baselines.fn(CLASSIFY, lineage, BaselineSettings(naive_bayes=False))
    assert [one.summary["name"] for one in baselines.fitted] == ["tfidf-logistic"]
    assert baselines.left_out == ()


def test_texts_without_spaces_are_counted_by_characters() -> None:
    generator, labels = np.random.default_rng(3), ["good", "bad"] * 20
    signs = {"good": "\u597d\u559c", "bad": "\u574f\u5dee"}

    def draw() -> list[str]:
        return ["".join(map(chr, generator.integers(0x4E00, 0x4F00, 9))) + signs[label] for label in labels]

    splits = write_texts({split: draw() for split in SIZES}, dict.fromkeys(SIZES, labels))
    baseline, other = fit_both(splits, BaselineSettings())

    for one in (baseline, other):
        logits, targets = read_split(one, "test")
        assert (logits.argmax(axis=1) == targets).all()
        assert one.summary["counted"] == "characters"
    assert baseline.summary["warnings"] == [
        "the baseline counts characters, because most validation texts contain no word of at least 3 training "
        "texts (baseline.min_count)"
    ]


def test_a_baseline_with_nothing_to_count_answers_with_the_shares_of_the_classes() -> None:
    texts = {split: [f"{split}{index}" for index in range(8)] for split in SIZES}
    splits = write_texts(texts, dict.fromkeys(SIZES, ["good"] * 6 + ["bad"] * 2))

    (baseline,) = fit_both(splits, BaselineSettings(min_count=301))

    logits, _ = read_split(baseline, "test")
    assert 1 / (1 + np.exp(-logits[:, 1])) == pytest.approx(0.75, abs=0.01)
    assert baseline.summary["warnings"][0].startswith("the baseline knows only the shares of the classes")


# Whose letters tell nothing.
WORDS = np.random.default_rng(1).permutation([f"{first}{second}" for first in "klmnprst" for second in "aeiouybcdf"])
SUBJECTS = {"bad": WORDS[:40], "good": WORDS[40:]}


def write_subjects(*, num_unlabelled: int, test_words: str = "") -> Artefact:
    """Texts of four words of their subject: so few have a label that most of the words occur in none of these."""
    generator = np.random.default_rng(9)

    def draw(size: int) -> pl.DataFrame:
        labels = ["bad", "good"] * (size // 2)
        texts = [" ".join(generator.choice(SUBJECTS[label], size=4)) for label in labels]
        columns = {"row": range(size), "text": texts, "label": labels}
        return pl.DataFrame(columns, schema_overrides={"row": pl.UInt32})

    def write(folder: Path) -> dict:
        sizes = {"train": 8, "valid": 60, "test": 200, "unlabelled": num_unlabelled}
        for split, size in sizes.items():
            rows = draw(size)
            if split == "test":
                rows = rows.with_columns(text=pl.col("text") + test_words)
            if split == "unlabelled":
                rows = rows.drop("label")
            rows.write_parquet(folder / f"{split}.parquet")
        return Summary.model_validate({"rows": 0, "splits": sizes, "labels": ["bad", "good"]})

    config = {"num_unlabelled": num_unlabelled, "test_words": test_words}
    return artefacts.build("split", write, module="tasks.store.artefacts", config=config)


LATENT = BaselineSettings(latent_dimensions=8, naive_bayes=False, min_count=2, ngram_max=1)


def test_texts_without_a_label_tell_which_words_belong_together() -> None:
    tfidf, latent = fit_both(write_subjects(num_unlabelled=1_000), LATENT)
    _, without = fit_both(write_subjects(num_unlabelled=0), LATENT)
    assert [one.summary["name"] for one in (tfidf, latent, without)] == ["tfidf-logistic", *["latent-logistic"] * 2]
    assert (latent.summary["num_unlabelled"], without.summary["num_unlabelled"]) == (1_000, 0)
    assert share_of_right(latent) > 0.97
    assert share_of_right(tfidf) < 0.85
    assert share_of_right(without) < 0.85


def share_of_right(baseline: Artefact) -> float:
    logits, targets = read_split(baseline, "test")
    return (logits.argmax(axis=1) == targets).mean()


def test_latent_dimensions_are_found_for_any_classes_and_as_many_as_there_are() -> None:
    _, latent = fit_both(write_splits(["a", "b", "c"]), BaselineSettings(latent_dimensions=1_000, naive_bayes=False))
    logits, _ = read_split(latent, "test")
    assert share_of_right(latent) == 1
    assert np.exp(logits).sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert latent.summary["latent_dimensions"] == latent.summary["num_features"] < 1_000


def test_no_latent_dimensions_are_looked_for_where_nothing_can_be_counted() -> None:
    texts = {split: [f"{split}{index}" for index in range(8)] for split in SIZES}
    splits = write_texts(texts, dict.fromkeys(SIZES, ["good"] * 6 + ["bad"] * 2))
    settings = BaselineSettings(min_count=301, latent_dimensions=3)
    assert [one.summary["name"] for one in fit_both(splits, settings)] == ["tfidf-logistic"]


def test_latent_dimensions_are_learned_without_the_test_texts() -> None:
    honest, other = (
        fit_both(write_subjects(num_unlabelled=100, test_words=words), LATENT)[1] for words in ("", " planted planted")
    )
    assert honest.key != other.key
    assert np.array_equal(read_split(honest, "valid")[0], read_split(other, "valid")[0])
