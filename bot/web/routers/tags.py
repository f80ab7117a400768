from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Path, Query, Request

from bot.web import schemas
from bot.web.dependencies import BackendDep, CallerDep, Limit, OwnUserId, PostId, known_query
from bot.web.request_body import documented, parse_body
from bot.web.schemas import PROBLEMS
from services.library.cursor import MAX_ID
from services.tags.vocabulary import Changed

CONFLICT: dict[int | str, dict[str, Any]] = {
    409: {"model": schemas.Problem, "description": "The tags do not allow it; `detail` says why"}
}
router = APIRouter(tags=["tags"], dependencies=[Depends(known_query)], responses=PROBLEMS | CONFLICT)

TagInPath = Annotated[
    str,
    Path(min_length=1, max_length=200, pattern=r"^[^\x00]+$", description="A tag in any spelling, or its id"),
]
Search = Annotated[str, Query(max_length=100, pattern=r"^[^\x00]*$", description="A part of the tag")]


@router.get("/users/{user_id}/tags")
async def list_tags(
    user_id: OwnUserId,
    backend: BackendDep,
    limit: Limit = 1000,
    offset: Annotated[int, Query(ge=0, le=MAX_ID)] = 0,
    search: Search = "",
) -> schemas.Tags:
    """A user's tags with how many posts have each, the most frequent first."""
    page = await backend.vocabularies.tags(user_id, search, offset=offset, limit=limit)
    if not page.total:
        await backend.listing.check_user(user_id)
    return schemas.Tags(tags=[schemas.Tag.of(tag) for tag in page.tags], total=page.total)


@router.patch("/users/{user_id}/tags/{tag}", openapi_extra=documented(schemas.NewName.model_json_schema()))
async def rename_tag(user_id: OwnUserId, tag: TagInPath, backend: BackendDep, request: Request) -> schemas.TagChanged:
    """Rename a tag, on its posts too. A model that calls it as before gives the new name."""
    given = parse_body(await request.body(), schemas.NewName)
    found = await backend.vocabularies.find(user_id, tag, or_id=True)
    return _changed(await backend.vocabularies.rename(user_id, found.id, given.name))


@router.post("/users/{user_id}/tags/{tag}/merge", openapi_extra=documented(schemas.MergeInto.model_json_schema()))
async def merge_tag(user_id: OwnUserId, tag: TagInPath, backend: BackendDep, request: Request) -> schemas.TagChanged:
    """Merge a tag into another, for ever: its posts, and later answers. `into` is added if the user has no such tag."""
    given = parse_body(await request.body(), schemas.MergeInto)
    found = await backend.vocabularies.find(user_id, tag, or_id=True)
    return _changed(await backend.vocabularies.merge(user_id, found.id, given.into))


@router.post("/users/{user_id}/tags/{tag}/ban")
async def ban_tag(
    user_id: OwnUserId, tag: TagInPath, backend: BackendDep, take_off: bool = False
) -> schemas.TagChanged:
    """Give no new post this tag. `take_off`: take it off the posts that have it, too."""
    found = await backend.vocabularies.find(user_id, tag, or_id=True)
    return _changed(await backend.vocabularies.ban(user_id, found.id, take_off=take_off))


@router.post("/users/{user_id}/tags/{tag}/undo")
async def undo_change(user_id: OwnUserId, tag: TagInPath, backend: BackendDep) -> schemas.TagChanged:
    """Take back the tag's last change: the tag, and the posts exactly as they were."""
    change_id = await backend.vocabularies.last_change(user_id, tag)
    return _changed(await backend.vocabularies.undo(user_id, change_id))


@router.put("/posts/{post_id}/tags", openapi_extra=documented(schemas.NewTags.model_json_schema()))
async def set_tags(post_id: PostId, caller: CallerDep, backend: BackendDep, request: Request) -> schemas.PostTagsSet:
    """Give a post just these tags. Later answers of models neither drop them nor bring others back."""
    given = parse_body(await request.body(), schemas.NewTags)
    post = await backend.listing.post(post_id, caller.user_id)
    if post is None:
        raise HTTPException(404, f"There is no post {post_id}")
    tags = await backend.post_tags.set(post.user_id, post_id, given.tags)
    return schemas.PostTagsSet(post_id=post_id, tags=list(tags))


def _changed(made: Changed) -> schemas.TagChanged:
    return schemas.TagChanged(change_id=made.change_id, tag=schemas.Tag.of(made.tag))
