"""Requests that wait at the same time are scored together: the model takes a batch hardly longer than a text.

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

from tasks.errors import quoted

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")


@dataclass
class _Waiting(Generic[Answer]):
    texts: list[str]
    answer: asyncio.Future[Answer]


@dataclass
class MicroBatcher(Generic[Answer]):
    """Gives lists of texts to `answer_all`, several lists at once, in one thread beside the event loop.

    `answer_all` takes lists of texts and returns an answer for each list.
    """

    answer_all: Callable[[Sequence[list[str]]], Sequence[Answer]]
    max_texts: int
    waiting: deque[_Waiting[Answer]] = field(default_factory=deque)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def submit(self, texts: list[str]) -> Answer:
        """Return the answer to a list of texts; raises what `answer_all` raises on it."""
        entry = _Waiting(texts, asyncio.get_running_loop().create_future())
        self.waiting.append(entry)
        self.arrived.set()
        return await entry.answer

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Score in the background for the duration of a block."""
        with ThreadPoolExecutor(1, thread_name_prefix="scoring") as thread:
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
            answers = await loop.run_in_executor(thread, self._answer_each, [entry.texts for entry in batch])
            for entry, answer in zip(batch, answers, strict=True):
                if entry.answer.done():  # the client went away
                    continue
                if isinstance(answer, Exception):
                    entry.answer.set_exception(answer)
                else:
                    entry.answer.set_result(answer)

    def _next_batch(self) -> list[_Waiting[Answer]]:
        """Take what waits, first come first served, up to `max_texts` texts but at least one list."""
        batch = [self.waiting.popleft()]
        num_texts = len(batch[0].texts)
        while self.waiting and num_texts + len(self.waiting[0].texts) <= self.max_texts:
            batch.append(self.waiting.popleft())
            num_texts += len(batch[-1].texts)
        if not self.waiting:
            self.arrived.clear()
        return batch

    def _answer_each(self, lists: list[list[str]]) -> Sequence[Answer | Exception]:
        """Answer lists together; if that fails, one by one, so that none fails for another."""
        try:
            return self.answer_all(lists)
        except Exception as error:  # noqa: BLE001 (handed to whoever asked)
            if len(lists) == 1:
                logger.warning("A request failed: %s %s", type(error).__name__, quoted(error))
                return [error]
            return [answer for texts in lists for answer in self._answer_each([texts])]
