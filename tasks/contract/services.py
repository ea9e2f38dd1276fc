"""What the modules must define that a kind brings to the services: to files, to requests and to the monitor.

A registered model is a folder of parts, which the kind's stage `register` filled; `tasks.registry.served_parts` reads
and checks it.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from tasks.contract.interface import Answered, Interface
from tasks.contract.profile import Watch
from tasks.discovery.draft import Draft
from tasks.discovery.seen import Seen

ModelT = TypeVar("ModelT")


class Predicted(Protocol):
    """What became of a file: `bad` rows are in `errors`, what was predicted is in `output`."""

    @property
    def output(self) -> Path:
        """The file of answers."""

    @property
    def bad(self) -> int:
        """How many rows or series have none."""

    @property
    def errors(self) -> Path | None:
        """The file that says why; None if all have one."""

    def describe(self) -> str:
        """Say it in a few lines."""

    def describe_refused(self) -> str:
        """Say how much could not be answered."""

    def table(self) -> dict[str, str | Path]:
        """Say it as names and values."""

    def as_json(self) -> dict[str, Any]:
        """Every count and path, for programs; paths are not yet text."""


class Generation(Protocol):
    """A text that is being written."""

    @property
    def seed(self) -> int:
        """The seed that writes the same text again."""

    @property
    def pieces(self) -> Iterator[str]:
        """The text, piece by piece as it is written."""


class PredictModule(Protocol):
    """Files of new rows to files of answers."""

    @property
    def predict_file(self) -> Callable[..., Predicted]:
        """Answer a file: model, input and output path, then options."""


class GenerateModule(Protocol):
    """A prompt to a text."""

    def begin_text(self, parts: Path, prompt: str, /, **sampling: Any) -> Generation:  # noqa: ANN401 (a kind's own)
        """Begin to write with the model in a folder; raises InputError for what it cannot continue, or not so."""


class ServeModule(Protocol[ModelT]):
    """Questions that come over HTTP to answers.

    A question is the JSON object of a request's body, in the shape that `INTERFACE.question` gives it. A model answers
    in one thread, all questions that wait together.
    """

    @property
    def INTERFACE(self) -> Interface:  # noqa: N802 (a constant of a module)
        """Shapes of questions and answers, caps, and words."""

    def load_model(self, parts: Path, /) -> ModelT:
        """Read a model from its folder; raises IntegrityError (E-INT-001) if a part is not what was registered."""

    def warm_up(self, model: ModelT, /) -> bool:
        """Have a model answer once, so that the first question need not wait; tells whether its numbers are finite."""

    def describe_model(self, model: ModelT, /) -> dict[str, Any]:
        """The fields that `INTERFACE.state` has beyond `ModelState`."""

    def answer_questions(self, model: ModelT, questions: Sequence[Any], caps: Any, /, *, label: str) -> Answered:  # noqa: ANN401
        """Answer several questions at once under the caps of `INTERFACE`; `label` names the model's version."""


class MonitorModule(Protocol):
    """What is watched of the models of a kind; what is compared with it is registered by `contract.profile`."""

    @property
    def WATCH(self) -> Watch:  # noqa: N802
        """What is counted, and under which words."""


class DraftsModule(Protocol):
    """What was seen of some files to a recipe."""

    def draft(self, seen: Seen) -> Draft:
        """Propose a recipe, or say what the files lack for one of this kind."""
