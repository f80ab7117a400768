"""15 % faults: requests a post, posts tagged, and wrong tags, one post a request and ten."""

from __future__ import annotations

from benchmarks import databases, loops, workers
from benchmarks.databases import Stored
from benchmarks.figures import Figure
from benchmarks.standins.faults import FAULTS
from benchmarks.standins.process import Provider, provider
from benchmarks.standins.provider import Plan, Report

POSTS, BATCHED_POSTS, LITELLM_POSTS, RATE = 500, 1000, 200, 0.15
#: Waiting is not what is measured here.
QUICK = {"TAGGING_RETRY_DELAY": "0.02", "TAGGING_BACKOFF_SECONDS": "1"}
HOW = f"exactly 15 of each 100 requests fail ({', '.join(FAULTS)}), in an order that is always the same"


async def run() -> list[Figure]:
    """Batches of 1 and of 10, and LiteLLM's Router."""
    async with provider() as server:
        alone, single = await _ours(server, POSTS, 1)
        batched, tens = await _ours(server, BATCHED_POSTS, 10)
        router = await loops.litellm(server, alone.example, LITELLM_POSTS, Plan(fault_rate=RATE, held=True))
    peer = _litellm(router.report if router else None)
    return [*_figures(1, POSTS, 1.2, alone, single), *_figures(10, BATCHED_POSTS, 0.14, batched, tens), *peer]


async def _ours(server: Provider, posts: int, batch: int) -> tuple[Report, Stored]:
    async with databases.sqlite() as url:
        await databases.fill(url, posts)
        more = {**QUICK, "TAGGING_BATCH_SIZE": str(batch)}
        done = await workers.from_the_gun(server, url, posts, Plan(fault_rate=RATE, held=True), more)
        return done.report, await databases.stored(url)


def _figures(batch: int, posts: int, most: float, report: Report, found: Stored) -> list[Figure]:
    name, floor = f"batch {batch}", 1 / (1 - RATE) / batch
    return [
        Figure(
            name=f"requests a post, {name}",
            value=report.requests / posts,
            unit="",
            floor=f"{floor:.3f}: 1 ÷ {1 - RATE:g} ÷ {batch}",
            at_most=most,
            counted=f"{posts} posts; {HOW}; {', '.join(f'{key}={value}' for key, value in QUICK.items())}",
        ),
        Figure(
            name=f"posts tagged, {name}",
            value=found.share_tagged,
            unit="%",
            floor="100 %",
            at_least=100,
            counted="of all, when no post is pending or retrying any more",
        ),
        Figure(
            name=f"posts with wrong tags, {name}",
            value=found.wrong,
            unit="",
            floor="0",
            at_most=0,
            counted="each post has tags that only it can have; any others are wrong",
        ),
        Figure(
            name=f"posts that took a second attempt, {name}",
            value=found.repeated,
            unit="",
            counted="tagging_attempts above 1: TAGGING_MAX_RETRIES further requests were not enough",
        ),
    ]


def _litellm(report: Report | None) -> list[Figure]:
    answered = report.posts if report else 0
    counted = f"{LITELLM_POSTS} posts; an empty answer and an error in a 200 are a success to it, or an exception"
    return [
        Figure(
            name="posts with an answer, LiteLLM",
            value=100 * answered / LITELLM_POSTS if report else None,
            unit="%",
            floor="100 %",
            counted=counted,
        ),
        Figure(
            name="requests a post, LiteLLM",
            value=report.requests / LITELLM_POSTS if report else None,
            unit="",
            floor=f"{1 / (1 - RATE):.3f}",
            counted="the same run",
        ),
    ]
