"""The claim: order of work, fairness, leases; on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from sqlalchemy import insert, select, update

from storage.db.engine import Database
from storage.queue import attempt_log, claim, leases
from storage.queue.claim import ClaimedPost, Priority
from storage.schema.tables import Attempt, Post
from tests.storage.rows import NOW, add_posts, add_user, get_post, sqlite_without_foreign_keys


async def claimed_ids(
    database: Database, limit: int, *, token: str = "t", after: int = 0, later: float = 0
) -> list[int]:
    return [post.id for post in await leased(database, limit, token=token, after=after, later=later)]


async def leased(
    database: Database, limit: int, *, token: str = "t", after: int = 0, later: float = 0
) -> list[ClaimedPost]:
    async with database.write() as session:
        return await claim.claim_posts(
            session,
            limit=limit,
            now=NOW + timedelta(seconds=later),
            lease_seconds=300,
            token=token,
            after_user=after,
        )


async def test_order_of_work(database: Database) -> None:
    """Asked for, fresh (as the parser inserts them: NULL), retries, bulk, backfill; of a class the newest first."""
    classes = [Priority.BACKFILL, Priority.BULK, Priority.RETRY, None, Priority.ASKED]
    async with database.write() as session:
        await add_user(session, 1)
        for number, work_class in enumerate(classes, start=1):
            await add_posts(session, 1, 1, first=number, work_class=work_class)
        await add_posts(session, 1, 1, first=10)
    assert [(await claimed_ids(database, 1))[0] for _ in range(6)] == [5, 10, 4, 3, 2, 1]


async def test_users_take_turns(database: Database) -> None:
    """One user's backlog does not delay another's post."""
    async with database.write() as session:
        await add_user(session, 1)
        await add_user(session, 2)
        await add_posts(session, 1, 50)
        await add_posts(session, 2, 2, first=100)
    assert set(await claimed_ids(database, 2)) == {50, 101}
    assert await claimed_ids(database, 1, after=1) == [100]
    assert set(await claimed_ids(database, 3, after=1)) == {49, 48, 47}


async def test_what_others_leave_of_their_share_is_the_next_claims(database: Database) -> None:
    """A claim looks at no more posts of anybody than their share; the order of work stands."""
    async with database.write() as session:
        await add_user(session, 1)
        await add_user(session, 2)
        await add_posts(session, 1, 8, first=100, work_class=Priority.ASKED)
        await add_posts(session, 1, 20)
        await add_posts(session, 2, 1, first=200)
    assert set(await claimed_ids(database, 12)) == {*range(100, 108), 200, 20, 19, 18}
    assert set(await claimed_ids(database, 12)) == set(range(6, 18))
    async with database.write() as session:
        await add_posts(session, 2, 1, first=201)
    assert set(await claimed_ids(database, 4)) == {201, 5, 4}
    assert set(await claimed_ids(database, 4)) == {3, 2, 1}


async def test_what_is_asked_for_goes_before_other_users_turns(database: Database) -> None:
    """Order of work is first, turns are among equals."""
    async with database.write() as session:
        await add_user(session, 1)
        await add_user(session, 2)
        await add_posts(session, 1, 3)
        await add_posts(session, 2, 1, first=100, work_class=Priority.ASKED)
    assert await claimed_ids(database, 1, after=0) == [100]


async def test_who_asked_for_one_post_has_had_a_turn(database: Database) -> None:
    """Their other posts come behind those of users who have had none."""
    async with database.write() as session:
        for user in (1, 2, 3):
            await add_user(session, user)
        await add_posts(session, 1, 1, first=1, work_class=Priority.ASKED)
        await add_posts(session, 1, 3, first=10)
        await add_posts(session, 2, 3, first=20)
        await add_posts(session, 3, 1, first=30)
    assert await claimed_ids(database, 3) == [1, 30, 22]
    assert set(await claimed_ids(database, 3, token="u")) == {12, 21, 11}


async def test_posts_of_nobody_are_not_taken_nor_in_the_way(database: Database) -> None:
    """A parser that does not look at foreign keys may delete a user and leave the posts (SQLite alone allows it)."""
    async with database.write() as session:
        for user in (1, 2):
            await add_user(session, user)
            await add_posts(session, user, 3, first=user * 10)
    if database.is_sqlite:
        with sqlite_without_foreign_keys(database) as parser:
            parser.execute("DELETE FROM users WHERE id = 1")
        assert await claimed_ids(database, 9) == [22, 21, 20]


async def test_old_attempts_are_pruned_a_few_at_a_time(database: Database) -> None:
    """The oldest first; how many says whether there are more."""
    async with database.write() as session:
        await add_user(session, 1)
        await add_posts(session, 1, 5)
        values = {"request_id": "r", "model_asked": "m", "outcome": "tagged", "seconds": 1.0}
        rows = [{"post_id": post, "at": NOW - timedelta(days=post), **values} for post in range(1, 6)]
        await session.execute(insert(Attempt), rows)
    async with database.write() as session:
        counts = [await attempt_log.prune_attempts(session, NOW - timedelta(days=1.5), 3) for _ in range(3)]
        assert counts == [3, 1, 0]
        assert (await session.execute(select(Attempt.post_id))).scalars().all() == [1]


async def test_a_lease_keeps_others_out_until_it_ends(database: Database) -> None:
    """And a waiting post is not due before its time."""
    async with database.write() as session:
        await add_user(session, 1)
        await add_posts(session, 1, 1)
        await add_posts(session, 1, 1, first=2, next_attempt_at=NOW + timedelta(seconds=100))
    assert await claimed_ids(database, 5) == [1]
    assert await claimed_ids(database, 5, later=99) == []
    assert await claimed_ids(database, 5, later=100) == [2]
    assert await claimed_ids(database, 5, later=301) == [1]


async def test_a_lost_lease_writes_nothing(database: Database) -> None:
    """The result of a claim that another one followed is not written."""
    async with database.write() as session:
        await add_user(session, 1)
        await add_posts(session, 1, 1)
    first = (await leased(database, 1, token="first"))[0]
    second = (await leased(database, 1, token="second", later=301))[0]
    async with database.write() as session:
        values = {"tagging_status": "success", "tags": ["город"]}
        settled = await leases.settle(session, [(first, {"tagging_status": "failed"}), (second, values)])
        assert not settled.wrote(first)
        assert settled.wrote(second)
    post = await get_post(database, 1)
    assert (post.tagging_status, post.tags, post.lease_token) == ("success", ["город"], None)


async def test_an_edited_text_takes_no_old_result(database: Database) -> None:
    """Tags of a text that changed meanwhile are not written over the newer work."""
    async with database.write() as session:
        await add_user(session, 1)
        await add_posts(session, 1, 1)
    claimed = (await leased(database, 1))[0]
    async with database.write() as session:
        await session.execute(update(Post).where(Post.id == 1).values(text="совсем другое"))
    async with database.write() as session:
        settled = await leases.settle(session, [(claimed, {"tagging_status": "success"})])
        assert not settled.wrote(claimed)
        assert settled.alive == {1}
    assert await claimed_ids(database, 1) == [1]


async def test_renewed_leases_stand(database: Database) -> None:
    """Work that goes on longer than a lease keeps its post."""
    async with database.write() as session:
        await add_user(session, 1)
        await add_posts(session, 1, 1)
    claimed = await leased(database, 1)
    async with database.write() as session:
        await leases.renew(session, claimed, NOW + timedelta(seconds=600))
    assert await claimed_ids(database, 1, later=400) == []


async def test_released_posts_are_due_at_once(database: Database) -> None:
    """A clean stop gives back what it holds."""
    async with database.write() as session:
        await add_user(session, 1)
        await add_posts(session, 1, 2)
    claimed = await leased(database, 2)
    async with database.write() as session:
        await leases.release(session, claimed)
    assert sorted(await claimed_ids(database, 2)) == [1, 2]


async def test_claims_at_the_same_time_share_no_post(database: Database) -> None:
    """Ten claims at once take fifty posts once each."""
    async with database.write() as session:
        await add_user(session, 1)
        await add_posts(session, 1, 50)
    taken: list[int] = []
    for _ in range(5):
        rounds = await asyncio.gather(*(claimed_ids(database, 10, token=str(n)) for n in range(10)))
        taken += [post for found in rounds for post in found]
    assert sorted(taken) == list(range(1, 51))


async def test_next_due(database: Database) -> None:
    """When the earliest waiting post comes; now, if one is due; None without any."""
    async with database.write() as session:
        await add_user(session, 1)
        assert await claim.next_due_at(session, NOW) is None
        await add_posts(session, 1, 1, next_attempt_at=NOW + timedelta(seconds=40))
        assert await claim.next_due_at(session, NOW) == NOW + timedelta(seconds=40)
        assert await claim.next_due_at(session, NOW + timedelta(seconds=40)) == NOW + timedelta(seconds=40)
