"""No latency, batch 1: posts a second of ours, of a bare aiohttp loop, and of LiteLLM's Router."""

from __future__ import annotations

from statistics import median

from benchmarks import databases, loops, workers
from benchmarks.figures import Figure
from benchmarks.standins.process import Provider, provider
from benchmarks.standins.provider import Plan
from benchmarks.workers import CONCURRENCY, Run

POSTS, BARE_POSTS, LITELLM_POSTS = 5000, 8000, 300
TIMES = 3
HELD = Plan(held=True)


async def run() -> list[Figure]:
    """Ours and the bare loop in turn, medians; LiteLLM, which takes long to start, once."""
    async with provider() as server:
        rounds = [await _round(server) for _ in range(TIMES)]
        example = rounds[-1][0].report.example
        router = await loops.litellm(server, example, LITELLM_POSTS, HELD)
    ours, bare = [first for first, _ in rounds], [second for _, second in rounds]
    return _figures(ours, bare, router)


async def _round(server: Provider) -> tuple[Run, Run]:
    ours = await _ours(server)
    return ours, await loops.bare(server, ours.report.example, BARE_POSTS, HELD)


async def _ours(server: Provider) -> Run:
    async with databases.sqlite() as url:
        await databases.fill(url, POSTS)
        done = await workers.from_the_gun(server, url, POSTS, HELD, {"TAGGING_BATCH_SIZE": "1"})
        found = await databases.stored(url)
        if found.wrong or found.statuses["success"] != POSTS:
            raise RuntimeError(f"not every post got its own tags: {found}")
    return done


def _figures(ours: list[Run], bare: list[Run], router: Run | None) -> list[Figure]:
    speed, floor = _speed(ours), _speed(bare)
    router_speed = router.per_second if router else 0
    against = f"bare loop {floor:,.0f}, LiteLLM {router_speed:,.0f} posts/s"
    to_bare = median(a.per_second / b.per_second for a, b in zip(ours, bare, strict=True))
    counted = f"{POSTS} posts on SQLite, from the first answers' release until all are stored; median of {TIMES}"
    return [
        Figure(name="ours", value=speed, unit="posts/s", floor=against, at_least=1000, counted=counted),
        Figure(
            name="ours to the bare aiohttp loop",
            value=to_bare,
            unit="×",
            floor="1: the loop stores nothing",
            counted=f"the loop makes {BARE_POSTS} of the same requests, {CONCURRENCY} in flight, right after ours",
        ),
        Figure(
            name="ours to LiteLLM's Router",
            value=speed / router_speed if router else None,
            unit="×",
            floor=f"LiteLLM {router_speed:,.0f} posts/s, stores nothing",
            at_least=5,
            counted=f"{LITELLM_POSTS} of the same requests, {CONCURRENCY} in flight, once",
        ),
        _cpu("CPU a post, ours", ours, f"bare loop {_cpu_ms(bare):.2f} ms"),
        _cpu("CPU a post, bare loop", bare, ""),
        _cpu("CPU a post, LiteLLM", [router] if router else [], f"bare loop {_cpu_ms(bare):.2f} ms"),
        _head_room(bare),
    ]


def _speed(runs: list[Run]) -> float:
    return median(run.per_second for run in runs)


def _cpu_ms(runs: list[Run]) -> float:
    return median(run.cpu_ms for run in runs)


def _cpu(name: str, runs: list[Run], floor: str) -> Figure:
    counted = "processor time of the process, all threads, over the same span; median"
    return Figure(name=name, value=_cpu_ms(runs) if runs else None, unit="ms", floor=floor, counted=counted)


def _head_room(bare: list[Run]) -> Figure:
    ratio = median(run.cpu_seconds / run.report.cpu_seconds for run in bare)
    return Figure(
        name="the stand-in's head-room",
        value=ratio,
        unit="×",
        floor="1: the stand-in would be what is measured",
        counted="the bare loop's processor time to the stand-in's own, for the same requests",
    )
