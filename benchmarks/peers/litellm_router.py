"""The same requests through LiteLLM's Router, with fallbacks, ten in flight; nothing is stored.

python -m benchmarks.peers.litellm_router URL POSTS IN_FLIGHT < body.json
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import litellm

from benchmarks.bodies import bodies

MODELS = ("one/model", "two/model", "three/model")


def make_router(url: str) -> litellm.Router:
    """One deployment a model, the first falling back to the others, as its documentation shows."""
    deployments = [
        {
            "model_name": name,
            "litellm_params": {"model": f"openai/{name}", "api_base": url, "api_key": "sk-benchmark"},
        }
        for name in MODELS
    ]
    return litellm.Router(
        model_list=deployments,
        fallbacks=[{MODELS[0]: list(MODELS[1:])}],
        num_retries=3,
        retry_after=0,
    )


async def main(url: str, posts: int, in_flight: int) -> None:
    """Ask about every post; one that fails is left."""
    litellm.suppress_debug_info = True
    router = make_router(url)
    waiting = bodies(json.load(sys.stdin), posts)

    async def one_after_another() -> None:
        for body in waiting:
            await _ask(router, body)

    await asyncio.gather(*(one_after_another() for _ in range(in_flight)))


async def _ask(router: litellm.Router, body: dict[str, Any]) -> None:
    try:
        await router.acompletion(
            model=body["model"],
            messages=body["messages"],
            max_tokens=body["max_tokens"],
            response_format=body["response_format"],
        )
    except litellm.exceptions.APIError as error:
        print(type(error).__name__, file=sys.stderr)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
