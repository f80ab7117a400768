"""Anything that can happen to posts, in any order, done to the real queue and to the model of its rules."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
)

from services.llm.outcomes import Kind, Outcome
from storage.queue.claim import ClaimedPost
from storage.schema.tables import Post as Row
from tests.services.tagging.queue_model import LEASE, LONGEST_WAIT, POLICY, QUEUED, Claim, Model, Post, own_tags
from tests.services.tagging.queue_world import USERS, Flight, World

STATUSES = {"pending", "retrying", "success", "failed", "skipped"}
PARSERS_TAGS = ("тег парсера",)

workers = st.integers(0, 1)
indices = st.integers(0, 7)
kinds = st.sampled_from([kind for kind in Kind if kind not in {Kind.NETWORK, Kind.UNSUPPORTED}])
own_faults = st.sampled_from([Kind.SERVER_ERROR, Kind.MALFORMED, Kind.REFUSED])
#: What one request gives: a kind, and how many seconds ahead the provider puts its reset, if it says so.
answers = st.tuples(kinds, st.sampled_from([None, None, 30, 6 * 3600]))
bodies = st.sampled_from(["text", "text", "text", "blank", "null"])
advances = st.sampled_from([1, 3, 6, 75, 310, 4000, 90_000, 8 * 86_400])


class QueueMachine(RuleBasedStateMachine):
    """Each rule does a thing to the database and to the model; then the two must agree."""

    new_database: ClassVar[Callable[[], str]]

    def __init__(self) -> None:
        super().__init__()
        self.world = World(type(self).new_database())
        self.model = Model()
        self.rows: dict[int, Row] = {}
        self.claims: dict[str, dict[int, Claim]] = {}
        self.numbers = count(1)
        self.agrees = True

    def teardown(self) -> None:
        """Every sequence ends well once the upstream does."""
        try:
            if self.agrees:
                self.heal()
        finally:
            self.world.close()

    # The parser.

    @initialize()
    def first_posts(self) -> None:
        for user, tagged in ((1, False), (1, False), (2, True)):
            self.insert(user, "text", tagged)
        # Tags that a person wants better ones for.
        self.wish(2, "regen")

    @rule(user=st.sampled_from(USERS), body=bodies, tagged=st.booleans())
    def insert(self, user: int, body: str, tagged: bool) -> None:
        number = next(self.numbers)
        text, tags = self.body(body, number), PARSERS_TAGS if tagged else ()
        post_id = self.world.run(self.world.insert(number, user, text, tags))
        self.model.insert(post_id, user, text, tags)
        self.compare()

    @precondition(lambda self: self.model.posts)
    @rule(index=indices, body=bodies, again=st.booleans())
    def edit(self, index: int, body: str, again: bool) -> None:
        post = self.pick(index)
        text = self.body(body, next(self.numbers))
        if again and post.texts:
            text = min(post.texts)
        self.world.run(self.world.edit(post.id, text))
        self.model.edit(post.id, text, self.world.now)
        self.compare()

    @precondition(lambda self: self.model.posts)
    @rule(index=indices)
    def delete(self, index: int) -> None:
        post_id = self.pick(index).id
        self.world.run(self.world.delete(post_id))
        self.model.delete(post_id)
        self.compare()

    # Workers.

    @rule(worker=workers)
    def claim(self, worker: int) -> None:
        upstream = self.world.run(self.world.upstream())
        may_probe = self.world.probe_asked
        plan = self.world.run(self.world.claim(self.world.workers[worker]))
        rows = self.world.run(self.world.rows())
        started = {request.posts[0].id: request for request in plan.requests}
        for post in list(self.model.posts.values()):
            settled = self.model.without_request(post, upstream, self.world.now)
            if post.id in started:
                request = started[post.id]
                assert post.is_due(self.world.now), "claimed though it was not due"
                assert settled is None, "a request that cannot help"
                assert may_probe or not {request.models[0]} & (post.refused | upstream.gone), "asked in vain"
                claim = self.new_claim(request.posts[0], request.models)
                self.model.claimed(claim)
            elif _state(rows[post.id]) != _state(self.rows[post.id]):
                assert post.is_due(self.world.now), "settled though it was not due"
                if settled is not None:
                    self.model.posts[post.id] = settled
                else:
                    self.postponed(post)
        self.compare(rows)

    def new_claim(self, post: ClaimedPost, models: tuple[str, ...]) -> Claim:
        now = self.world.now
        claim = Claim(post.id, post.token, post.text or "", models, 0, now, now + LEASE)
        self.claims.setdefault(post.token, {})[post.id] = claim
        return claim

    def postponed(self, post: Post) -> None:
        """Nobody may be asked about it now: it comes up again, with what was in doubt decided."""
        attempts = self.model.settled_attempts(post)
        post.doubt = None if attempts > post.attempts else post.doubt
        post.attempts, post.claim = attempts, None
        post.due = (self.world.now, self.latest())

    @precondition(lambda self: any(worker.flights for worker in self.world.workers))
    @rule(worker=workers, given=st.lists(answers, min_size=1, max_size=3))
    def answer(self, worker: int, given: list[tuple[Kind, int | None]]) -> None:
        flights = self.world.workers[worker].flights
        self.deliver(worker, list(zip(flights, given, strict=False)))

    @rule(worker=workers, given=st.lists(answers, min_size=1, max_size=6), pause=st.sampled_from([4, 80, 150]))
    def work(self, worker: int, given: list[tuple[Kind, int | None]], pause: int) -> None:
        """A few turns in a row, each with one answer to all that is in flight."""
        for each in given:
            self.claim(worker)
            self.advance(1)
            self.deliver(worker, [(flight, each) for flight in self.world.workers[worker].flights])
            self.advance(pause)

    @rule(worker=workers, kind=own_faults, turns=st.integers(2, 6))
    def outage(self, worker: int, kind: Kind, turns: int) -> None:
        """One fault for long enough to use attempts up."""
        self.work(worker, [(kind, None)] * turns, 80)

    def deliver(self, worker: int, given: list[tuple[Flight, tuple[Kind, int | None]]]) -> None:
        if not given:
            return
        outcomes = [(flight, self.outcome(flight, *each)) for flight, each in given]
        self.world.run(self.world.record(self.world.workers[worker], outcomes))
        upstream = self.world.run(self.world.upstream())
        claims = [(self.claims[flight.post.token][flight.post.id], outcome) for flight, outcome in outcomes]
        self.model.answered(claims, upstream, self.world.now)
        rows = self.world.run(self.world.rows())
        for post in self.model.posts.values():
            row = rows[post.id]
            # The upstream is back: whoever waited for it is due at once, and the doubt is dropped.
            if post.waits and not upstream.paused and row.next_attempt_at is None and not row.waits_for_upstream:
                post.waits, post.doubt, post.due = False, None, None
        self.compare(rows)

    @precondition(lambda self: self.model.posts)
    @rule(worker=workers, index=indices, body=st.sampled_from(["text", "blank"]), given=answers)
    def overtake(self, worker: int, index: int, body: str, given: tuple[Kind, int | None]) -> None:
        """Texts are changed while a model is being asked about them."""
        self.wish(index, "regen")
        self.claim(worker)
        flights = list(self.world.workers[worker].flights)
        for flight in flights:
            if flight.post.id in self.model.posts:
                self.edit(list(self.model.posts).index(flight.post.id), body, False)
        self.deliver(worker, [(flight, given) for flight in flights])

    @rule(worker=workers)
    def renew(self, worker: int) -> None:
        self.world.run(self.world.renew(self.world.workers[worker]))
        for flight in self.world.workers[worker].flights:
            claim = self.claims[flight.post.token][flight.post.id]
            claim.until = self.world.now + LEASE
        self.compare()

    @rule(worker=workers)
    def stall(self, worker: int) -> None:
        """It takes work, and is not heard of before its lease has run out."""
        self.claim(worker)
        self.advance(LEASE.total_seconds() + 1)

    @rule(worker=workers)
    def kill(self, worker: int) -> None:
        self.world.workers[worker].flights.clear()

    # People, and the time.

    @precondition(lambda self: self.model.posts)
    @rule(index=indices, wish=st.sampled_from(["regen", "retry", "force", "skip", "undo"]))
    def wish(self, index: int, wish: str) -> None:
        """A person wants something of one post."""
        tagging, model, now, post_id = self.world.tagging, self.model, self.world.now, self.pick(index).id
        match wish:
            case "regen":
                self.world.run(tagging.update_post_tags(post_id))
                model.regen(post_id, now)
            case "skip":
                self.world.run(tagging.skip_post(post_id))
                model.skip(post_id)
            case "undo":
                self.world.run(tagging.unskip_post(post_id))
                model.unskip(post_id)
            case _:
                self.world.run(tagging.retry_post(post_id, force=wish == "force"))
                model.retry(post_id, now, force=wish == "force")
        self.compare()

    @precondition(lambda self: any(post.by_person for post in self.model.posts.values()))
    @rule(index=indices)
    def undo(self, index: int) -> None:
        skipped = [post.id for post in self.model.posts.values() if post.by_person]
        self.wish(list(self.model.posts).index(skipped[index % len(skipped)]), "undo")

    @rule(user=st.sampled_from([None, *USERS]), limit=st.sampled_from([1, 2, 50]), force=st.booleans())
    def retry_failed(self, user: int | None, limit: int, force: bool) -> None:
        retry = self.world.tagging.retry_failed_posts(user, limit, force, by_telegram_id=1)
        receipt = self.world.run(retry)
        picked = self.world.run(self.world.posts_of(receipt.batch_id))
        batch = self.model.retry_all(user, limit, self.world.now, force=force, picked=picked)
        assert receipt.queued == (len(batch.before) if batch else 0)
        if batch is not None and receipt.batch_id is not None:
            self.model.batches[receipt.batch_id] = batch
        self.compare()

    @precondition(lambda self: self.model.batches)
    @rule(index=indices)
    def stop(self, index: int) -> None:
        ids = sorted(self.model.batches, reverse=True)
        batch_id = ids[index % len(ids)]
        self.world.run(self.world.tagging.stop_retry(batch_id, 1))
        self.model.stop(self.model.batches[batch_id], self.world.now)
        self.compare()

    @rule(user=st.sampled_from([None, *USERS]), force=st.booleans())
    def change_ones_mind(self, user: int | None, force: bool) -> None:
        """/retry, and Stop at once."""
        self.retry_failed(user, 50, force)
        if self.model.batches:
            self.stop(0)

    @rule()
    def night(self) -> None:
        self.world.run(self.world.tagging.retry_nightly(100))
        self.model.nightly(self.world.now)
        self.compare()

    @rule(seconds=advances)
    def advance(self, seconds: float) -> None:
        self.world.now += timedelta(seconds=seconds)

    # What must be so after each step.

    def compare(self, rows: dict[int, Row] | None = None) -> None:
        self.agrees = False
        self.rows = self.world.run(self.world.rows()) if rows is None else rows
        assert self.rows.keys() == self.model.posts.keys()
        for post_id, row in self.rows.items():
            post = self.model.posts[post_id]
            seen = (row.tagging_status, row.tags, row.tagging_attempts, row.tagging_error is not None, row.text)
            expected = (post.status, list(post.tags), post.attempts, post.has_error, post.text)
            assert seen == expected, f"post {post_id} is {seen}, not {expected}"
            token = row.lease_token if row.lease_expires_at and row.lease_expires_at > self.world.now else None
            assert token == (None if post.claim is None or post.is_free(self.world.now) else post.claim.token)
            if post.status in QUEUED:
                self.check_due(post, row.next_attempt_at)
            self.check(post, row)
        self.agrees = True
        # No two things happen at one instant.
        self.world.now += timedelta(milliseconds=1)

    def check_due(self, post: Post, due: datetime | None) -> None:
        earliest, latest = post.due or (None, self.world.now)
        assert due is None or due <= latest, f"waits too long: {post}"
        assert due is None or due <= self.latest(), "out of reach"
        assert earliest is None or (due is not None and due >= earliest), "asked again too soon"
        post.due = None if due is None else (due, due)

    def latest(self) -> datetime:
        return max(self.world.now + LONGEST_WAIT, self.model.latest_reset or self.world.now)

    def check(self, post: Post, row: Row) -> None:
        assert row.tagging_status in STATUSES
        known = [tag for text in post.texts for tag in own_tags(text)]
        assert set(row.tags or ()) <= {*PARSERS_TAGS, *known}, "another post's tags"
        assert row.tagging_status != "success" or row.tags or post.is_blank, "a success without tags"
        assert row.tagging_status != "failed" or (row.tagging_error and not row.tags)
        assert row.tagging_status != "skipped" or post.is_blank or row.skipped_at
        assert (row.tagging_attempts or 0) <= POLICY.max_attempts + post.granted
        assert row.failure_kind == post.kind or row.tagging_status != "failed"

    # The end of every sequence.

    def heal(self) -> None:
        """With an upstream that works nothing is stuck: tagged, skipped, or failed for a reason."""
        for turn in range(300):
            worker = turn % 2
            self.claim(worker)
            flights = self.world.workers[worker].flights
            self.deliver(worker, [(flight, (Kind.TAGGED, None)) for flight in flights])
            if not any(post.status in QUEUED for post in self.model.posts.values()):
                break
            self.advance(2 ** min(turn, 10))
        for post in self.model.posts.values():
            assert post.status not in QUEUED, "stuck"
            assert post.status != "skipped" or post.is_blank or post.by_person
            if post.status == "success" and not post.has_error and not post.is_blank:
                assert post.tags in {PARSERS_TAGS, own_tags(post.text or "")}

    # Values.

    def pick(self, index: int) -> Post:
        posts = list(self.model.posts.values())
        return posts[index % len(posts)]

    def body(self, kind: str, number: int) -> str | None:
        return {"text": f"пост {number}", "blank": "  ", "null": None}[kind]

    def outcome(self, flight: Flight, kind: Kind, reset: int | None) -> Outcome:
        tags = own_tags(flight.post.text or "") if kind is Kind.TAGGED else ()
        until = self.world.now + timedelta(seconds=reset) if reset and kind is Kind.LIMITED else None
        if until is not None:
            self.model.latest_reset = max(until, self.model.latest_reset or until)
        return Outcome(kind, "" if kind is Kind.TAGGED else f"it was {kind}", tags, until)


def _state(row: Row) -> tuple[Any, ...]:
    return (row.tagging_status, row.tagging_attempts, row.next_attempt_at, row.lease_token)
