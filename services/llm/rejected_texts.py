"""Requests that a server refuses (400, 422) without a reason that Metka understands: the post's fault or not?"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from services.llm.outcomes import Kind

#: This many texts refused with none accepted in between: the fault is the configuration's.
_SEVERAL = 3
_MOST_TEXTS = 1000


@dataclass(slots=True)
class _Model:
    """Texts (hashes) refused by one model, with how many answers it had given by then."""

    answers: int = 0
    refused: OrderedDict[int, int] = field(default_factory=OrderedDict)


class RejectedTexts:
    """Unexplained refusals of one server, by model and text."""

    def __init__(self) -> None:
        self._models: dict[str, _Model] = {}

    def accepted(self, model: str) -> None:
        """The model answered a request."""
        if model in self._models:
            self._models[model].answers += 1

    def kind(self, model: str, texts: Sequence[str]) -> Kind:
        """What an unexplained refusal of these texts is.

        REFUSED if the model answered others since it refused one of these; FORBIDDEN if it refuses text after text;
        else a passing SERVER_ERROR, after which the posts wait for their next attempt.
        """
        known = self._models.setdefault(model, _Model())
        before = [known.refused.get(hash(text)) for text in texts]
        for text in texts:
            known.refused[hash(text)] = known.answers
            known.refused.move_to_end(hash(text))
        while len(known.refused) > _MOST_TEXTS:
            known.refused.popitem(last=False)
        if any(answers is not None and answers < known.answers for answers in before):
            return Kind.REFUSED
        in_a_row = sum(answers == known.answers for answers in known.refused.values())
        is_new = all(answers is None for answers in before)
        return Kind.FORBIDDEN if is_new and in_a_row >= _SEVERAL else Kind.SERVER_ERROR
