"""Requests that a server refuses (400, 422) without a known reason: is the post at fault?"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from services.llm.outcomes import Kind

#: This many posts refused one after the other: the fault is the configuration's.
_SEVERAL = 3
_MOST_TEXTS = 1000


@dataclass(slots=True)
class _Model:
    """A model's answers so far, their number at its last refusal, and at the refusal of each text."""

    answers: int = 0
    at_last_refusal: int = 0
    refused: OrderedDict[int, int] = field(default_factory=OrderedDict)


class RejectedTexts:
    def __init__(self) -> None:
        self._models: dict[str, _Model] = {}

    def accepted(self, model: str) -> None:
        self._models.setdefault(model, _Model()).answers += 1

    def kind(self, model: str, texts: Sequence[str]) -> Kind:
        """The kind of an unexplained refusal of a request about these texts.

        REFUSED if the model answers others: of a batch one post is to blame, a post alone if it was refused before.
        FORBIDDEN if the model refuses post after post. Else SERVER_ERROR, after which posts try again.
        """
        known = self._models.setdefault(model, _Model())
        answers_others = known.answers > known.at_last_refusal
        known.at_last_refusal = known.answers
        if len(texts) > 1:
            return Kind.REFUSED if answers_others else Kind.SERVER_ERROR
        before = known.refused.pop(hash(texts[0]), None)
        known.refused[hash(texts[0])] = known.answers
        if len(known.refused) > _MOST_TEXTS:
            known.refused.popitem(last=False)
        if before is not None:
            return Kind.REFUSED if before < known.answers else Kind.SERVER_ERROR
        in_a_row = sum(answers == known.answers for answers in known.refused.values())
        return Kind.FORBIDDEN if in_a_row >= _SEVERAL else Kind.SERVER_ERROR
