from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, HTTPException, Path, Query, Request, Security
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer

from bot.i18n import I18n
from bot.monitoring.exposition import Exposition
from bot.web.auth import Authenticator, Caller
from bot.web.readiness import ReadinessCheck
from services.following.service import ChannelService
from services.ingest.api_posts import ApiPosts
from services.library.api_queries import ApiQueries
from services.library.cursor import MAX_ID
from services.library.feeds import Feeds
from services.tagging.service import TaggingService
from services.tags.post_tags import PostTags
from services.tags.user_rules import UserRules
from services.tags.vocabulary import Vocabularies


@dataclass(frozen=True, slots=True)
class Backend:
    authenticator: Authenticator
    listing: ApiQueries
    api_posts: ApiPosts
    feeds: Feeds
    i18n: I18n
    tagging: TaggingService
    rules: UserRules
    channels: ChannelService
    vocabularies: Vocabularies
    post_tags: PostTags
    readiness: ReadinessCheck
    exposition: Exposition
    max_attempts: int


#: Only describes the header in the OpenAPI document; `Authenticator` reads it.
_bearer = HTTPBearer(auto_error=False, scheme_name="token", description="API_TOKEN, or a token of a single user")


def _backend(request: Request) -> Backend:
    return cast("Backend", request.app.state.backend)


BackendDep = Annotated[Backend, Depends(_backend)]


async def _caller(request: Request, backend: BackendDep, _described: Annotated[object, Security(_bearer)]) -> Caller:
    return await backend.authenticator.caller(request)


CallerDep = Annotated[Caller, Depends(_caller)]


async def _admin(caller: CallerDep) -> Caller:
    if not caller.is_admin:
        raise HTTPException(403, "This is the administrator's alone")
    return caller


AdminDep = Annotated[Caller, Depends(_admin)]


async def _own_user_id(user_id: Annotated[int, Path(ge=1, le=MAX_ID)], caller: CallerDep) -> int:
    # Also 403 if the user does not exist: which users exist is not told.
    if not caller.is_admin and caller.user_id != user_id:
        raise HTTPException(403, "The token is another user's")
    return user_id


OwnUserId = Annotated[int, Depends(_own_user_id)]
PostId = Annotated[int, Path(ge=1, le=MAX_ID)]
Limit = Annotated[int, Query(ge=1, le=1000)]
#: PostgreSQL cannot compare a text with NUL.
TagFilter = Annotated[str | None, Query(min_length=1, max_length=100, pattern=r"^[^\x00]+$")]


async def known_query(request: Request, _caller: CallerDep) -> None:
    """Refuse unknown query parameters: a misspelt filter must not list everything."""
    route: APIRoute = request.scope["route"]
    known = {field.alias for field in route.dependant.query_params}
    if unknown := [name for name in dict.fromkeys(request.query_params) if name not in known]:
        message = "There is no such parameter"
        raise RequestValidationError(
            [{"loc": ("query", name[:100]), "msg": message, "type": "extra_forbidden"} for name in unknown]
        )
