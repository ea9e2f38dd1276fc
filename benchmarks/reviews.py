"""The data of the benchmarks, made by the product's own stages in a process that ends before the clock starts.

A driver asks for it with `rows ARCHIVE HOME PATH`, `repeat ROWS PATH COPIES` or `shards HOME`.
"""

import os
import sys
from pathlib import Path

from benchmarks import measure

ROW_GROUP_ROWS = 10_000  # as ingest writes them


def write_rows(archive: Path, home: Path, path: Path) -> int:
    """Read an aclImdb archive and write the 50,000 labelled reviews; returns their number."""
    import polars as pl

    from tasks.ingest import ingest
    from tasks.kinds.classify.ingest import ROWS_FILE
    from tasks.kinds.classify.recipe import CLASSIFY
    from tasks.kinds.classify.source import SourceSettings

    os.environ["RNNFLOW_HOME"] = str(home)
    reviews = ingest.fn(CLASSIFY, SourceSettings(dataset="imdb", path=str(archive)))
    labelled = pl.scan_parquet(reviews.file(ROWS_FILE)).filter(pl.col("label").is_not_null())
    labelled.sink_parquet(path, row_group_size=ROW_GROUP_ROWS)
    return pl.scan_parquet(path).select(pl.len()).collect().item()


def repeat_rows(rows: Path, path: Path, copies: int) -> int:
    """Write the rows `copies` times; each repeated text ends in a word of its own, so that the vocabulary grows."""
    import polars as pl

    frame = pl.scan_parquet(rows)
    num_rows = frame.select(pl.len()).collect().item()
    repeated = [
        frame.with_columns(
            row=pl.col("row") + copy * num_rows,
            text=pl.col("text") + pl.lit(f" novel{copy}x") + pl.col("row").cast(pl.String),
        )
        for copy in range(1, copies)
    ]
    pl.concat([frame, *repeated]).sink_parquet(path, row_group_size=ROW_GROUP_ROWS)
    return num_rows * copies


def build_shards(home: Path) -> Path:
    """Run the product's data stages over the 25,000 reviews of an installed package; returns the folder of shards."""
    from tasks.encode import encode
    from tasks.ingest import ingest
    from tasks.kinds.classify.encode import EncodeSettings
    from tasks.kinds.classify.recipe import CLASSIFY, ShardSettings
    from tasks.kinds.classify.source import SourceSettings
    from tasks.kinds.classify.split import SplitSettings
    from tasks.shard import shard
    from tasks.split import split

    os.environ["RNNFLOW_HOME"] = str(home)
    rows = ingest.fn(CLASSIFY, SourceSettings(dataset="reviews"))
    encoded = encode.fn(CLASSIFY, split.fn(CLASSIFY, rows, SplitSettings()), EncodeSettings())
    return shard.fn(CLASSIFY, encoded, ShardSettings()).path


def main() -> None:
    """Do one command, named with its arguments by a driver."""
    command, *arguments = sys.argv[1:]
    with measure.answering() as out:
        if command == "shards":
            figures = {"folder": str(build_shards(*map(Path, arguments)))}
        elif command == "rows":
            figures = {"rows": write_rows(*map(Path, arguments))}
        else:
            rows, path, copies = arguments
            figures = {"rows": repeat_rows(Path(rows), Path(path), int(copies))}
        measure.answer(figures, out)


if __name__ == "__main__":
    main()
