"""What stage `register` needs of a text classifier; what it does is as for every classifier."""

from tasks.kinds.classify.classifier import VOCABULARY_FILE, TextClassifier
from tasks.labelled.register import LabelledRegistration

REGISTRATION = LabelledRegistration(
    labeller=TextClassifier,
    takes="a list of texts, or a table with the text columns of the training rows",
    EXAMPLE="texts.txt",
    texts=("One of the best films of the year.", "Dull from start to finish."),
    encoder={"rnnflow.vocabulary": VOCABULARY_FILE},
)
