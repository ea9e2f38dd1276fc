"""Windows: strided views of the mapped file, each once, copied only into the batch that asked."""

import re
import tracemalloc

import numpy as np
import pytest

from rnnmodels.forecasters.windows import WindowShape

GENERATOR = np.random.default_rng(0)
SEGMENTS = [GENERATOR.normal(size=(length, 3)).astype(np.float32) for length in (30, 12, 25)]
LOOK_BACK, HORIZON = 8, 4


def windows_of(segments, *, stride=1):
    """The windows of all segments, cut by plain slicing, with their segment and first row."""
    steps = LOOK_BACK + HORIZON
    return [
        (index, start, segment[start : start + steps])
        for index, segment in enumerate(segments)
        for start in range(0, len(segment) - steps + 1, stride)
    ]


def ids_of(windows, batch_size=5, **options):
    return [batch.row.tolist() for batch in windows.batches(batch_size, **options)]


@pytest.mark.parametrize("stride", [1, 3])
@pytest.mark.parametrize("seed", [None, 4])
def test_batches_hold_what_plain_slicing_gives(make_windows, stride, seed):
    windows, expected = make_windows(SEGMENTS, stride=stride), windows_of(SEGMENTS, stride=stride)
    assert windows.num_rows == len(expected)
    for batch in windows.batches(5, seed=seed):
        for position, window in enumerate(batch.row):
            assert np.array_equal(batch.history[position], expected[window][2][:LOOK_BACK])
            assert np.array_equal(batch.future[position], expected[window][2][LOOK_BACK:])
        assert batch.covariates.shape == (len(batch.row), LOOK_BACK + HORIZON, 0)


def test_a_shorter_look_back_sees_the_last_steps_of_the_same_windows_and_of_earlier_ones(make_windows):
    windows = make_windows(SEGMENTS)
    shorter = windows.looking_back(5)
    assert shorter.num_rows == windows.num_rows + 3 * len(SEGMENTS)
    long, short = windows.take(np.array([0])), shorter.take(np.array([3]))
    assert np.array_equal(short.history, long.history[:, -5:])
    assert np.array_equal(short.future, long.future)
    assert shorter.digest != windows.digest


def test_covariates_come_with_their_windows(make_windows):
    windows = make_windows(SEGMENTS, num_covariates=2)
    assert windows.shape == WindowShape(LOOK_BACK, HORIZON, num_channels=1, num_covariates=2)
    batch = windows.take(np.array([20, 3]))
    for position, window in enumerate((20, 3)):
        values = windows_of(SEGMENTS)[window][2]
        assert np.array_equal(batch.history[position], values[:LOOK_BACK, :1])
        assert np.array_equal(batch.covariates[position], values[:, 1:])


@pytest.mark.parametrize("stride", [1, 3])
def test_views_lie_in_the_mapped_file_by_address(make_windows, stride):
    windows = make_windows(SEGMENTS, stride=stride)
    segments = windows.segments
    for index, segment in enumerate(SEGMENTS):
        view = windows.view(index)
        assert np.array_equal(view[-1], segment[len(view) * stride - stride :][: LOOK_BACK + HORIZON])
        assert view.strides == (4 * 3 * stride, 4 * 3, 4)
        assert not view.flags.owndata
        last_byte = view[-1, -1, -1:].ctypes.data + 4
        assert segments.buffer.address <= view.ctypes.data < last_byte <= segments.buffer.address + segments.buffer.size
        assert np.shares_memory(view, segments.mapped(np.float32))
    assert not np.shares_memory(windows.take(np.arange(3)).history, segments.mapped(np.float32))


def test_history_and_future_of_a_batch_are_parts_of_one_copy(make_windows):
    batch = make_windows(SEGMENTS).take(np.array([3, 1]))
    assert batch.future.ctypes.data == batch.history.ctypes.data + 4 * 3 * LOOK_BACK
    assert batch.history.strides == batch.future.strides


@pytest.mark.parametrize("options", [{}, {"seed": 1}, {"seed": 1, "epoch": 2}])
def test_every_window_comes_exactly_once_in_batches_of_nearly_equal_size(make_windows, options):
    windows = make_windows(SEGMENTS)
    batches = ids_of(windows, **options)
    assert sorted(row for batch in batches for row in batch) == list(range(windows.num_rows))
    assert {len(batch) for batch in batches} <= {4, 5}
    assert windows.num_batches(5) == len(batches)


def test_orders_repeat_by_seed_and_differ_by_epoch(make_windows):
    windows = make_windows(SEGMENTS)
    assert ids_of(windows, seed=1, epoch=3) == ids_of(windows, seed=1, epoch=3)
    assert ids_of(windows, seed=1, epoch=3) != ids_of(windows, seed=1, epoch=4)
    assert ids_of(windows, seed=1, epoch=3) != ids_of(windows, seed=2, epoch=3)


def test_a_sample_holds_other_windows_in_each_epoch_and_leaves_the_stored_order_whole(make_windows):
    windows = make_windows(SEGMENTS).sampled(11)
    epochs = [{row for batch in ids_of(windows, seed=1, epoch=epoch) for row in batch} for epoch in range(8)]
    assert {len(rows) for rows in epochs} == {11}
    assert set.union(*epochs) == set(range(windows.num_rows))
    assert windows.num_batches(5) == 3
    assert sum(map(len, ids_of(windows))) == windows.num_rows
    assert windows.sampled(0).num_batches(5) == make_windows(SEGMENTS).num_batches(5)
    assert windows.sampled(10**9).num_batches(5) == make_windows(SEGMENTS).num_batches(5)


@pytest.mark.parametrize("stride", [1, 3])
def test_a_window_knows_its_origin_in_the_source_and_in_time(make_windows, stride):
    windows, lengths = make_windows(SEGMENTS, stride=stride), [len(segment) for segment in SEGMENTS]
    ids = np.arange(windows.num_rows)[::-1].copy()
    origins = windows.origins(ids)
    for position, window in enumerate(ids):
        series, start, _ = windows_of(SEGMENTS, stride=stride)[window]
        last_row = sum(lengths[:series]) + start + LOOK_BACK - 1
        assert (origins.row[position], origins.series[position]) == (last_row, series)
        assert origins.time[position] == 60_000_000 * last_row


def test_segments_too_short_for_a_window_have_none(make_windows):
    windows = make_windows([SEGMENTS[0][:11], SEGMENTS[0][:12], SEGMENTS[0][:3]])
    assert windows.num_rows == 1
    assert [part.tolist() for part in windows.locate(np.array([0]))] == [[1], [0]]
    assert ids_of(make_windows([SEGMENTS[0][:11]]), seed=1) == []


@pytest.mark.parametrize("window", [-1, 43])
def test_a_window_that_does_not_exist_is_refused(make_windows, window):
    windows = make_windows(SEGMENTS)
    assert windows.num_rows == 34
    with pytest.raises(IndexError, match=rf"^window ids from {min(window, 2)} to {max(window, 2)}, expected 0 to 33$"):
        windows.take(np.array([2, window]))


def test_the_digest_follows_content_and_cut(make_windows):
    first = make_windows(SEGMENTS).digest
    assert make_windows(SEGMENTS, name="copy").digest == first
    assert make_windows(SEGMENTS, stride=2).digest != first
    assert make_windows(SEGMENTS, look_back=9).digest != first
    assert make_windows(SEGMENTS[:2]).digest != first


def test_a_compressed_file_is_refused(make_windows, tmp_path):
    message = f"{tmp_path / 'train.arrow'}: a column does not lie in the file as it is used, expected no compression"
    with pytest.raises(ValueError, match=re.escape(message)):
        make_windows([np.zeros((500, 3))], compression="lz4")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_named_by_its_row(make_windows, value):
    damaged = [segment.copy() for segment in SEGMENTS]
    make_windows(damaged).segments.check_finite()
    damaged[1][4, 2] = value
    with pytest.raises(ValueError, match=rf"^row 34: got value 2 = {value}, expected a finite number$"):
        make_windows(damaged).segments.check_finite()
    with pytest.raises(ValueError, match=rf"^row 34: got covariate 1 = {value}, expected a finite number$"):
        make_windows(damaged, num_covariates=2).segments.check_finite()


def test_ten_million_windows_are_sampled_at_random_without_being_materialised(make_windows):
    num_windows, look_back, horizon = 10_000_000, 96, 24
    rows = np.arange(num_windows + look_back + horizon - 1, dtype=np.float32)[:, None]
    windows = make_windows([rows], look_back=look_back, horizon=horizon)
    tracemalloc.start()
    seen = [batch.history[:, 0, 0].copy() for batch in windows.sampled(50_000).batches(100, seed=1)]
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert windows.num_rows == num_windows
    assert len(np.unique(np.concatenate(seen))) == 50_000
    assert np.histogram(np.concatenate(seen), bins=10, range=(0, num_windows))[0].min() > 4_600
    # A mask or an order of all windows would take 10 to 80 MB, the windows themselves 4.8 GB.
    assert peak_bytes < 2_000_000
