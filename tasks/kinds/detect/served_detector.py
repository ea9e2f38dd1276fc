"""A fitted detector as it is served: rows of series in, their anomaly scores out.

This module and all it reaches travel with the registered model, so it knows neither Prefect nor MLflow.
Its folder holds `model.safetensors`, `model.json`, `scales.json`, `recent.parquet` (the last rows of each series, with
what was made of them) and `serving.json`, which says how series are read.
"""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from tasks.errors import InputError
from tasks.kinds.detect.detector import StreamingDetector
from tasks.kinds.detect.ingest import write_rows
from tasks.kinds.detect.levels import LevelScaler
from tasks.kinds.detect.notes import describe_answers, leave_out_foreign
from tasks.kinds.detect.series_judge import SeriesJudge, forecasts_of
from tasks.kinds.detect.serving import RECENT_FILE, SCALES_FILE, Serving
from tasks.kinds.detect.source import DetectionSource
from tasks.panel.frames import ROWS_FILE
from tasks.panel.refusals import Refusal, answer_each, refuse_missing_channels
from tasks.panel.served_table import TIMES_AS_THEY_ARE, stored_table
from tasks.panel.time_grid import describe_times
from tasks.registry.served_parts import read_serving
from tasks.sources.inputs import Inputs
from tasks.sources.intake import Intake

if TYPE_CHECKING:
    import pandas as pd

    from rnnmodels.forecasters.forecaster import SequenceForecaster

SERIES = "series"


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
        from rnnmodels.forecasters.forecaster import SequenceForecaster
        from rnnmodels.training.checkpoint import load_model

        serving = Serving.from_dict(read_serving(folder))
        return cls(
            model=load_model(SequenceForecaster, folder),
            scaler=LevelScaler.from_dict(json.loads((folder / SCALES_FILE).read_bytes())),
            recent=pl.scan_parquet(folder / RECENT_FILE),
            serving=serving,
        )

    def answer_files(
        self,
        inputs: Inputs,
        *,
        refusals: list[Refusal] | None = None,
        intake: Intake[DetectionSource] | None = None,
        notes: list[str] | None = None,
        **changed: object,
    ) -> pl.DataFrame:
        """Judge every series of files, read and checked as the training rows were; columns as of `answer_rows`.

        `changed` settings of the source are other than in training, and an `intake` brings its own and is told what was
        done. For `refusals` and `notes` see `answer_rows`.
        """
        notes = [] if notes is None else notes
        intake = intake or Intake(self.serving.settings_for(inputs.files[0].path, **changed))
        with tempfile.TemporaryDirectory() as folder:
            write_rows(Path(folder), settings=intake.settings, inputs=inputs, digest=inputs.digest(), intake=intake)
            answers = self.answer_rows(pl.read_parquet(Path(folder) / ROWS_FILE), refusals, notes)
        intake.warnings += notes
        return answers

    def answer_frame(self, table: "pl.DataFrame | pd.DataFrame", *, notes: list[str] | None = None) -> pl.DataFrame:
        """Judge a table with the columns of the source, as `answer_files` does.

        If each file was a series of its own in training, it names them in the column `series`. Raises InputError also
        for a table that cannot be read (E-REG-012 to E-REG-014).
        """
        own = self.serving.settings.one_series_per_file
        changed: dict = {"id_columns": (SERIES,), "one_series_per_file": False} if own else {}
        with stored_table(table, self.serving.settings_for(Path("table.parquet"), **changed)) as (inputs, time):
            # What is a time already needs no rule for reading it from text or counts.
            changed |= TIMES_AS_THEY_ARE if time.is_temporal() else {}
            return self.answer_files(inputs, notes=notes, **changed)

    def answer_rows(
        self, rows: pl.DataFrame, refusals: list[Refusal] | None = None, notes: list[str] | None = None
    ) -> pl.DataFrame:
        """Judge canonical rows; columns series, time, value, expected, surprise, is_anomaly, alarm, event, status.

        With several channels there are value.<channel> and expected.<channel>. Instants are shown in the zone of the
        training rows' source. `alarm` marks the row with which an event begins, `event` numbers the events of a series.

        Of a series that the detector knows, rows later than the last one seen go on from there (status `judged`). All
        others are `seen`: those that are remembered must be the same, and are answered as they were judged. Where the
        rows of the whole warm-up are given, rows seen are judged from the beginning instead, as they were in training;
        else those before the ones remembered are `forgotten`. Of a series that the detector does not know the first
        rows are the `warm-up`, as many as training would take, which give its scales too. What belongs to a warm-up or
        is forgotten has no score.

        A series that cannot be judged is appended to `refusals`, without which it is raised, as it is where none is
        left. What is to be known of the rows is appended to `notes`.

        Raises InputError for the rows: E-DET-021 for times of another kind, E-DET-022 for a channel that is not there;
        for a series: E-DET-020 where nothing can be judged, E-DET-023 and E-DET-024 for rows that contradict those
        seen, E-DET-003 and E-SER-009 for missing numbers.
        """
        self._refuse_other_rows(rows)
        own, said = leave_out_foreign(rows, self.serving.channels)
        recent = self._read_recent(own["series"].unique().to_list()).partition_by("series", as_dict=True)
        past_of = {name: past for (name,), past in recent.items()}
        judge, parts = self._judge(), own.partition_by("series", maintain_order=True)
        judged = answer_each(parts, lambda part: judge.answer(part, past_of.get(part["series"][0])), refusals)
        answers = list(judged)
        if notes is not None:
            notes += [*said, *describe_answers(answers, past_of)]
        return pl.concat(answers)

    def stream(self, series: str) -> StreamingDetector:
        """A detector of the next rows of a series that goes on from the last ones it has seen.

        Raises KeyError for a series that it does not know.
        """
        learned, past = self.serving.series[series], self._read_recent([series])
        streaming = StreamingDetector(
            self.model,
            self.scaler,
            series,
            warm_up_rows=learned.warm_up_rows,
            settings=self.serving.detector_settings,
            is_ordered=self._is_ordered,
        )
        streaming.catch_up(
            self.scaler.levels(series, self.scaler.values_of(past)),
            forecasts_of(past, self.serving.channels),
            self.scaler.describe_times(past["time"]),
            surprise=past["surprise"].to_numpy(),
            first_row=learned.rows - past.height,
            last=past.select(pl.col("time").max()).item(),
            last_values=self.scaler.values_of(past)[-1].tolist(),
        )
        return streaming

    def _read_recent(self, series: list[str]) -> pl.DataFrame:
        return self.recent.filter(pl.col("series").is_in(series)).collect()

    @property
    def _is_ordered(self) -> bool:
        """Whether times of a series rise from row to row."""
        source = self.serving.settings
        return "keep" not in (source.unsorted, source.duplicates)

    def _judge(self) -> SeriesJudge:
        return SeriesJudge(
            model=self.model,
            scaler=self.scaler,
            serving=self.serving,
            nothing=self.recent.clear().collect(),
            is_ordered=self._is_ordered,
        )

    def _refuse_other_rows(self, rows: pl.DataFrame) -> None:
        """Raise InputError for times of another kind (E-DET-021), or if a channel is not there (E-DET-022)."""
        kind = self.recent.collect_schema()["time"]
        if rows.schema["time"] != kind:
            raise InputError(
                "E-DET-021",
                f"times are {describe_times(rows.schema['time'])}, expected {describe_times(kind)} as in training.",
                fix="write the times as in the training rows.",
                column=self.serving.settings.time_column,
            )
        refuse_missing_channels("E-DET-022", rows, self.serving.channels)
