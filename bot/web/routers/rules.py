from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Path, Request

from bot.web import schemas
from bot.web.dependencies import BackendDep, OwnUserId, known_query
from bot.web.request_body import documented, parse_body
from bot.web.schemas import PROBLEMS
from services.library.cursor import MAX_ID

RULES_BODY = documented(schemas.TagRules.model_json_schema())
NO_TAGS: dict[int | str, dict[str, Any]] = {
    409: {"model": schemas.Problem, "description": "The mode is `only`, and the user has no tags yet"}
}
router = APIRouter(tags=["rules"], dependencies=[Depends(known_query)], responses=PROBLEMS)

ChannelId = Annotated[int, Path(ge=1, le=MAX_ID, description="channels.id")]


@router.get("/users/{user_id}/rules")
async def read_rules(user_id: OwnUserId, backend: BackendDep) -> schemas.RulesInForce:
    """A user's rules for the tags of all their posts."""
    await backend.listing.check_user(user_id)
    return schemas.RulesInForce.of(user_id, await backend.rules.get(user_id))


@router.put("/users/{user_id}/rules", openapi_extra=RULES_BODY, responses=NO_TAGS)
async def set_rules(user_id: OwnUserId, backend: BackendDep, request: Request) -> schemas.RulesInForce:
    """Set a user's rules, all of them: what is null or left out is as at first. Tags that posts have stay."""
    body = parse_body(await request.body(), schemas.TagRules)
    await backend.listing.check_user(user_id)
    return schemas.RulesInForce.of(user_id, await backend.rules.put(user_id, body.settings()))


@router.get("/users/{user_id}/channels/{channel_id}/rules")
async def read_channel_rules(user_id: OwnUserId, channel_id: ChannelId, backend: BackendDep) -> schemas.RulesInForce:
    """The rules of one channel of a user: what is null is as in the user's own rules."""
    await backend.listing.check_user(user_id)
    return schemas.RulesInForce.of(user_id, await backend.rules.get(user_id, channel_id))


@router.put("/users/{user_id}/channels/{channel_id}/rules", openapi_extra=RULES_BODY, responses=NO_TAGS)
async def set_channel_rules(
    user_id: OwnUserId, channel_id: ChannelId, backend: BackendDep, request: Request
) -> schemas.RulesInForce:
    """Set the rules of one channel of a user, all of them."""
    body = parse_body(await request.body(), schemas.TagRules)
    await backend.listing.check_user(user_id)
    return schemas.RulesInForce.of(user_id, await backend.rules.put(user_id, body.settings(), channel_id))


@router.delete("/users/{user_id}/channels/{channel_id}/rules")
async def delete_channel_rules(user_id: OwnUserId, channel_id: ChannelId, backend: BackendDep) -> schemas.RulesInForce:
    """Let the user's own rules hold in the channel."""
    await backend.listing.check_user(user_id)
    if not await backend.rules.remove(user_id, channel_id):
        raise HTTPException(404, "The channel has no rules of its own")
    return schemas.RulesInForce.of(user_id, await backend.rules.get(user_id, channel_id))
