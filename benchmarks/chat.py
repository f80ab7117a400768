"""Updates a second through the whole stack: /stats with a small database."""

from __future__ import annotations

from benchmarks import databases
from benchmarks.figures import Figure
from benchmarks.processes import cpu_seconds
from benchmarks.standins.process import telegram
from benchmarks.telegram_bot import settings
from tests.end_to_end.process import running_bot

#: So many people, each sending so few that nobody is throttled.
PEOPLE, UPDATES, POSTS = 300, 1200, 5000


async def run() -> list[Figure]:
    """Without a model: the chat alone is measured."""
    async with databases.sqlite() as url, telegram() as server:
        await databases.fill(url, POSTS, users=PEOPLE, tagging_status="success", tags=["новости", "город"])
        async with running_bot(settings(url, server)) as bot:
            await server.until(polls=1)
            # A person's first message also stores the person.
            await server.send(PEOPLE, PEOPLE, "/stats")
            await server.until(messages=PEOPLE)
            before = cpu_seconds(bot.pid)
            await server.send(UPDATES, PEOPLE, "/stats")
            await server.until(messages=UPDATES)
            used = cpu_seconds(bot.pid) - before
            report = await server.report()
    return [
        Figure(
            name="/stats",
            value=UPDATES / (report.last_message - report.sent_at),
            unit="updates/s",
            floor="Telegram takes 30 messages a second",
            at_least=300,
            counted=f"{UPDATES} times, from {PEOPLE} people, {POSTS} posts on SQLite, first update to last answer",
        ),
        Figure(
            name="CPU an update",
            value=1000 * used / UPDATES,
            unit="ms",
            counted="processor time of the process, all threads",
        ),
        Figure(
            name="CPU an update, stand-in",
            value=1000 * report.cpu_seconds / UPDATES,
            unit="ms",
            floor="far below the bot's, or the stand-in would be what is measured",
            counted="processor time of the stand-in's process",
        ),
    ]
