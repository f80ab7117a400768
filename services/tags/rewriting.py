"""PURE: the tags of a post after a change of its user's vocabulary, and after Undo."""

from collections.abc import Callable, Collection, Sequence

from services.tags.keys import tag_key

IsTag = Callable[[str], bool]


def has_key(keys: Collection[str]) -> IsTag:
    return lambda tag: tag_key(tag) in keys


def replaced(tags: Sequence[str], is_old: IsTag, name: str | None, is_new: IsTag) -> tuple[str, ...]:
    """The tags with `name` once instead of the old ones; None takes them off. `is_new`: stands for the name already."""
    found: list[str] = []
    is_there = name is None or any(is_new(tag) and not is_old(tag) for tag in tags)
    for tag in tags:
        if not is_old(tag):
            found.append(tag)
        elif name is not None and not is_there:
            found.append(name)
            is_there = True
    return tuple(found)


def restored(
    tags: Sequence[str], before: Sequence[str], after: Sequence[str], is_old: IsTag, is_new: IsTag
) -> tuple[str, ...]:
    """The tags of a post after Undo: as before the change, if nothing else changed them since.

    Else only the old tag is put back where the new one stands.
    """
    if tuple(tags) == tuple(after):
        return tuple(before)
    spellings = [tag for tag in before if is_old(tag)]
    place = next((place for place, tag in enumerate(tags) if is_new(tag)), None)
    if place is None or not spellings or any(map(is_old, tags)):
        return tuple(tags)
    stays = next((at for at, tag in enumerate(before) if is_new(tag)), None)
    if stays is None:
        return (*tags[:place], *spellings, *tags[place + 1 :])
    # It had both: the old one stood on this side of the new one.
    place += stays < list(before).index(spellings[0])
    return (*tags[:place], *spellings, *tags[place:])
