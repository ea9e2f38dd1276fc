"""A language model as it is served: what texts cost is exact, and what is written depends on prompt and seed alone."""

import itertools
import math
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from tasks.errors import InputError, IntegrityError
from tasks.kinds.language.served_language_model import ServedLanguageModel, Written, read_sampling
from tasks.text.pieces import PIECE_CHARS
from tasks.text.vocabulary import UNKNOWN_ID
from tests.tasks.kinds.language.small_models import TEXT, pack

TOKENIZERS = ("char", "word", "space", "subword")
TEXTS = ["The king went on.", "", "The queen said: “Go!”\n" * 30, "a"]


@pytest.fixture(scope="module", params=TOKENIZERS)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ServedLanguageModel:
    return pack(tmp_path_factory.mktemp("models") / request.param, request.param)


@pytest.fixture(scope="module")
def char_model(tmp_path_factory: pytest.TempPathFactory) -> ServedLanguageModel:
    return pack(tmp_path_factory.mktemp("models") / "char")


def brute_force_nats(served: ServedLanguageModel, ids: list[int]) -> float:
    """Read a document and its end token by token, and add up what each costs."""
    total, states, before = 0.0, None, 0
    for token in [*ids, 0] if served.serving.closed else ids:
        with torch.inference_mode():
            logits, states = served.model.advance(torch.tensor([[before]]), states)
        total -= float(logits[0, 0].double().log_softmax(0)[token])
        before = token
    return total


def test_what_a_text_costs_is_a_sum_over_its_tokens_and_its_end(model: ServedLanguageModel):
    scores = model.score_texts(TEXTS)
    read = model.reader.read(TEXTS)

    expected = [brute_force_nats(model, ids.tolist()) for ids in read.ids] + read.spelling_nats
    np.testing.assert_allclose(scores["nats"], expected, rtol=1e-5)
    assert scores["num_tokens"].to_list() == [len(ids) + 1 for ids in read.ids]
    assert scores["num_chars"].to_list() == [len(text.strip(" ")) + 1 for text in TEXTS]
    assert dict(scores.schema) == {
        "num_chars": pl.UInt32,
        "num_tokens": pl.UInt32,
        "nats": pl.Float64,
        "spelling_nats": pl.Float64,
    }


def test_a_text_costs_the_same_whoever_is_scored_with_it(model: ServedLanguageModel):
    together = model.score_texts(TEXTS)
    alone = pl.concat([model.score_texts([text]) for text in TEXTS])

    np.testing.assert_allclose(together["nats"], alone["nats"], rtol=1e-6)


def test_line_ends_of_windows_are_read_as_in_training(model: ServedLanguageModel):
    lines = ["The king went on.\nThe queen said:\n", "a\n\n"]
    from_windows = [lines[0].replace("\n", "\r\n"), lines[1].replace("\n", "\r\r\n")]

    assert model.score_texts(from_windows).equals(model.score_texts(lines))
    assert [*model.generate(from_windows[0], length=5, seed=1)] == [*model.generate(lines[0], length=5, seed=1)]


def test_no_texts_cost_nothing(model: ServedLanguageModel):
    assert model.score_texts([]).shape == (0, 4)


def test_without_learned_ends_a_text_has_none(tmp_path: Path):
    served = pack(tmp_path / "book", closed=False)

    scores = served.score_texts(["The king", ""])

    assert scores["num_tokens"].to_list() == scores["num_chars"].to_list() == [8, 0]
    ids = served.reader.read(["The king"]).ids[0].tolist()
    assert scores["nats"].to_list() == pytest.approx([brute_force_nats(served, ids), 0])


def test_a_backward_model_reads_texts_from_their_end(tmp_path: Path):
    served = pack(tmp_path / "backward", direction="backward")

    [nats] = served.score_texts(["The king"])["nats"]

    ids = served.reader.read(["The king"]).ids[0].tolist()
    assert nats == pytest.approx(brute_force_nats(served, ids[::-1]), rel=1e-5)
    with pytest.raises(InputError, match="E-GEN-003 this model reads texts from their end"):
        next(served.generate("The king"))


def test_unknown_tokens_are_spelled(tmp_path: Path):
    served = pack(tmp_path / "rare", "word", min_count=8)
    unknown = ["queen", "zzz", "queen"]

    [scores] = served.score_texts(["The king queen zzz queen"]).to_dicts()

    spelled = served.reader.speller.nats_of(pl.Series(unknown)).to_list()
    assert served.reader.read(["The king queen zzz queen"]).ids[0].tolist().count(UNKNOWN_ID) == 3
    assert scores["spelling_nats"] == pytest.approx(sum(spelled))
    assert served.reader.unknown_tokens("The queen zzz queen") == ["queen", "zzz"]


def test_a_long_text_is_cut_as_the_stage_encode_cuts_it(model: ServedLanguageModel):
    long = "The king said, the queen went on. " * (3 * PIECE_CHARS // 30)

    [ids] = model.reader.read([long]).ids

    half = len(long) // 2 // 34 * 34
    parts = model.reader.read([long[:half], long[half:]])
    assert abs(len(ids) - sum(map(len, parts.ids))) <= 4
    assert model.reader.read([long]).num_chars.tolist() == [len(long.strip(" ") if has_spaces(model) else long)]


def has_spaces(model: ServedLanguageModel) -> bool:
    return model.vocabulary.tokenizer == "space"


def test_the_same_prompt_and_seed_give_the_same_text_in_pieces(model: ServedLanguageModel):
    first, again, other = (list(model.generate("The king", length=40, temperature=1, seed=seed)) for seed in (5, 5, 6))

    assert "".join(first) == "".join(again) != "".join(other)
    assert len(first) > 20
    assert all(first)


def test_a_text_goes_on_where_another_ended(model: ServedLanguageModel):
    if model.vocabulary.tokenizer == "subword":
        pytest.skip("a text may be cut into other subwords than it was written in")
    whole = "".join(model.generate("The king", length=30, temperature=0))
    begun = "".join(model.generate("The king", length=10, temperature=0))

    gone_on = "".join(model.generate("The king" + begun, length=20, temperature=0))

    assert whole == begun + gone_on


def test_a_prompt_may_be_empty_or_long(model: ServedLanguageModel):
    assert "".join(model.generate("", length=10, seed=1))
    assert "".join(model.generate(TEXT * 4, length=10, seed=1))


def test_a_prompt_that_ends_with_a_space_gets_no_second_one(tmp_path: Path):
    served = pack(tmp_path / "words", "word")

    parted, joined = ("".join(served.generate(prompt, length=5, seed=3)) for prompt in ("The king ", "The king"))

    assert joined.removeprefix(" ") == parted


def test_how_a_text_ended_is_told(tmp_path: Path):
    served = pack(tmp_path / "ends")

    def exhaust(**sampling: float) -> Written:
        told = []

        def keep() -> Iterator[str]:
            told.append((yield from served.write("The", read_sampling(sampling))))

        list(keep())
        return told[0]

    cut = exhaust(length=7, seed=2)
    served.model.output_bias.data[0] = 100
    ended = exhaust(length=7, seed=2)
    assert (cut.num_tokens, cut.has_ended, cut.seed) == (7, False, 2)
    assert (ended.num_tokens, ended.has_ended) == (0, True)


@pytest.mark.parametrize(
    ("tokenizer", "prompt", "unknown"),
    [("char", "The Zoß", '"Z", "ß"'), ("word", "Zar Zar peter", '"Zar", "peter"'), ("space", "Zar", '"Zar"')],
)
def test_a_prompt_that_the_model_cannot_know_is_refused(tmp_path: Path, tokenizer: str, prompt: str, unknown: str):
    served = pack(tmp_path / tokenizer, tokenizer)

    with pytest.raises(InputError) as caught:
        next(served.generate(prompt))

    assert str(caught.value) == (
        f"E-GEN-001 the prompt holds what the model never saw: {unknown}.\nFix: leave it out of the prompt."
    )


def test_words_among_known_ones_may_be_unknown(tmp_path: Path):
    assert "".join(pack(tmp_path / "words", "word").generate("The Zar said", length=5, seed=0))


@pytest.mark.parametrize(
    ("sampling", "problem"),
    [
        ({"length": 0}, 'length: got "0": Input should be greater than or equal to 1.'),
        ({"temperature": -1}, 'temperature: got "-1": Input should be greater than or equal to 0.'),
        ({"temperature": math.nan}, 'temperature: got "nan": Input should be a finite number.'),
        ({"top_p": 0}, 'top_p: got "0": Input should be greater than 0.'),
        ({"topk": 3}, 'topk: got "3": Extra inputs are not permitted.'),
    ],
)
def test_bounds_are_named(char_model: ServedLanguageModel, sampling: dict, problem: str):
    with pytest.raises(InputError) as caught:
        char_model.generate("The", **sampling)

    assert str(caught.value) == (
        f"E-GEN-002 {problem}\nFix: set length, temperature, top_k, top_p, seed within their bounds."
    )


@pytest.mark.parametrize("text", [None, 3, "a\ud800"])
def test_what_is_not_a_text_is_refused(char_model: ServedLanguageModel, text: object):
    with pytest.raises(InputError, match="E-TEXT-001 text 1: "):
        char_model.score_texts(["fine", text])


@pytest.mark.parametrize("name", ["model.safetensors", "vocabulary.json", "spelling.json"])
def test_a_changed_file_is_refused(tmp_path: Path, name: str):
    pack(tmp_path / "model")
    folder = shutil.copytree(tmp_path / "model", tmp_path / "changed")
    (folder / name).write_bytes((folder / name).read_bytes() + b" ")

    with pytest.raises(IntegrityError, match="E-INT-001"):
        ServedLanguageModel.load(folder)


def test_a_character_of_several_bytes_is_shown_when_it_is_whole(tmp_path: Path):
    served = pack(tmp_path / "subwords", "subword")
    ids = itertools.chain.from_iterable(served.reader.read(["café “Go”"]).ids)

    text = served.vocabulary.writer()

    assert "".join(map(text.add, ids)) + text.finish() == "café “Go”"
