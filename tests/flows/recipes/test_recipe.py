"""Recipes: what a few lines of TOML become, and what is said about those that do not fit."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.recipes.recipe import build_recipe, load_recipe
from flows.recipes.recipe_file import read_table, shipped_recipes
from tasks.errors import InputError
from tasks.kinds.classify.recipe import ClassifyRecipe

OWN = """
[source]
path = "tickets.csv"
text_column = "body"
label_column = "queue"

[training]
epochs = 2
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return write(tmp_path, OWN)


def write(folder: Path, text: str) -> Path:
    path = folder / "tickets.toml"
    path.write_text(text, encoding="utf-8")
    return path


def failure(recipe: Path | str, *settings: str) -> str:
    with pytest.raises(InputError) as caught:
        load_recipe(str(recipe), settings=settings)
    return str(caught.value).replace(str(recipe), "RECIPE") if isinstance(recipe, Path) else str(caught.value)


def test_own_data_needs_a_few_lines_only(own: Path):
    recipe = load_recipe(str(own))

    assert recipe.name == "tickets"
    assert recipe.source.path == "tickets.csv"
    assert [(one.name, one.model.cell, one.training.epochs) for one in recipe.candidates] == [
        ("gru", "gru", 2),
        ("lstm", "lstm", 2),
    ]


def test_a_candidates_own_training_wins_over_the_shared_one(tmp_path: Path):
    text = OWN + 'seed = 5\n[[candidates]]\nname = "a"\ntraining = { epochs = 9 }\n[[candidates]]\nname = "b"\n'

    recipe = load_recipe(str(write(tmp_path, text)))

    assert [(one.training.epochs, one.training.seed) for one in recipe.candidates] == [(9, 5), (2, 5)]


TWO = (
    OWN
    + """
[[candidates]]
name = "a"
training = { epochs = 9, seed = 3 }
[[candidates]]
name = "b"
training = { epochs = 8 }
"""
)


@pytest.mark.parametrize(
    ("settings", "epochs"),
    [
        (["training.epochs=3"], [3, 3]),
        (["training={epochs = 3}"], [3, 3]),
        (["training.epochs=3", "candidates.b.training.epochs=4"], [3, 4]),
        (["candidates.b.training.epochs=4", "training.epochs=3"], [3, 4]),
        (["candidates=b", "training.epochs=3"], [3]),
        (["training.batch_tokens=99"], [9, 8]),
    ],
)
def test_shared_training_given_for_a_run_wins_over_what_candidates_state(
    tmp_path: Path, settings: list[str], epochs: list[int]
):
    recipe = load_recipe(str(write(tmp_path, TWO)), settings=settings)

    assert [one.training.epochs for one in recipe.candidates] == epochs
    assert recipe.candidates[0].training.seed == (1 if settings == ["candidates=b", "training.epochs=3"] else 3)


def test_shared_training_that_every_candidate_overrules_is_noted(tmp_path: Path):
    path, notes = write(tmp_path, TWO.replace("epochs = 2", "epochs = 2\nseed = 5")), []
    build_recipe(path, read_table(path), notes=notes)

    assert notes == [
        "training.epochs = 2 has no effect, because every candidate sets its own value; "
        "--set training.epochs=2 would override these."
    ]
    build_recipe(path, read_table(path), settings=["training.epochs=3"], notes=(given := []))
    build_recipe(path, read_table(path), settings=["candidates.b.training.epochs=2"], notes=given)
    assert given == []


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ([], []),
        (
            ["pretrain.held_share=0.1"],
            ["the section pretrain has no effect, because no candidate has pretrained = true."],
        ),
        (["pretrain.held_share=0.1", "candidates.a.pretrained=true"], []),
        (
            ["pretrain.held_share=0.1", "candidates.a.pretrained=true", 'pretrain.models=["lm"]'],
            ["of the section pretrain, only models has an effect: registered language models are not fitted."],
        ),
    ],
)
def test_settings_that_no_candidate_reads_are_noted(tmp_path: Path, settings: list[str], expected: list[str]):
    path, notes = write(tmp_path, f'{OWN}[[candidates]]\nname = "a"\n'), []
    build_recipe(path, read_table(path), settings=settings, notes=notes)

    assert notes == expected


def test_rows_are_named_once(own: Path):
    with pytest.raises(InputError) as caught:
        load_recipe(str(own), settings=["source.path=a.csv"], from_file="b.csv")

    assert str(caught.value) == (
        'E-CFG-015 --set source.path="a.csv" and --from-file "b.csv" both name the rows to read.\n'
        "Fix: give one of the two."
    )


@pytest.mark.parametrize("name", sorted(shipped_recipes()))
def test_every_shipped_recipe_is_valid(name: str):
    assert load_recipe(name).name == name


def test_a_field_is_set_by_its_path(own: Path):
    settings = ["encode.max_size=5000", "encode.lowercase=false", "candidates.gru.model.hidden_size=32", "name=other"]

    recipe = load_recipe(str(own), settings=settings)

    assert (recipe.encode.max_size, recipe.encode.lowercase, recipe.name) == (5000, False, "other")
    assert [one.model.hidden_size for one in recipe.candidates] == [32, 96]


def test_what_is_no_toml_value_is_text(own: Path):
    assert load_recipe(str(own), settings=["source.path=./a b.csv"]).source.path == "./a b.csv"
    assert load_recipe(str(own), settings=['source.path="quoted.csv"']).source.path == "quoted.csv"


def test_a_value_cannot_smuggle_in_a_second_key(own: Path):
    assert load_recipe(str(own), settings=["source.path=1\nseed=2"]).source.path == "1\nseed=2"


@pytest.mark.parametrize("choice", ["candidates=lstm,gru", 'candidates=["lstm", "gru"]', "candidates=lstm, gru"])
def test_candidates_are_chosen_by_name_in_the_order_given(own: Path, choice: str):
    assert [one.name for one in load_recipe(str(own), settings=[choice]).candidates] == ["lstm", "gru"]


def test_shared_training_reaches_the_chosen_candidate(own: Path):
    recipe = load_recipe(str(own), settings=["candidates=gru", "training.epochs=7"])

    assert [one.training.epochs for one in recipe.candidates] == [7]


def test_from_file_names_the_rows():
    assert load_recipe("imdb", from_file="copy.tar.gz").source.path == "copy.tar.gz"


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path):
    assert load_recipe(str(write(tmp_path, "\ufeff" + OWN.lstrip()))).source.text_columns == ("body",)


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("encode.max_sise=3", 'E-CFG-003 --set encode.max_sise: unknown key.\nFix: write "encode.max_size".'),
        ("training.epocs=3", 'E-CFG-003 --set training.epocs: unknown key.\nFix: write "training.epochs".'),
        (
            "candidates.gru.model.celll=gru",
            'E-CFG-003 --set candidates.gru.model.celll: unknown key.\nFix: write "candidates.gru.model.cell".',
        ),
        (
            "xyz=3",
            "E-CFG-003 --set xyz: unknown key.\nFix: remove it; a recipe takes name, kind, source, split, encode, "
            "shard, candidates, baseline, evaluate, registry, promotion, pretrain, stack, training.",
        ),
        ("candidates=gruu", 'E-CFG-003 --set: no candidate is named "gruu".\nFix: write "gru".'),
        (
            "candidates.rnn.model.cell=rnn",
            'E-CFG-003 --set: no candidate is named "rnn".\nFix: choose among gru, lstm.',
        ),
        (
            "encode.max_size=0",
            'E-CFG-004 --set encode.max_size: got "0", expected greater than or equal to 1.\n'
            "Fix: change encode.max_size: maximum vocabulary size, without special tokens.",
        ),
        (
            "training.epochs=many",
            'E-CFG-004 --set training.epochs: got "many", expected a valid integer, unable to parse string as an '
            "integer.\nFix: change training.epochs: maximum number of epochs.",
        ),
        (
            "candidates.gru.model.cell=lsmt",
            "E-CFG-004 --set candidates.gru.model.cell: got \"lsmt\", expected 'rnn', 'gru', 'lstm' or 'transformer'.\n"
            'Fix: write "lstm".',
        ),
        (
            "candidates.gru.model=3",
            'E-CFG-004 --set candidates.gru.model: got "3", expected a section.\n'
            "Fix: change candidates.gru.model: the network.",
        ),
        (
            "candidates=[]",
            'E-CFG-004 --set candidates: got "[]", expected at least 1 item, not 0.\n'
            "Fix: change candidates: models to fit and compare.",
        ),
        (
            "name=../x",
            'E-NAME-001 --set name: got "../x", expected 1 to 64 letters, digits, dots, underscores or hyphens, '
            "the first a letter or digit.\nFix: change name: name of the experiment and of the registered model.",
        ),
        (
            "epochs",
            'E-CFG-006 --set: got "epochs", expected section.field=value.\n'
            "Fix: write for example --set training.epochs=1",
        ),
        (
            "name.first=x",
            'E-CFG-006 --set: got "name.first", but "name" has no such fields.\n'
            "Fix: name a field of a section, for example --set training.epochs=1",
        ),
        (
            "candidates.gru=x",
            'E-CFG-006 --set: got "candidates.gru", but "candidates.gru" has no such fields.\n'
            "Fix: name a field of a section, for example --set training.epochs=1",
        ),
    ],
)
def test_a_setting_that_does_not_fit_is_explained(own: Path, setting: str, expected: str):
    assert failure(own, setting) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            'name = "a"\nepochs = = 3\n',
            "E-CFG-002 RECIPE:2: is not TOML at column 10: invalid value.\n"
            'Fix: write text in quotes (name = "value") and sections in brackets ([encode]).',
        ),
        ("", "E-CFG-004 RECIPE: source: is missing.\nFix: add source: which rows to read."),
        (f"{OWN}\n[encoder]\nmax_size = 3\n", 'E-CFG-003 RECIPE:10: encoder: unknown key.\nFix: write "encode".'),
        (
            f'{OWN}\n[[candidates]]\nname = "a"\nmodel = {{ hidden = 3 }}\n',
            'E-CFG-003 RECIPE: candidates.a.model.hidden: unknown key.\nFix: write "candidates.a.model.hidden_size".',
        ),
        (
            f"{OWN}weight_decay = -1\n",
            'E-CFG-004 RECIPE:9: training.weight_decay: got "-1", expected greater than or equal to 0.\n'
            "Fix: change training.weight_decay: decoupled weight decay of AdamW.",
        ),
        (
            f'{OWN}\n[[candidates]]\nname = "a"\n[[candidates]]\nname = "a"\n',
            "E-CFG-004 RECIPE: two candidates are named a.\nFix: change the recipe so that this no longer holds.",
        ),
        (
            f'{OWN}\n[[candidates]]\nname = "tfidf-logistic"\n',
            "E-CFG-004 RECIPE: a candidate has a baseline's name, tfidf-logistic.\n"
            "Fix: change the recipe so that this no longer holds.",
        ),
        (
            f'{OWN}\n[[candidates]]\nname = "stacked"\n',
            "E-CFG-004 RECIPE: a candidate has the name of the join with a baseline, stacked.\n"
            "Fix: change the recipe so that this no longer holds.",
        ),
        (
            f"candidates = 3\n{OWN}",
            'E-CFG-004 RECIPE:1: candidates: got "3", expected a valid list.\n'
            "Fix: change candidates: models to fit and compare.",
        ),
        (
            f"{OWN}\n[split]\nvalid = 0.6\ntest = 0.6\n",
            "E-CFG-004 RECIPE:10: split: valid + test is 1.2, which leaves no training rows.\n"
            "Fix: change split so that this no longer holds.",
        ),
        (
            'name = "a"\nkind = "classify-series"\n[source]\npath = "a.csv"\n',
            "E-CFG-004 RECIPE:3: source: no column identifies the sequences.\n"
            "Fix: name one in id_columns, or set one_series_per_file = true.",
        ),
    ],
)
def test_a_recipe_that_does_not_fit_is_explained(tmp_path: Path, text: str, expected: str):
    assert failure(write(tmp_path, text)) == expected


def test_a_recipe_that_is_not_utf8_is_refused_with_its_line(tmp_path: Path):
    path = tmp_path / "latin.toml"
    path.write_bytes('name = "a"\n# Café\n'.encode("latin-1"))

    assert failure(path) == "E-CFG-002 RECIPE:2: is not UTF-8.\nFix: save it as UTF-8."


def test_a_file_that_is_too_large_for_a_recipe_is_not_parsed(tmp_path: Path):
    path = tmp_path / "rows.toml"
    path.write_bytes(bytes(2_000_000))

    assert failure(path) == "E-CFG-002 RECIPE: got 2000000 bytes, expected a recipe.\nFix: give a TOML file."


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl.gz", "rows.zip", "rows"])
def test_data_in_place_of_a_recipe_need_one_first(tmp_path: Path, name: str):
    path = tmp_path / name
    _ = path.write_bytes(b"text,label\n") if "." in name else path.mkdir()

    assert failure(path) == (
        "E-CFG-020 RECIPE: is data, expected a recipe.\n"
        "Fix: run: rnnflow new RECIPE, then rnnflow train with the recipe that it writes."
    )


def test_a_question_is_answered_in_the_recipe_or_on_the_command_line(tmp_path: Path):
    path = tmp_path / "sales.toml"
    path.write_text(
        'name = "sales"\nkind = "forecast"\n[source]\npath = "sales.csv"\n'
        '# which day is "02/01/2021"?\n'
        '#   time_format = "%d/%m/%Y": 2 January 2021\n'
        '#   time_format = "%m/%d/%Y": 1 February 2021\n'
        'time_format = "?"\n'
    )

    assert failure(path) == (
        'E-CFG-019 RECIPE:8: source.time_format = "?": which day is "02/01/2021"?\n'
        'Fix: write time_format = "%d/%m/%Y": 2 January 2021; or time_format = "%m/%d/%Y": 1 February 2021.'
    )
    answered = load_recipe(str(path), settings=["source.time_format=%m/%d/%Y"])
    assert answered.source.time_format == "%m/%d/%Y"


def test_an_unknown_name_is_answered_with_the_nearest():
    assert (
        failure("imdd") == 'E-CFG-001 no recipe is named "imdd".\nFix: write "imdb", or give the path of a TOML file.'
    )


def test_a_path_without_a_file_is_named():
    assert failure("nowhere/a.toml") == "E-CFG-001 nowhere/a.toml: is not a file.\nFix: check the path of the recipe."


@pytest.mark.parametrize(
    "name", ["../x", "..", "a/b", "a:b", "a\\u0000", "%2e%2e", "\\u202ea", "a" * 65, "-a", "a\\n", "", " a"]
)
def test_unsafe_names_are_refused_for_recipes_and_candidates(tmp_path: Path, name: str):
    candidates = f'[[candidates]]\nname = "{name}"\n'

    assert failure(write(tmp_path, f'name = "{name}"\n{OWN}')).startswith("E-NAME-001 RECIPE:1: name: got ")
    assert failure(write(tmp_path, f"{OWN}\n{candidates}")).startswith("E-NAME-001 ")


def leaves(schema: dict, node: dict, path: str = "") -> Iterator[tuple[str, dict]]:
    """Every property of a JSON schema that is no section, with its path."""
    for name, child in node.get("properties", {}).items():
        variants = [one for one in child.get("anyOf", [child]) if one.get("type") != "null"]
        for variant in variants:
            inner = variant.get("items", variant)
            target = schema["$defs"][inner["$ref"].rpartition("/")[2]] if "$ref" in inner else inner
            # Pydantic leaves a section's description out where it repeats that of the section's class.
            yield f"{path}{name}", {"description": child.get("description", target.get("description")), **variant}
            if "$ref" in inner:
                yield from leaves(schema, target, f"{path}{name}.")


SCHEMA = ClassifyRecipe.model_json_schema()
BOUNDS = {
    "integer": [{"minimum", "exclusiveMinimum"}, {"maximum", "exclusiveMaximum"}],
    "number": [{"minimum", "exclusiveMinimum"}, {"maximum", "exclusiveMaximum"}],
    "array": [{"maxItems"}],
    "object": [{"maxProperties"}],
    "string": [{"enum", "pattern", "maxLength", "const"}],
    "boolean": [],
}


@pytest.mark.parametrize(("path", "field"), list(leaves(SCHEMA, SCHEMA)))
def test_every_field_is_described_and_bounded_for_the_form(path: str, field: dict):
    assert field["description"], path
    if "$ref" not in field:
        assert all(field.keys() & alternatives for alternatives in BOUNDS[field["type"]]), path


@pytest.mark.parametrize(
    ("settings", "nearest"),
    [
        ("source.text_colum=x", "source.text_columns"),
        ("encode.tokeniser=word", "encode.tokenizer"),
        ("encode.tokenizer=wrod", "word"),
        ("training.epoch=2", "training.epochs"),
        ("source.on_bad_rows=skp", "skip"),
        ("source.similar_labels=merg", "merge"),
        ("evaluate.select_by=acuracy", "accuracy"),
        ("kind=clasify", "classify"),
    ],
)
def test_a_slip_is_answered_by_the_nearest_name(settings, nearest):
    with pytest.raises(InputError) as caught:
        load_recipe("reviews", settings=[settings])
    assert f'"{nearest}"' in caught.value.fix


def test_the_path_of_a_recipe_is_answered_by_the_nearest_file(tmp_path):
    (tmp_path / "tickets.toml").touch()

    with pytest.raises(InputError, match=r'did you mean "tickets.toml"\?'):
        load_recipe(str(tmp_path / "ticket.toml"))
