"""Requests that a server refuses (400, 422) without a known reason: is the post at fault?"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from services.llm.outcomes import Kind

#: So many posts refused one after the other, in several requests: the fault is the configuration's.
_SEVERAL_POSTS, _SEVERAL_REQUESTS = 3, 2
_MOST_TEXTS = 1000


@dataclass(slots=True)
class _Model:
    """A model's answers so far, their number at its last refusal, and at the refusal of each text alone.

    And since the last answer: the refused texts, and the requests that brought a new one.
    """

    answers: int = 0
    at_last_refusal: int = 0
    refused: OrderedDict[int, int] = field(default_factory=OrderedDict)
    refused_since: set[int] = field(default_factory=set)
    requests_since: int = 0

    def refuses_all(self, texts: Sequence[str]) -> bool:
        new = {hash(text) for text in texts} - self.refused_since
        if new and len(self.refused_since) < _MOST_TEXTS:
            self.refused_since |= new
            self.requests_since += 1
        return len(self.refused_since) >= _SEVERAL_POSTS and self.requests_since >= _SEVERAL_REQUESTS


class RejectedTexts:
    def __init__(self) -> None:
        self._models: dict[str, _Model] = {}

    def accepted(self, model: str) -> None:
        known = self._models.setdefault(model, _Model())
        known.answers += 1
        known.refused_since.clear()
        known.requests_since = 0

    def kind(self, model: str, texts: Sequence[str]) -> Kind:
        """The kind of an unexplained refusal of a request about these texts.

        REFUSED if the model answers others: of a batch one post is to blame, a post alone if it was refused before
        and the model has answered since, or had answered and refuses no other post.
        FORBIDDEN if the model refuses post after post. Else SERVER_ERROR, after which posts try again.
        """
        known = self._models.setdefault(model, _Model())
        answers_others = known.answers > known.at_last_refusal
        known.at_last_refusal = known.answers
        unknown = Kind.FORBIDDEN if known.refuses_all(texts) else Kind.SERVER_ERROR
        if len(texts) > 1:
            return Kind.REFUSED if answers_others else unknown
        before = known.refused.pop(hash(texts[0]), None)
        known.refused[hash(texts[0])] = known.answers
        if len(known.refused) > _MOST_TEXTS:
            known.refused.popitem(last=False)
        if before is not None:
            # Without others to ask about, one such post would pause the model and alarm people again and again.
            alone = known.answers > 0 and len(known.refused_since) == 1
            return Kind.REFUSED if before < known.answers or alone else Kind.SERVER_ERROR
        return unknown
