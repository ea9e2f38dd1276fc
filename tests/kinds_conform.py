"""Every part of every kind, held against the Protocol of its stage by the type checker; nothing is run."""

import tasks.kinds.classify.baseline
import tasks.kinds.classify.encode
import tasks.kinds.classify.evaluate
import tasks.kinds.classify.gate
import tasks.kinds.classify.ingest
import tasks.kinds.classify.predict
import tasks.kinds.classify.register
import tasks.kinds.classify.serve
import tasks.kinds.classify.split
import tasks.kinds.classify_series.baseline
import tasks.kinds.classify_series.encode
import tasks.kinds.classify_series.evaluate
import tasks.kinds.classify_series.fit
import tasks.kinds.classify_series.gate
import tasks.kinds.classify_series.ingest
import tasks.kinds.classify_series.predict
import tasks.kinds.classify_series.profile
import tasks.kinds.classify_series.register
import tasks.kinds.classify_series.report
import tasks.kinds.classify_series.serve
import tasks.kinds.classify_series.split
import tasks.kinds.classify_series.warm_start
import tasks.kinds.detect.baseline
import tasks.kinds.detect.encode
import tasks.kinds.detect.evaluate
import tasks.kinds.detect.fit
import tasks.kinds.detect.gate
import tasks.kinds.detect.ingest
import tasks.kinds.detect.monitor
import tasks.kinds.detect.predict
import tasks.kinds.detect.register
import tasks.kinds.detect.report
import tasks.kinds.detect.serve
import tasks.kinds.detect.shard
import tasks.kinds.detect.split
import tasks.kinds.detect.warm_start
import tasks.kinds.forecast.baseline
import tasks.kinds.forecast.encode
import tasks.kinds.forecast.evaluate
import tasks.kinds.forecast.fit
import tasks.kinds.forecast.gate
import tasks.kinds.forecast.ingest
import tasks.kinds.forecast.monitor
import tasks.kinds.forecast.predict
import tasks.kinds.forecast.register
import tasks.kinds.forecast.report
import tasks.kinds.forecast.serve
import tasks.kinds.forecast.shard
import tasks.kinds.forecast.split
import tasks.kinds.forecast.warm_start
import tasks.kinds.language.encode
import tasks.kinds.language.generate
import tasks.kinds.language.ingest
import tasks.kinds.language.predict
import tasks.kinds.language.register
import tasks.kinds.language.serve
import tasks.kinds.language.shard
import tasks.kinds.language.split
import tasks.labelled.fit
import tasks.labelled.profile
import tasks.labelled.report
import tasks.labelled.shard
import tasks.text.warm_start
from tasks.contract.services import GenerateModule, MonitorModule, PredictModule, ServeModule
from tasks.contract.stages import (
    BaselineModule,
    EncodeModule,
    EvaluateModule,
    FitModule,
    GateModule,
    IngestModule,
    RegisterModule,
    ReportModule,
    ShardModule,
    SplitModule,
    WarmStartModule,
)
from tasks.kinds.classify.encode import EncodeSettings
from tasks.kinds.classify.recipe import ShardSettings
from tasks.kinds.classify.source import SourceSettings
from tasks.kinds.classify.split import SplitSettings
from tasks.kinds.classify_series.encode import SequenceScaleSettings
from tasks.kinds.classify_series.recipe import SequenceShardSettings
from tasks.kinds.classify_series.source import SequenceSource
from tasks.kinds.classify_series.split import SequenceSplitSettings
from tasks.kinds.detect.encode import LevelSettings
from tasks.kinds.detect.shard import DetectionWindowSettings
from tasks.kinds.detect.source import DetectionSource
from tasks.kinds.detect.split import WarmUpSettings
from tasks.kinds.forecast.encode import ScaleSettings
from tasks.kinds.forecast.shard import WindowSettings
from tasks.kinds.forecast.split import TimeSplitSettings
from tasks.kinds.language.encode import LanguageEncodeSettings
from tasks.kinds.language.shard import StreamSettings
from tasks.kinds.language.source import LanguageSource
from tasks.kinds.language.split import LanguageSplitSettings
from tasks.panel.source import SeriesSource

classify_ingest: IngestModule[SourceSettings] = tasks.kinds.classify.ingest
classify_split: SplitModule[SplitSettings] = tasks.kinds.classify.split
classify_encode: EncodeModule[EncodeSettings] = tasks.kinds.classify.encode
classify_shard: ShardModule[ShardSettings] = tasks.labelled.shard
classify_fit: FitModule = tasks.labelled.fit
classify_baseline: BaselineModule = tasks.kinds.classify.baseline
classify_evaluate: EvaluateModule = tasks.kinds.classify.evaluate.EVALUATION
classify_register: RegisterModule = tasks.kinds.classify.register.REGISTRATION
classify_gate: GateModule = tasks.kinds.classify.gate.GATE
classify_report: ReportModule = tasks.labelled.report
classify_predict: PredictModule = tasks.kinds.classify.predict
classify_serve: ServeModule = tasks.kinds.classify.serve.SERVICE
classify_monitor: MonitorModule = tasks.labelled.profile
classify_warm_start: WarmStartModule = tasks.text.warm_start

classify_series_ingest: IngestModule[SequenceSource] = tasks.kinds.classify_series.ingest
classify_series_split: SplitModule[SequenceSplitSettings] = tasks.kinds.classify_series.split
classify_series_encode: EncodeModule[SequenceScaleSettings] = tasks.kinds.classify_series.encode
classify_series_shard: ShardModule[SequenceShardSettings] = tasks.labelled.shard
classify_series_fit: FitModule = tasks.kinds.classify_series.fit
classify_series_baseline: BaselineModule = tasks.kinds.classify_series.baseline
classify_series_evaluate: EvaluateModule = tasks.kinds.classify_series.evaluate.EVALUATION
classify_series_register: RegisterModule = tasks.kinds.classify_series.register.REGISTRATION
classify_series_gate: GateModule = tasks.kinds.classify_series.gate.GATE
classify_series_report: ReportModule = tasks.kinds.classify_series.report
classify_series_predict: PredictModule = tasks.kinds.classify_series.predict
classify_series_warm_start: WarmStartModule = tasks.kinds.classify_series.warm_start
classify_series_monitor: MonitorModule = tasks.kinds.classify_series.profile
classify_series_serve: ServeModule = tasks.kinds.classify_series.serve

forecast_ingest: IngestModule[SeriesSource] = tasks.kinds.forecast.ingest
forecast_split: SplitModule[TimeSplitSettings] = tasks.kinds.forecast.split
forecast_encode: EncodeModule[ScaleSettings] = tasks.kinds.forecast.encode
forecast_shard: ShardModule[WindowSettings] = tasks.kinds.forecast.shard
forecast_fit: FitModule = tasks.kinds.forecast.fit
forecast_baseline: BaselineModule = tasks.kinds.forecast.baseline
forecast_evaluate: EvaluateModule = tasks.kinds.forecast.evaluate
forecast_register: RegisterModule = tasks.kinds.forecast.register
forecast_gate: GateModule = tasks.kinds.forecast.gate
forecast_report: ReportModule = tasks.kinds.forecast.report
forecast_predict: PredictModule = tasks.kinds.forecast.predict
forecast_warm_start: WarmStartModule = tasks.kinds.forecast.warm_start
forecast_monitor: MonitorModule = tasks.kinds.forecast.monitor
forecast_serve: ServeModule = tasks.kinds.forecast.serve

detect_ingest: IngestModule[DetectionSource] = tasks.kinds.detect.ingest
detect_split: SplitModule[WarmUpSettings] = tasks.kinds.detect.split
detect_encode: EncodeModule[LevelSettings] = tasks.kinds.detect.encode
detect_shard: ShardModule[DetectionWindowSettings] = tasks.kinds.detect.shard
detect_fit: FitModule = tasks.kinds.detect.fit
detect_baseline: BaselineModule = tasks.kinds.detect.baseline
detect_evaluate: EvaluateModule = tasks.kinds.detect.evaluate
detect_register: RegisterModule = tasks.kinds.detect.register
detect_gate: GateModule = tasks.kinds.detect.gate
detect_report: ReportModule = tasks.kinds.detect.report
detect_predict: PredictModule = tasks.kinds.detect.predict
detect_warm_start: WarmStartModule = tasks.kinds.detect.warm_start
detect_monitor: MonitorModule = tasks.kinds.detect.monitor
detect_serve: ServeModule = tasks.kinds.detect.serve

language_ingest: IngestModule[LanguageSource] = tasks.kinds.language.ingest
language_split: SplitModule[LanguageSplitSettings] = tasks.kinds.language.split
language_encode: EncodeModule[LanguageEncodeSettings] = tasks.kinds.language.encode
language_shard: ShardModule[StreamSettings] = tasks.kinds.language.shard
language_register: RegisterModule = tasks.kinds.language.register
language_predict: PredictModule = tasks.kinds.language.predict
language_serve: ServeModule = tasks.kinds.language.serve
language_generate: GenerateModule = tasks.kinds.language.generate
