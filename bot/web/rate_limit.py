from collections import OrderedDict
from collections.abc import Callable

from aiolimiter import AsyncLimiter
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

RATE, BURST = 20.0, 20
ADDRESSES_KEPT = 1000


class AddressRateLimit:
    """Answers 429 above the rate of one address."""

    def __init__(self, app: ASGIApp, is_exempt: Callable[[Scope], bool], rate: float = RATE) -> None:
        self._app = app
        self._is_exempt = is_exempt
        self._rate = rate
        self._limiters: OrderedDict[str, AsyncLimiter] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._is_exempt(scope):
            limiter = self._limiter(scope["client"][0] if scope["client"] else "")
            if not limiter.has_capacity():
                detail = f"More than {self._rate:.0f} requests a second: slow down"
                await JSONResponse({"detail": detail}, 429, {"Retry-After": "1"})(scope, receive, send)
                return
            await limiter.acquire()
        await self._app(scope, receive, send)

    def _limiter(self, address: str) -> AsyncLimiter:
        limiter = self._limiters.pop(address, None) or AsyncLimiter(BURST, BURST / self._rate)
        self._limiters[address] = limiter
        if len(self._limiters) > ADDRESSES_KEPT:
            self._limiters.popitem(last=False)
        return limiter
