"""A table given to a model of texts is read by the names of its columns, or refused."""

import numpy as np
import pandas as pd
import pytest

from tasks.errors import InputError
from tasks.kinds.classify.source import SourceSettings
from tasks.text.given_texts import texts_of

ONE = SourceSettings(path="a.csv", text_columns="body", missing_values=("?",))
TWO = SourceSettings(path="a.csv", text_columns=("title", "body"), text_separator=" | ")


@pytest.mark.parametrize("given", [["a", "b"], ("a", "b"), np.array(["a", "b"]), pd.Series(["a", "b"], index=[7, 9])])
@pytest.mark.parametrize("source", [ONE, TWO])
def test_a_list_of_texts_is_taken_as_it_is(given: object, source: SourceSettings):
    assert texts_of(given, source) == ["a", "b"]


def test_the_columns_of_a_table_are_joined_as_those_of_training_were_wherever_they_stand():
    table = pd.DataFrame({"id": ["7", "8", "9"], "body": ["b", None, ""], "title": ["t", "u", "v"]}, index=[5, 3, 1])

    assert texts_of(table, TWO) == ["t | b", "u", "v"]


def test_of_several_columns_the_one_of_the_recipe_is_read():
    table = pd.DataFrame({"id": ["x1", "x2"], "body": ["good", " ? "]})

    assert texts_of(table, ONE) == ["good", None]


@pytest.mark.parametrize("name", ["body", "anything", 0])
def test_the_only_column_of_a_table_is_the_text_of_a_model_of_one_column(name: object):
    assert texts_of(pd.DataFrame({name: ["a", np.nan]}), ONE) == ["a", None]


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (
            {"id": ["1"], "text": ["t"]},
            'E-REG-012 column "title": is missing; the table has "id", "text".\n'
            "Fix: give the table the columns title, body.",
        ),
        (
            {"title": ["t"]},
            'E-REG-012 column "body": is missing; the table has "title".\nFix: give the table the columns title, body.',
        ),
        (
            {"title": ["t", "u"], "body": ["b", 3]},
            'E-TEXT-001 column "body": text 1: got int, expected a text.\nFix: leave this text out or correct it.',
        ),
    ],
)
def test_a_table_without_the_texts_of_training_is_refused(table: dict, expected: str):
    with pytest.raises(InputError) as caught:
        texts_of(pd.DataFrame(table), TWO)

    assert str(caught.value) == expected


@pytest.mark.parametrize("given", ["one text", b"one text", {"text": ["a"]}, 3, None])
def test_what_is_neither_a_list_nor_a_table_is_refused(given: object):
    with pytest.raises(InputError, match=r"E-TEXT-001 got \w+, expected a list of texts or a table\."):
        texts_of(given, ONE)
