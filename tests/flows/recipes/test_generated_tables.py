"""Recipes of tables whose true reading is known: each setting is the true one, or a question with it among the answers."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from flows.recipes.drafted_recipe import Drafted, draft_recipe
from tasks.errors import InputError
from tests.flows.recipes.generated_tables import Table, series_tables, text_tables

DEFAULTS = {"source.delimiter": ",", "source.encoding": "utf-8", "source.decimal": ".", "source.thousands": ""}
MANY = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)


def draft(table: Table, folder: Path) -> Drafted:
    path = folder / "table.csv"
    path.write_bytes(table.content)
    return draft_recipe(str(path), given={})


def wrong_and_silent(table: Table, drafted: Drafted) -> dict[str, tuple[object, object]]:
    """Settings that are neither true nor asked for: what was drafted and what is true."""
    found = {one.key: one.value for one in drafted.draft.settings if one.key}
    asked = {key: [choice.settings.get(key) or DEFAULTS.get(key) for choice in one.choices] for one in drafted.questions for key in one.choices[0].settings}
    wrong = {}
    for key, truth in table.truth.items():
        if key == "source.columns":
            if key in asked:
                continue
            if len(found.get(key, ())) != len(truth): wrong[key] = (found.get(key), truth)
            continue
        if key in ("source.text_columns", "source.label_column") and "source.columns" in table.truth:
            names = found.get("source.columns") or []
            real = dict(zip(names, table.truth["source.columns"]))
            got = found.get(key)
            got = [real.get(g, g) for g in got] if isinstance(got, list) else real.get(got, got)
            if "source.columns" in asked or key in asked: continue
            if sorted(got or []) != sorted(truth): wrong[key] = (got, truth)
            continue
        if key in asked:
            if truth not in asked[key]: wrong[key] = (asked[key], truth)
            continue
        if found.get(key, DEFAULTS.get(key)) != truth:
            wrong[key] = (found.get(key), truth)
    return wrong
