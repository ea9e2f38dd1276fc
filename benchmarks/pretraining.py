"""What unlabelled reviews bring a classifier, by the number of labelled ones.

python -m benchmarks.pretraining --output benchmarks/results/NAME.md

The 25,000 reviews of an installed package are divided once. Of the training texts the first have labels and all others
none; validation and test texts never change. Language models are fitted once, by the product's own stages, and serve
every number of labels; a linear model reads latent dimensions of all training texts. Validation chooses the epoch and
the baselines' penalties; test is measured once. The 25,000 reviews are the training half of the Large Movie Review
Dataset: `--test-archive aclImdb_v1.tar.gz` tests on 10,000 of its other half, which are of other films.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from benchmarks import measure
from rnnmodels.config import Architecture, Training

if TYPE_CHECKING:
    from tasks.contract.lineage import Lineage
    from tasks.kinds.classify.recipe import ClassifyRecipe
    from tasks.store.artefacts import Artefact

VERSIONS = ("torch", "scikit-learn")
LABELLED = (200, 500, 1_000, 2_000, 5_000, 20_000)
RESAMPLES, CONFIDENCE = 10_000, 0.95
PRETRAINED, FRESH = "pretrained", "fresh"
TFIDF, LATENT = "tfidf-logistic", "latent-logistic"
MODEL = Architecture(
    cell="lstm",
    hidden_size=256,
    embedding_size=258,
    bidirectional=True,
    locked_dropout=0.4,
    head_dropout=0.4,
    embedding_dropout=0.4,
    weight_dropout=0.2,
    ngram_ratios=3,
)
TRAINING = Training(
    learning_rate=2e-3,
    warmup_share=0.2,
    ema_decay=0.98,
    label_smoothing=0.2,
    class_ratio_scale=2,
)
PRETRAINING = {"epochs": 3, "streams": 32}
LATENT_DIMENSIONS = 300
MOST_TESTED = 10_000
# A number of labels, and the scores [2, rows] of each model.
Scores = tuple[int, Mapping[str, np.ndarray]]
Curve = Sequence[Scores]
# A network joined with the better linear model of labelled texts, and with the one that reads all texts.
WITH_LINEAR, WITH_LATENT = " + linear", " + latent"
GAINS = (
    (PRETRAINED, FRESH),
    (PRETRAINED + WITH_LINEAR, FRESH + WITH_LINEAR),
    (PRETRAINED + WITH_LATENT, FRESH + WITH_LINEAR),
    (FRESH + WITH_LATENT, FRESH + WITH_LINEAR),
    (PRETRAINED + WITH_LATENT, FRESH + WITH_LATENT),
    (PRETRAINED + WITH_LATENT, LATENT),
    (PRETRAINED + WITH_LATENT, TFIDF),
)
EXPLANATION = f"""\
Test accuracy in percent and cross-entropy in nats, means of the seeds; gains of accuracy are in points, and all \
differences are paired by test row, with {CONFIDENCE:.0%} intervals of a bootstrap over the rows. `{FRESH}` is the \
same network with the same training without the language models; both read the log-count ratios of n-grams, and in \
both some columns of the embedding start at those of tokens. `{WITH_LINEAR.strip()}` is the network joined with the \
better one, on validation, of the two linear models of labelled texts, by a weight chosen there: the product's stage \
`stack`. `{LATENT}` also reads {LATENT_DIMENSIONS} latent dimensions (latent semantic analysis) of all training \
texts, and `{WITH_LATENT.strip()}` is the network joined with it. `{FRESH + WITH_LINEAR}` takes only its vocabulary \
from texts without a label. In every row the same labelled validation texts, a tenth of all, choose the epoch, the \
penalties and the weights of joins."""


def make_recipe(num_labelled: int, seed: int, table: Path) -> "ClassifyRecipe":
    """The two candidates on a table whose column `part` names splits, and what is unlabelled."""
    from tasks.kinds.classify.baseline import BaselineSettings
    from tasks.kinds.classify.candidate import TextCandidate
    from tasks.kinds.classify.encode import EncodeSettings
    from tasks.kinds.classify.pretrain import PretrainSettings, PretrainTraining
    from tasks.kinds.classify.recipe import ClassifyRecipe
    from tasks.kinds.classify.source import SourceSettings

    training = TRAINING.model_copy(update={"seed": seed, **plan_training(num_labelled)})
    return ClassifyRecipe(
        name="pretraining",
        source=SourceSettings(path=str(table), label_column="label", split_column="part"),
        encode=EncodeSettings(unlabelled=True),
        pretrain=PretrainSettings(training=PretrainTraining(**PRETRAINING)),
        baseline=BaselineSettings(latent_dimensions=LATENT_DIMENSIONS),
        candidates=[
            TextCandidate(name=PRETRAINED, pretrained=True, ratio_columns=2, model=MODEL, training=training),
            TextCandidate(name=FRESH, model=MODEL, training=training),
        ],
    )


def plan_training(num_labelled: int) -> dict[str, int]:
    """Epochs and padded tokens per batch: the fewer rows there are, the more often each is seen."""
    few, many = 2_000, 10_000
    epochs = 8 if num_labelled < few else (2 if num_labelled > many else 5)
    return {"epochs": epochs, "batch_tokens": min(4_000, 5 * num_labelled)}


def write_table(num_labelled: int, home: Path, test_archive: str | None = None) -> Path:
    """Write the reviews as the recipe `reviews` divides them, with labels for the first training texts only."""
    reviews = divide_rows("reviews")
    tested = reviews if test_archive is None else divide_rows("imdb", from_file=test_archive)
    parts = [
        pl.read_parquet(splits.file(f"{name}.parquet"))
        .sort(pl.col("row").hash(seed=1))  # the package lists one class after the other
        .select("text", "label", part=pl.lit(name))
        .slice(0, MOST_TESTED if name == "test" else None)
        for name, splits in {"train": reviews, "valid": reviews, "test": tested}.items()
    ]
    is_labelled = (pl.col("part") != "train") | (pl.int_range(pl.len()) < num_labelled)
    table = pl.concat(parts).with_columns(
        label=pl.when(is_labelled).then("label"), part=pl.when(is_labelled).then("part").otherwise(pl.lit("unlabelled"))
    )
    path = home / f"reviews-{num_labelled}.parquet"
    table.write_parquet(path)
    return path


def divide_rows(recipe_name: str, *, from_file: str | None = None) -> "Artefact":
    """The rows of a recipe's source, divided as it says."""
    from flows.recipes.recipe import load_recipe
    from tasks.ingest import ingest
    from tasks.kinds.classify.recipe import CLASSIFY
    from tasks.split import split

    recipe = load_recipe(recipe_name, from_file=from_file)
    return split.fn(CLASSIFY, ingest.fn(CLASSIFY, recipe.source), recipe.split)


def run_once(num_labelled: int, seed: int, home: Path, test_archive: str | None = None) -> dict[str, float]:
    """Fit candidates and baselines, and store how each scores on each test row; returns the accuracies."""
    os.environ["RNNFLOW_HOME"] = str(home)
    from tasks.baseline import fit_baselines
    from tasks.contract.lineage import Lineage
    from tasks.contract.summaries import NamedSummary
    from tasks.encode import encode
    from tasks.fit import fit
    from tasks.ingest import ingest
    from tasks.kinds.classify.recipe import CLASSIFY
    from tasks.shard import shard
    from tasks.split import split

    recipe = make_recipe(num_labelled, seed, write_table(num_labelled, home, test_archive))
    rows = ingest.fn(CLASSIFY, recipe.source)
    splits = split.fn(CLASSIFY, rows, recipe.split)
    encoded = encode.fn(CLASSIFY, splits, recipe.encode)
    lineage = Lineage(rows=rows, splits=splits, encoded=encoded, shards=shard.fn(CLASSIFY, encoded, recipe.shard))
    start = fit_start(recipe, lineage)
    fitted = [
        fit.fn(CLASSIFY, lineage.shards, candidate, initial=start if candidate.pretrained else None)
        for candidate in recipe.candidates
    ]
    baselines = fit_baselines.fn(CLASSIFY, lineage, recipe.baseline).fitted
    scores = {NamedSummary.of(model).name: score_rows(model) for model in (*fitted, *baselines)}
    reads_all = [model for model in baselines if NamedSummary.of(model).name == LATENT]
    linear = [model for model in baselines if model not in reads_all]
    for suffix, partners in {WITH_LINEAR: linear, WITH_LATENT: reads_all}.items():
        for model in fitted:
            joined = join_with_best(model, partners, lineage, recipe)
            scores[NamedSummary.of(model).name + suffix] = score_rows(joined)
    np.savez(_path_of(home, num_labelled, seed), **scores)
    return {name: float(is_right.mean()) for name, (is_right, _) in scores.items()}


def fit_start(recipe: "ClassifyRecipe", lineage: "Lineage") -> "Artefact":
    """Fit the language models that the first candidate starts from, or find them fitted."""
    from tasks.corpus import corpus
    from tasks.fit import fit
    from tasks.kinds.classify.pretrain import plan_models
    from tasks.kinds.classify.recipe import CLASSIFY
    from tasks.kinds.language.fit import LanguageCandidate
    from tasks.kinds.language.recipe import LANGUAGE
    from tasks.kinds.language.shard import StreamSettings
    from tasks.pretrain import pretrain
    from tasks.shard import shard

    texts = corpus.fn(CLASSIFY, lineage, recipe.pretrain)
    streams = shard.fn(LANGUAGE, texts, StreamSettings())
    plan = plan_models(recipe.candidates, recipe.pretrain)[PRETRAINED]
    models = [fit.fn(LANGUAGE, streams, LanguageCandidate.model_validate(one), resume=True) for one in plan]
    return pretrain.fn(CLASSIFY, models, texts)


def join_with_best(
    model: "Artefact", baselines: Sequence["Artefact"], lineage: "Lineage", recipe: "ClassifyRecipe"
) -> "Artefact":
    """Join a network with the baseline that is better on validation; the network itself where no weight helps."""
    from tasks.contract.contest import Contest, Scored
    from tasks.evaluate import evaluate
    from tasks.kinds.classify.recipe import CLASSIFY
    from tasks.stack import stack

    candidate, *others = (
        Scored(model=one, evaluation=evaluate.fn(CLASSIFY, one, lineage, recipe.evaluate))
        for one in (model, *baselines)
    )
    contest = Contest(candidates=(candidate,), baselines=tuple(others), settings=recipe.evaluate)
    return next(iter(stack.fn(CLASSIFY, contest, recipe.stack).fitted), model)


def score_rows(model: "Artefact") -> np.ndarray:
    """Of each test row, in their order, whether a model classifies it rightly, and its cross-entropy: [2, rows]."""
    from tasks.labelled.metrics import log_softmax

    predictions = pl.read_parquet(model.file("predictions.parquet")).filter(split="test").sort("row")
    logits, target = np.array(predictions["logits"].to_list()), predictions["target"].to_numpy()
    return np.stack([logits.argmax(axis=1) == target, -log_softmax(logits)[np.arange(len(target)), target]])


def run_all(options: argparse.Namespace, home: Path) -> Iterator[Scores]:
    """Yield for each number of labels how each model scores on each test row, the mean of the seeds."""
    archive = [] if options.test_archive is None else [str(options.test_archive.resolve())]
    for num_labelled in options.rows:
        for seed in options.seeds:
            arguments = ["run", str(num_labelled), str(seed), str(home), *archive]
            sample = measure.run_fresh("benchmarks.pretraining", arguments, threads=options.threads)
            print(num_labelled, seed, sample.figures, f"{sample.process_s:.0f} s", file=sys.stderr, flush=True)
        stored = [np.load(_path_of(home, num_labelled, seed)) for seed in options.seeds]
        yield num_labelled, {name: np.mean([one[name] for one in stored], axis=0) for name in stored[0]}


def curve_table(curve: Curve) -> str:
    """One row per number of labels: accuracy and cross-entropy of each model."""
    names = [*curve[0][1]]
    rows = [[f"{num_labelled:,}", *(describe_scores(scores[name]) for name in names)] for num_labelled, scores in curve]
    return measure.markdown_table(["labelled", *names], rows)


def describe_scores(scores: np.ndarray) -> str:
    """Accuracy in percent and cross-entropy in nats."""
    accuracy, loss = scores.mean(axis=1)
    return f"{100 * accuracy:.1f} ({loss:.3f})"


def gain_table(curve: Curve, describe: Callable[[np.ndarray], str]) -> str:
    """One row per number of labels: the difference between two models, as `describe` tells it."""
    rows = [
        [f"{num_labelled:,}", *(describe(scores[one] - scores[other]) for one, other in GAINS)]
        for num_labelled, scores in curve
    ]
    return measure.markdown_table(["labelled", *(f"{one} over {other}" for one, other in GAINS)], rows)


def describe_accuracy_gain(difference: np.ndarray) -> str:
    """A mean gain of accuracy in points, with its interval."""
    return _describe_mean(100 * difference[0], digits=1)


def describe_loss_gain(difference: np.ndarray) -> str:
    """A mean difference of cross-entropy in nats, with its interval; below 0 is better."""
    return _describe_mean(difference[1], digits=3)


def _describe_mean(values: np.ndarray, *, digits: int) -> str:
    from tasks.statistics.intervals import mean_with_interval

    mean = mean_with_interval(values, resamples=RESAMPLES, confidence=CONFIDENCE, seed=1)
    value, low, high = (f"{mean[name]:+.{digits}f}" for name in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"


def _path_of(home: Path, num_labelled: int, seed: int) -> Path:
    return home / f"scores-{num_labelled}-{seed}.npz"


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pretraining", description=__doc__)
    parser.add_argument("--rows", nargs="+", type=int, default=LABELLED, help="numbers of labelled texts")
    parser.add_argument("--seeds", nargs="+", type=int, default=(1,), help="of the classifiers")
    parser.add_argument("--threads", type=int, default=2, help="threads of each run")
    parser.add_argument("--test-archive", type=Path, help="test on the test reviews of this copy of aclImdb_v1.tar.gz")
    parser.add_argument("--home", type=Path, help="folder to keep fitted models in, for another call; default: none")
    parser.add_argument("--output", type=Path, help="Markdown file to write")
    return parser.parse_args()


def main() -> None:
    """Be the driver, or what it starts: `run LABELLED SEED HOME [ARCHIVE]`."""
    if sys.argv[1:2] == ["run"]:
        with measure.answering() as out:
            num_labelled, seed, home, *archive = sys.argv[2:]
            measure.answer(run_once(int(num_labelled), int(seed), Path(home), *archive), out)
        return
    options = parse_arguments()
    described = measure.describe_run(VERSIONS)
    with tempfile.TemporaryDirectory() as temporary:
        home = (options.home or Path(temporary)).resolve()
        home.mkdir(parents=True, exist_ok=True)
        curve = list(run_all(options, home))
    tables = [curve_table(curve), *(gain_table(curve, one) for one in (describe_accuracy_gain, describe_loss_gain))]
    sections = ["# Learning from unlabelled reviews", described, *tables, EXPLANATION]
    measure.publish("\n\n".join(sections), options.output)


if __name__ == "__main__":
    main()
