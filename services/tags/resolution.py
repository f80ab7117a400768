"""PURE: a model's tags → a user's own: their spelling, aliases, bans, what people did by hand, and the number."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from services.tags.keys import tag_key
from services.tags.names import tag_name
from services.tags.normalisation import MAX_TAGS
from services.tags.stems import stems
from storage.schema.tag_tables import MOST_LETTERS
from storage.tags.vocabulary import KnownTag, NewTag


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What is known of a user's tags: those with the keys in question, and those that aliases lead to."""

    user_id: int
    by_key: Mapping[str, KnownTag]
    by_id: Mapping[int, KnownTag]

    def final(self, key: str) -> KnownTag | None:
        """The tag that this key stands for, after its alias."""
        tag = self.by_key.get(key)
        if tag is None or tag.merged_into is None:
            return tag
        return self.by_id.get(tag.merged_into, tag)


@dataclass(frozen=True, slots=True)
class HandMade:
    """What a person did to a post's tags: keys taken off, and tags added (key → name)."""

    taken_off: frozenset[str] = frozenset()
    added: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Resolved:
    names: tuple[str, ...]
    new: tuple[NewTag, ...] = ()
    #: Ids of aliases that were applied.
    aliases: tuple[int, ...] = ()


def resolve(
    spellings: Iterable[str],
    vocabulary: Vocabulary,
    hand_made: HandMade | None = None,
    *,
    most: int = MAX_TAGS,
    only_known: bool = False,
    instead: Mapping[int, KnownTag] | None = None,
) -> Resolved:
    """The names that a post gets for these spellings.

    `only_known`: none that is not in the vocabulary. `instead`: id of an alias → the tag that it stands for then.
    """
    hand = hand_made or HandMade()
    kept: dict[str, str] = {}
    new: dict[str, NewTag] = {}
    aliases: list[int] = []
    for spelling in spellings:
        key = tag_key(spelling)
        first, tag = vocabulary.by_key.get(key), vocabulary.final(key)
        if first is not None and instead:
            tag = instead.get(first.id, tag)
        is_banned = (first is not None and first.is_banned) or (tag is not None and tag.is_banned)
        if is_banned or (only_known and tag is None):
            continue
        final_key, name = (tag.key, tag.name) if tag else (key, tag_name(spelling))
        if {key, final_key} & hand.taken_off or final_key in kept:
            continue
        if len(kept) == most:
            break
        kept[final_key] = name
        if tag is None and len(name) <= MOST_LETTERS:
            new[key] = new_tag(vocabulary.user_id, name, key=key)
        if first is not None and tag is not None and first.id != tag.id:
            aliases.append(first.id)
    for key, name in (hand.added or {}).items():
        tag = vocabulary.final(key)
        kept.setdefault(tag.key if tag else key, tag.name if tag else name)
    return Resolved(tuple(kept.values()), tuple(new.values()), tuple(aliases))


def new_tag(user_id: int, name: str, *, key: str | None = None, origin: str = "model") -> NewTag:
    return NewTag(user_id, key or tag_key(name), name, stems(name), origin)


def keys_of(spellings: Sequence[str]) -> set[str]:
    return {tag_key(spelling) for spelling in spellings}
