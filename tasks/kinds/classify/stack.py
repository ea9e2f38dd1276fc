"""What stage `stack` needs of text classifiers: the files of a linear model of n-grams."""

from tasks.labelled.stack import LabelledStack
from tasks.text.ngram_model import NGRAM_FILES

STACK = LabelledStack(baseline_files=NGRAM_FILES)
