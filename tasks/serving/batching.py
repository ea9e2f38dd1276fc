"""Requests waiting at the same time are answered together: a batch takes the model hardly longer than one item.

Nobody waits for a batch to fill: while one is being scored, the next gathers.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from tasks.contract.interface import Question
from tasks.errors import quoted

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")
Result = TypeVar("Result")


@dataclass
class _Waiting(Generic[Answer]):
    question: Question
    answer: asyncio.Future[Answer]


@dataclass
class MicroBatcher(Generic[Answer]):
    """Gives questions to `answer_all`, several at once, in one thread outside the event loop.

    `answer_all` returns an answer for each question; together they ask about at most `max_items`.
    """

    answer_all: Callable[[Sequence[Question]], Sequence[Answer]]
    max_items: int
    waiting: deque[_Waiting[Answer]] = field(default_factory=deque)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    thread: ThreadPoolExecutor | None = None

    async def submit(self, question: Question) -> Answer:
        """Return the answer to a question; raises what `answer_all` raises on it."""
        entry = _Waiting(question, asyncio.get_running_loop().create_future())
        self.waiting.append(entry)
        self.arrived.set()
        return await entry.answer

    async def take_turn(self, work: Callable[[], Result]) -> Result:
        """Do some work in the thread of the answers, after what waits for it now: a batch, and others' turns."""
        return await asyncio.get_running_loop().run_in_executor(self.thread, work)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Score in the background for the duration of a block."""
        with ThreadPoolExecutor(1, thread_name_prefix="scoring") as thread:
            self.thread = thread
            scoring = asyncio.create_task(self._score_forever(thread))
            try:
                yield
            finally:
                scoring.cancel()

    async def _score_forever(self, thread: ThreadPoolExecutor) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self.arrived.wait()
            batch = self._next_batch()
            answers = await loop.run_in_executor(thread, self._answer_each, [entry.question for entry in batch])
            for entry, answer in zip(batch, answers, strict=True):
                if entry.answer.done():  # the client has gone
                    continue
                if isinstance(answer, Exception):
                    entry.answer.set_exception(answer)
                else:
                    entry.answer.set_result(answer)

    def _next_batch(self) -> list[_Waiting[Answer]]:
        """Take what waits, first come first served, up to `max_items` items but at least one question."""
        batch = [self.waiting.popleft()]
        num_items = batch[0].question.num_items
        while self.waiting and num_items + self.waiting[0].question.num_items <= self.max_items:
            batch.append(self.waiting.popleft())
            num_items += batch[-1].question.num_items
        if not self.waiting:
            self.arrived.clear()
        return batch

    def _answer_each(self, questions: list[Question]) -> Sequence[Answer | Exception]:
        """Answer questions together; if that fails, one by one, so that none fails because of another."""
        try:
            return self.answer_all(questions)
        except BaseException as error:  # noqa: BLE001 (a panic of Polars is not an Exception; passed on to its client)
            if len(questions) == 1:
                logger.warning("A request failed: %s %s", type(error).__name__, quoted(error))
                return [error if isinstance(error, Exception) else RuntimeError(str(error))]
            return [answer for question in questions for answer in self._answer_each([question])]
