"""What classifiers of texts start from where a recipe names registered language models: their weights by token.

A language model that has learned a validation or test text, exactly or nearly, is refused.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from tasks.contract.initial import MATCHED, UNKNOWN, WEIGHTS
from tasks.contract.lineage import Lineage
from tasks.contract.summaries import InitialSummary
from tasks.errors import InputError, plural, quoted
from tasks.kinds.classify.candidate import FOLDERS, LANGUAGE_MODELS
from tasks.registry.registered_model import RegisteredModel
from tasks.registry.served_parts import read_serving_fields
from tasks.store.artefacts import Artefact
from tasks.text.division import hash_folded_text
from tasks.text.near_duplicates import find_clusters
from tasks.text.vocabulary import SPECIALS, Vocabulary
from tasks.text.warm_start import match_tokens

# Settings that the weights of a network depend on.
LAYERS = ("direction", "cell", "nonlinearity", "hidden_size", "num_layers", "embedding_size", "num_heads", "context")
SIMILARITY = 0.7  # as texts are divided by default


def write_registered_start(
    folder: Path,
    *,
    models: Sequence[RegisteredModel],
    learned: Sequence[Artefact],
    plan: Mapping[str, Sequence[Mapping[str, Any]]],
    lineage: Lineage,
) -> InitialSummary:
    """Take registered language models as what candidates start from; `plan` says what networks these need.

    `learned` are the splits that the models have learned from. Raises InputError: E-TRN-004 for a model of another
    kind, network or tokenizer, E-TRN-005 for one that has learned a validation or test text.
    """
    for model in models:
        refuse_other_kind(model)
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
    known = [sum(index != UNKNOWN for index in ids) for ids in tokens]
    shares = " and ".join(f"{count:,}" for count in known)
    return (
        f"{' and '.join(names)}, which {'knows' if len(names) == 1 else 'know'} {shares} of {len(tokens[0]):,} tokens "
        "and no validation or test text"
    )


def refuse_other_kind(model: RegisteredModel) -> None:
    """Raise InputError (E-TRN-004) for a model of another kind."""
    kind = read_serving_fields(model.parts)["kind"]
    if kind != "language":
        raise InputError(
            "E-TRN-004",
            f"{model.label} is a model of the kind {kind}, and classifiers start from language models.",
            fix="name a model of the kind language in pretrain.models.",
        )


def refuse_other_networks(models: Sequence[RegisteredModel], plan: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Raise InputError (E-TRN-004) for a candidate whose layers are not those of the language models."""
    for candidate, needed in plan.items():
        for model, one in zip(models, needed, strict=True):
            earlier = json.loads((model.parts / "model.json").read_bytes())["architecture"]
            wrong = next((name for name in LAYERS if one["model"][name] != earlier[name]), None)
            if wrong is not None:
                found, expected = json.dumps(earlier[wrong]), json.dumps(one["model"][wrong])
                raise InputError(
                    "E-TRN-004",
                    f"candidate {quoted(candidate)}: the language model {model.label} has {wrong} = {found}, and the "
                    f"candidate needs {expected}.",
                    fix=f"give the candidate the layers of its language models, or name others in pretrain.models: "
                    f"{_describe_layers(earlier)}.",
                )


def match_known_tokens(model: RegisteredModel, present: Vocabulary) -> list[int]:
    """For each id of the classifier the id of its token in the language model.

    Raises InputError (E-TRN-004) if that cuts texts into other tokens.
    """
    earlier = Vocabulary.load(model.parts / "vocabulary.json")
    tokens = match_tokens(present, earlier)
    if earlier.tokenizer != present.tokenizer or sum(index != UNKNOWN for index in tokens) == len(SPECIALS):
        raise InputError(
            "E-TRN-004",
            f"the language model {model.label} reads tokens of the tokenizer {earlier.tokenizer}, none of which "
            f"means the same here, where texts are cut by {present.tokenizer}.",
            fix=f'set encode.tokenizer = "{earlier.tokenizer}" and encode.lowercase as that model has them.',
        )
    return tokens


def refuse_learned_texts(model: RegisteredModel, learned: Artefact, splits: Artefact) -> None:
    """Raise InputError (E-TRN-005) if a model has learned a validation or test text, exactly or nearly."""
    held = [pl.scan_parquet(splits.file(f"{name}.parquet")).select("row", "text") for name in ("valid", "test")]
    # Its validation texts have chosen its epoch.
    read = [pl.scan_parquet(learned.file(f"{name}.parquet")).select("text") for name in ("train", "valid")]
    known = find_known(pl.concat(held), pl.concat(read))
    if known:
        raise InputError(
            "E-TRN-005",
            f"the language model {model.label} has learned {plural(len(known), 'validation or test text')}, "
            f"exactly or nearly, for example row {known[0]}.",
            fix="mark texts that it has not learned as validation and test rows (source.split_column), or leave "
            "pretrain.models out to learn one from the other texts of this recipe.",
        )


def find_known(held: pl.LazyFrame, read: pl.LazyFrame) -> list[int]:
    """Rows of held texts that equal or nearly equal a text that was read."""
    identity = {"a": hash_folded_text(0), "b": hash_folded_text(1)}
    equal = held.with_columns(**identity).join(read.select(**identity), on=["a", "b"], how="semi")
    first = int(held.select(pl.col("row").max()).collect().item()) + 1
    both = pl.concat([held, read.with_row_index("row", offset=first)], how="vertical_relaxed")
    clusters = find_clusters(both, threshold=SIMILARITY)
    with_read = clusters.filter(pl.col("row") >= first)["cluster"]
    near = clusters.filter((pl.col("row") < first) & pl.col("cluster").is_in(with_read.implode()))["row"]
    return sorted({*equal.select("row").collect()["row"].to_list(), *near.to_list()})


def _describe_layers(architecture: Mapping[str, Any]) -> str:
    names = ("cell", "hidden_size", "num_layers", "embedding_size")
    return ", ".join(f"{name} = {json.dumps(architecture[name])}" for name in names)
