"""Settings of a model's source that are changed for a file of another form than its training rows."""

from collections.abc import Sequence
from pathlib import Path

from flows.recipes.recipe import validated
from flows.recipes.recipe_errors import Origin
from flows.recipes.recipe_file import assign, parse_assignment
from tasks.errors import InputError
from tasks.kinds import find_kind
from tasks.promotion import named_models
from tasks.registry.served_parts import read_serving_fields
from tasks.sources.served_source import LABELS_ASIDE, NAMES_FILES, reading_rules
from tasks.sources.settings import FileSettings

SECTION = "source"
# Columns of a table are named by options; how many channels there are, and at which steps, a model has learned.
SET_OTHERWISE = {
    **dict.fromkeys(("dataset", "path", "include"), "name the file as INPUT."),
    "split_column": "leave it out: which split a row is in matters to training alone.",
    "on_bad_rows": "use --skip-bad: a prediction always names its bad rows and answers the others.",
    **dict.fromkeys(("value_columns", "covariate_columns"), "name the columns in the file as in training."),
    "frequency": "leave it out: a model continues in the steps that it was trained on.",
}
OF_TEXTS = {"text_column": "use --text-column.", "label_column": "use --label-column."}
LABELS_NOT_READ = "leave it out: rows are answered without their labels."


def change_source(model: str, settings: Sequence[str]) -> dict[str, object]:
    """Check assignments such as `source.encoding=utf-8` for a model; returns the changed settings as JSON values.

    Raises InputError (E-CFG-003, E-CFG-004, E-CFG-006, E-OUT-005), and what the resolution of the model raises.
    """
    if not settings:
        return {}
    assignments = [parse_assignment(text) for text in settings]
    fields = read_serving_fields(named_models.resolve_model(model).parts)
    source_class = find_kind(fields["kind"]).recipe.settings_of(SECTION, FileSettings)
    table = {SECTION: _recorded(source_class, fields["serving"].get(SECTION))}
    for keys, value in assignments:
        _refuse_without_effect(keys, source_class)
        assign(table, keys, value)
    changed = {keys[1] for keys, _ in assignments}
    origin = Origin(path=Path(SECTION), changed={SECTION})
    return validated(source_class, table[SECTION], origin, section=SECTION).model_dump(mode="json", include=changed)


def _recorded(source_class: type[FileSettings], recorded: dict | None) -> dict[str, object]:
    """The settings that hold for a file of another name, as a recipe would state them."""
    source = source_class.model_validate(recorded or {"path": "input"}).with_preset()
    rules = reading_rules(source, Path("input"), without=NAMES_FILES)
    stated = source.model_copy(update=rules).model_dump(mode="json", exclude_defaults=True, exclude=set(NAMES_FILES))
    return stated | {"path": "input"}


def _refuse_without_effect(keys: tuple[str, ...], source_class: type[FileSettings]) -> None:
    section, *names = keys
    if section != SECTION or not names:
        raise _without_effect(keys, "change how the file is read, as in --set source.encoding=utf-8.")
    reads_texts = "text_columns" in source_class.model_fields
    fixes = SET_OTHERWISE | (OF_TEXTS if reads_texts else dict.fromkeys(LABELS_ASIDE, LABELS_NOT_READ))
    if names[0] in fixes:
        raise _without_effect(keys, fixes[names[0]])


def _without_effect(keys: tuple[str, ...], fix: str) -> InputError:
    return InputError("E-OUT-005", f"--set {'.'.join(keys)}: has no effect on a prediction.", fix=fix)
