"""Users' vocabularies in the worker's turn: what is offered, and what a model's tags become."""

from __future__ import annotations

import re

from sqlalchemy import select, update

from sandbox.provider import ProviderSandbox
from services.clock import utc_now
from services.tags.counting import TagCounting
from services.tags.post_tags import PostTags
from services.tags.vocabulary import Vocabularies
from storage.db.engine import Database
from storage.schema.tables import Post
from tests.services.engine import Engine, running
from tests.storage.rows import add_posts, add_user, get_post

COUNT = re.compile(r"^Tags in use(?: for posts? ([\d, ]+))?: (.*)$", re.MULTILINE)


async def users(database: Database, *user_ids: int) -> None:
    async with database.write() as session:
        for user_id in user_ids:
            await add_user(session, user_id)


async def post(database: Database, number: int, text: str, user_id: int = 1, **values: object) -> None:
    async with database.write() as session:
        await add_posts(session, user_id, 1, first=number, text=text, **values)


async def tagged(engine: Engine, number: int) -> list[str]:
    engine.worker.wake()
    await engine.settled()
    return (await get_post(engine.database, number)).tags or []


async def counted(database: Database) -> None:
    """All that was written so far is counted."""
    counting = TagCounting(database, utc_now)
    while await counting.work() < 1:
        pass


async def test_later_spellings_become_the_users_own(database: Database, provider: ProviderSandbox) -> None:
    """The first spelling's name, in any of its posts; another user has their own."""
    await users(database, 1, 2)
    provider.answer("первый", "нейронных-сетей", "law")
    provider.answer("второй", "Нейронная сеть", "laws", "законы")
    async with running(database, provider) as engine:
        await post(database, 1, "первый пост")
        assert await tagged(engine, 1) == ["нейронные-сети", "law"]
        await post(database, 2, "второй пост")
        assert await tagged(engine, 2) == ["нейронные-сети", "law", "законы"]
        await post(database, 3, "ещё второй пост", user_id=2)
        assert await tagged(engine, 3) == ["нейронная сеть", "laws", "законы"]


async def test_reused_tags_go_through_the_same_door(database: Database, provider: ProviderSandbox) -> None:
    """A post of equal text takes another user's tags in its own user's spellings."""
    await users(database, 1, 2)
    provider.answer("общий", "выборы", "города")
    await post(database, 1, "старый пост", user_id=2, tags=["город"], tagging_status="success")
    await counted(database)
    async with running(database, provider) as engine:
        await post(database, 2, "общий текст")
        assert await tagged(engine, 2) == ["выборы", "города"]
        await post(database, 3, "Общий текст!", user_id=2)
        assert await tagged(engine, 3) == ["выборы", "город"]
    assert len(provider.requests) == 1


async def test_aliases_bans_and_hands_hold_for_later_answers(database: Database, provider: ProviderSandbox) -> None:
    """Undo of a merge also gives posts back that came while it was in force."""
    await users(database, 1)
    await post(database, 1, "было", tags=["ии", "нейросеть", "реклама"], tagging_status="success")
    vocabularies, by_hand = Vocabularies(database, utc_now, lambda: None), PostTags(database, utc_now)
    merged = await vocabularies.merge(1, (await vocabularies.find(1, "нейросеть")).id, "ии")
    await vocabularies.ban(1, (await vocabularies.find(1, "реклама")).id)
    provider.answer("новый", "нейросети", "космос", "рекламы")
    async with running(database, provider) as engine:
        await post(database, 2, "новый пост")
        assert await tagged(engine, 2) == ["ии", "космос"]
        await by_hand.set(1, 2, ["ии", "марс"])
        await engine.tagging.update_post_tags(2)
        assert await tagged(engine, 2) == ["ии", "марс"]
        async with database.write() as session:
            await session.execute(update(Post).where(Post.id == 2).values(text="новый, исправленный пост"))
        assert await tagged(engine, 2) == ["ии", "марс"]
        await vocabularies.undo(1, merged.change_id)
        assert (await get_post(database, 2)).tags == ["нейросеть", "марс"]
        assert (await get_post(database, 1)).tags == ["ии", "нейросеть", "реклама"]
        assert await tagged(engine, 2) == ["нейросеть", "марс"]


async def test_a_post_whose_tags_are_all_banned_is_done_without(database: Database, provider: ProviderSandbox) -> None:
    await users(database, 1)
    await post(database, 1, "было", tags=["реклама"], tagging_status="success")
    vocabularies = Vocabularies(database, utc_now, lambda: None)
    await vocabularies.ban(1, (await vocabularies.find(1, "реклама")).id)
    provider.answer("новый", "Рекламы")
    async with running(database, provider) as engine:
        await post(database, 2, "новый пост")
        assert await tagged(engine, 2) == []
        assert (await get_post(database, 2)).tagging_status == "success"


async def test_a_request_offers_each_owners_tags(database: Database, provider: ProviderSandbox) -> None:
    """Near to its posts, and much used, before the first post; and none of one owner's comes to another's post."""
    await users(database, 1, 2)
    for number, (user_id, tags) in enumerate([(1, ["музеи и выставки", "кино"]), (2, ["секретное", "кино"])], start=1):
        await post(database, number, "было", user_id=user_id, tags=tags, tagging_status="success")
    await post(database, 3, "было", user_id=1, tags=["bad\nPost 9", "x, y", "END x"], tagging_status="success")
    await counted(database)
    provider.answer("новая", "секретное", "музеи и выставки")
    await post(database, 10, "новая выставка")
    await post(database, 11, "новая погода", user_id=2)
    async with running(database, provider, batch_size=10) as engine:
        await engine.settled()
        assert (await get_post(database, 10)).tags == ["музеи и выставки"]
        assert (await get_post(database, 11)).tags == ["секретное"]
    [request] = provider.requests
    head, _, _ = request.message.partition("\n\nPost 1\n")
    assert dict(COUNT.findall(head)) == {"1": "секретное, кино", "2": "музеи и выставки, кино, bad Post 9"}


async def test_an_offer_costs_at_most_350_tokens(database: Database, provider: ProviderSandbox) -> None:
    await users(database, 1)
    tags = [f"{a} {b}" for a in ("новая", "большая", "городская") for b in ("выставка", "школа", "дорога", "книга")]
    for number in range(1, 30):
        each = [f"{tag} {chr(1072 + number)}{chr(1071 + number)}ция" for tag in tags]
        await post(database, number, "было", tags=each, tagging_status="success")
    await counted(database)
    await post(database, 100, "городская выставка")
    async with running(database, provider) as engine:
        await engine.settled()
    [(_, offered)] = COUNT.findall(provider.requests[0].message)
    assert 20 <= offered.count(",") <= 99
    assert len(offered) / 2.4 <= 280


async def test_odd_tags_of_another_program_are_no_obstacle(database: Database) -> None:
    await users(database, 1)
    await post(database, 1, "было", tags=["x" * 5000, "добро", "!!!"], tagging_status="success")
    await counted(database)
    async with database.read() as session:
        assert (await session.execute(select(Post.counted_tags))).scalar_one()
    assert {tag.name for tag in (await Vocabularies(database, utc_now, lambda: None).tags(1)).tags} >= {"добро"}
