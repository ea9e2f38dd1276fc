"""A registered forecaster continues series from raw histories, as it was evaluated."""

import io
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas
import polars as pl
import pytest
from fastapi.testclient import TestClient

from rnnmodels.forecasters.forecast_config import ForecastArchitecture
from tasks.contract.lineage import Lineage
from tasks.errors import InputError, IntegrityError
from tasks.kinds.forecast import register
from tasks.kinds.forecast.fit import ForecastCandidate, create_model, open_data
from tasks.kinds.forecast.forecaster import SeriesForecaster
from tasks.prediction.dispatch import predict_file
from tasks.promotion import named_models
from tasks.registry import registered_model
from tasks.registry.registered_model import RegisteredModel
from tasks.registry.served_parts import SERVING
from tasks.tracking import mlflow_client

AHEAD = 6
ROOT = Path(__file__).parents[4]


@pytest.fixture
def registered(loads_home: Path, monkeypatch: pytest.MonkeyPatch) -> RegisteredModel:
    monkeypatch.setenv("RNNFLOW_HOME", str(loads_home))
    return named_models.resolve_model("loads/1")


@pytest.fixture
def forecaster(registered: RegisteredModel) -> SeriesForecaster:
    return SeriesForecaster.load(registered.parts)


@pytest.fixture
def history(loads_csv: Path) -> pl.DataFrame:
    """All hours of both stations; the loads of the last six are not known yet."""
    rows = pl.read_csv(loads_csv)
    is_ahead = pl.int_range(pl.len()).over("station") >= 480 - AHEAD
    return rows.with_columns(load=pl.when(is_ahead).then(None).otherwise("load"))


def test_what_is_registered_was_certified_and_proved(loads_home: Path):
    [path] = loads_home.glob("data/register/*/registration.json")
    facts = json.loads(path.read_bytes())

    assert facts["certificate"]["passed"]
    assert set(facts["certificate"]["deviations"]) == {"batch_size", "batch_mates"}
    assert facts["smoke"]["rows"] == 3
    assert facts["smoke"]["deviations"]["forecasts"] < 1e-5


def test_times_may_be_text_or_instants(registered: RegisteredModel, history: pl.DataFrame):
    served, text = registered_model.load_pyfunc(registered), history.to_pandas()
    instants = text.assign(time=pandas.to_datetime(text["time"]))

    pandas.testing.assert_frame_equal(served.predict(text), served.predict(instants))


@pytest.fixture
def numbered(history: pl.DataFrame) -> pandas.DataFrame:
    """The history as pandas reads it where ids and values are whole numbers."""
    rounded = history.with_columns(pl.col("load").round().cast(pl.Int64), station=pl.col("station").rank("dense"))
    return pandas.read_csv(io.StringIO(rounded.write_csv()))


def test_whole_numbers_are_answered_as_text_and_floats_are(registered: RegisteredModel, numbered):
    served = registered_model.load_pyfunc(registered)
    expected = served.predict(numbered)

    assert expected["series"].unique().tolist() == ["1", "2"]
    for changed in ({"station": str}, {"load": float}, {"station": str, "load": float}):
        pandas.testing.assert_frame_equal(served.predict(numbered.astype(changed)), expected)


def test_mlflows_scoring_server_takes_json_and_csv(registered: RegisteredModel, numbered):
    from mlflow.pyfunc.scoring_server import init

    served = registered_model.load_pyfunc(registered)
    expected = served.predict(numbered)["forecast"].tolist()
    split = {"dataframe_split": json.loads(numbered.to_json(orient="split", index=False))}
    with TestClient(init(served)) as client:
        answers = [
            client.post("/invocations", json=split),
            client.post("/invocations", content=numbered.to_csv(index=False), headers={"content-type": "text/csv"}),
        ]

    for answer in answers:
        assert answer.status_code == 200, answer.text
        assert [row["forecast"] for row in answer.json()["predictions"]] == pytest.approx(expected)


def test_the_lines_in_the_description_run_as_they_stand(loads_home: Path, tmp_path: Path, monkeypatch, heavy_process):
    home = shutil.copytree(loads_home, tmp_path / "home")
    monkeypatch.setenv("RNNFLOW_HOME", str(home))
    client = mlflow_client.connect()
    client.set_registered_model_alias("loads", "champion", "1")
    description = client.get_model_version("loads", "1").description
    [example] = home.glob("data/register/*/history.csv")
    shutil.copyfile(example, tmp_path / "history.csv")
    lines = [line.removeprefix("    ") for line in description.splitlines() if line.startswith("    ") or not line]
    # In place of a server's address stands that of the store, whose artifacts are then read from the disk.
    opened = (
        f"import os; from tasks.tracking import mlflow_client; mlflow_client.load_mlflow(); os.chdir({str(tmp_path)!r})"
    )
    code = "\n".join([opened, *lines[:-1], "print(len(model.predict(table)))"])

    process = heavy_process.run(code, cwd=ROOT, MLFLOW_TRACKING_URI=mlflow_client.local_store_uri())

    assert lines[-1] == "model.predict(table)"
    assert process.stdout.splitlines()[-1:] == [str(AHEAD)], process.stderr
    assert "127.0.0.1" not in description


def test_every_series_is_continued_on_its_grid(forecaster: SeriesForecaster, history: pl.DataFrame):
    forecasts = forecaster.answer_frame(history)

    assert forecasts.columns == ["series", "time", "step", "channel", "forecast", "q0.1", "q0.5", "q0.9"]
    assert forecasts["series"].to_list() == ["north"] * AHEAD + ["south"] * AHEAD
    assert forecasts["step"].to_list() == [*range(1, AHEAD + 1)] * 2
    assert forecasts["time"].dt.strftime("%d %H:%M").to_list()[:2] == ["20 18:00", "20 19:00"]
    assert (forecasts["q0.1"] <= forecasts["q0.9"]).all()


def test_forecasts_are_in_the_units_of_the_source(forecaster: SeriesForecaster, history: pl.DataFrame):
    level = forecaster.answer_frame(history).group_by("series").agg(pl.col("forecast").mean()).sort("series")

    assert level["forecast"][0] < 100 < level["forecast"][1]


def test_a_series_is_forecast_alike_alone_and_among_others(forecaster: SeriesForecaster, history: pl.DataFrame):
    together = forecaster.answer_frame(history).filter(series="south")
    alone = forecaster.answer_frame(history.filter(station="south"))

    np.testing.assert_allclose(together["forecast"], alone["forecast"], rtol=1e-5)


def test_a_history_that_is_too_short_is_refused(forecaster: SeriesForecaster, history: pl.DataFrame):
    short = history.group_by("station", maintain_order=True).tail(AHEAD + 20)

    with pytest.raises(InputError) as caught:
        forecaster.answer_frame(short)

    assert str(caught.value) == (
        'E-FOR-001 series "north" has 20 steps without a gap up to 2024-03-20 17:00:00+00:00, '
        "expected at least 24.\n"
        "Fix: give more of its history, fill its gaps, or leave the series out."
    )


def test_a_gap_in_the_look_back_is_not_glossed_over(forecaster: SeriesForecaster, history: pl.DataFrame):
    gappy = history.filter(pl.col("time") != "2024-03-20T02:00:00Z")

    with pytest.raises(InputError, match=re.escape('series "north" has 15 steps without a gap')):
        forecaster.answer_frame(gappy)


def test_covariates_must_be_known_over_the_horizon(forecaster: SeriesForecaster, history: pl.DataFrame):
    with pytest.raises(InputError) as caught:
        forecaster.answer_frame(history.drop_nulls("load"))

    assert str(caught.value) == (
        'E-FOR-002 column "works": is not known at 2024-03-20 18:00:00+00:00 in series "north".\n'
        "Fix: add a row for each of the next 6 steps, with the values to forecast left empty."
    )


def test_times_may_be_texts_or_times(forecaster: SeriesForecaster, history: pl.DataFrame):
    typed = history.with_columns(pl.col("time").str.to_datetime(time_zone="UTC"))

    assert forecaster.answer_frame(typed).equals(forecaster.answer_frame(history))


def test_mlflow_serves_the_same_forecasts(
    registered: RegisteredModel, forecaster: SeriesForecaster, history: pl.DataFrame
):
    served = pl.from_pandas(registered_model.load_pyfunc(registered).predict(history.to_pandas()))

    np.testing.assert_allclose(served["forecast"], forecaster.answer_frame(history)["forecast"], rtol=1e-6)


def test_a_file_of_histories_becomes_a_file_of_forecasts(
    registered: RegisteredModel, history: pl.DataFrame, tmp_path: Path
):
    history.write_csv(tmp_path / "history.csv")

    predicted = predict_file("loads/1", tmp_path / "history.csv", tmp_path / "forecasts.parquet")

    forecasts = pl.read_parquet(tmp_path / "forecasts.parquet")
    assert (predicted.series, predicted.rows, forecasts.height) == (2, 12, 12)
    assert forecasts["model"].unique().to_list() == ["loads/1"]
    assert predicted.describe().startswith(f"{tmp_path / 'forecasts.parquet'}: 12 forecasts for 2 series by loads/1")
    assert [path.name for path in tmp_path.iterdir() if "partial" in path.name] == []


def test_an_output_that_exists_is_kept(registered: RegisteredModel, history: pl.DataFrame, tmp_path: Path):
    history.write_csv(tmp_path / "history.csv")
    (tmp_path / "forecasts.csv").write_text("mine")

    with pytest.raises(InputError, match="E-OUT-001"):
        predict_file("loads/1", tmp_path / "history.csv", tmp_path / "forecasts.csv")
    assert (tmp_path / "forecasts.csv").read_text() == "mine"

    predict_file("loads/1", tmp_path / "history.csv", tmp_path / "forecasts.csv", overwrite=True)
    assert (tmp_path / "forecasts.csv").read_text().startswith("series,time,step")


def test_a_log_of_several_sensors_is_forecast_from_the_one_of_training(
    registered: RegisteredModel, history: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = shutil.copytree(registered.folder, tmp_path / "model")
    other = RegisteredModel(name="loads", version="1", artifact_uri="", folder=folder)
    fields = json.loads((other.parts / SERVING).read_bytes())
    fields["serving"]["source"] |= {"where": {"sensor": "watts"}, "encoding": "gbk", "duplicates": "mean"}
    (other.parts / SERVING).write_text(json.dumps(fields))
    history.write_csv(tmp_path / "plain.csv")
    log = history.with_columns(sensor=pl.lit("watts"), station=pl.lit("站") + pl.col("station"))
    log = pl.concat([log, log.with_columns(load=pl.lit(1e6), sensor=pl.lit("volts"))])
    (tmp_path / "log.csv").write_bytes(log.write_csv().encode("gbk"))

    predict_file("loads/1", tmp_path / "plain.csv", tmp_path / "plain.parquet")
    monkeypatch.setattr(named_models, "resolve_model", lambda _: other)
    predicted = predict_file("loads/1", tmp_path / "log.csv", tmp_path / "log.parquet")

    plain, answers = (pl.read_parquet(tmp_path / f"{name}.parquet").drop("model") for name in ("plain", "log"))
    assert answers.with_columns(pl.col("series").str.strip_prefix("站")).equals(plain)
    assert (predicted.rows_read, predicted.left_out, predicted.bad) == (log.height, history.height, 0)


def test_columns_of_texts_mean_nothing_to_a_forecaster(registered: RegisteredModel, tmp_path: Path):
    (tmp_path / "history.csv").touch()
    with pytest.raises(InputError, match="E-OUT-004 this model reads numbers, but a text or label column"):
        predict_file("loads/1", tmp_path / "history.csv", tmp_path / "out.csv", label_column="stars")


def test_a_damaged_scaler_is_never_used(registered: RegisteredModel, tmp_path: Path):
    folder = shutil.copytree(registered.parts, tmp_path / "parts")
    (folder / "scaler.json").write_text("{}")

    with pytest.raises(IntegrityError, match="E-INT-001"):
        SeriesForecaster.load(folder)


def test_a_model_that_forecasts_otherwise_than_it_was_judged_is_refused(
    loads: tuple[Lineage, object], registered: RegisteredModel, monkeypatch: pytest.MonkeyPatch
):
    lineage, contest = loads
    served = registered_model.load_pyfunc(registered)
    served.unwrap_python_model().model.model.line_LH.mul_(1.5)

    with pytest.raises(IntegrityError, match="E-REG-006 the registered model's forecasts differ"):
        register.prove_served(served, lineage, contest.best)


def test_the_served_code_knows_neither_prefect_nor_mlflow(registered: RegisteredModel):
    code = registered.folder / "code"
    modules = [path for path in code.rglob("*.py") if path.name != "served_model.py"]
    imports = [line for path in modules for line in path.read_text().splitlines()]

    assert (code / "tasks" / "kinds" / "forecast" / "forecaster.py").is_file()
    assert not [line for line in imports if re.match(r"\s*(import|from) (prefect|mlflow)", line)]


def test_a_network_that_the_windows_do_not_fit_says_what_to_change(
    loads: tuple[Lineage, object], registered: RegisteredModel
):
    shards = loads[0].shards
    candidate = ForecastCandidate(name="long", model=ForecastArchitecture(segment_length=500))

    remedy = r"Fix: set candidates\.long\.model\.segment_length = \d+ or less, or raise shard\.look_back\.$"
    with pytest.raises(InputError, match=rf'E-TRN-003 candidate "long" does not fit the windows: .*\n{remedy}'):
        create_model(candidate, open_data(candidate, shards), shards)
