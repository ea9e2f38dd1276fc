"""A remedy that names a setting works: followed on the input that provoked the error, it leads further.

Further is another error or none. What the remedy states is taken from its own words, `name = value`; where it leaves
the value open ("raise max_rows"), the case states it, and the remedy must name the setting.
"""

import ast
import datetime
import functools
import gzip
import io
import re
import typing
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pytest
from pydantic import BaseModel

from flows.recipes.recipe import build_recipe
from tasks.encode import encode
from tasks.errors import RnnflowError
from tasks.ingest import ingest
from tasks.kinds import all_kinds, find_kind
from tasks.shard import shard
from tasks.split import split

pytestmark = pytest.mark.costly

ROOT = Path(__file__).parents[1]
STATED = re.compile(r'\b((?:\w+\.)*[a-z_]+) = ("[^"]*"|\[[^\]]*\]|true|false|\d+)')
HOURS = [datetime.datetime(2026, 3, 1) + datetime.timedelta(hours=hour) for hour in range(400)]


@dataclass(frozen=True, kw_only=True)
class Case:
    """An input and a recipe that provoke an error; `follow` holds the assignments that its remedy leaves open."""

    code: str
    file: str = "rows.csv"
    content: str | bytes = ""
    kind: str = "classify"
    source: dict = field(default_factory=dict)
    others: dict = field(default_factory=dict)
    follow: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return f"{self.code} {self.kind} {' '.join([*self.source, *self.others])}".strip()


def texts(*, rows: int = 60, delimiter: str = ",", first: str = "", label: str = "{}") -> str:
    lines = [f"word{n} same{n % 2} more u{n}{delimiter}{label.format('pos' if n % 2 else 'neg')}" for n in range(rows)]
    return "\n".join([f"text{delimiter}label", *([first] if first else []), *lines, ""])


def series(*, rows: int = 300, changed: dict[int, str] = {}, times: list | None = None, delimiter: str = ",") -> str:
    stamps = times or [moment.isoformat() for moment in HOURS]
    lines = [changed.get(n, f"{stamps[n]}{delimiter}{50 + n % 24}") for n in range(rows)]
    return "\n".join([f"time{delimiter}value", *lines, ""])


def zipped(members: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()


def parquet() -> bytes:
    table = io.BytesIO()
    pl.DataFrame({"text": [f"word{n}" for n in range(60)], "label": ["pos", "neg"] * 30}).write_parquet(table)
    return table.getvalue()


DOCUMENTS = {f"{label}/{n}.txt": f"word{n} {label}".encode() for label in ("pos", "neg") for n in range(20)}
STEPS = [str(n) for n in range(400)]
TINY = {n: f"{n},{n % 24}e-15" for n in range(299)} | {299: "299,1e30"}
DAYS_FIRST = [moment.strftime("%d/%m/%Y %H:%M") for moment in HOURS]
IN_AUTUMN = [  # hourly readings of a wall clock that goes back at three
    (datetime.datetime(2026, 10, 20) + datetime.timedelta(hours=hour)).isoformat() for hour in range(400)
]
IN_AUTUMN.insert(IN_AUTUMN.index("2026-10-25T02:00:00"), "2026-10-25T02:00:00")
IN_SPRING = [(datetime.datetime(2026, 3, 20) + datetime.timedelta(hours=hour)).isoformat() for hour in range(400)]

CASES = [
    Case(code="E-SRC-003", file="rows.dat", content=texts(), follow=('source.format="csv"',)),
    Case(code="E-SRC-005", content=texts(), source={"text_column": "txt"}, follow=('source.text_column="text"',)),
    Case(code="E-SRC-006", file="folder/pos/a.md", content="word", follow=('source.include="*.md"',)),
    Case(code="E-SRC-008", file="folder/a.csv", content=texts(), source={"path": "folder/*", "max_members": 1},
         follow=("source.max_members=10",)),
    Case(code="E-SRC-009", content=texts(), source={"max_bytes": 100}, follow=("source.max_bytes=100_000",)),
    Case(code="E-ARC-004", file="rows.csv.gz", content=gzip.compress(texts().encode() + b"again same,pos\n" * 200_000),
         follow=("source.max_ratio=1_000_000",)),
    Case(code="E-ARC-007", file="rows.zip", content=zipped(DOCUMENTS), source={"max_members": 5},
         follow=("source.max_members=1000",)),
    Case(code="E-ARC-008", file="rows.zip", content=zipped(DOCUMENTS | {"pos/inner.zip": zipped(DOCUMENTS)})),
    Case(code="E-CSV-003", content=texts(first='"never closed,pos')),
    Case(code="E-CSV-004", content=texts(first='"closed" early,pos')),
    Case(code="E-CSV-010", content=texts(delimiter=";"), source={"delimiter": ","}),
    Case(code="E-DATA-001", content=texts(), source={"where": {"label": "absent"}}, follow=("source.where={}",)),
    Case(code="E-DATA-002", content="text,label,queue\n" + "".join(f"word{n},one,{n % 2}\n" for n in range(60)),
         follow=('source.label_column="queue"',)),
    Case(code="E-DATA-008", content=texts(first=f"{'long ' * 50},pos"), source={"max_document_bytes": 100},
         follow=("source.max_document_bytes=1000",)),
    Case(code="E-DATA-008", content=texts(first=f'"{"long " * 50},pos'), source={"max_document_bytes": 100},
         follow=("source.max_document_bytes=100_000",)),
    Case(code="E-DATA-010", content=texts(), others={"encode": {"min_count": 90}}, follow=("encode.min_count=1",)),
    Case(code="E-DATA-012", content=texts(), source={"labels": {"pos": "pos"}},
         follow=('source.labels={pos = "pos", neg = "neg"}',)),
    Case(code="E-DATA-014", content="text,label,queue\n" + "".join(f"word{n},id{n},{n % 2}\n" for n in range(1_100)),
         follow=('source.label_column="queue"',)),
    Case(code="E-DATA-023", content=texts(), source={"max_rows": 10}, follow=("source.max_rows=1000",)),
    Case(code="E-DATA-023", kind="forecast", content=series(), source={"max_rows": 10},
         follow=("source.max_rows=1000",)),
    Case(code="E-DATA-030", content=texts(first="word,POS")),
    Case(code="E-DATA-050", content=texts() + "text,label\n"),
    Case(code="E-ARC-010", file="rows.zip", content=zipped({"a.txt": b"a text", "b.csv": texts().encode()}),
         follow=('source.include="*.csv"',)),
    Case(code="E-ENC-001", content=texts(first="café,pos").encode("cp1252"), follow=('source.encoding="cp1252"',)),
    Case(code="E-ENC-001", content=texts(first="первое слово,pos"), source={"encoding": "latin-1"}),
    Case(code="E-PQ-002", file="rows.parquet", content=parquet(), source={"max_bytes": 100},
         follow=("source.max_bytes=100_000",)),
    Case(code="E-TS-001", kind="classify-series", file="rows.ts", content="id,time,value,label\n1,0,2,a\n",
         source={"id_columns": "id"}, follow=('source.format="csv"',)),
    Case(code="E-CFG-005", content=texts(), others={"encode": {"tokenizer": "subword", "max_size": 10}},
         follow=("encode.max_size=256",)),
    Case(code="E-SER-001", kind="forecast", content=series(delimiter=";", changed={5: f"{HOURS[5].isoformat()};1,5"}),
         source={"delimiter": ";"}),
    Case(code="E-SER-001", kind="forecast", content=series(changed={5: f"{HOURS[5].isoformat()},broken"})),
    Case(code="E-SER-003", kind="forecast", content=series(changed={5: f"{HOURS[5].isoformat()},-999"}),
         follow=("source.sentinels=[-999]", "source.sentinels=[]")),
    Case(code="E-SER-006", kind="forecast", content=series(),
         others={"split": {"train_until": "2027-01-01", "valid_until": "2027-02-01", "test_until": "2027-03-01"}},
         follow=('split={train_until="2026-03-08", valid_until="2026-03-10", test_until="2026-03-12"}',)),
    Case(code="E-SER-009", kind="forecast", content=series(changed={5: f"{HOURS[5].isoformat()},"}),
         others={"encode": {"missing": "error"}},
         follow=('encode.missing="cut"', 'encode.missing="forward"', 'encode.missing="mean"')),
    Case(code="E-SER-009", kind="detect", content=series(changed={5: f"{HOURS[5].isoformat()},"}),
         others={"encode": {"missing": "error"}}, follow=('encode.missing="forward"',)),
    Case(code="E-SER-010", kind="forecast", content=series(times=STEPS, changed=TINY), source={"time_unit": "step"},
         follow=('encode.method="none"',)),
    Case(code="E-SER-011", kind="forecast", content=series(times=STEPS), source={"time_unit": "step"},
         others={"encode": {"calendar": ["hour"]}}, follow=("encode.calendar=[]", 'source.time_unit="s"')),
    Case(code="E-SER-011", kind="detect", content=series(times=STEPS), source={"time_unit": "step"},
         others={"encode": {"calendar": ["hour"]}}, follow=('source.time_unit="s"',)),
    Case(code="E-SER-012", kind="detect", content=series(rows=60)),
    Case(code="E-TIME-002", kind="forecast", content=series(times=[m.strftime("%Y/%m/%d %H:%M") for m in HOURS]),
         follow=('source.time_format="%Y/%m/%d %H:%M"',)),
    Case(code="E-TIME-003", kind="forecast", content=series(times=DAYS_FIRST),
         follow=('source.time_format="%d/%m/%Y %H:%M"',)),
    Case(code="E-TIME-006", kind="forecast", content=series(times=[m.strftime("%G-W%V-%u") for m in HOURS])),
    Case(code="E-TIME-007", kind="forecast", content=series(times=[str(1_700_000_000 + 3600 * n) for n in range(400)])),
    Case(code="E-TIME-008", kind="forecast", source={"time_unit": "s"},
         content=series(times=[str(1_700_000_000_000 + 3_600_000 * n) for n in range(400)])),
    Case(code="E-TIME-009", kind="forecast", content=series(times=IN_SPRING), source={"time_zone": "Europe/Berlin"},
         follow=('source.time_zone="Etc/GMT-1"',)),
    Case(code="E-TIME-010", kind="forecast", content=series(times=IN_AUTUMN), source={"time_zone": "Europe/Berlin"},
         follow=('source.ambiguous_times="earliest"', 'source.ambiguous_times="latest"')),
    Case(code="E-TIME-012", kind="forecast",
         content=series(times=[f"{m.isoformat()}{'+01:00' if n < 200 else '+02:00'}" for n, m in enumerate(HOURS)]),
         follow=('source.time_zone="Europe/Berlin"',)),
    Case(code="E-TIME-013", kind="forecast", content=series(times=[m.isoformat() for m in reversed(HOURS)])),
    Case(code="E-TIME-015", kind="forecast",
         content=series(times=[m.isoformat() for m in HOURS], changed={7: "2026-03-01T07:10:00,9"}),
         follow=('source.frequency="10m"',)),
    Case(code="E-TIME-016", kind="forecast", content=series(changed={7: ""}), source={"gaps": "error"}),
    Case(code="E-SER-014", kind="forecast", source={"layout": "series_per_column"},
         content=series().replace("time,value", ",time,north").replace("\n2", "\n,2"),
         follow=('source.value_columns=["north"]', 'source.layout="table"')),
    Case(code="E-TIME-018", kind="forecast", content=series(), source={"time_format": "%Y-%m-%dT%M"},
         follow=('source.time_format="%Y-%m-%dT%H:%M:%S"',)),
]  # fmt: skip

IDS = "".join(f"{n // 30},{n},{n % 97},{'ab'[n // 15 % 2]},{n // 15}\n" for n in range(600))
LONG = "".join(f"{HOURS[n % 3].isoformat()},k{n % 2},c{n},{n % 9}\n" for n in range(1_200))
CASES += [
    Case(code="E-DET-002", kind="detect", content=series(rows=40), others={"split": {"warm_up": 0.01, "valid": 0.01}},
         follow=("split={warm_up=0.5, valid=0.4}",)),
    Case(code="E-DET-003", kind="detect", content=series(changed={n: f"{HOURS[n].isoformat()}," for n in range(100)}),
         follow=("split.warm_up=0.9",)),
    Case(code="E-SEQ-002", kind="classify-series", content="id,time,value,label,part\n" + IDS,
         source={"id_columns": "id", "time_unit": "step"}, follow=('source.id_columns=["id", "part"]',)),
    Case(code="E-SER-005", kind="forecast", content="time,channel,code,value\n" + LONG,
         source={"channel_column": "code"}, follow=('source.channel_column="channel"',)),
    Case(code="E-TIME-014", kind="forecast", content=series(changed={7: f"{HOURS[6].isoformat()},56"})),
    Case(code="E-TIME-017", kind="forecast", content=series(), source={"time_unit": "step"},
         follow=('source.time_unit="text"',)),
    Case(code="E-TIME-019", kind="forecast",
         content="time,value,id\n" + "".join(f"{m.isoformat()},{n % 9},{n}\n" for n, m in enumerate(HOURS)),
         source={"id_columns": "id"}, follow=("source.id_columns=[]",)),
    Case(code="E-TIME-020", kind="forecast", source={"duplicates": "first"},
         content=series(times=[HOURS[n // 2].isoformat() for n in range(400)])),
    Case(code="E-TIME-022", kind="forecast",
         source={"time_zone": "Europe/Berlin", "ambiguous_times": "order", "frequency": "1h"},
         content=series(times=["2026-10-25T02:00:00"], rows=1),
         follow=('source.ambiguous_times="earliest"', 'source.ambiguous_times="latest"')),
    Case(code="E-DATA-003", kind="language", content=texts(rows=2), others={"split": {"by": "document"}}),
    Case(code="E-DATA-060", kind="language", file="book.txt", content="word " * 80 + " " * 200,
         others={"encode": {"tokenizer": "word"}}),
    Case(code="E-SRC-013", kind="language", file="book.txt", content=texts(),
         source={"split_files": {"train": "*.train.txt"}}, follow=("source.split_files={}",)),
]  # fmt: skip

# Codes whose remedy names a setting, and why it is followed elsewhere or nowhere.
ELSEWHERE = {
    **dict.fromkeys(("E-CFG-002", "E-CFG-006"), "an example of how anything is written: tests/flows/recipes"),
    "E-DATA-031": "needs a champion of another kind: tests/flows/recipes/test_own_name.py",
    "E-DATA-061": "needs the stage corpus: tests/tasks/kinds/classify/test_pretrain.py",
    "E-DET-010": "needs a fitted detector: tests/tasks/kinds/detect/test_evaluate.py",
    "E-GEN-003": "needs a registered model: tests/tasks/kinds/language/test_served_language_model.py",
    "E-LED-004": "needs a ledger of others: tests/tasks/promotion/test_aliases.py",
    "E-NET-006": "needs a download: tests/tasks/sources/test_downloads.py",
    "E-OUT-006": "needs a registered model: tests/tasks/kinds/classify/test_reading_texts.py",
    "E-RES-002": "memory that has run out cannot be provoked; the settings bound what a batch takes",
    "E-SEQ-010": "needs a champion: tests/tasks/kinds/classify_series/test_stages.py",
    "E-SER-013": "belongs to a backtest: tests/tasks/kinds/forecast/test_backtesting.py",
    "E-SER-030": "needs a fit: tests/tasks/kinds/forecast/test_scales.py",
    "E-TRN-001": "needs a fit that diverges: tests/tasks/test_fit.py",
    "E-TRN-005": "needs a language model: tests/tasks/kinds/classify/test_registered_start.py",
    "E-TRN-007": "needs a fit: tests/tasks/kinds/classify/test_unlabelled.py",
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_remedy_leads_further(case: Case, project: Path):
    error = failure_of(case, project)
    assert error is not None, "the input provokes no error"
    assert error.code == case.code, error
    steps = [*stated_in(error.fix, case), *case.follow]
    assert steps, f"the remedy states nothing, and the case does not say how to follow it: {error.fix}"
    for step in steps:
        setting = re.split(r"[=.]", step.removeprefix("split={"))[1 if "." in step.partition("=")[0] else 0]
        value = step.partition("=")[2].strip('"')
        assert setting in error.fix or value in error.fix, f"names neither {setting} nor {value}: {error.fix}"
        after = failure_of(case, project, step)
        same = after is not None and (after.code, after.row, after.column) == (error.code, error.row, error.column)
        assert not same, f"{step} leads nowhere: {after}"


def failure_of(case: Case, project: Path, *assignments: str) -> RnnflowError | None:
    """What the stages up to `shard` say of an input, with the fields of a recipe that a remedy changes."""
    path = project / case.file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(case.content.encode() if isinstance(case.content, str) else case.content)
    if case.code == "E-SRC-008":
        (path.parent / "b.csv").write_bytes(path.read_bytes())
    read = case.source.get("path") or case.file.partition("/pos/")[0]
    kind = {} if case.kind == "classify" else {"kind": case.kind}
    table = {"name": "t", **kind, "source": {**case.source, "path": str(project / read)}, **case.others}
    try:
        recipe = build_recipe(project / "t.toml", table, settings=assignments)
        rows = ingest.fn(find_kind(recipe.kind), recipe.source)
        splits = split.fn(find_kind(recipe.kind), rows, recipe.split)
        encoded = encode.fn(find_kind(recipe.kind), splits, recipe.encode)
        shard.fn(find_kind(recipe.kind), encoded, recipe.shard)
    except RnnflowError as error:
        return error
    return None


def stated_in(fix: str, case: Case) -> list[str]:
    """The assignments that a remedy spells out."""
    recipe = find_kind(case.kind).recipe
    source = recipe.model_fields["source"].annotation.model_fields
    found = [(name if "." in name else f"source.{name}", value) for name, value in STATED.findall(fix)]
    return [f"{name}={value}" for name, value in found if name.partition(".")[2] in source or name.count(".") > 0]


def test_every_remedy_that_names_a_setting_is_followed():
    naming = {code for code, fix in remedies() if names_a_setting(fix)}
    missing = naming - {case.code for case in CASES} - ELSEWHERE.keys()
    assert not missing, f"no case follows the remedies of {sorted(missing)}"
    stale = ELSEWHERE.keys() - naming
    assert not stale, f"{sorted(stale)} name no setting any more"


def remedies() -> Iterator[tuple[str, str]]:
    """Each error code in the product with the words of a remedy, values left out."""
    for path in sorted([*ROOT.glob("flows/**/*.py"), *ROOT.glob("tasks/**/*.py")]):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                codes = [word for word in constants(node.args[:1]) if re.fullmatch(r"E-[A-Z]+-\d+", word)]
                fixes = [key.value for key in node.keywords if key.arg == "fix"] or node.args[2:]
                if codes:
                    yield codes[0], " ".join(constants(fixes))


def constants(nodes: list[ast.expr]) -> list[str]:
    found = [part for node in nodes for part in ast.walk(node) if isinstance(part, ast.Constant)]
    return [part.value for part in found if isinstance(part.value, str)]


def names_a_setting(fix: str) -> bool:
    words = {word for word in re.findall(r"[a-z_]+", fix) if "_" in word and word in settings()}
    return bool(
        words or STATED.search(fix) or re.search(r"(source|split|encode|shard|evaluate|training)\.[a-z_]+", fix)
    )


@functools.cache
def settings() -> frozenset[str]:
    """The names of all fields of all recipes."""
    found: set[str] = set()

    def add(model: type[BaseModel]) -> None:
        for name, info in model.model_fields.items():
            found.add(name)
            for part in (info.annotation, *typing.get_args(info.annotation)):
                if isinstance(part, type) and issubclass(part, BaseModel):
                    add(part)

    for kind in all_kinds().values():
        add(kind.recipe)
    return frozenset(found)
