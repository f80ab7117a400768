"""What is written unasked goes out at Telegram's limit and is never refused, whenever Telegram counts it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from random import Random

from aiogram.types import BufferedInputFile
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.telegram.dispatcher import make_bot
from bot.telegram.rate_limit import PATIENCE_SECONDS, Pace
from sandbox.telegram import FloodLimits, TelegramSandbox
from sandbox.telegram.flood import FloodControl
from tests.virtual_time import virtual_loop, virtually

MESSAGES = 150


class Telegram:
    """Counts with the stand-in's own limiter, and answers; how long either takes is said by `way`."""

    def __init__(self, way: Callable[[], float]) -> None:
        self._way = way
        clock = virtual_loop().time
        self._flood = FloodControl(FloodLimits(per_chat=(1, 1.0)), clock)
        self.pace = Pace(clock)
        self.counted: list[float] = []

    async def take(self, chat_id: int) -> None:
        """A message of the bot's, without a turn.

        Raises:
            ApiError: too many.
        """
        with self.pace.message(chat_id):
            await asyncio.sleep(self._way())
            self._flood.check(chat_id, group=False)
            self.counted.append(virtual_loop().now)
            await asyncio.sleep(self._way())

    async def notify(self, chat_id: int) -> None:
        """One in its turn."""
        await self.pace.turn(chat_id)
        await self.take(chat_id)

    @property
    def rate(self) -> float:
        """Messages a second."""
        return (len(self.counted) - 1) / (max(self.counted) - min(self.counted))


@asynccontextmanager
async def stalling(random: Random, seconds: float) -> AsyncIterator[None]:
    """Again and again the process stands still for up to so long."""

    async def stall() -> None:
        while True:
            await asyncio.sleep(random.uniform(0.0, 1.0))
            virtual_loop().stall(random.uniform(0.0, seconds))

    task = asyncio.create_task(stall())
    yield
    task.cancel()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), way=st.floats(0.001, 3.0), stall=st.floats(0.0, 2.0))
def test_whatever_is_late_nothing_is_refused(seed: int, way: float, stall: float) -> None:
    """The way to Telegram and back takes anything up to 6 s, and the process stands still."""
    random = Random(seed)

    async def work() -> None:
        telegram = Telegram(lambda: random.uniform(0.0005, way))
        async with stalling(random, stall):
            await asyncio.gather(*(telegram.notify(chat) for chat in range(MESSAGES)))

    virtually(work())


def test_they_go_out_at_the_limit() -> None:
    """The way there and back takes 20 ms; that the process stalls for up to 100 ms now and then is made up for."""

    async def work(stall: float) -> None:
        telegram = Telegram(lambda: 0.01)
        async with stalling(Random(1), stall):
            await asyncio.gather(*(telegram.notify(chat) for chat in range(MESSAGES)))
        assert telegram.rate >= 27

    for stall in (0.0, 0.1):
        virtually(work(stall))


def test_few_go_out_together() -> None:
    """Neither at the start nor after a stall, which leaves many that are late."""

    async def work() -> None:
        telegram = Telegram(lambda: 0.01)
        sending = asyncio.gather(*(telegram.notify(chat) for chat in range(MESSAGES)))
        await asyncio.sleep(1.5)
        virtual_loop().stall(0.5)
        await sending
        assert max(sum(1 for other in telegram.counted if at <= other < at + 0.02) for at in telegram.counted) <= 10

    virtually(work())


def test_a_chat_is_written_to_once_a_second() -> None:
    """However late it was written to, and others need not wait for it."""

    async def work() -> None:
        ways = iter((0.7, 0.1, 0.1, 0.1))
        telegram = Telegram(lambda: next(ways, 0.0))
        sending = [asyncio.create_task(telegram.notify(1)) for _ in range(3)]
        await asyncio.sleep(0)
        assert telegram.pace.chat_delay(2) == 0.0
        await asyncio.gather(*sending)
        assert [round(at - 1000.0, 2) for at in telegram.counted] == [0.7, 1.9, 3.0]

    virtually(work())


def test_answers_to_people_wait_for_nothing() -> None:
    """Notices make way for as many as they are; there is room for one at any time."""

    async def work() -> None:
        telegram = Telegram(lambda: 0.01)
        sending = asyncio.gather(*(telegram.notify(chat) for chat in range(MESSAGES)))
        for person in range(1000, 1012):
            await asyncio.sleep(0.4)
            asked = virtual_loop().now
            await telegram.take(person)
            assert virtual_loop().now - asked < 0.03
        await sending

    virtually(work())


def test_many_answers_put_notices_off_for_no_longer_than_they_are_held() -> None:
    """However many there were, and though they failed at once."""

    async def work() -> None:
        telegram = Telegram(lambda: 0.0)
        for number in range(1000):
            with telegram.pace.message(number % 20):
                pass
        began = virtual_loop().now
        await telegram.notify(5000)
        assert virtual_loop().now - began < 1.2

    virtually(work())


def test_a_chat_that_is_answered_all_the_time_is_told_nevertheless() -> None:
    """It would never be silent for a second."""

    async def work() -> None:
        telegram = Telegram(lambda: 0.0)

        async def answer() -> None:
            while True:
                with telegram.pace.message(1):
                    await asyncio.sleep(0.4)
                await asyncio.sleep(0.4)

        answering, began = asyncio.create_task(answer()), virtual_loop().now
        await asyncio.sleep(0.1)
        async with asyncio.timeout(10 * PATIENCE_SECONDS):
            await telegram.pace.turn(1)
        assert PATIENCE_SECONDS <= virtual_loop().now - began < PATIENCE_SECONDS + 1
        answering.cancel()

    virtually(work())


class Told(Pace):
    """Notes of which messages it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.chats: list[int | str] = []

    @contextmanager
    def message(self, chat_id: int | str) -> Iterator[None]:
        self.chats.append(chat_id)
        with super().message(chat_id):
            yield


async def test_every_message_of_the_bots_counts(telegram: TelegramSandbox) -> None:
    """Also edits, files, and those that come without a turn; nothing else."""
    telegram.add_user(1001, "Anna", started=True)
    pace = Told()
    bot = make_bot(telegram.token, telegram.url, pace)
    await bot.get_me()
    await bot.get_chat(1001)
    assert pace.chats == []
    sent = await bot.send_message(1001, "a")
    await bot.edit_message_text("b", chat_id=1001, message_id=sent.message_id)
    await bot.send_document(1001, BufferedInputFile(b"c", "c.txt"))
    assert pace.chats == [1001] * 3
    assert pace.chat_delay(1001) > 0
    await bot.session.close()


def test_chats_are_forgotten() -> None:
    """Also by a bot that never waits for a turn."""

    async def work() -> None:
        telegram = Telegram(lambda: 0.01)
        for chat in range(100):
            await asyncio.sleep(0.1)
            await telegram.take(chat)
        assert len(telegram.pace._chats) <= 20
        assert len(telegram.pace._all._answered) <= 10

    virtually(work())
