"""On the benchmark's own 58 files the published scores of its simple detectors come out."""

import json
import os
import tarfile
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from benchmarks.nab_scores import locate_windows, score_by_windowed_gaussian, score_corpus, score_rows
from tasks.kinds.detect.detection_metrics import PROFILES, LabelledScores

ARCHIVE = os.environ.get("RNNFLOW_NAB", "")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not ARCHIVE, reason="RNNFLOW_NAB does not name the archive of the benchmark"),
]

Detector = Callable[[np.ndarray], np.ndarray]


@pytest.fixture(scope="module")
def score_files() -> Callable[[Detector], list[LabelledScores]]:
    """Run a detector over every file: `score_files(detector)`."""
    with tarfile.open(ARCHIVE) as archive:
        limits = json.load(archive.extractfile("NAB/labels/combined_windows.json"))
        tables = {name: pl.read_csv(archive.extractfile(f"NAB/data/{name}").read()) for name in limits}
    windows = {
        name: locate_windows(table["timestamp"].to_list(), [(first[:19], last[:19]) for first, last in limits[name]])
        for name, table in tables.items()
    }

    def run(detector: Detector) -> list[LabelledScores]:
        return [score_rows(name, detector(table["value"].to_numpy()), windows[name]) for name, table in tables.items()]

    return run


def test_the_windowed_gaussian_detector_reproduces_its_published_scores(score_files):
    # The published result files hold 12 digits, so that values far from the mean tie at 1.
    files = score_files(lambda values: np.round(score_by_windowed_gaussian(values), 12))
    found = {name: score_corpus(files, profile) for name, profile in PROFILES.items()}

    assert [round(one.score, 1) for one in found.values()] == [39.6, 20.9, 47.4]
    standard = found["standard"]
    assert (standard.threshold, standard.windows, standard.false_alarms) == (1.0, 116, 409)
    # The benchmark's own table of the raw score by file, and its total.
    assert sum(standard.raw_by_file.values()) == pytest.approx(-24.0131054891, abs=1e-6)
    assert standard.raw_by_file["realTraffic/speed_7578.csv"] == pytest.approx(3.47059145681)
    assert standard.raw_by_file["realAWSCloudwatch/grok_asg_anomaly.csv"] == pytest.approx(2.37942230674)
    assert standard.raw_by_file["realTweets/Twitter_volume_UPS.csv"] == pytest.approx(-2.2051646682)


def test_random_scores_come_out_as_published_on_average(score_files):
    def score(seed: int) -> list[float]:
        draw = np.random.default_rng(seed)
        files = score_files(lambda values: draw.random(len(values)))
        return [score_corpus(files, profile).score for profile in PROFILES.values()]

    # Published means over seeds: 11.0, 1.2 and 19.5; single seeds spread by 3.5, 1.3 and 4.
    assert np.mean([score(seed) for seed in range(20)], axis=0) == pytest.approx([11.0, 1.2, 19.5], abs=4)


def test_the_first_rows_of_all_windows_score_100_and_constant_scores_0(score_files):
    constant = score_files(lambda values: np.full(len(values), 0.5))
    perfect = [
        score_rows(
            file.name, np.isin(np.arange(len(file.scores)), [first for first, _ in file.windows]) * 1.0, file.windows
        )
        for file in constant
    ]

    for profile in PROFILES.values():
        assert score_corpus(perfect, profile).score == pytest.approx(100)
        assert score_corpus(constant, profile).score == 0
