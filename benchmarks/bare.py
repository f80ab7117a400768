"""The floor: an aiohttp loop that makes the same requests, and stores nothing.

    python -m benchmarks.bare URL POSTS IN_FLIGHT < body.json

`body.json` is a request as the bot sent it; each post's has its own text.
"""

from __future__ import annotations

import asyncio
import json
import sys

import aiohttp

from benchmarks.bodies import bodies


async def main(url: str, posts: int, in_flight: int) -> None:
    """Ask about every post."""
    waiting = bodies(json.load(sys.stdin), posts)
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer sk-benchmark", "X-Title": "bare"}) as http:

        async def one_after_another() -> None:
            for body in waiting:
                async with http.post(f"{url}/chat/completions", json=body) as answer:
                    content = (await answer.json())["choices"][0]["message"]["content"]
                assert json.loads(content)["tags"]

        await asyncio.gather(*(one_after_another() for _ in range(in_flight)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
