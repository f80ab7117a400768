"""What the handlers of the HTTP API are given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, HTTPException, Path, Query, Request, Security
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer

from bot.i18n import I18n
from bot.web.access import Caller, Gate
from services.following.service import Channels
from services.ingest.api_posts import Submissions
from services.library.api_queries import ApiQueries
from services.library.cursor import MAX_ID
from services.library.feeds import Feeds
from services.tagging.service import TaggingService


@dataclass(frozen=True, slots=True)
class Backend:
    """The use cases that the API calls, and who may call them."""

    gate: Gate
    listing: ApiQueries
    submissions: Submissions
    feeds: Feeds
    i18n: I18n
    tagging: TaggingService
    channels: Channels
    max_attempts: int


#: It only describes the header in the OpenAPI document; `Gate` reads it.
_bearer = HTTPBearer(auto_error=False, scheme_name="token", description="API_TOKEN, or a token of a single user")


def _backend(request: Request) -> Backend:
    return cast("Backend", request.app.state.backend)


TheBackend = Annotated[Backend, Depends(_backend)]


async def _caller(request: Request, backend: TheBackend, _described: Annotated[object, Security(_bearer)]) -> Caller:
    return await backend.gate.caller(request)


TheCaller = Annotated[Caller, Depends(_caller)]


async def known_query(request: Request, _caller: TheCaller) -> None:
    """Refuses a parameter that the operation does not have: a filter that is misspelt must not list everything."""
    route: APIRoute = request.scope["route"]
    known = {field.alias for field in route.dependant.query_params}
    if unknown := [name for name in dict.fromkeys(request.query_params) if name not in known]:
        raise RequestValidationError(
            [
                {"loc": ("query", name[:100]), "msg": "There is no such parameter", "type": "extra_forbidden"}
                for name in unknown
            ]
        )


async def _admin(caller: TheCaller) -> Caller:
    if not caller.is_admin:
        raise HTTPException(403, "This is the administrator's alone")
    return caller


Admin = Annotated[Caller, Depends(_admin)]


async def _own_user(user_id: Annotated[int, Path(ge=1, le=MAX_ID)], caller: TheCaller) -> int:
    """A user of whom the caller may see everything. Whether another exists is nobody else's business."""
    if not caller.is_admin and caller.user_id != user_id:
        raise HTTPException(403, "The token is another user's")
    return user_id


OwnUser = Annotated[int, Depends(_own_user)]
PostId = Annotated[int, Path(ge=1, le=MAX_ID)]
Limit = Annotated[int, Query(ge=1, le=1000)]


def no_such_post(post_id: int) -> HTTPException:
    """The same for one that is another user's."""
    return HTTPException(404, f"There is no post {post_id}")
