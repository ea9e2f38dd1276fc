"""A fitted detector as it is served: rows of series in, how surprising each of them is out.

This module and all it reaches travel with the registered model, so it knows neither Prefect nor MLflow.
Its folder holds `model.safetensors`, `model.json`, `scales.json`, `recent.parquet` (the last rows of each series, with
what was made of them) and `serving.json`, which says how series are read.
Shapes: N rows, C channels.
"""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.detection.detector import StreamingDetector, judge_rows
from tasks.detection.events import Event, count_gap_rows, find_events
from tasks.detection.forecasting import forecast_rows
from tasks.detection.levels import LevelScaler
from tasks.detection.likelihood import MIN_ROWS
from tasks.detection.reading import write_rows
from tasks.detection.serving import RECENT_FILE, SCALES_FILE, Serving
from tasks.detection.splitting import count_training, count_warm_up
from tasks.errors import InputError, quoted
from tasks.series.frames import ROWS_FILE, VALUES
from tasks.served_parts import read_serving
from tasks.sources.inputs import InputFile, Inputs

if TYPE_CHECKING:
    from rnnmodels.forecaster import SequenceForecaster

SERIES = "series"


class Opening(NamedTuple):
    """Where a series is taken up: the rows that were judged before (none in a warm-up), and how many are not judged.

    `first_row` is the number within the series of the first of them.
    """

    past: pl.DataFrame
    first_row: int
    scaler: LevelScaler
    warm_up_rows: int
    unjudged_rows: int


@dataclass(frozen=True, kw_only=True)
class SeriesDetector:
    """A model in evaluation mode with the scales it was fitted with, and the last rows of the series it knows."""

    model: "SequenceForecaster"
    scaler: LevelScaler
    recent: pl.LazyFrame
    serving: Serving

    @classmethod
    def load(cls, folder: Path) -> "SeriesDetector":
        """Read a folder after checking the SHA-256 of each file.

        Raises IntegrityError (E-INT-001).
        """
        from rnnmodels.checkpoint import load_model
        from rnnmodels.forecaster import SequenceForecaster

        serving = Serving.from_dict(read_serving(folder))
        return cls(
            model=load_model(SequenceForecaster, folder),
            scaler=LevelScaler.from_dict(json.loads((folder / SCALES_FILE).read_bytes())),
            recent=pl.scan_parquet(folder / RECENT_FILE),
            serving=serving,
        )

    def answer_files(self, inputs: Inputs, **changed: object) -> pl.DataFrame:
        """Judge every series of files, read and checked as the training rows were; columns as of `answer_rows`.

        `changed` settings of the source are other than in training.
        """
        with tempfile.TemporaryDirectory() as folder:
            settings = self.serving.settings_for(inputs.files[0].path, **changed)
            write_rows(Path(folder), settings=settings, inputs=inputs, digest=inputs.digest())
            return self.answer_rows(pl.read_parquet(Path(folder) / ROWS_FILE))

    def answer_frame(self, table: pl.DataFrame) -> pl.DataFrame:
        """Judge a table with the columns of the source, as `answer_files` does.

        If each file was a series of its own in training, it names them in the column `series`.
        """
        source = self.serving.settings
        changed = {"id_column": SERIES, "one_series_per_file": False} if source.one_series_per_file else {}
        time = table.schema.get(source.time_column)
        if time is not None and time.is_temporal():
            # What is a time already needs no rule for reading it from text or counts.
            changed |= {"time_unit": "text", "time_format": None}
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "rows.parquet"
            table.write_parquet(path)
            return self.answer_files(Inputs([InputFile(path, path.name, "parquet")], []), **changed)

    def answer_rows(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Judge canonical rows; columns series, time, value, expected, surprise, is_anomaly, alarm, event.

        With several channels there are value.<channel> and expected.<channel>. A series that the detector knows and
        whose rows are all later than those it has seen goes on from these. Of any other the first rows are the warm-up:
        as many as in training if the series is known, else as many as training would take, which give its scales too.
        They are not judged, so their surprise is null. `alarm` marks the row with which an event begins, `event`
        numbers the events of a series.

        Raises InputError: E-DET-020 for a series that is too short, E-DET-021 for times of another kind, E-DET-022 for
        a channel that is not there, E-DET-003 and E-SER-009 for missing numbers.
        """
        self._refuse_other_rows(rows)
        series = rows["series"].unique(maintain_order=True)
        seen = self._read_recent(series.to_list()).partition_by("series", as_dict=True)
        past_of = {name: past for (name,), past in seen.items()}
        parts = rows.partition_by("series", maintain_order=True)
        return pl.concat([self._answer_series(part, past_of.get(part["series"][0])) for part in parts])

    def stream(self, series: str) -> StreamingDetector:
        """A detector of the next rows of a series that goes on from the last ones it has seen.

        Raises KeyError for a series that it does not know.
        """
        learned, past = self.serving.series[series], self._read_recent([series])
        streaming = StreamingDetector(
            self.model, self.scaler, series, warm_up_rows=learned.warm_up_rows, settings=self.serving.detector_settings
        )
        streaming.catch_up(
            self.scaler.levels(series, self.scaler.values_of(past)),
            self._forecasts_of(past),
            self.scaler.describe_times(past["time"]),
            surprise=past["surprise"].to_numpy(),
            first_row=learned.rows - past.height,
        )
        return streaming

    def _read_recent(self, series: list[str]) -> pl.DataFrame:
        return self.recent.filter(pl.col("series").is_in(series)).collect()

    def _forecasts_of(self, past: pl.DataFrame) -> NDArray[np.float32]:
        return past.select(f"forecast.{name}" for name in self.serving.channels).to_numpy(order="c")

    def _answer_series(self, rows: pl.DataFrame, past: pl.DataFrame | None) -> pl.DataFrame:
        goes_on = past is not None and rows["time"].min() > past["time"].max()
        opening = self._go_on(past) if goes_on else self._begin(rows)
        return self._judge(rows, opening)

    def _go_on(self, past: pl.DataFrame) -> Opening:
        learned = self.serving.series[past["series"][0]]
        first_row = learned.rows - past.height
        return Opening(
            past=past, first_row=first_row, scaler=self.scaler, warm_up_rows=learned.warm_up_rows, unjudged_rows=0
        )

    def _begin(self, rows: pl.DataFrame) -> Opening:
        """Take up a whole history, whose first rows are the warm-up."""
        name, settings = rows["series"][0], self.serving.warm_up_settings
        is_known = name in self.serving.series
        warm_up = self.serving.series[name].warm_up_rows if is_known else count_warm_up(rows.height, settings)
        if rows.height <= warm_up or (warm_up < MIN_ROWS and not is_known):
            raise _too_short(name, rows.height, warm_up, is_known=is_known)
        scaler = self.scaler
        if not is_known:
            scaler = scaler.with_series(name, rows[: count_training(warm_up, settings)])
        past = self.recent.clear().collect()
        return Opening(past=past, first_row=0, scaler=scaler, warm_up_rows=warm_up, unjudged_rows=warm_up)

    def _judge(self, rows: pl.DataFrame, opening: Opening) -> pl.DataFrame:
        past, scaler, series, num_past = opening.past, opening.scaler, rows["series"][0], opening.past.height
        given = rows.select("series", "time", *(f"value.{name}" for name in self.serving.channels))
        joined = scaler.fill(pl.concat([past.select(given.columns), given]))
        levels_NC = scaler.levels(series, scaler.values_of(joined))
        # A forecast looks back no further than a window, however long the past is.
        first = max(0, num_past - self.model.shape.num_steps)
        calendar_ND = scaler.describe_times(joined["time"][first:])
        forecasts_NC = forecast_rows(
            self.model, levels_NC[first:], calendar_ND, first=num_past - first, first_row=opening.first_row + first
        )
        judged_N = judge_rows(
            levels_NC,
            np.concatenate([self._forecasts_of(past), forecasts_NC]),
            self.serving.detector_settings,
            num_past=num_past,
        )
        judged_N[: opening.unjudged_rows] = np.nan
        surprise_N = np.concatenate([past["surprise"].to_numpy(), judged_N])
        events = [event for event in self._find_events(surprise_N, opening.warm_up_rows) if event.end >= num_past]
        expected_NC = scaler.values(series, forecasts_NC)
        judged = given.with_columns(_mark_rows(surprise_N, events, self.serving.threshold)[num_past:])
        return self._tabulate(judged, expected_NC)

    def _find_events(self, surprise_N: NDArray[np.float64], warm_up_rows: int) -> list[Event]:
        gap_rows = count_gap_rows(self.serving.detector_settings.events.gap_share, warm_up_rows)
        return find_events(surprise_N, threshold=self.serving.threshold, gap_rows=gap_rows)

    def _tabulate(self, judged: pl.DataFrame, expected_NC: NDArray[np.float64]) -> pl.DataFrame:
        names = self.serving.channels
        expected = [pl.Series(f"expected.{name}", expected_NC[:, index]) for index, name in enumerate(names)]
        table = judged.with_columns(expected)
        marks = ("surprise", "is_anomaly", "alarm", "event")
        ordered = table.select("series", "time", VALUES, *(column.name for column in expected), *marks)
        if len(names) > 1:
            return ordered
        return ordered.rename({f"{role}.{names[0]}": role for role in ("value", "expected")})

    def _refuse_other_rows(self, rows: pl.DataFrame) -> None:
        """Raise InputError for times of another kind (E-DET-021), or if a channel is not there (E-DET-022)."""
        kind = self.recent.collect_schema()["time"]
        if rows.schema["time"] != kind:
            raise InputError(
                "E-DET-021",
                f"times are {_describe_times(rows.schema['time'])}, expected {_describe_times(kind)} as in training.",
                fix="write the times as in the training rows.",
                column=self.serving.settings.time_column,
            )
        missing = [name for name in self.serving.channels if f"value.{name}" not in rows.columns]
        if missing:
            raise InputError(
                "E-DET-022",
                f"channel {quoted(missing[0])} is missing, which the detector was trained on.",
                fix="add its rows, or name the channel as in training.",
            )


def _mark_rows(surprise_N: NDArray[np.float64], events: list[Event], threshold: float) -> pl.DataFrame:
    """What is said of each row, given the events in their order."""
    numbers = np.zeros(len(surprise_N), np.uint32)
    for number, event in enumerate(events, start=1):
        numbers[event.start : event.end + 1] = number
    alarms = np.zeros(len(surprise_N), bool)
    alarms[[event.start for event in events]] = True
    return pl.DataFrame(
        {
            "surprise": pl.Series(surprise_N, nan_to_null=True),
            "is_anomaly": surprise_N >= threshold,
            "alarm": alarms,
            "event": pl.Series(numbers).replace(0, None),
        }
    )


def _too_short(series: str, num_rows: int, warm_up: int, *, is_known: bool) -> InputError:
    if is_known:
        return InputError(
            "E-DET-020",
            f"series {quoted(series)} has {num_rows} row(s), none of which is left after a warm-up of {warm_up} as in "
            "training.",
            fix="bring its whole history, or only rows later than those of training.",
        )
    return InputError(
        "E-DET-020",
        f"series {quoted(series)} has {num_rows} row(s), of which {warm_up} are its warm-up, expected at least "
        f"{MIN_ROWS} of these.",
        fix="bring more of its history, or leave the series out.",
    )


def _describe_times(kind: pl.DataType) -> str:
    if not kind.is_temporal():
        return "plain steps"
    return "times without a zone" if kind.time_zone is None else "instants, with an offset or a zone"
