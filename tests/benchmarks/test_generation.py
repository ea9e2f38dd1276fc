"""The loop without a carried state writes the same text, so that the ratio compares equal work."""

from benchmarks.generation import draw_model, parse_arguments, report, write_again, write_on
from rnnmodels.language.sampling import Sampling

SMALL = ["--lengths", "9", "--hidden-size", "8", "--vocabulary", "12", "--rounds", "2"]


def test_both_write_the_same_text():
    model = draw_model(parse_arguments(SMALL))

    texts = [write(model, Sampling(length=30, seed=3)) for write in (write_on, write_again)]

    assert texts[0] == texts[1]
    assert len(texts[0]) == 30


def test_the_report_states_a_ratio_for_each_length():
    page = report(parse_arguments(SMALL))

    assert "| 9 tokens | " in page
    assert "ratio" in page
