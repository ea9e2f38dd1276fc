"""A served model reads other files as its training rows were read: each setting is obeyed, or says why it is not."""

import dataclasses
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.errors import InputError
from tasks.kinds.classify.classifier import Serving as TextServing
from tasks.kinds.classify.ingest import write_rows as write_texts
from tasks.kinds.classify.source import SourceSettings
from tasks.kinds.classify_series.classifier import Serving as SequenceServing
from tasks.kinds.classify_series.ingest import write_rows as write_sequences
from tasks.kinds.classify_series.ingest import write_sequences as write_unlabelled
from tasks.kinds.classify_series.source import SequenceSource
from tasks.kinds.detect.ingest import write_rows as write_watched
from tasks.kinds.detect.serving import Serving as DetectorServing
from tasks.kinds.detect.source import DetectionSource
from tasks.kinds.forecast.ingest import write_rows as write_series
from tasks.kinds.forecast.serving import Serving as ForecastServing
from tasks.panel.source_tables import with_unwanted
from tasks.prediction.job import Columns
from tasks.sources.inputs import find_inputs
from tasks.sources.intake import Intake
from tasks.sources.served_source import ServedSource, reading_rules
from tasks.text.windows import open_input, read_windows

KINDS = [TextServing, ForecastServing, DetectorServing, SequenceServing]
WANTED, OTHER = "indoors", "outdoors"


def serve_as(kind: type[ServedSource], trained: object, **others: object) -> ServedSource:
    """The record of a source in a kind's `serving.json`; what else is there has no say in reading."""
    known = {field.name: others.get(field.name) for field in dataclasses.fields(kind)}
    return kind(**known | {"source": trained.model_dump(mode="json")})


@pytest.mark.parametrize("kind", KINDS)
def test_every_setting_of_a_source_is_obeyed_or_says_why_it_is_not(kind: type[ServedSource]):
    required = {"path": "a.csv", **({"id_column": "id"} if kind is SequenceServing else {})}
    trained = kind.trained_as().model_validate(required)
    for name in kind.trained_as().model_fields:
        stated = object()
        with warnings.catch_warnings(action="ignore"):  # of pydantic, that a value has another type
            other = trained.model_copy(update={name: stated}) if name not in ("path", "dataset") else trained
            rules = reading_rules(other, Path("b.csv"), without=kind.not_obeyed)
        if name in kind.not_obeyed:
            assert name not in rules
            assert kind.not_obeyed[name]
        else:
            assert rules[name] is stated, name
            assert name in kind.read_as().model_fields, name


def test_labels_and_splits_that_a_wide_file_has_are_not_read_as_its_numbers():
    wide = {"layout": "series_per_row", "time_unit": "order", "label_column": "class", "split_column": "part"}
    serving = serve_as(SequenceServing, SequenceSource(path="a.tsv", **wide))

    for names in (["class", "t1", "t2", "part"], ["t1", "t2"]):
        assert serving.settings_for(Path("b.tsv")).laid_out(names).value_columns == ("t1", "t2")


def test_a_stated_format_holds_for_files_with_the_same_suffix():
    serving = serve_as(TextServing, SourceSettings(path="logs/*.log", format="csv"))

    assert serving.settings_for(Path("new.log")).format == "csv"
    assert serving.settings_for(Path("new.tsv")).format == "auto"
    assert serving.settings_for(Path("new.tsv"), format="tsv").format == "tsv"


def test_the_columns_by_which_rows_of_a_built_in_file_are_chosen_are_not_asked_of_other_files():
    serving = serve_as(TextServing, SourceSettings(dataset="reviews"))

    assert serving.settings.where == {"source": "imdb"}
    other = serving.settings_for(Path("mine.csv"))
    assert (other.where, other.labels) == ({}, {"0": "neg", "1": "pos"})


def test_models_that_were_registered_without_the_record_read_as_sources_do_by_default():
    serving = TextServing(name="m", max_length=8, keep="head", temperature=1.0, batch_steps=100)

    assert "source" in dataclasses.asdict(serving)
    assert serving.settings_for(Path("a.csv")).model_dump() == SourceSettings(path="a.csv").model_dump()


ENCODINGS = {"utf-8": "größer 温", "gbk": "温度高低", "latin-1": "größer", "utf-16": "größer 温", "gb18030": "温€"}
DELIMITERS = {"auto": ",", ",": ",", ";": ";", "|": "|"}


@st.composite
def stamped_tables(draw: st.DrawFn) -> tuple[dict, str]:
    """Settings of a source of numbers, and a text that they are needed to read."""
    encoding = draw(st.sampled_from(sorted(ENCODINGS)))
    quoted, is_headless, has_comments = (draw(st.booleans()) for _ in range(3))
    delimiter = draw(st.sampled_from(sorted(DELIMITERS)))
    unit = draw(st.sampled_from(["text", "format", "columns", "s", "step", "order"]))
    named, long = draw(st.booleans()), draw(st.booleans()) and unit != "order"
    wanted = draw(st.booleans())
    stated = {
        "encoding": encoding,
        "quoted": quoted,
        "value_columns": ["reading"],
        "unsorted": "sort",
        "duplicates": draw(st.sampled_from(["first", "last", "mean"])),
        "expect_merged": True,
        "sentinels": draw(st.sampled_from([[], [-1.0]])),
        "on_bad_rows": "skip",
        "delimiter": delimiter,
        "comment": "//" if has_comments else None,
        "missing_values": draw(st.sampled_from([[], ["3"]])),
    }
    stated |= {} if unit == "order" else {"time_columns": ["when", "clock"] if unit == "columns" else ["when"]}
    stated |= {"id_column": "place"} if named else {"one_series_per_file": True}
    stated |= {"channel_column": "what"} if long else {}
    stated |= {"where": {"kind": WANTED}} if wanted else {}
    written = unit in ("text", "format", "columns")
    stated |= {"time_unit": "text" if written else unit}
    stated |= {"time_format": "%d/%m/%Y %H:%M"} if unit == "format" else {}
    stated |= {"time_zone": draw(st.sampled_from([None, "Europe/Paris"]))} if unit not in ("step", "order") else {}
    stated |= draw(st.sampled_from([{}, {"thousands": "'"}, {"thousands": ".", "decimal": ","}]))
    names = [ENCODINGS[encoding], '"odd' if not quoted else "plain"]
    header = ["place", "when", "clock", "what", "kind", "reading"]
    stated |= {"columns": header} if is_headless else {}
    lines = [] if is_headless else [header]
    thousand = f"1{stated.get('thousands', '')}000"
    steps = [*range(6), draw(st.integers(0, 5)), draw(st.integers(0, 5))]  # two of them repeated, out of order
    for number, step in enumerate(draw(st.permutations(steps))):
        for name in names if named else names[:1]:
            for channel in ("a", "b") if long else ("a",):
                cell = draw(st.sampled_from([*map(str, range(-1, 4)), "True", thousand]))
                lines.append([name, *show_time(step, unit), channel, WANTED, cell])
        if wanted:
            lines.append([names[0], *show_time(step, unit), "a", OTHER, "99999"])
        if number == 3:
            lines.append([names[0], *show_time(step, unit), "a", WANTED, "oops"])
            lines.extend([["// 9", *show_time(step, unit), "a", WANTED, "7"]] if has_comments else [])
    return stated, "\n".join([DELIMITERS[delimiter].join(line) for line in lines] + ["", ""])


def show_time(step: int, unit: str) -> tuple[str, str]:
    """The cells of `when` and `clock`."""
    hour = f"{step:02}:00"
    shown = {"text": f"2026-03-02T{hour}", "format": f"02/03/2026 {hour}", "s": str(1_772_000_000 + 3600 * step)}
    return ("2026-03-02", hour) if unit == "columns" else (shown.get(unit, str(step)), "")


def read_forecast(folder: Path, trained: object, path: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    inputs = find_inputs(trained)
    summary = write_series(folder, settings=trained, inputs=inputs, digest=inputs.digest())
    ingested = pl.read_parquet(folder / "rows.parquet")
    serving = serve_as(ForecastServing, trained, grid=summary.grid)
    return ingested, read_again(folder, serving, path, write_series)


def read_watched(folder: Path, trained: object, path: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    inputs = find_inputs(trained)
    write_watched(folder, settings=trained, inputs=inputs, digest=inputs.digest())
    ingested = pl.read_parquet(folder / "rows.parquet")
    return ingested, read_again(folder, serve_as(DetectorServing, trained), path, write_watched)


def read_again(folder: Path, serving: ServedSource, path: Path, write: Callable) -> pl.DataFrame:
    own = serving.settings_for(path)
    inputs, intake = find_inputs(own), Intake(own)
    write(folder, settings=own, inputs=inputs, digest=inputs.digest(), intake=intake)
    return pl.read_parquet(folder / "rows.parquet")


@given(stamped_tables())
@settings(max_examples=25, deadline=None)
@pytest.mark.parametrize(("kind", "read"), [(ForecastServing, read_forecast), (DetectorServing, read_watched)])
def test_a_served_model_reads_the_rows_of_a_series_that_training_read(kind, read, table):
    stated, text = table
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        path.write_bytes(text.encode(stated["encoding"]))
        ingested, served = read(Path(folder), kind.trained_as().model_validate({"path": str(path), **stated}), path)

        assert served.equals(ingested)
        assert served.height > 0
        if "where" in stated:
            assert served.select(pl.max_horizontal(pl.col("^value.*$").max())).item() < 10_000


@given(stamped_tables(), st.sampled_from([{}, {"up": "rising", "down": "falling"}]))
@settings(max_examples=25, deadline=None)
def test_a_served_model_reads_the_sequences_that_training_read(table, labels):
    stated, text = table
    cut = DELIMITERS[stated["delimiter"]]
    header = [] if "columns" in stated else [f"{text.splitlines()[0]}{cut}label"]
    lines = [line for line in text.splitlines()[len(header) :] if line and not line.startswith("//")]
    places = list(dict.fromkeys(line.split(cut)[0] for line in lines))
    if "one_series_per_file" in stated or len(places) < 2:
        return
    # The first sequence has a row that cannot be read, so a third one keeps its label in use.
    lines += [line.replace(places[1], "third", 1) for line in lines if line.startswith(f"{places[1]}{cut}")]
    label_of = {places[0]: "up", places[1]: "down", "third": "up"}
    labelled = [*header, *(f"{line}{cut}{label_of[line.split(cut)[0]]}" for line in lines)]
    stated |= {} if header else {"columns": [*stated["columns"], "label"]}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        path.write_bytes("\n".join(labelled).encode(stated["encoding"]))
        trained = SequenceSource(path=str(path), labels=labels, **stated)
        inputs = find_inputs(trained)
        write_sequences(Path(folder), settings=trained, inputs=inputs, digest=inputs.digest())
        ingested = pl.read_parquet(Path(folder) / "rows.parquet")

        own = serve_as(SequenceServing, trained).settings_for(path)
        write_unlabelled(Path(folder), inputs=find_inputs(own), intake=Intake(own))
        served = pl.read_parquet(Path(folder) / "rows.parquet")

        assert served.equals(ingested.select(served.columns))
        assert served["series"].to_list() == [places[1], "third"]


@st.composite
def text_tables(draw: st.DrawFn) -> tuple[dict, str]:
    """Settings of a source of texts, and a table that they are needed to read."""
    encoding, quoted = draw(st.sampled_from(sorted(ENCODINGS))), draw(st.booleans())
    is_renamed, is_chosen, is_headless, has_comments, is_joined = (draw(st.booleans()) for _ in range(5))
    stated = {"encoding": encoding, "quoted": quoted, "label_column": "stars"}
    stated |= {"text_columns": ["title", "body"], "text_separator": " - "} if is_joined else {"text_column": "body"}
    stated |= {"missing_values": ["?"], "comment": "//" if has_comments else None, "delimiter": "auto"}
    stated |= {"columns": ["title", "body", "stars", "kind"]} if is_headless else {}
    stated |= {"labels": {"0": "bad", "1": "good"}} if is_renamed else {}
    stated |= {"where": {"kind": WANTED}} if is_chosen else {}
    opening = "" if quoted else '"'
    rows = [
        [
            draw(st.sampled_from(["news, old", "?", ""])),
            f"{opening}{ENCODINGS[encoding]} {number} {draw(st.sampled_from(['x', 'it was fine']))}",
            str(number % 2),
            kind,
        ]
        for number in range(draw(st.integers(2, 12)))
        for kind in (WANTED, OTHER)
    ]
    lines = [] if is_headless else ["title\tbody\tstars\tkind"]
    lines += ["\t".join(row) for row in rows] + ["// end"] * has_comments
    blank = draw(st.integers(0, 2))
    return stated, "\n".join([*lines, *[""] * blank, ""])


@given(text_tables())
@settings(max_examples=40, deadline=None)
def test_a_served_model_reads_the_texts_and_labels_that_training_read_and_counts_the_others(table):
    stated, text = table
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.tsv"
        path.write_bytes(text.encode(stated["encoding"]))
        trained = SourceSettings(path=str(path), **stated)
        inputs = find_inputs(trained)
        write_texts(Path(folder), settings=trained, inputs=inputs, digest=inputs.digest())
        ingested = pl.read_parquet(Path(folder) / "rows.parquet")

        windows = list(read_windows(open_input(path, serve_as(TextServing, trained), Columns(), {})))

        served = pl.concat(window.rows for window in windows)
        assert served.select("text", "label").equals(ingested.select("text", "label"))
        counted = served.height + sum(len(one.faults) + sum(one.aside.values()) for one in windows)
        assert counted == text.count("\n") - ("columns" not in stated)


def test_rows_that_where_leaves_out_are_added_for_the_proof_and_left_out_by_a_reader_who_obeys(tmp_path: Path):
    trained = DetectionSource(path="a.csv", where={"kind": WANTED}, duplicates="first", expect_merged=True)
    times = [f"2026-03-02T{hour:02}:00" for hour in range(5)]
    table = pl.DataFrame({"time": times, "value": [1.0, 2.0, 3.0, 4.0, None], "kind": WANTED})
    with_unwanted(table, trained).write_csv(tmp_path / "proof.csv")
    table.write_csv(tmp_path / "plain.csv")

    def read(serving: ServedSource, name: str) -> pl.DataFrame:
        return read_again(tmp_path, serving, tmp_path / name, write_watched).drop("row")

    obeys = serve_as(DetectorServing, trained)
    forgets = serve_as(DetectorServing, trained.model_copy(update={"where": {}}))
    assert read(obeys, "proof.csv").equals(read(obeys, "plain.csv"))
    assert not read(forgets, "proof.csv").equals(read(forgets, "plain.csv"))


@pytest.fixture
def utf8_file(tmp_path: Path) -> Path:
    path = tmp_path / "texts.csv"
    path.write_bytes("text\n质量很好\n一般般吧\n".encode())
    return path


def test_utf8_that_is_to_be_read_as_another_encoding_is_refused(utf8_file: Path):
    serving = serve_as(TextServing, SourceSettings(path="a.csv", encoding="gbk"))

    with pytest.raises(InputError) as caught:
        list(read_windows(open_input(utf8_file, serving, Columns(), {})))

    assert str(caught.value) == (
        f"E-ENC-001 {utf8_file}:2: got bytes e8 b4 a8 e9 87 8f e5 be 88 e5 a5 bd, which are UTF-8 as is all that "
        "follows, expected gbk.\n"
        "Fix: pass --set source.encoding=utf-8 to read it as it is, or convert it."
    )
    path = utf8_file.with_name("one.csv")
    path.write_bytes(("text\n" + "站\n" * 50).encode("gbk"))  # these two bytes are an Armenian letter in UTF-8
    [window] = read_windows(open_input(path, serving, Columns(), {}))
    assert window.rows["text"].unique().to_list() == ["站"]
    [window] = read_windows(open_input(utf8_file, serving, Columns(), {"encoding": "utf-8"}))
    assert window.rows["text"].to_list() == ["质量很好", "一般般吧"]
