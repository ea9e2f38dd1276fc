"""Tables of which is known how they are to be read."""

import csv
import datetime
import io
import math
import random
from dataclasses import dataclass, field

from hypothesis import strategies as st

WORDS = [
    "the",
    "parcel",
    "never",
    "arrived",
    "and",
    "nobody",
    "answers",
    "my",
    "calls",
    "about",
    "invoice",
    "refund",
    "password",
    "login",
    "screen",
    "delivery",
    "courier",
    "amount",
    "charge",
    "card",
    "broken",
    "late",
    "wrong",
    "thanks",
    "great",
    "service",
    "please",
    "help",
    "account",
    "update",
    "café",
    "straße",
    "jürgen",
]
CLASSES = {
    "queue": ["billing", "delivery", "login"],
    "label": ["pos", "neg"],
    "rating": ["1", "2", "3", "4", "5"],
    "sentiment": ["positive", "negative", "neutral"],
}
TIME_FORMATS = {
    None: "%Y-%m-%d %H:%M:%S",
    "iso-T": "%Y-%m-%dT%H:%M:%S",
    "%d/%m/%Y %H:%M": "%d/%m/%Y %H:%M",
    "%m/%d/%Y %H:%M": "%m/%d/%Y %H:%M",
    "%d.%m.%Y %H:%M:%S": "%d.%m.%Y %H:%M:%S",
    "%Y/%m/%d %H:%M": "%Y/%m/%d %H:%M",
    "%d-%b-%Y %H:%M": "%d-%b-%Y %H:%M",
    "%m/%d/%Y %I:%M %p": "%m/%d/%Y %I:%M %p",
    "%Y%m%d %H:%M": "%Y%m%d %H:%M",
}


@dataclass
class Table:
    """A file, and the settings under which it says what it means; `times` are those of its rows."""

    content: bytes
    kind: str
    truth: dict[str, object]
    times: list[datetime.datetime] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)


@st.composite
def text_tables(draw: st.DrawFn) -> Table:
    rng = random.Random(draw(st.integers(0, 2**32)))
    delimiter = draw(st.sampled_from([",", ";", "\t", "|"]))
    label = draw(st.sampled_from(sorted(CLASSES)))
    texts = draw(st.sampled_from([["body"], ["text"], ["title", "description"], ["review"]]))
    others = draw(st.sampled_from([[], ["id"], ["id", "created_at"], ["created_at"]]))
    has_header = draw(st.booleans())
    encoding = draw(st.sampled_from(["utf-8", "utf-8-sig", "cp1252", "utf-16"]))
    names = [*texts, label, *others]
    rng.shuffle(names)
    texts = [name for name in names if name in texts]
    num_rows = draw(st.integers(40, 120))

    def cell(name: str, row: int) -> str:
        if name == label:
            return rng.choice(CLASSES[label])
        if name == "id":
            return str(1000 + row)
        if name == "created_at":
            return f"2024-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"
        mark = rng.choice([", ", " ", "; ", '. "', " - "]) if rng.random() < 0.3 else " "
        words = rng.choices(WORDS, k=rng.randint(3, 6) if name == "title" else rng.randint(6, 14))
        return mark.join([" ".join(words[:3]), " ".join(words[3:])])

    rows = [[cell(name, row) for name in names] for row in range(num_rows)]
    content = written(names if has_header else None, rows, delimiter)
    truth: dict[str, object] = {"source.text_columns": texts, "source.label_column": label}
    truth |= {"source.delimiter": delimiter, "source.encoding": encoding.removesuffix("-sig")}
    truth |= {} if has_header else {"source.columns": names}
    joined = ["\n".join(row[names.index(text)] for text in texts) for row in rows]
    return Table(content.encode(encoding, "replace"), "classify", truth, texts=joined)


@st.composite
def series_tables(draw: st.DrawFn) -> Table:
    rng = random.Random(draw(st.integers(0, 2**32)))
    decimal = draw(st.sampled_from([".", ","]))
    delimiter = draw(st.sampled_from([";", "\t", "|"] if decimal == "," else [",", ";", "\t"]))
    digits, scale = draw(st.sampled_from([(1, 100), (2, 10), (3, 5), (0, 900), (2, 40_000), (0, 5_000_000)]))
    thousands = draw(st.sampled_from(["", "", "." if decimal == "," else ","])) if scale > 1000 else ""
    ids = draw(st.sampled_from([[], ["station"], ["store", "item"]]))
    values = draw(st.sampled_from([["value"], ["load", "temp"], ["Power"]]))
    shown = draw(st.sampled_from([*TIME_FORMATS]))
    apart = draw(st.booleans()) and shown not in ("iso-T",)
    missing = draw(st.sampled_from(["", "", "?", "NA", "-"]))
    sentinel = draw(st.sampled_from([None, None, -999]))
    step = draw(
        st.sampled_from([datetime.timedelta(hours=1), datetime.timedelta(days=1), datetime.timedelta(minutes=15)])
    )
    start = datetime.datetime(2023, 1, 1) + datetime.timedelta(days=draw(st.integers(0, 300)))
    length = draw(st.integers(60, 200))
    pattern = TIME_FORMATS[shown]
    stamps = ["Date", "Time"] if apart else ["timestamp"]
    names = [*stamps, *ids, *values]
    rows, times = [], []
    places = [(a, b) for a in "AB" for b in "xyz"][: 1 if not ids else 2 if len(ids) == 1 else 6]
    if len(ids) == 1:
        places = [("A", ""), ("B", "")]
    for place in places:
        for row in range(length):
            time = start + row * step
            parts = time.strftime(pattern).split(" ", 1) if apart else [time.strftime(pattern)]
            numbers = []
            for number in range(len(values)):
                value = scale * (1.5 + math.sin(row / 9 + number)) + rng.random() * scale / 50
                text = f"{value:,.{digits}f}" if thousands else f"{value:.{digits}f}"
                if sentinel is not None and row % 17 == 3:
                    text = str(sentinel)
                if missing and row % 23 == 7:
                    text = missing
                elif decimal == ",":
                    text = text.replace(",", "\0").replace(".", ",").replace("\0", ".")
                numbers.append(text)
            rows.append([*parts, *place[: len(ids)], *numbers])
            times.append(time)
    content = written(names, rows, delimiter)
    truth: dict[str, object] = {
        "source.time_columns": stamps,
        "source.value_columns": values,
        "source.delimiter": delimiter,
    }
    truth |= {"source.id_columns": ids} if ids else {}
    has_marks = digits > 0 or bool(thousands)
    truth |= {"source.decimal": decimal, "source.thousands": thousands} if has_marks else {}
    truth |= {"source.missing_values": [missing]} if missing in ("?", "-") else {}
    truth |= {"source.sentinels": [float(sentinel)]} if sentinel is not None else {}
    return Table(content.encode(), "forecast", truth, times=times)


def written(names: list[str] | None, rows: list[list[str]], delimiter: str) -> str:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator="\n")
    writer.writerows([names, *rows] if names else rows)
    return out.getvalue()


@st.composite
def other_tables(draw: st.DrawFn) -> Table:  # noqa: PLR0911 (a return for each shape)
    """Labelled anomalies, labelled sequences, times in parts or since 1970, tables without a header."""
    rng = random.Random(draw(st.integers(0, 2**32)))
    shape = draw(st.sampled_from(["anomalies", "sequences", "parts", "epoch", "order", "no header", "month", "long"]))
    length = draw(st.integers(80, 240))
    start = datetime.datetime(2022, 1, 1) + datetime.timedelta(days=draw(st.integers(0, 300)))
    times = [start + row * datetime.timedelta(hours=1) for row in range(length)]
    curve = [f"{50 + 20 * math.sin(row / 7) + rng.random():.2f}" for row in range(length)]
    odd = set(rng.sample(range(length), 3))
    marks = [str(int(row in odd)) for row in range(length)]
    iso = [f"{time:%Y-%m-%d %H:%M:%S}" for time in times]
    if shape == "anomalies":
        label = draw(st.sampled_from(["label", "is_anomaly", "anomaly", "outlier"]))
        truth: dict[str, object] = {"source.time_columns": ["timestamp"], "source.value_columns": ["value"]}
        truth |= {"source.label_column": label}
        return _table("detect", ["timestamp", "value", label], zip(iso, curve, marks, strict=True), truth, times)
    if shape == "sequences":
        steps, names = draw(st.integers(5, 20)), ["rec", "step", "x", "y", "label"]
        rows = [
            [f"r{number}", str(step), f"{rng.gauss(number % 2, 1):.3f}", f"{rng.random():.3f}", "ab"[number % 2]]
            for number in range(30)
            for step in range(steps)
        ]
        truth = {"source.id_columns": ["rec"], "source.time_columns": ["step"], "source.time_unit": "step"}
        truth |= {"source.label_column": "label", "source.value_columns": ["x", "y"]}
        return _table("classify-series", names, rows, truth)
    if shape == "parts":
        rows = [[t.year, t.month, t.day, t.hour, value] for t, value in zip(times, curve, strict=True)]
        truth = {"source.time_columns": ["year", "month", "day", "hour"], "source.value_columns": ["pm2.5"]}
        return _table("forecast", ["year", "month", "day", "hour", "pm2.5"], rows, truth, times)
    if shape == "epoch":
        unit = draw(st.sampled_from(["s", "ms"]))
        size = {"s": 1, "ms": 1000}[unit]
        since = [int(t.replace(tzinfo=datetime.UTC).timestamp()) * size for t in times]
        truth = {"source.time_columns": ["timestamp"], "source.time_unit": unit, "source.value_columns": ["cpu"]}
        return _table("forecast", ["timestamp", "cpu"], zip(since, curve, strict=True), truth, times)
    if shape == "order":
        truth = {"source.time_unit": "order", "source.value_columns": ["Data"], "source.label_column": "Label"}
        return _table("detect", ["Data", "Label"], zip(curve, marks, strict=True), truth)
    if shape == "no header":
        truth = {"source.columns": ["time", "value"]}
        return _table("forecast", None, zip(iso, curve, strict=True), truth, times)
    if shape == "month":
        months = [datetime.datetime(1990 + row // 12, row % 12 + 1, 1) for row in range(length)]
        truth = {"source.time_columns": ["Month"], "source.value_columns": ["Passengers"], "source.frequency": "1mo"}
        rows = [[f"{month:%Y-%m}", value] for month, value in zip(months, curve, strict=True)]
        return _table("forecast", ["Month", "Passengers"], rows, truth, months)
    rows = [[text, sensor, value] for sensor in ("a", "b", "c") for text, value in zip(iso, curve, strict=True)]
    truth = {"source.time_columns": ["time"], "source.id_columns": ["sensor"], "source.value_columns": ["value"]}
    return _table("forecast", ["time", "sensor", "value"], rows, truth, times * 3)


def _table(kind, names, rows, truth, times=()) -> Table:
    content = written(names, [list(map(str, row)) for row in rows], ",")
    return Table(content.encode(), kind, truth, times=list(times))
