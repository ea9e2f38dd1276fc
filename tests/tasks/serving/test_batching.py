"""Questions that wait together are answered together, each with its own answer."""

import asyncio
import threading
from collections.abc import Sequence

import pytest

from tasks.serving.batching import MicroBatcher


class Texts(list):
    """A question about some texts."""

    @property
    def num_items(self) -> int:
        return len(self)


def run(batcher: MicroBatcher, *lists: list[str], release: threading.Event | None = None) -> list:
    async def submit_all() -> list:
        async with batcher.running():
            waiting = [asyncio.create_task(batcher.submit(Texts(texts))) for texts in lists]
            await asyncio.sleep(0.05)
            if release is not None:
                release.set()
            return await asyncio.gather(*waiting, return_exceptions=True)

    return asyncio.run(submit_all())


def test_what_waits_is_scored_together_up_to_the_limit_and_in_order():
    batches, release = [], threading.Event()

    def answer_all(lists: Sequence[list[str]]) -> list[str]:
        batches.append([len(texts) for texts in lists])
        release.wait(5)
        return ["+".join(texts) for texts in lists]

    lists = [["a"], ["b"], ["c", "d"], ["e"], ["f", "g", "h", "i"], ["j"]]
    answers = run(MicroBatcher(answer_all, max_items=4), *lists, release=release)

    assert answers == ["+".join(texts) for texts in lists]
    assert batches == [[1, 1, 2], [1], [4], [1]]


def test_a_list_longer_than_the_limit_is_scored_alone():
    assert run(MicroBatcher(lambda lists: [len(texts) for texts in lists], max_items=2), ["a"] * 5) == [5]


def test_a_list_that_fails_takes_no_other_with_it():
    def answer_all(lists: Sequence[list[str]]) -> list[str]:
        if any("poison" in texts for texts in lists):
            raise MemoryError("too much")
        return [texts[0] for texts in lists]

    first, poisoned, last = run(MicroBatcher(answer_all, max_items=9), ["a"], ["poison"], ["b"])

    assert (first, last) == ("a", "b")
    assert isinstance(poisoned, MemoryError)


def test_a_panic_ends_no_service():
    class Panic(BaseException):
        """As Polars raises it."""

    def answer_all(lists: Sequence[list[str]]) -> list[str]:
        if ["poison"] in lists:
            raise Panic("called `unwrap()` on a `None` value")
        return [texts[0] for texts in lists]

    poisoned, last = run(MicroBatcher(answer_all, max_items=9), ["poison"], ["b"])

    assert (repr(poisoned), last) == ("RuntimeError('called `unwrap()` on a `None` value')", "b")


def test_a_client_that_went_away_leaves_the_others_their_answers():
    async def work() -> str:
        batcher = MicroBatcher(lambda lists: [texts[0] for texts in lists], max_items=9)
        async with batcher.running():
            gone = asyncio.create_task(batcher.submit(Texts(["gone"])))
            stays = asyncio.create_task(batcher.submit(Texts(["stays"])))
            await asyncio.sleep(0)
            gone.cancel()
            return await stays

    assert asyncio.run(work()) == "stays"


@pytest.mark.parametrize("num_rounds", [200])
def test_nothing_waits_forever(num_rounds: int):
    async def work() -> int:
        batcher = MicroBatcher(lambda lists: [1] * len(lists), max_items=3)
        async with batcher.running():
            total = 0
            for size in range(num_rounds):
                answers = await asyncio.gather(
                    *(batcher.submit(Texts(["a"] * (1 + size % 4))) for _ in range(size % 7))
                )
                total += sum(answers)
            return total

    assert asyncio.run(asyncio.wait_for(work(), 30)) == sum(size % 7 for size in range(num_rounds))
