"""What classifiers of texts start from where a recipe names registered language models: their weights by token.

A language model that was trained on a validation or test text, exactly or nearly, is refused.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from tasks.contract.initial import MATCHED, WEIGHTS
from tasks.contract.lineage import Lineage
from tasks.contract.summaries import InitialSummary
from tasks.errors import InputError, plural, quoted
from tasks.kinds.classify.candidate import FOLDERS, LANGUAGE_MODELS
from tasks.kinds.classify.split import SplitSettings
from tasks.registry.registered_model import RegisteredModel
from tasks.store.artefacts import Artefact
from tasks.text.division import fold_text
from tasks.text.near_duplicates import find_clusters
from tasks.text.vocabulary import SPECIALS, Vocabulary
from tasks.text.warm_start import count_known, match_tokens

# Settings that the weights of a network depend on: of all, of simple recurrent cells, of transformers.
LAYERS = ("direction", "cell", "hidden_size", "num_layers", "embedding_size")
OF_CELLS = {"rnn": ("nonlinearity",), "transformer": ("num_heads", "context")}
# So many characters from the middle of a text tell it from others, wherever they stand.
TELLING_CHARACTERS = 64
# A shorter line of a document says too little, as many documents hold one that reads "OK"; many such lines do say it.
TELLING_LINE = 30
TELLING_SHARE = 0.1


def write_registered_start(
    folder: Path,
    *,
    models: Sequence[RegisteredModel],
    learned: Sequence[Artefact],
    plan: Mapping[str, Sequence[Mapping[str, Any]]],
    lineage: Lineage,
) -> InitialSummary:
    """Take registered language models as what candidates start from; `plan` says what networks these need.

    `learned` are the splits of what the models were trained on. Raises InputError: E-TRN-004 for a model of another
    network or other tokens, E-TRN-005 for one that was trained on a validation or test text.
    """
    refuse_other_networks(models, plan)
    present = Vocabulary.load(lineage.encoded.file("vocabulary.json"))
    tokens = [match_known_tokens(model, present) for model in models]
    for model, splits in zip(models, learned, strict=True):
        refuse_learned_texts(model, splits, lineage.splits)
    for model, place in zip(models, FOLDERS, strict=False):
        folder.joinpath(place).mkdir(exist_ok=True)
        for name in WEIGHTS:
            shutil.copyfile(model.parts / name, folder / place / name)
    names = [model.label for model in models]
    (folder / MATCHED).write_text(json.dumps({LANGUAGE_MODELS: names, "tokens": tokens}), encoding="utf-8")
    return InitialSummary(rows=len(present.tokens), start=describe_start(names, tokens))


def describe_start(names: Sequence[str], tokens: Sequence[Sequence[int]]) -> str:
    """Name the models, how many tokens they know, and what was looked for in their texts."""
    shares = " and ".join(f"{count_known(ids):,}" for ids in tokens)
    return (
        f"{' and '.join(names)}, which {'knows' if len(names) == 1 else 'know'} {shares} of "
        f"{len(tokens[0]) - len(SPECIALS):,} tokens; no validation or test text was found among those trained on"
    )


def refuse_other_networks(models: Sequence[RegisteredModel], plan: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Raise InputError (E-TRN-004) for a candidate whose layers are not those of the language models."""
    for candidate, needed in plan.items():
        for model, one in zip(models, needed, strict=True):
            earlier = json.loads((model.parts / "model.json").read_bytes())["architecture"]
            names = (*LAYERS, *OF_CELLS.get(earlier["cell"], ()))
            wrong = next((name for name in names if one["model"][name] != earlier[name]), None)
            if wrong is not None:
                found, expected = json.dumps(earlier[wrong]), json.dumps(one["model"][wrong])
                raise InputError(
                    "E-TRN-004",
                    f"candidate {quoted(candidate)}: the language model {model.label} has {wrong} = {found}, and the "
                    f"candidate needs {expected}.",
                    fix=_remedy(wrong, found, len(models)),
                )


def match_known_tokens(model: RegisteredModel, present: Vocabulary) -> list[int]:
    """For each id of the classifier the id of its token in the language model.

    Raises InputError (E-TRN-004) if that cuts texts into other tokens, or knows none of them.
    """
    earlier = Vocabulary.load(model.parts / "vocabulary.json")
    for name in ("tokenizer", "lowercase", "merges"):
        found, expected = getattr(earlier, name), getattr(present, name)
        if found != expected:
            raise InputError(
                "E-TRN-004",
                f"the language model {model.label} cuts texts into other tokens than this recipe: its {name} differs"
                + (f", {json.dumps(found)} and not {json.dumps(expected)}." if name != "merges" else "."),
                fix=_remedy_of_tokens(name, found),
            )
    tokens = match_tokens(present, earlier)
    if not count_known(tokens):
        raise InputError(
            "E-TRN-004",
            f"the language model {model.label} knows no token of these texts.",
            fix="name a language model of texts in the same language in pretrain.models.",
        )
    return tokens


def refuse_learned_texts(model: RegisteredModel, learned: Artefact, splits: Artefact) -> None:
    """Raise InputError (E-TRN-005) if a model was trained on a validation or test text, exactly or nearly."""
    held = [pl.scan_parquet(splits.file(f"{name}.parquet")).select("row", "text") for name in ("valid", "test")]
    # Its validation texts have chosen its epoch.
    read = [pl.scan_parquet(learned.file(f"{name}.parquet")).select("text") for name in ("train", "valid")]
    known = find_known(pl.concat(held), pl.concat(read), SplitSettings.model_validate(splits.manifest["config"]))
    if known:
        raise InputError(
            "E-TRN-005",
            f"the language model {model.label} was trained on {plural(len(known), 'validation or test text')} of this "
            f"recipe, exactly or nearly, for example row {known[0]}.",
            fix="mark texts that it was not trained on as validation and test rows (source.split_column), or leave "
            "pretrain.models out to learn a language model from the other texts of this recipe.",
        )


def find_known(held: pl.LazyFrame, read: pl.LazyFrame, settings: SplitSettings) -> list[int]:
    """Rows of held texts of which the equal, a near copy or the middle is among texts that were read.

    Documents that were read are looked at as a whole and line by line; blank texts are everywhere. Equal short lines
    count if they are those of a tenth of the held texts. Near copies count where they do in the split.
    """
    parted = read.filter(pl.col("text").str.contains("\n", literal=True)).select(pl.col("text").str.split("\n"))
    lines = parted.explode("text").collect()
    is_telling = pl.col("text").str.len_chars() >= TELLING_LINE
    texts = pl.concat([read, lines.lazy().filter(is_telling)])
    folded = texts.select(text=fold_text()).collect()["text"]
    held = held.filter(pl.col("text").str.strip_chars() != "")
    targets = held.select("row", text=fold_text()).collect()
    known = _find_equal(targets, folded) | _find_middles(targets, folded)
    as_short_line = _find_equal(targets, lines.filter(~is_telling).select(text=fold_text())["text"])
    if len(as_short_line) >= TELLING_SHARE * len(targets):
        known |= as_short_line
    if settings.near_duplicates and not targets.is_empty():
        known |= _find_near(held, texts, settings.similarity)
    return sorted(known)


def _find_equal(targets: pl.DataFrame, read: pl.Series) -> set[int]:
    """Rows of texts that are among those that were read, both folded."""
    return set(targets.filter(pl.col("text").is_in(read.implode()))["row"])


def _find_middles(targets: pl.DataFrame, read: pl.Series) -> set[int]:
    """Rows of long texts whose middle stands somewhere in what was read."""
    long = targets.filter(pl.col("text").str.len_chars() >= TELLING_CHARACTERS)
    middle = (pl.col("text").str.len_chars() - TELLING_CHARACTERS) // 2
    passages = long.select("row", passage=pl.col("text").str.slice(middle, TELLING_CHARACTERS))
    if passages.is_empty():
        return set()
    found = read.str.extract_many(passages["passage"].unique().implode(), overlapping=True).explode().unique()
    return set(passages.filter(pl.col("passage").is_in(found.implode()))["row"])


def _find_near(held: pl.LazyFrame, read: pl.LazyFrame, similarity: float) -> set[int]:
    """Rows of held texts that have a near copy among what was read."""
    first = int(held.select(pl.col("row").max()).collect().item()) + 1
    both = pl.concat([held, read.with_row_index("row", offset=first)], how="vertical_relaxed")
    clusters = find_clusters(both, threshold=similarity)
    with_read = clusters.filter(pl.col("row") >= first)["cluster"]
    return set(clusters.filter((pl.col("row") < first) & pl.col("cluster").is_in(with_read.implode()))["row"])


def _remedy_of_tokens(setting: str, value: object) -> str:
    if setting == "merges":  # which each recipe learns from its own texts
        return (
            'set encode.tokenizer to "word" or "char" and name a language model of the same tokens, or leave '
            "pretrain.models out."
        )
    other = "name a language model that was trained with this recipe's encode settings."
    return other if value == "space" else f"set encode.{setting} = {json.dumps(value)}, or {other}"


def _remedy(setting: str, value: str, num_models: int) -> str:
    if setting == "direction":
        return "name the forward model first in pretrain.models, then the backward one."
    if setting == "embedding_size":
        width = f"{num_models} * {value}" if num_models > 1 else value
        return f"set model.embedding_size of the candidate to {width} columns and its ratio_columns."
    return f"set model.{setting} = {value} in the candidate, or name other language models in pretrain.models."
