"""The first model answers nothing but 503: what that costs, with OpenRouter's `models` and on a plain server."""

from __future__ import annotations

from benchmarks import databases, loops
from benchmarks.figures import Figure
from benchmarks.standins.process import Provider, provider
from benchmarks.standins.provider import Plan, Report
from benchmarks.workers import CONCURRENCY, FALLBACKS, MODEL, settings, working

POSTS, LITELLM_POSTS, LATENCY = 1000, CONCURRENCY, 0.05
#: TAGGING_RETRY_DELAY is the first wait after a fault: with its 2 s ten posts would wait while all others are served.
QUICK = {"TAGGING_BATCH_SIZE": "1", "TAGGING_RETRY_DELAY": "0.02"}


async def run() -> list[Figure]:
    """The fallback alone, then the dead first model before it, on both kinds of servers."""
    dead = Plan(latency=LATENCY, dead=(MODEL,))
    plain = Plan(latency=LATENCY, dead=(MODEL,), openrouter=False)
    async with provider() as server:
        alone = await _ours(server, Plan(latency=LATENCY), OPENROUTER_MODEL=FALLBACKS[0])
        with_key = await _ours(server, dead)
        without = await _ours(server, plain, OPENROUTER_API_KEY="")
        held = Plan(dead=(MODEL,), openrouter=False, held=True)
        router = await loops.litellm(server, with_key.example, LITELLM_POSTS, held)
    return [
        *_figures("with a key (`models`)", with_key, alone),
        *_figures("without a key", without, alone),
        Figure(
            name="requests a post, LiteLLM",
            value=router.report.requests / LITELLM_POSTS if router else None,
            unit="",
            floor="1",
            counted=f"{LITELLM_POSTS} posts through its Router with fallbacks and num_retries=3, on the plain server",
        ),
    ]


async def _ours(server: Provider, plan: Plan, **more: str) -> Report:
    async with databases.sqlite() as url:
        await databases.fill(url, POSTS)
        await server.plan(plan)
        async with working(settings(url, server, **QUICK, **more)):
            await databases.until_settled(url)
            return await server.report()


def _figures(name: str, report: Report, alone: Report) -> list[Figure]:
    counted = f"{POSTS} posts on SQLite, {1000 * LATENCY:g} ms, {CONCURRENCY} in flight, batch 1"
    return [
        Figure(
            name=f"requests a post, {name}",
            value=report.requests / POSTS,
            unit="",
            floor="1",
            at_most=1.02,
            counted=counted,
        ),
        Figure(
            name=f"time a post to the fallback's alone, {name}",
            value=_seconds(report) / _seconds(alone),
            unit="×",
            floor="1: the same posts, with the fallback as the first model",
            at_most=1.05,
            counted="from the first request to the last answer, in the same run",
        ),
        Figure(
            name=f"time a post to the fallback's latency, {name}",
            value=_seconds(report) * CONCURRENCY / POSTS / report.mean_latency,
            unit="×",
            floor=f"1: {1000 * report.mean_latency:.1f} ms, {CONCURRENCY} in flight",
            counted="the same time × requests in flight ÷ posts, to the latency; our own work included",
        ),
    ]


def _seconds(report: Report) -> float:
    return report.last_answer - report.first_arrival
