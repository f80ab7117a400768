"""The demo's steps: what Anna does, and what must follow."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sandbox.demo import posts
from sandbox.demo.console import Console
from sandbox.demo.posts import ANNA, BEN, DemoChannel, publish
from sandbox.demo.process import MODELS, DemoRunsError, Folder, environment, run_migrate, running_bot, stop
from sandbox.preview import PreviewSandbox, serve_preview
from sandbox.provider import FaultPlan, ProviderSandbox
from sandbox.servers import serve
from sandbox.telegram import TelegramSandbox

Json = dict[str, Any]
TOKEN = "700001:demo-token"
# The model refuses this post until Anna retries it.
REFUSED = {"ru": "Вулкан на дне океана", "en": "A volcano on the ocean floor"}
#: A tag that Anna merges into another; a post of the public channel comes with the first.
MERGED = {"ru": ("космос", "астрономия"), "en": ("space", "astronomy")}
#: What the model finds when Anna presses “Similar tags”.
SIMILAR = {
    "ru": [("аренда жилья", "недвижимость"), ("велосипеды", "велодорожка")],
    "en": [("rents", "housing"), ("bread", "sourdough")],
}
REGENERATED = "A library in Oslo lends telescopes"
SIMULATED = (
    "The tags are simulated: each post above has its own, and a text of yours gets some of its words. "
    "Real ones come from a model: set OPENROUTER_API_KEY, and `make run`."
)
NO_TERMINAL = (
    "The demo ends here, as nobody is at a terminal. For the chat page run `make demo` in one; "
    "with ONCE=1 it ends here anyway."
)


class StepFailedError(Exception):
    """An expected event did not happen."""


@dataclass
class Show:
    """What the steps need."""

    telegram: TelegramSandbox
    provider: ProviderSandbox
    folder: Folder
    #: Channels of the parser, and a public one that the bot reads.
    channels: list[DemoChannel]
    public: DemoChannel
    preview: PreviewSandbox
    console: Console
    #: A part of the text of the post that the model refuses.
    refused: str
    merged: tuple[str, str]

    async def until(self, what: str, condition: Callable[[], Any], seconds: float = 15) -> Any:
        """Wait for the condition.

        Raises:
            StepFailedError: it did not hold in time.
        """
        try:
            return await self.telegram.wait_for(condition, seconds)
        except TimeoutError:
            raise StepFailedError(f"no {what} within {seconds:.0f} s") from None

    async def command(self, text: str, who: int = ANNA) -> Json:
        """Send a command and print the bot's answer."""
        mark = self.newest(who)
        self.console.says("Anna" if who == ANNA else "Ben", text)
        self.telegram.send_text(who, text)
        message: Json = await self.until(f"answer to {text}", lambda: self._after(who, mark))
        self.console.shows(message)
        return message

    def newest(self, chat: int) -> int:
        """The id of a chat's newest message."""
        return max((m["message_id"] for m in self.telegram.messages(chat)), default=0)

    def _after(self, chat: int, mark: int) -> Json | None:
        return next((m for m in self.telegram.from_bot(chat) if m["message_id"] > mark), None)

    def post(self, marker: str) -> tuple[int, str, str]:
        """Id, status and tags of a post."""
        return posts.post_by_text(self.folder.database, marker)


async def main(folder: Folder) -> int:
    """Run the demo; returns the exit status."""
    console = Console()
    try:
        with folder.held():
            return await _main(folder, console)
    except DemoRunsError as error:
        console.failed(str(error))
        return 1


async def _main(folder: Folder, console: Console) -> int:
    asked = os.environ.get("ONCE") == "1"
    once = asked or not sys.stdin.isatty()
    folder.fresh()
    _end_on_sigterm()
    try:
        async with world(folder, console) as (show, page, provider_url):
            await _run(show, page, provider_url, once=once)
        if once and not asked:
            console.note(NO_TERMINAL)
        return 0
    except (StepFailedError, TimeoutError) as error:
        console.failed(str(error) or "the bot took too long")
        console.note(f"The bot's log ends ({folder.log}):\n{folder.log_tail()}")
        return 1
    except asyncio.CancelledError:
        return 0 if not once else 130


def _end_on_sigterm() -> None:
    # Like Ctrl-C, so that the bot is stopped too.
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


@asynccontextmanager
async def world(folder: Folder, console: Console) -> AsyncIterator[tuple[Show, str, str]]:
    """The stand-ins with people and channels, and the addresses of Telegram and the provider."""
    telegram = TelegramSandbox(TOKEN)
    # An account that has bought credit: with 50 requests a day posts would wait for company.
    provider = ProviderSandbox("demo", models=MODELS, latency=0.15, requests_per_day=1000)
    language = os.environ.get("DEMO_LANGUAGE") or "ru"
    channels = posts.load_channels(language)
    public = next(channel for channel in channels if channel.is_public)
    telegram.add_user(ANNA, "Anna", language, "anna_demo")
    telegram.add_user(BEN, "Ben", "en", "ben_demo")
    for channel in channels:
        telegram.add_channel(channel.id, channel.title, channel.username, newest_id=channel.newest_id)
        for number, text in enumerate(channel.posts, start=1):
            # On the chat page, from which they can be forwarded; the bot is not in the channel and gets no update.
            telegram.channel_post(channel.id, text, number)
        provider.learn(*channel.posts)
        provider.learn_tags(channel.tags)
    async with serve(telegram.make_app()) as page, serve(provider.make_app()) as root, serve_preview() as preview:
        publish(preview, public)
        parsed = [channel for channel in channels if not channel.is_public]
        known = "ru" if language.startswith("ru") else "en"
        provider.similar = SIMILAR[known]
        show = Show(telegram, provider, folder, parsed, public, preview, console, REFUSED[known], MERGED[known])
        yield show, page, f"{root}/api/v1"


async def _run(show: Show, page: str, provider_url: str, *, once: bool) -> None:
    env = environment(show.folder, page, provider_url, show.preview.url, TOKEN)
    show.console.step("A fresh database is migrated, and the parser's users and channels are inserted")
    if await run_migrate(show.folder, env) != 0:
        raise StepFailedError("`python -m bot migrate` did not succeed")
    posts.insert_people(show.folder.database, show.channels)
    show.console.step("The real bot starts, against a stand-in for Telegram and a faulty model provider")
    async with running_bot(show.folder, env) as child:
        await _conversation_with(show, child)
        if not once:
            show.console.step(f"Your turn: {page} is the chat (Ctrl-C ends the demo)")
            show.console.note(SIMULATED)
            show.console.note(f"The bot's HTTP API: http://127.0.0.1:{env['HTTP_PORT']}/docs")
            await _until_interrupted(child)
        status = await stop(child)
    if status != 0:
        raise StepFailedError(f"the bot ended with exit status {status} after SIGTERM")
    show.console.note("The bot was asked to stop and ended in order.")


async def _until_interrupted(child: asyncio.subprocess.Process) -> None:
    # Ctrl-C cancels the main task once; the bot must still be stopped.
    try:
        await child.wait()
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None:
            task.uncancel()


async def _conversation_with(show: Show, child: asyncio.subprocess.Process) -> None:
    """The conversation; ends early if the bot exits."""
    talk = asyncio.ensure_future(_conversation(show))
    death = asyncio.ensure_future(child.wait())
    try:
        await asyncio.wait({talk, death}, return_when=asyncio.FIRST_COMPLETED)
        if not talk.done():
            raise StepFailedError(f"the bot died with exit status {death.result()}")
        talk.result()
    finally:
        talk.cancel()
        death.cancel()
        await asyncio.gather(talk, death, return_exceptions=True)


async def _conversation(show: Show) -> None:
    await show.until("first getUpdates of the bot's", lambda: _polled(show), 30)
    language = show.telegram.world.people[ANNA].language_code
    show.console.step(f"Anna, the administrator, says hello (her Telegram says “{language}”, and the bot goes by it)")
    await show.command("/start")
    show.console.step("Nothing has been tagged yet")
    await show.command("/stats")
    mark = await _tagging(show)
    await _failure(show, mark)
    show.console.step("Anna asks for everything that still waits or failed to be tried at once")
    await show.command("/retry")
    await _regeneration(show)
    await _merge(show)
    await _public_channel(show)
    _check_merge(show)
    show.console.step("What came of it")
    await show.command("/stats")
    _check_errors(show)


def _polled(show: Show) -> bool:
    return any(call.method == "getUpdates" for call in show.telegram.calls)


async def _tagging(show: Show) -> int:
    """Start tagging; returns the id of the newest message before it."""
    mark = show.newest(ANNA)
    total = sum(len(channel.posts) for channel in show.channels)
    show.console.step(f"The parser inserts {total} posts; 15 % of all requests to the models fail")
    show.provider.faults = FaultPlan(0.15, seed=5)
    show.provider.plan_for(show.refused, "moderation_403")
    began = time.monotonic()
    posts.insert_posts(show.folder.database, show.channels)
    await _settled(show, total)
    outcomes = [record.outcome for record in show.provider.requests]
    faults = sum(name not in {"ok", "moderation_403"} for name in outcomes)
    show.console.note(
        f"{posts.counts(show.folder.database).get('success', 0)} of {total} posts were tagged in "
        f"{time.monotonic() - began:.1f} s with {len(outcomes)} requests, {faults} of which the provider spoilt."
    )
    show.console.note("The tags are simulated: no model is asked.")
    show.console.note("The one post without tags is refused by every model's moderation.")
    return mark


async def _settled(show: Show, total: int) -> None:
    """Wait until every post is tagged, except the refused one, which fails."""
    await _database(
        show,
        f"end of tagging: {total - 1} posts with tags and one failed",
        lambda: posts.counts(show.folder.database) == {"success": total - 1, "failed": 1},
        40,
    )


async def _database(show: Show, what: str, condition: Callable[[], bool], seconds: float = 15) -> None:
    # The database file is written by another process, so it is polled.
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise StepFailedError(f"no {what} within {seconds:.0f} s: {posts.counts(show.folder.database)}")
        await asyncio.sleep(0.1)


async def _failure(show: Show, mark: int) -> None:
    show.console.step("The bot tells Anna about the post that failed")
    notice: Json = await show.until("notice of the failed post", lambda: _notice(show, mark))
    show.console.shows(notice)
    show.provider.forget_plan(show.refused)
    retry = notice["reply_markup"]["inline_keyboard"][0][0]
    show.console.step("The model has changed its mind: Anna presses the first button")
    show.console.says("Anna", f"[ {retry['text']} ]")
    answer = await show.telegram.press(ANNA, notice["message_id"], 0)
    if answer.text:
        show.console.note(f"(toast) {answer.text}")
    await _database(show, "tags of the retried post", lambda: show.post(show.refused)[1] == "success")
    await show.until("tags in the notice", lambda: _now(show, notice)["text"].startswith("✅"))
    show.console.shows(_now(show, notice))


def _notice(show: Show, mark: int) -> Json | None:
    """The first message since `mark` that shows the refused post, with a button."""
    number = str(show.post(show.refused)[0])
    for message in show.telegram.from_bot(ANNA):
        if (
            message["message_id"] > mark
            and message.get("reply_markup")
            and (number in message["text"] or show.refused in message["text"])
        ):
            return message
    return None


def _changed(show: Show, notice: Json) -> bool:
    return any(
        m["message_id"] == notice["message_id"] and m["edits"] > notice["edits"] for m in show.telegram.messages(ANNA)
    )


async def _regeneration(show: Show) -> None:
    number, _, before = show.post(REGENERATED)
    show.console.step(f"Anna wants other tags for post {number}")
    asked = len(show.provider.requests)
    await show.command(f"/regen {number}")
    await _database(show, "request for the post", lambda: _asked_again(show, asked))
    await _database(show, "tags of the post", lambda: show.post(REGENERATED)[1] == "success")
    after = show.post(REGENERATED)[2]
    show.console.note(f"Its tags: {_listed(after or before)}")


async def _merge(show: Show) -> None:
    one, other = show.merged
    show.console.step(f"Anna says that “{one}” means “{other}”: her posts get that tag, and so does every later one")
    await show.command(f"/merge {one} -> {other}")


def _check_merge(show: Show) -> None:
    """A model gave a new post the tag that is merged."""
    one, other = show.merged
    text = next(text for text, tags in show.public.tags.items() if one in tags)
    got = _listed(show.post(text)[2])
    if other not in got.split(", ") or one in got.split(", "):
        raise StepFailedError(f"the merge does not hold: a later post has {got}")
    show.console.note(f"The merge holds: the model called a new post “{one}”, and its tags are {got}.")


async def _public_channel(show: Show) -> None:
    """Add a public channel by its name; the bot reads its preview."""
    channel = show.public
    show.console.step("Anna adds a public channel by its name; the bot reads it from the channel's preview")
    reading = await show.command(f"/add @{channel.username}")
    await show.until("end of the reading", lambda: _changed(show, reading))
    show.console.shows(_now(show, reading))
    await _database(show, "tags of the channel's posts", lambda: posts.tagged(show.folder.database, channel))
    await show.command("/channels")


def _now(show: Show, message: Json) -> Json:
    """The message in its current state."""
    return next(m for m in show.telegram.messages(ANNA) if m["message_id"] == message["message_id"])


def _asked_again(show: Show, mark: int) -> bool:
    return any(
        REGENERATED in record.message and record.outcome == "ok" and record.seconds is not None
        for record in show.provider.requests[mark:]
    )


def _listed(tags: str) -> str:
    try:
        return ", ".join(json.loads(tags))
    except (ValueError, TypeError):
        return tags


def _check_errors(show: Show) -> None:
    if show.telegram.errors:
        worst = show.telegram.errors[0]
        raise StepFailedError(f"Telegram refused {worst.method}: {worst.code} {worst.description}")
    show.console.note("Telegram refused nothing the bot sent.")
