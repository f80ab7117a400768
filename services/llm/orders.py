"""PURE: posts that tell a model what to answer, and tags that such a post put on others.

A text that gives orders about tags or other posts is asked about alone, whatever model reads it. Where a text's order
was not recognised, its tags betray it: they stand at posts that have none of their words, and only this text has them.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from services.llm.word_forms import Words, key, plain

#: Words of texts as `plain` makes them: й is и. In languages other than these, `spread` finds an order by its tags.
_TAGS = re.compile(
    r"\b(?:х[еэ]ш)?-?т[еэ]г(?:и|ов|ам|ами|ах|а|ом|у|е)?\b|\bметк(?:и|а|у|ам|ами|ах|ои)\b|\bметок\b"
    r"|\bключев\w+ слов|\bмітк\w*|\b(?:hash)?tags\b|\bhashtag\b"
    r"|\b(?:the|this|a|with|as|new|following|extra) tag\b|\btag(?:ged|ging)\b|\bkeywords?\b|\blabels?\b"
    r"|\bschlagwort\w*|\betiquetas?\b|标签"
)
_OTHERS = re.compile(
    r"\b(?:все(?:м|х|ми)?|кажд\w+|любо\w+|остальн\w+|други\w*|соседн\w+|всі|всім|кожн\w+|усі\w*)\s+(?:\w+\s+){0,2}"
    r"(?:пост|запис|сообщени|публикаци|текст|номер|элемент|допис|повідомлен)\w*"
    r"|\b(?:all|every|each|other|any|remaining|rest of the)\s+(?:\w+\s+){0,2}"
    r"(?:posts?|messages?|texts?|items?|entr(?:y|ies)|publications?|numbers?|ids?)\b"
    r"|\b(?:alle[nr]?|jede[mnrs]?)\s+(?:\w+\s+)?(?:beitrag\w*|posts?|nachrichten|texte\w*)"
    r"|\b(?:todas|cada)\s+(?:las\s+)?(?:publicacion\w*|entradas?)"
    r"|(?:所有|每[个個条條篇])[^。\s]{0,4}(?:帖|文章|消息|贴)"
    r"|\b(?:пост\w*|номер\w*|posts?)\s+(?:(?:с|from)\s+)?\d+\s*(?:-|–|—|по|to|до|и|and|,)\s*\d+"
)
#: Imperatives only: news tell of those who ignore or revoke rules.
_ORDERS = re.compile(
    r"\b(?:игнорируи|забудь|отмени|не учитываи|ігноруи)(?:те)?\b.{0,60}"
    r"\b(?:инструкци|правил|указани|промпт|інструкці)"
    r"|\b(?:ignore|disregard|forget|override)\b.{0,60}"
    r"\b(?:instructions?|prompts?|(?:previous|prior|above|your|these) rules)\b"
    r"|\"(?:tags|posts)\"\s*:\s*\[",
    re.DOTALL,
)
#: Tags that spread from a text before it is held to have put them there: of one that speaks of tags or of other posts,
#: and of any. A topic of the whole request spreads one or two.
_IF_IT_SPEAKS, _IF_NOT = 2, 3
#: So many others that bear a tag make it the request's topic.
_TOPIC = 2


class Spread(NamedTuple):
    """Post numbers (from 1): those that may have got tags of another post, and the posts that put them there."""

    doubted: frozenset[int] = frozenset()
    sources: frozenset[int] = frozenset()


def gives_orders(text: str) -> bool:
    """Whether the text tells a model what to do with tags of other posts."""
    lower = plain(text)
    return bool(_ORDERS.search(lower) or (_TAGS.search(lower) and _OTHERS.search(lower)))


def spread(tags: Mapping[int, Sequence[str]], texts: Sequence[str]) -> Spread:
    """The posts with tags that another post of the request is likely to have put there."""
    words = [Words(text) for text in texts]
    bearers = _bearers(tags, words)
    doubted, sources = set[int](), set[int]()
    for source, taken in _taken(bearers, words).items():
        victims = {number for numbers in taken.values() for number in numbers}
        if _is_order(texts[source - 1], taken, others=len(texts) - 1, has_topic=_has_topic(source, taken, tags)):
            doubted |= victims
            sources.add(source)
    return Spread(frozenset(doubted), frozenset(sources))


def _bearers(tags: Mapping[int, Sequence[str]], words: Sequence[Words]) -> dict[str, set[int]]:
    """Tag → posts that bear it without any of its words; spellings of one tag together."""
    spelt: dict[frozenset[str], str] = {}
    bearers: defaultdict[str, set[int]] = defaultdict(set)
    for number, given in tags.items():
        for tag in given:
            if not words[number - 1].have_any_of(tag):
                bearers[spelt.setdefault(key(tag), tag)].add(number)
    return bearers


def _taken(bearers: Mapping[str, set[int]], words: Sequence[Words]) -> dict[int, dict[str, set[int]]]:
    """Source → its tags that others bear. Each tag has one source: what several texts have is their topic."""
    taken: defaultdict[int, dict[str, set[int]]] = defaultdict(dict)
    for tag, numbers in bearers.items():
        having = [number for number, each in enumerate(words, start=1) if number not in numbers and each.have(tag)]
        if len(having) == 1:
            taken[having[0]][tag] = numbers
    return taken


def _has_topic(source: int, taken: Mapping[str, set[int]], tags: Mapping[int, Sequence[str]]) -> bool:
    """Whether others bear further tags of the source, which are no words of it: all have one topic."""
    ordered = set(map(key, taken))
    theirs = Counter(each for number, given in tags.items() if number != source for each in set(map(key, given)))
    return any(theirs[own] >= _TOPIC for own in set(map(key, tags.get(source, ()))) - ordered)


def _is_order(text: str, taken: Mapping[str, set[int]], *, others: int, has_topic: bool) -> bool:
    lower = plain(text)
    if _TAGS.search(lower) or _OTHERS.search(lower):
        at_all_others = any(1 < len(numbers) == others for numbers in taken.values())
        return len(taken) >= _IF_IT_SPEAKS or (at_all_others and not has_topic)
    if has_topic:
        return False
    # An order puts all its tags on the same posts; a topic's tags are spread at random.
    alike = Counter(frozenset(numbers) for numbers in taken.values())
    return any(count >= _IF_NOT and len(numbers) > 1 and len(numbers) * 2 >= others for numbers, count in alike.items())
