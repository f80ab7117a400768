"""Tags that stay few and right: a simulated model that uses a tag offered to it four times in five.

It knows concepts, each with Russian and English names in all their forms, and else takes any form of any name. Two
owners share requests. No time is measured: the figures are of the tags that the posts have in the end.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random

import structlog
from sqlalchemy import insert, select

from benchmarks import databases
from benchmarks.figures import Figure
from benchmarks.vocabulary_concepts import Concept, all_concepts
from services.availability.rate_limit import RateLimit
from services.clock import utc_now
from services.llm.client import Call, Request
from services.llm.outcomes import Kind, Outcome, Usage
from services.llm.prompts import Offer, messages
from services.tagging.dispatcher import Dispatcher
from services.tagging.recorder import Recorder
from services.tagging.retry_policy import Policy
from services.tagging.worker import Worker
from services.tags.counting import TagCounting
from services.tags.keys import tag_key
from services.tags.stems import says
from storage.db.engine import Database, parse_url
from storage.migration.migrate import migrate
from storage.schema.tables import Channel, Post, User

POSTS, BATCH = 2000, 10
OFFERED_TAKEN, OTHERS_TAKEN, SYNONYM = 0.8, 0.05, 0.3
MODEL = "simulated/model"
_MARK = re.compile(r"\[([\d,]+)\]")


@dataclass
class SimulatedModel:
    """Takes the place of `services.llm.client.Provider`."""

    concepts: Sequence[Concept]
    random: Random
    requests: int = 0
    tokens: int = 0
    extras: bool = False
    by_key: dict[str, int] = field(default_factory=dict)

    async def ask(self, request: Request) -> Call:
        """Tags for each text by the concepts marked in it."""
        self.requests += 1
        self.tokens += len(_user_message(request.texts, request.offers)) - len(_user_message(request.texts, ()))
        offered = {number: offer.names for offer in request.offers for number in offer.posts}
        outcomes = [
            Outcome(Kind.TAGGED, tags=self._tags(text, offered.get(number, ()), request.offers))
            for number, text in enumerate(request.texts, start=1)
        ]
        await asyncio.sleep(0)
        return Call(request, tuple(outcomes), MODEL, 200, 0.0, Usage(), utc_now())

    def _tags(self, text: str, offered: Sequence[str], offers: Sequence[Offer]) -> tuple[str, ...]:
        known: dict[int, str] = {}
        for name in offered:
            known.setdefault(self.by_key.get(tag_key(name), -1), name)
        tags = [self._tag(self.concepts[number], known.get(number)) for number in marked(text)]
        others = [name for offer in offers if offer.names != tuple(offered) for name in offer.names]
        if others and self.random.random() < OTHERS_TAKEN:
            tags.append(self.random.choice(others))
        return tuple(tags)

    def _tag(self, concept: Concept, known: str | None) -> str:
        if known is not None and self.random.random() < OFFERED_TAKEN:
            return known
        names = concept.names[1:] if len(concept.names) > 1 and self.random.random() < SYNONYM else concept.names[:1]
        return self.random.choice(self.random.choice(names))


def marked(text: str) -> list[int]:
    """The numbers of the concepts that the text is about."""
    found = _MARK.search(text)
    return [int(number) for number in found[1].split(",")] if found else []


def _user_message(texts: Sequence[str], offers: Sequence[Offer]) -> str:
    return messages(texts, offers)[1]["content"]


async def run() -> list[Figure]:
    """The figures after POSTS posts."""
    # The worker is in this process: a line for each post would bury the figures.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    concepts = all_concepts()
    model = SimulatedModel(concepts, Random(7))
    for number, concept in enumerate(concepts):
        model.by_key.update({tag_key(form): number for name in concept.names for form in name})
    async with databases.sqlite() as url:
        database = Database(parse_url(url))
        try:
            await migrate(database, now=utc_now())
            await _fill(database, concepts)
            await _tag_all(database, model)
            async with database.read() as session:
                rows = (await session.execute(select(Post.user_id, Post.text, Post.tags))).all()
        finally:
            await database.close()
    posts = [(row.user_id, marked(row.text or ""), list(row.tags or ())) for row in rows]
    return figures(posts, [row.text or "" for row in rows], model, concepts)


async def _fill(database: Database, concepts: Sequence[Concept]) -> None:
    random, now = Random(3), utc_now()
    async with database.write() as session:
        for user_id in (1, 2):
            session.add(User(id=user_id, telegram_id=user_id, created_at=now, is_active=True))
            session.add(Channel(id=user_id, channel_username=f"channel{user_id}"))
        await session.flush()
        rows = []
        for number in range(1, POSTS + 1):
            user_id = 1 + number % 2
            own = theirs(user_id, len(concepts))
            # Some concepts come up often.
            numbers = sorted({own[int(random.paretovariate(0.6)) % len(own)] for _ in range(4)})
            words = ", ".join(random.choice(concepts[at].names[0]) for at in numbers)
            text = f"Сообщение о том, что было: {words}. Подробности [{','.join(map(str, numbers))}] №{number}"
            rows.append(
                {
                    "id": number,
                    "user_id": user_id,
                    "channel_id": user_id,
                    "telegram_message_id": number,
                    "text": text,
                    "posted_at": now + timedelta(seconds=number),
                }
            )
        await session.execute(insert(Post), rows)


def theirs(user_id: int, concepts: int) -> range:
    """The concepts of an owner: a third is both owners'."""
    third = concepts // 3
    return range(2 * third) if user_id == 1 else range(third, concepts)


async def _tag_all(database: Database, model: SimulatedModel) -> None:
    rate_limit, random = RateLimit(0), Random(5)
    policy = Policy(max_retries=3, retry_delay=0.01, max_attempts=5, backoff_seconds=0.05)
    recorder = Recorder((MODEL,), policy, rate_limit, (), utc_now, random)
    dispatcher = Dispatcher(
        recorder,
        (MODEL,),
        policy,
        rate_limit,
        concurrency=2,
        batch_size=BATCH,
        lease_seconds=300,
        probe_seconds=10,
        sends_models=lambda: False,
    )
    worker = Worker(
        database,
        model,  # type: ignore[arg-type]
        recorder,
        dispatcher,
        lease_seconds=300,
        tick_seconds=0.05,
        clock=utc_now,
        on_news=lambda: None,
    )
    counting = TagCounting(database, utc_now)
    tasks = [asyncio.create_task(worker.run()), asyncio.create_task(counting.run())]
    try:
        while await _untagged(database):  # noqa: ASYNC110 - the condition is in the database
            await asyncio.sleep(0.2)
    finally:
        worker.stop()
        counting.stop()
        await asyncio.gather(*tasks)


async def _untagged(database: Database) -> bool:
    async with database.read() as session:
        waiting = select(Post.id).where(Post.tagging_status != "success").limit(1)
        return (await session.execute(waiting)).first() is not None


Posts = Sequence[tuple[int, Sequence[int], Sequence[str]]]


def figures(posts: Posts, texts: Sequence[str], model: SimulatedModel, concepts: Sequence[Concept]) -> list[Figure]:
    """What the tags of the posts are like, of each owner by themselves."""
    names = {
        tag_key(form): (at, which)
        for at, each in enumerate(concepts)
        for which, name in enumerate(each.names)
        for form in name
    }
    distinct = {(owner, tag) for owner, _, tags in posts for tag in tags}
    words = {(owner, names.get(tag_key(tag), (tag, 0))) for owner, tag in distinct}
    about = {(owner, at) for owner, numbers, _ in posts for at in numbers}
    due = sum(len(numbers) for _, numbers, _ in posts)
    found = [(set(numbers), {names.get(tag_key(tag), (-1, 0))[0] for tag in tags}) for _, numbers, tags in posts]
    wrong = sum(len(got - wanted) for wanted, got in found)
    lost = sum(len(wanted - got) for wanted, got in found)
    foreign = sum(
        names.get(tag_key(tag), (-1, 0))[0] not in theirs(owner, len(concepts)) and not says(text, tag)
        for (owner, _, tags), text in zip(posts, texts, strict=True)
        for tag in tags
    )
    counted = f"{len(posts)} posts of two owners, {len(concepts)} concepts, {BATCH} posts a request"
    percent: Callable[[int, int], float] = lambda part, whole: 100 * part / max(1, whole)  # noqa: E731
    return [
        Figure(
            name="form duplicates",
            value=percent(len(distinct) - len(words), len(distinct)),
            unit="%",
            at_most=1,
            counted=counted,
            floor="36.6 % without vocabularies",
        ),
        Figure(name="wrong or others' tags", value=percent(wrong, due), unit="%", at_most=0.1, counted=counted),
        Figure(name="lost tags", value=percent(lost, due), unit="%", at_most=0.5, counted=counted),
        Figure(name="tags a concept", value=len(distinct) / len(about), unit="", at_most=2.2, counted=counted),
        Figure(name="requests a post", value=model.requests / len(posts), unit="", at_most=0.105, counted=counted),
        Figure(name="tags of the other owner only", value=foreign, unit="", at_most=0, counted=counted),
        Figure(
            name="offered",
            value=model.tokens / 2.4 / model.requests,
            unit="tokens",
            at_most=350,
            counted="letters of the lists / 2.4, a request",
        ),
    ]
