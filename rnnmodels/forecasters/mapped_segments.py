"""An Arrow file of gap-free segments as positions in one memory map: nothing is copied or read before it is used.

Shapes: S segments, N rows of a segment, B runs, T steps, F features (channels or covariates).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import DTypeLike, NDArray

Positions = NDArray[np.int64]


@dataclass(frozen=True)
class Segments:
    """Where the columns of each segment begin in the map, counted in elements of the column's type (S)."""

    buffer: pa.Buffer
    num_channels: int
    num_covariates: int
    num_rows: Positions
    series: Positions
    row: Positions
    time: Positions
    values: Positions
    covariates: Positions

    def mapped(self, dtype: DTypeLike) -> NDArray:
        """The whole file as an array of one type."""
        count = self.buffer.size // np.dtype(dtype).itemsize
        return np.frombuffer(self.buffer, dtype, count=count)

    def values_of(self, segment: int) -> NDArray[np.float32]:
        """A segment's channels (N, F), not copied."""
        return self._view(self.values[segment], segment, self.num_channels)

    def covariates_of(self, segment: int) -> NDArray[np.float32]:
        """A segment's covariates (N, F), not copied."""
        return self._view(self.covariates[segment], segment, self.num_covariates)

    def copy_values(self, segment_B: Positions, offset_B: Positions, num_steps: int) -> NDArray[np.float32]:
        """Copy the channels of `num_steps` rows from each offset on (B, T, F)."""
        return self._copy(self.values[segment_B] + offset_B * self.num_channels, num_steps, self.num_channels)

    def copy_covariates(self, segment_B: Positions, offset_B: Positions, num_steps: int) -> NDArray[np.float32]:
        """Copy the covariates of `num_steps` rows from each offset on (B, T, F)."""
        return self._copy(self.covariates[segment_B] + offset_B * self.num_covariates, num_steps, self.num_covariates)

    def check_finite(self) -> None:
        """Raise ValueError naming the first row with a value or a covariate that is NaN or infinite."""
        for segment in range(len(self.num_rows)):
            for what, values_NF in (("value", self.values_of(segment)), ("covariate", self.covariates_of(segment))):
                # The least and the largest tell without a mask as large as the file.
                if values_NF.size and not (np.isfinite(values_NF.min()) and np.isfinite(values_NF.max())):
                    row, feature = np.argwhere(~np.isfinite(values_NF))[0]
                    source_row = self.mapped(np.uint32)[self.row[segment] + row]
                    raise ValueError(
                        f"row {source_row}: got {what} {feature} = {values_NF[row, feature]}, expected a finite number"
                    )

    def _view(self, start: int, segment: int, num_features: int) -> NDArray[np.float32]:
        stop = start + self.num_rows[segment] * num_features
        return self.mapped(np.float32)[start:stop].reshape(self.num_rows[segment], num_features)

    def _copy(self, start_B: Positions, num_steps: int, num_features: int) -> NDArray[np.float32]:
        """Gather runs from anywhere in the file by one indexing operation, however many segments they lie in."""
        if num_features == 0:
            return np.empty((len(start_B), num_steps, 0), np.float32)
        runs = sliding_window_view(self.mapped(np.float32), num_steps * num_features)
        return runs[start_B].reshape(-1, num_steps, num_features)


def map_segments(path: Path) -> Segments:
    """Memory-map a file of segments; raises ValueError for one whose columns cannot be used in place."""
    buffer = pa.memory_map(str(path)).read_buffer()
    reader = pa.ipc.open_file(buffer)
    positions = np.array(list(_positions(reader, buffer, path)), np.int64).reshape(-1, 6)
    return Segments(buffer, _list_size(reader.schema, "values"), _list_size(reader.schema, "covariates"), *positions.T)


def _positions(reader: pa.RecordBatchFileReader, buffer: pa.Buffer, path: Path) -> Iterator[list[int]]:
    """Number of rows, series and first element of each column, by segment."""
    for index in range(reader.num_record_batches):
        batch = reader.get_batch(index)
        columns = [batch["row"], batch["time"], *(_flat(batch, name) for name in ("values", "covariates"))]
        starts = [0 if column is None else _start(column, buffer, path) for column in columns]
        yield [batch.num_rows, batch["series"][0].as_py(), *starts]


def _start(column: pa.Array, buffer: pa.Buffer, path: Path) -> int:
    values = column.to_numpy(zero_copy_only=True)
    offset = values.ctypes.data - buffer.address
    if not 0 <= offset <= buffer.size - values.nbytes or offset % values.itemsize:
        raise ValueError(f"{path}: a column does not lie in the file as it is used, expected no compression")
    return offset // values.itemsize


def _flat(batch: pa.RecordBatch, name: str) -> pa.Array | None:
    return batch[name].flatten() if name in batch.schema.names else None


def _list_size(schema: pa.Schema, name: str) -> int:
    return schema.field(name).type.list_size if name in schema.names else 0
