"""Every text of a file is scored once, as the model scores it alone, however the file is read."""

import json
from pathlib import Path

import polars as pl
import pytest

from tasks.errors import InputError
from tasks.kinds.language import predict
from tasks.kinds.language.generate import begin_text
from tasks.kinds.language.predict import ScoringWork, predict_file
from tasks.kinds.language.served_language_model import ServedLanguageModel
from tasks.prediction import dispatch
from tasks.promotion import named_models
from tasks.registry.registered_model import RegisteredModel
from tasks.sources import intake
from tests.tasks.kinds.language.small_models import pack

TEXTS = ["The king went on.", "The queen said: “Go, café!”", "so so"]


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> RegisteredModel:
    folder = tmp_path_factory.mktemp("predicting")
    pack(folder / "artifacts" / "parts")
    return RegisteredModel(name="small", version="1", artifact_uri="", folder=folder)


@pytest.fixture(autouse=True)
def registered(packed: RegisteredModel, project: Path, monkeypatch: pytest.MonkeyPatch) -> RegisteredModel:
    monkeypatch.setattr(named_models, "resolve_model", lambda _name: packed)
    return packed


@pytest.fixture
def model(registered: RegisteredModel) -> ServedLanguageModel:
    return ServedLanguageModel.load(registered.parts)


def write_input(path: Path, texts: list[str]) -> Path:
    frame = pl.DataFrame({"id": range(len(texts)), "text": texts})
    writers = {
        ".csv": frame.write_csv,
        ".jsonl": frame.write_ndjson,
        ".parquet": frame.write_parquet,
        ".txt": lambda file: file.write_text("\n".join(texts)),
    }
    writers[path.suffix](path)
    return path


def score(path: Path, **options: object) -> pl.DataFrame:
    predict_file("small", path, path.with_name("out.parquet"), overwrite=True, **options)
    return pl.read_parquet(path.with_name("out.parquet"))


@pytest.mark.parametrize(("suffix", "rows"), [(".csv", [2, 3, 4]), (".jsonl", [1, 2, 3]), (".parquet", [1, 2, 3])])
def test_tables_are_scored_text_by_text(model: ServedLanguageModel, tmp_path: Path, suffix: str, rows: list[int]):
    expected = model.score_texts(TEXTS)

    answers = score(write_input(tmp_path / f"in{suffix}", TEXTS))

    assert answers.columns == ["row", "num_chars", "num_tokens", "nats", "nats_per_char", "perplexity", "model"]
    assert answers["row"].to_list() == rows
    assert answers["model"].unique().to_list() == ["small/1"]
    assert answers["nats"].to_list() == pytest.approx(expected["nats"].to_list())
    assert answers["nats_per_char"].to_list() == pytest.approx((expected["nats"] / expected["num_chars"]).to_list())
    tokens_alone = expected["nats"] - expected["spelling_nats"]
    assert answers["perplexity"].to_list() == pytest.approx((tokens_alone / expected["num_tokens"]).exp().to_list())


def test_a_text_file_is_one_document_or_has_one_in_each_line(model: ServedLanguageModel, tmp_path: Path):
    path = write_input(tmp_path / "in.txt", TEXTS)

    whole, lines = score(path), score(path, source={"documents": "line"})

    assert whole["row"].to_list() == [1]
    assert whole["nats"].to_list() == pytest.approx(model.score_texts(["\n".join(TEXTS)])["nats"].to_list())
    assert lines["row"].to_list() == [1, 2, 3]
    assert lines["nats"].to_list() == pytest.approx(model.score_texts(TEXTS)["nats"].to_list())


def test_a_long_document_is_not_refused(tmp_path: Path):
    path = tmp_path / "long.txt"
    path.write_text("The king went on.\n" * 60_000)

    windows = list(predict.read_windows(predict.open_texts(path, packed_serving(tmp_path), predict.Columns(), {})))

    assert sum(window.rows.height for window in windows) == 1
    assert not any(window.faults for window in windows)


def packed_serving(folder: Path):
    return pack(folder / "small").serving


def test_bad_rows_are_named_and_all_others_scored(tmp_path: Path):
    path = tmp_path / "in.jsonl"
    path.write_text('{"text": "The king"}\n{"text": 3}\n{"text": "so"}\n')

    told = predict_file("small", path, tmp_path / "out.csv")

    assert (told.rows, told.bad, told.rows_read) == (3, 1, 3)
    assert pl.read_csv(tmp_path / "out.csv")["row"].to_list() == [1, 3]
    assert json.loads((tmp_path / "out.csv.errors.jsonl").read_text())["row"] == 2


def test_all_texts_together_are_told(model: ServedLanguageModel, tmp_path: Path):
    told = predict_file("small", write_input(tmp_path / "in.csv", TEXTS), tmp_path / "out.csv")

    sums = model.score_texts(TEXTS).sum()
    mean = sums["nats"].item() / sums["num_chars"].item()
    assert told.as_json()["nats_per_char"] == pytest.approx(mean)
    assert told.describe().startswith(f"{tmp_path / 'out.csv'}: 3 texts scored by small/1 at {mean:.4f} nats per char")
    assert told.table()["nats per character"] == f"{mean:.4f}"
    assert told.table()["texts scored"] == "3"


def test_a_killed_call_goes_on_after_its_last_window(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(predict, "WINDOW_BYTES", 200)
    monkeypatch.setattr(intake, "BATCH_ROWS", 30)
    path = write_input(tmp_path / "in.csv", TEXTS * 40)
    whole = predict_file("small", path, tmp_path / "whole.csv")
    answer, answered = ScoringWork._answer_window, []

    def die_at_third(self: ScoringWork, window: predict.Window):
        answered.append(window.rows.height)
        if len(answered) == 3:
            raise KeyboardInterrupt
        return answer(self, window)

    monkeypatch.setattr(ScoringWork, "_answer_window", die_at_third)
    with pytest.raises(KeyboardInterrupt):
        predict_file("small", path, tmp_path / "killed.csv")
    told = predict_file("small", path, tmp_path / "killed.csv")

    assert told.kept_rows == sum(answered[:2]) > 0
    assert told.nats_per_char == pytest.approx(whole.nats_per_char)
    assert (tmp_path / "killed.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


@pytest.mark.parametrize(
    ("file", "options", "code"),
    [
        ("in.csv", {"label_column": "id"}, "E-OUT-004 a language model reads no labels"),
        ("in.txt", {"text_column": "text"}, "E-SRC-011"),
        ("in.txt", {"source": {"delimiter": ";"}}, "E-SRC-011"),
        ("in.csv", {"text_column": "txt"}, "E-SRC-005"),
    ],
)
def test_what_has_no_effect_is_refused(tmp_path: Path, file: str, options: dict, code: str):
    path = write_input(tmp_path / file, TEXTS)

    with pytest.raises(InputError, match=code):
        predict_file("small", path, tmp_path / "out.csv", **options)


def test_a_prompt_is_continued_by_a_registered_model(model: ServedLanguageModel, registered: RegisteredModel):
    written = dispatch.begin_text("small", "The king", length=20, seed=3)
    drawn = begin_text(registered.parts, "The king", length=20)

    assert (written.seed, "".join(written.pieces)) == (3, "".join(model.generate("The king", length=20, seed=3)))
    assert "".join(drawn.pieces) == "".join(model.generate("The king", length=20, seed=drawn.seed))
    with pytest.raises(InputError, match="E-GEN-001"):
        dispatch.begin_text("small", "ß")
