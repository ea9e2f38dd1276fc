"""Recipes of small files in the forms of well-known public ones."""

import datetime
import io
import json
import math
import random
import tarfile
import zipfile
from pathlib import Path

import pytest

from flows.recipes.drafted_recipe import Drafted, draft_recipe
from flows.recipes.tried_recipe import try_recipe
from tasks.discovery import files
from tasks.errors import InputError
from tasks.kinds.language import drafts as language_drafts

START = datetime.datetime(2011, 1, 1)
HOURS = [START + datetime.timedelta(hours=row) for row in range(24 * 40)]


def lines(header: str, *rows: str) -> str:
    return "\n".join([header, *rows]) + "\n"


def wave(row: int) -> float:
    return 50 + 20 * math.sin(row / 4)


def drafted(path: Path, content: str | bytes, **given: object) -> Drafted:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return draft_recipe(str(path), given=given)


def settings_of(found: Drafted) -> dict[str, object]:
    return {one.key.removeprefix("source."): one.value for one in found.draft.settings if one.key}


def texts(number: int, *, words: int = 8) -> list[str]:
    rng = random.Random(3)
    known = [
        "the",
        "market",
        "said",
        "new",
        "oil",
        "company",
        "team",
        "game",
        "season",
        "police",
        "talks",
        "software",
        "space",
        "probe",
    ]
    return [" ".join(rng.choices(known, k=words)) for _ in range(number)]


def labelled(mark: str, words: int) -> str:
    return "".join(f"{mark}{'ab'[row % 2]} {text}\n" for row, text in enumerate(texts(80, words=words)))


def test_a_table_without_a_header_gets_names_and_its_texts_are_joined(tmp_path: Path):
    rows = [f'"{row % 4 + 1}","{title}","{title} said, again"' for row, title in enumerate(texts(200))]

    found = settings_of(drafted(tmp_path / "train.csv", "\n".join(rows) + "\n"))

    assert found["columns"] == ["label", "text_1", "text_2"]
    assert found["text_columns"] == ["text_1", "text_2"]
    assert found["label_column"] == "label"


def test_labels_before_texts_with_tabs_and_lone_quotes(tmp_path: Path):
    rows = [f'{"spam" if row % 7 == 0 else "ham"}\t"{text}' for row, text in enumerate(texts(150))]

    found = settings_of(drafted(tmp_path / "SMSSpamCollection", "\n".join(rows) + "\n"))

    assert found["format"] == "csv"
    assert found["delimiter"] == "\t"
    assert found["quoted"] is False
    assert found["columns"] == ["label", "text"]


def test_semicolons_question_marks_and_a_time_of_day_in_another_column(tmp_path: Path):
    minutes = [datetime.datetime(2006, 12, 16, 17, 24) + datetime.timedelta(minutes=row) for row in range(3000)]
    rows = [
        f"{time:%-d/%-m/%Y;%H:%M:%S};{'?' if row % 400 == 9 else f'{wave(row):.3f}'};{row % 3}.000"
        for row, time in enumerate(minutes)
    ]

    found = drafted(tmp_path / "power.txt", lines("Date;Time;Global_active_power;Sub_metering_1", *rows))

    assert settings_of(found)["time_columns"] == ["Date", "Time"]
    assert settings_of(found)["time_format"] == "%d/%m/%Y %H:%M:%S"
    assert settings_of(found)["missing_values"] == ["?"]
    assert settings_of(found)["delimiter"] == ";"
    assert found.questions == []


def test_a_day_and_its_hours_in_two_columns_and_what_follows_from_the_time_is_left_out(tmp_path: Path):
    rows = [
        f"{row + 1},{time:%Y-%m-%d},{time.month},{time.hour},{row % 50 == 0:d},{wave(row) / 100:.2f},{int(wave(row))}"
        for row, time in enumerate(HOURS)
    ]

    found = settings_of(drafted(tmp_path / "hour.csv", lines("instant,dteday,mnth,hr,holiday,temp,cnt", *rows)))

    assert found["time_columns"] == ["dteday", "hr"]
    assert found["time_format"] == "%Y-%m-%d %H"
    assert found["value_columns"] == ["temp", "cnt"]
    assert found["covariate_columns"] == ["holiday"]
    assert found["frequency"] == "1h"


def test_year_month_day_and_hour_in_columns_of_their_own(tmp_path: Path):
    rows = [
        f"{row + 1},{time.year},{time.month},{time.day},{time.hour},{'NA' if row < 24 else int(wave(row))},NW"
        for row, time in enumerate(HOURS)
    ]

    found = settings_of(drafted(tmp_path / "PRSA.csv", lines("No,year,month,day,hour,pm2.5,cbwd", *rows)))

    assert found["time_columns"] == ["year", "month", "day", "hour"]
    assert found["value_columns"] == ["pm2.5"]
    assert found["encode.missing"] == "forward"


def test_months_have_a_season_of_a_year_and_windows_that_fit(tmp_path: Path):
    rows = [f'"{1949 + row // 12}-{row % 12 + 1:02}",{int(wave(row))}' for row in range(144)]

    found = settings_of(drafted(tmp_path / "airline.csv", lines('"Month","Passengers"', *rows)))

    assert found["frequency"] == "1mo"
    assert (found["shard.season"], found["shard.horizon"], found["shard.look_back"]) == (12, 12, 36)


def test_years_alone_are_steps(tmp_path: Path):
    rows = [f"{1700 + row},{wave(row):.1f}" for row in range(309)]

    found = settings_of(drafted(tmp_path / "sunspots.csv", lines("YEAR,SUNACTIVITY", *rows)))

    assert (found["time_columns"], found["time_unit"]) == (["YEAR"], "step")


def test_a_series_in_each_row(tmp_path: Path):
    header = ",".join(f'"V{number}"' for number in range(1, 102))
    rows = [f'"H{row}",' + ",".join(str(int(wave(step + row))) for step in range(90)) + "," * 10 for row in range(12)]

    found = settings_of(drafted(tmp_path / "Hourly-train.csv", lines(header, *rows)))

    assert (found["layout"], found["id_columns"], found["time_unit"]) == ("series_per_row", ["V1"], "order")


@pytest.mark.parametrize("header", ["", "\t".join(["label", *(f"t{step}" for step in range(30))]) + "\n"])
def test_a_labelled_sequence_in_each_row(tmp_path: Path, header: str):
    rows = [f"{row % 2 + 1}\t" + "\t".join(f"{wave(step + row):.3f}" for step in range(30)) for row in range(40)]

    found = drafted(tmp_path / "GunPoint_TRAIN.tsv", header + "\n".join(rows) + "\n")

    assert found.draft.kind == "classify-series"
    assert (settings_of(found)["layout"], settings_of(found)["label_column"]) == ("series_per_row", "label")


def test_the_sequences_of_a_ts_file_are_counted(tmp_path: Path):
    header = "@problemName Waves\n@timestamps false\n@univariate true\n@classLabel true 1 2\n@data\n"
    rows = [",".join(f"{wave(step + row):.3f}" for step in range(30)) + f":{row % 2 + 1}" for row in range(40)]

    found = drafted(tmp_path / "Waves_TRAIN.ts", f"{header}{lines(*rows)}\n")

    assert (found.draft.kind, found.seen.num_rows, found.seen.is_whole) == ("classify-series", 40, True)


def test_a_meter_of_few_numbers_is_not_a_label_of_the_others(tmp_path: Path):
    header = ",".join(f"meter_{number}" for number in range(25))
    rows = [",".join([*(f"{wave(row + k):.2f}" for k in range(24)), str(row // 40 % 2)]) for row in range(400)]

    assert drafted(tmp_path / "meters.csv", lines(header, *rows)).draft.kind == "forecast"


def test_features_of_different_sizes_are_not_a_sequence(tmp_path: Path):
    rows = [
        f"{row},{'MB'[row % 2]}," + ",".join(f"{wave(row + k) * 4.0**k:.4f}" for k in range(30)) for row in range(60)
    ]

    with pytest.raises(InputError, match="E-NEW-001"):
        drafted(tmp_path / "wdbc.data", "\n".join(rows) + "\n")


def test_a_series_in_each_column_with_decimal_commas(tmp_path: Path):
    header = '"stamp";' + ";".join(f'"MT_{number:03}"' for number in range(1, 31))
    rows = [
        f'"{time:%Y-%m-%d %H:%M:%S}";' + ";".join(f"{wave(row + k):.6f}".replace(".", ",") for k in range(30))
        for row, time in enumerate(HOURS)
    ]

    found = settings_of(drafted(tmp_path / "LD2011.txt", lines(header, *rows)))

    assert (found["layout"], found["decimal"], found["delimiter"]) == ("series_per_column", ",", ";")
    assert found["time_columns"] == ["stamp"]
    assert "value_columns" not in found


def test_labelled_anomalies_with_counted_steps(tmp_path: Path):
    rows = [f"{row + 1},{wave(row):.4f},{int(row in (500, 501))}" for row in range(900)]

    found = drafted(tmp_path / "real_1.csv", lines("timestamp,value,is_anomaly", *rows))

    assert found.draft.kind == "detect"
    assert settings_of(found)["time_unit"] == "step"
    assert settings_of(found)["label_column"] == "is_anomaly"


def test_rows_without_a_time_are_steps_in_their_order(tmp_path: Path):
    rows = [f"{wave(row):.4f},{int(700 <= row < 714)}" for row in range(1200)]

    found = drafted(tmp_path / "001_Plant.csv", lines("Data,Label", *rows))

    assert found.draft.kind == "detect"
    assert settings_of(found)["time_unit"] == "order"
    assert settings_of(found)["value_columns"] == ["Data"]


def test_prices_of_business_days_in_the_american_way(tmp_path: Path):
    days = [datetime.date(2018, 1, 2) + datetime.timedelta(days=row) for row in range(400)]
    rows = [f'{day:%m/%d/%Y},"{2000 + wave(row):,.2f}"' for row, day in enumerate(days) if day.weekday() < 5]

    found = settings_of(drafted(tmp_path / "prices.csv", lines("Date,Price", *rows)))

    assert (found["thousands"], found["time_format"], found["frequency"]) == (",", "%m/%d/%Y", "1bd")


@pytest.mark.parametrize(("hours", "is_asked"), [(0, False), (300, True)])
def test_files_of_the_same_times_are_series_and_others_may_be_parts(tmp_path: Path, hours: int, *, is_asked: bool):
    for number in range(3):
        times = [START + datetime.timedelta(hours=number * hours + row) for row in range(300)]
        rows = [f"{time:%Y-%m-%d %H:%M},{wave(row):.2f}" for row, time in enumerate(times)]
        (tmp_path / f"plant{number}.csv").write_text(lines("time,load", *rows))

    found = draft_recipe(str(tmp_path / "*.csv"), given={})

    key = "source.one_series_per_file"
    assert [choice.settings[key] for one in found.questions for choice in one.choices] == [False, True][: 2 * is_asked]
    assert is_asked or settings_of(found)["one_series_per_file"] is True


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("sheet.xlsx", "PK", "is a spreadsheet.\nFix: save the sheet as CSV."),
        ("mine.toml", 'kind = "forecast"', "is a recipe already.\nFix: run rnnflow train with it"),
        ("empty.csv", "", "is empty"),
        ("header.csv", "time,load\n", "has no rows besides a header"),
        ("bytes.csv", bytes(range(256)) * 9, "is neither a text nor a table"),
    ],
)
def test_files_that_cannot_be_looked_at_say_why(tmp_path: Path, name: str, content: str | bytes, said: str):
    with pytest.raises(InputError, match=said):
        drafted(tmp_path / name, content)


def test_a_table_within_a_zip(tmp_path: Path):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(
            "archive/reviews.csv",
            lines("review,sentiment", *(f'"{t}, yes",{"pos" if i % 2 else "neg"}' for i, t in enumerate(texts(60)))),
        )

    found = settings_of(drafted(tmp_path / "kaggle.zip", packed.getvalue()))

    assert (found["text_columns"], found["label_column"]) == (["review"], "sentiment")


def test_json_lines_with_another_suffix_and_nested_values(tmp_path: Path):
    records = [
        {"reviewText": text, "overall": row % 5 + 1, "helpful": [0, 1], "summary": text[:12]}
        for row, text in enumerate(texts(100))
    ]

    found = settings_of(drafted(tmp_path / "reviews.json", "\n".join(map(json.dumps, records)) + "\n"))

    assert found["format"] == "jsonl"
    assert (found["text_columns"], found["label_column"]) == (["reviewText", "summary"], "overall")


@pytest.mark.parametrize(
    ("folders", "suffix"),
    [(("train/pos", "train/neg", "test/pos", "test/neg"), ".txt"), (("alt.atheism", "sci.space"), "")],
)
def test_folders_of_classes(tmp_path: Path, folders: tuple[str, ...], suffix: str):
    for folder in folders:
        (tmp_path / "texts" / folder).mkdir(parents=True)
        for number, text in enumerate(texts(10)):
            (tmp_path / "texts" / folder / f"{number}{suffix}").write_text(text)

    found = draft_recipe(str(tmp_path / "texts"), given={})

    assert found.draft.kind == "classify"
    assert settings_of(found).get("include", "*.txt") == f"*{suffix}"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("train.txt", labelled("__label__", 9), r"(?s)as fastText has them.*awk '.*' .*train.txt > NEW.tsv"),
        ("train.label", labelled("", 9), "a label, a space and a text on each line"),
        ("train.ft.txt", labelled("__label__x __label__", 9), "leave one label on each line"),
        ("old.txt", "".join(f"  {row % 2}.0e+00  {wave(row):e}\n" for row in range(60)), "fields parted by spaces"),
        ("train.conll", "EU\tB-ORG\nrejects\tO\nGerman\tB-MISC\ncall\tO\n\n" * 40, "a tag for each token"),
        (
            "iris.csv",
            lines("width,species", *(f"{i * 7 % 13}.5,{'ab'[i % 2]}" for i in range(90))),
            "no column holds sentences",
        ),
    ],
)
def test_what_is_of_no_kind_is_said_to_be(tmp_path: Path, name: str, content: str, said: str):
    with pytest.raises(InputError, match=said) as refusal:
        drafted(tmp_path / name, content)

    assert refusal.value.code == "E-NEW-001"


PLAY = "First Citizen:\nBefore we proceed any further, hear me speak.\n\n" * 40


@pytest.mark.parametrize(
    ("name", "content", "settings"),
    [
        ("play.txt", PLAY, {"documents": "file"}),
        ("play.md", PLAY, {"format": "folder", "documents": "file"}),
        ("latin.txt", PLAY.replace("e", "é").encode("cp1252"), {"encoding": "cp1252", "documents": "file"}),
        (
            "ptb.train.txt",
            " the <unk> said it will sell N shares \n" * 40,
            {"documents": "file", "encode.tokenizer": "space"},
        ),
    ],
)
def test_a_text_file_is_for_a_language_model(tmp_path: Path, name: str, content: str | bytes, settings: dict):
    found = drafted(tmp_path / name, content)

    assert found.draft.kind == "language"
    assert found.others == ()
    assert settings_of(found) == settings
    assert try_recipe(found).rows.height == 1


def test_a_large_text_is_read_word_by_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(language_drafts, "MANY_BYTES", 1_000)

    found = drafted(tmp_path / "long.txt", PLAY)

    assert settings_of(found)["encode.tokenizer"] == "word"


def test_a_folder_of_texts_without_classes_is_for_a_language_model(tmp_path: Path):
    (tmp_path / "books").mkdir()
    for number, text in enumerate(texts(12)):
        (tmp_path / "books" / f"{number}.text").write_text(text)

    found = draft_recipe(str(tmp_path / "books"), given={})

    assert found.draft.kind == "language"
    assert settings_of(found) == {"format": "folder", "include": "*.text"}
    assert try_recipe(found).rows.height == 5


def test_texts_with_labels_are_classified_and_may_be_modelled(tmp_path: Path):
    rows = [f"{text},{'ab'[row % 2]}" for row, text in enumerate(texts(80))]
    unlabelled = lines(
        "body,fold", *(f"{text},{'test' if row % 8 == 0 else 'train'}" for row, text in enumerate(texts(80)))
    )

    found = drafted(tmp_path / "rows.csv", lines("text,label", *rows))
    others = drafted(tmp_path / "texts.csv", unlabelled)

    assert found.draft.kind == "classify"
    assert "language" in [one.kind for one in found.others]
    assert others.draft.kind == "language"
    assert settings_of(others) == {"text_columns": ["body"], "split_column": "fold"}


def test_passengers_have_names_and_no_texts(tmp_path: Path):
    rows = [
        f'{i},{i % 2},"Braund{i}, Mr. Owen {t}",{"male" if i % 3 else "female"},{20 + i % 40}'
        for i, t in enumerate(texts(99, words=1))
    ]

    with pytest.raises(InputError) as refusal:
        drafted(tmp_path / "titanic.csv", lines("PassengerId,Survived,Name,Sex,Age", *rows))

    assert refusal.value.code == "E-NEW-001"


def test_days_that_could_be_months_are_asked_for(tmp_path: Path):
    rows = [f"0{row % 9 + 1}/0{row // 9 + 1}/2021,{wave(row):.1f}" for row in range(72)]

    (question,) = drafted(tmp_path / "sales.csv", lines("date,units", *rows)).questions

    assert question.key == "source.time_format"
    assert [choice.settings["source.time_format"] for choice in question.choices] == ["%d/%m/%Y", "%m/%d/%Y"]
    assert [choice.means for choice in question.choices] == ["2 January 2021", "1 February 2021"]


def test_the_reading_of_days_that_leaves_no_gaps_is_the_first_guess(tmp_path: Path):
    rows = [f"{row % 12 + 1:02}/01/{2010 + row // 12},{wave(row):.1f}" for row in range(120)]

    found = drafted(tmp_path / "monthly.csv", lines("when,amount", *rows))

    assert [choice.means for choice in found.questions[0].choices] == ["1 February 2010", "2 January 2010"]
    assert settings_of(found)["frequency"] == "1mo"


def test_hours_that_clocks_skip_and_repeat_are_asked_for(tmp_path: Path):
    import zoneinfo

    berlin = zoneinfo.ZoneInfo("Europe/Berlin")
    utc = [datetime.datetime(2023, 10, 20, tzinfo=datetime.UTC) + datetime.timedelta(hours=h) for h in range(24 * 20)]
    rows = [f"{time.astimezone(berlin):%Y-%m-%d %H:%M},{wave(row):.2f}" for row, time in enumerate(utc)]

    (question,) = drafted(tmp_path / "load.csv", lines("time,value", *rows)).questions

    assert question.choices[0].settings == {"source.time_zone": "Europe/Berlin", "source.ambiguous_times": "order"}


def test_numbers_that_stand_apart_again_and_again_are_asked_for(tmp_path: Path):
    rows = [f"{time:%Y-%m-%d %H:%M},{-200 if row % 40 == 3 else round(wave(row), 2)}" for row, time in enumerate(HOURS)]

    (question,) = drafted(tmp_path / "air.csv", lines("time,CO", *rows)).questions

    assert question.choices[0].settings == {"source.sentinels": [-200.0]}


def test_commas_between_three_digits_are_asked_for(tmp_path: Path):
    rows = [f"{time:%Y-%m-%d %H:%M};{row % 9 + 1},{100 + row % 800}" for row, time in enumerate(HOURS)]

    (question,) = drafted(tmp_path / "sales.csv", lines("time;units", *rows)).questions

    assert [dict(choice.settings) for choice in question.choices] == [
        {"source.thousands": ",", "source.decimal": "."},
        {"source.thousands": None, "source.decimal": ","},
    ]


def test_an_answer_takes_the_place_of_its_question(tmp_path: Path):
    rows = [f"0{row % 9 + 1}/0{row // 9 + 1}/2021,{wave(row):.1f}" for row in range(72)]

    found = drafted(tmp_path / "sales.csv", lines("date,units", *rows), **{"source.time_format": "%m/%d/%Y"})

    assert found.questions == []
    assert settings_of(found)["time_format"] == "%m/%d/%Y"


def test_tables_of_different_columns_in_an_archive_are_not_taken_for_one(tmp_path: Path):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("sample_submission.csv", "id,target\n1,0\n")
        archive.writestr(
            "train.csv", lines("text,target", *(f"{text},{row % 2}" for row, text in enumerate(texts(60))))
        )

    with pytest.raises(InputError, match=r"E-NEW-004 .*different columns: \"sample_submission.csv\", \"train.csv\""):
        drafted(tmp_path / "kaggle.zip", packed.getvalue())
    found = drafted(tmp_path / "kaggle.zip", packed.getvalue(), **{"source.include": "train.csv"})

    assert settings_of(found)["include"] == "train.csv"
    assert settings_of(found)["label_column"] == "target"


def test_years_of_two_digits_that_would_be_ahead_are_asked_for(tmp_path: Path):
    months = [datetime.date(1949 + row // 12, row % 12 + 1, 1) for row in range(144)]
    rows = [f"{month:%b-%y},{wave(row):.0f}" for row, month in enumerate(months)]

    (question,) = drafted(tmp_path / "airline.csv", lines("Month,Passengers", *rows)).questions

    assert question.key == "source.time_format"
    assert question.choices[0].means == "1 January 2049"


def test_ids_that_go_up_are_not_times(tmp_path: Path):
    rng = random.Random(5)
    ids = sorted(rng.sample(range(1_467_810_369, 1_467_910_369), 300))

    with pytest.raises(InputError, match="E-NEW-001"):
        drafted(tmp_path / "orders.csv", lines("order,amount", *(f"{one},{rng.random() * 90:.2f}" for one in ids)))


def test_a_large_file_that_is_sorted_by_its_labels_shows_all_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name, num_bytes in (("WHOLE_BYTES", 20_000), ("HEAD_BYTES", 10_000), ("BLOCK_BYTES", 2_000)):
        monkeypatch.setattr(files, name, num_bytes)
    rows = [f'"{text}",{label}' for label in ("neg", "pos") for text in texts(300)]

    found = drafted(tmp_path / "reviews.csv", lines("review,sentiment", *rows))

    assert settings_of(found)["label_column"] == "sentiment"
    assert not found.seen.is_whole


def test_documents_of_a_large_archive_are_counted_by_its_beginning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(files, "HEAD_BYTES", 20_000)
    with tarfile.open(tmp_path / "texts.tar", "w") as archive:
        for number, text in enumerate(texts(600)):
            member = tarfile.TarInfo(f"{('neg', 'pos')[number % 2]}/{number}.txt")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))

    found = draft_recipe(str(tmp_path / "texts.tar"), given={})

    assert not found.seen.is_whole
    assert found.seen.num_rows == pytest.approx(600, rel=0.1)
    assert found.draft.reason == f"about {found.seen.num_rows} documents in 2 folders of classes"


def test_what_is_constant_in_the_beginning_of_a_large_file_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name, num_bytes in (("WHOLE_BYTES", 8_000), ("HEAD_BYTES", 4_000), ("BLOCK_BYTES", 500)):
        monkeypatch.setattr(files, name, num_bytes)
    rows = [f"{time:%Y-%m-%d %H:%M},{wave(row):.2f},0.0" for row, time in enumerate(HOURS)]

    found = drafted(tmp_path / "power.csv", lines("time,load,heater", *rows))
    whole = drafted(tmp_path / "short.csv", lines("time,load,heater", *rows[:100]))

    (values,) = (one for one in found.draft.settings if one.key == "source.value_columns")
    assert (values.value, values.why) == (["load", "heater"], "constant in the rows looked at: heater")
    assert settings_of(whole)["value_columns"] == ["load"]


def test_a_question_about_sentinels_comes_with_a_policy_for_missing_numbers(tmp_path: Path):
    rows = [f"{time:%Y-%m-%d %H:%M},{-999 if row % 40 == 3 else round(wave(row), 2)}" for row, time in enumerate(HOURS)]

    found = drafted(tmp_path / "air.csv", lines("time,CO", *rows))

    assert settings_of(found)["encode.missing"] == "forward"
