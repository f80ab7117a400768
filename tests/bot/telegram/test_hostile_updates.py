"""Whatever comes, the bot goes on for everybody else, sends nothing wrong, and touches no other person's rows."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, MutableMapping
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import select
from structlog.testing import capture_logs

from bot.telegram import middlewares as product
from sandbox.provider import ProviderSandbox
from sandbox.servers import serve
from sandbox.telegram import TelegramSandbox
from sandbox.telegram.inline import InlineQuery
from sandbox.telegram.world import Press
from storage.db.engine import Database
from storage.schema.tables import Post
from tests.bot.running import ANNA, BEN, STRANGER, Running, running_bot, until
from tests.bot.telegram.hostile import CHANNEL, FORGED, GROUP, HIS_CHANNEL, PRESSES, UNREADABLE_PRESSES, UPDATES, Json
from tests.storage.rows import get_post

ME = "@metka_sandbox_bot"

#: What Ben writes, and words of the answer.
USAGE = [
    *(f"/regen {text}" for text in ("99999999999999999999", "-1", "1; DROP TABLE posts", "0", "1e3", "١٢", "1.5")),
    *(f"/regen {text}" for text in ("#", "1 2", "<b>1</b>", "1\u200f", "1\u200b", "\x00", "\U0001f600", "9" * 4000)),
    *(f"/post {text}" for text in (2**31, 2**63, "' OR 1=1 --", "&lt;", "\u202e1", "½", "", "x" * 4000)),
    *(f"/retry {text}" for text in ("0", "1001", "١٢", "-5", "1; DROP TABLE posts", "5 5", "all", "force force")),
    *(f"/stats {text}" for text in ("x" * 4000, "\U0001f600" * 2000, "<script>", "\u202eall", "a\u200bll", "\x00")),
]
FINDS = ("x" * 4000, "#\ud800 x", "x\x00y @\x00", "' OR 1=1 --", ") NOT (", "x <b>&lt;", "-1 AND", "\u202ex", "١٢", "½")
COMMANDS: list[tuple[str, str]] = [
    *((text, "Which post?" if text.startswith(("/post", "/regen")) else "Usage") for text in USAGE),
    *((f"{command}{text}", "🔎 ") for command in ("/find ", "") for text in FINDS if command or text != FINDS[0]),
    *((text, "no such post") for text in ("/regen 1", "/post 1", "/post #2", "/regen 777")),
    *((text, "administrators only") for text in ("/retry force", "/retry force all 5", "/stats all", "/stats ALL")),
    *((text, "You have 3 posts") for text in (f"/stats{ME}", f"/STATS{ME.upper()}", "/stats\n\n", "/Stats ")),
    *((text, "/help") for text in ("/stats@other_bot", "/", "/ stats", "//stats", "/stats\u200b", "/no <script>&")),
]
IN_GROUPS_IGNORED = ["/stats@other_bot", f"/stats{ME}x", "hello", f"mail{ME}", "/", "\x00", "\U0001f600" * 2000]


@pytest.fixture
async def telegram(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[TelegramSandbox]:
    """Without flood limits, and the bot without its own: a table has many rows."""
    monkeypatch.setattr(product, "MOST_UPDATES", 10_000)
    sandbox = TelegramSandbox(flood=None)
    async with serve(sandbox.make_app()) as sandbox.url:
        yield sandbox


@dataclass
class Scene:
    """The bot at work, what it wrote to the log, and how things stood before."""

    bot: Running
    log: list[MutableMapping[str, Any]]
    caplog: pytest.LogCaptureFixture
    stats: str
    rows: list[tuple[Any, ...]]

    @property
    def telegram(self) -> TelegramSandbox:
        return self.bot.telegram

    async def handled(self) -> None:
        """Wait until Telegram knows that every update is handled."""
        await until(lambda: not self.telegram.world.updates.pending)

    async def check(self, what: object) -> None:
        """Nothing was harmed."""
        await self.handled()
        assert (await self.bot.say(ANNA, "/stats"))["text"] == self.stats, what
        assert self.telegram.errors == [], what
        assert [line for line in self.log if line["log_level"] in {"error", "critical"} or "exc_info" in line] == [], (
            what
        )
        assert [line for line in self.caplog.records if line.levelname == "ERROR" or line.exc_info] == [], what
        assert await rows_of_anna(self.bot.database) == self.rows, what

    def press(self, update: Json, user_id: int = BEN) -> Press:
        """A press of that person's that Telegram knows of."""
        press = Press(self.telegram.world.next_press_id(), user_id, "", time.monotonic())
        self.telegram.world.presses[press.id] = press
        self.telegram.push_update({"callback_query": update["callback_query"] | {"id": press.id}})
        return press


async def rows_of_anna(database: Database) -> list[tuple[Any, ...]]:
    """Every column of her posts."""
    async with database.read() as session:
        return [tuple(row) for row in await session.execute(select(*Post.__table__.c).where(Post.user_id == 1))]


@pytest.fixture
async def scene(
    database: Database, telegram: TelegramSandbox, provider: ProviderSandbox, caplog: pytest.LogCaptureFixture
) -> AsyncIterator[Scene]:
    with capture_logs() as log:
        async with running_bot(database, telegram, provider) as bot:
            telegram.group_message(GROUP, BEN, "hi")
            telegram.add_channel(CHANNEL, "Foreign", "foreign", bot_is_member=True)
            telegram.add_channel(HIS_CHANNEL, "His", "his_news")
            telegram.add_bot_to_channel(HIS_CHANNEL, BEN)
            await bot.shows(BEN, "From now on I tag new posts in His")
            # Telegram knows of the inline query among the updates.
            telegram.world.inline_queries["1"] = InlineQuery("1", BEN)
            stats = (await bot.say(ANNA, "/stats"))["text"]
            yield Scene(bot, log, caplog, stats, await rows_of_anna(database))
    assert "Пост номер 1 " not in str(telegram.messages(BEN))


async def test_strange_updates(scene: Scene) -> None:
    """Fields that are missing, of wrong types, absurd numbers, unknown kinds, absurd depth."""
    for name, update in (UPDATES | UNREADABLE_PRESSES).items():
        scene.telegram.push_update(update)
        await scene.check(name)
    # What was an edit of a command has not been done.
    assert (await get_post(scene.bot.database, 11)).tagging_status == "failed"


async def test_strange_presses_are_answered(scene: Scene) -> None:
    """Without message, inaccessible, in chats where the bot has no buttons: none keeps spinning."""
    for name, update in PRESSES.items():
        press = scene.press(update)
        await scene.check(name)
        assert press.answer is not None, name


@pytest.mark.parametrize("person", [BEN, STRANGER])
async def test_forged_presses_are_answered_and_change_nothing(scene: Scene, person: int) -> None:
    """Rubbish, and what would be right if it were one's own post, /retry, or if one were an administrator."""
    telegram = scene.telegram
    telegram.send_text(person, "/start")
    await scene.handled()
    shown = telegram.from_bot(person)[-1]["message_id"]
    for data in FORGED:
        press = telegram.begin_press(person, person, shown, data)
        await scene.check((person, data))
        assert press.answer is not None, data


async def test_strange_commands(scene: Scene) -> None:
    """Each is answered with what is wrong with it."""
    for text, words in COMMANDS:
        assert words in (await scene.bot.say(BEN, text))["text"], text
        await scene.check(text)


async def test_what_groups_say_to_others(scene: Scene) -> None:
    """Not the bot's business; what is said to it is answered."""
    for text in IN_GROUPS_IGNORED:
        scene.telegram.group_message(GROUP, BEN, text)
        await scene.check(text)
    assert scene.telegram.from_bot(GROUP) == []
    scene.telegram.group_message(GROUP, BEN, f"/regen{ME} 1")
    await scene.check("to the bot")
    assert len(scene.telegram.from_bot(GROUP)) == 1


async def test_another_persons_retry_cannot_be_stopped(scene: Scene, provider: ProviderSandbox) -> None:
    """Only who began it may."""
    provider.hold()
    answer = await scene.bot.say(BEN, "/retry")
    stop = scene.telegram.button_data(BEN, answer["message_id"], "⏹ Stop")
    for person in (ANNA, STRANGER):
        forged = await scene.telegram.press(person, 1, stop, forge=True)
        assert forged.text
    provider.release()
    assert "3 of 3" in (await scene.bot.shows(BEN, "Done", answer["message_id"]))["text"]
    await scene.check("stop")
