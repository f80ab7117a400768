from collections.abc import Collection, Sequence
from typing import Any

from services.llm.features import Feature
from services.llm.prompts import Offer, answer_schema, max_tokens, messages
from services.tags.rules import NO_RULES, Rules


def request_body(
    texts: Sequence[str],
    models: Sequence[str],
    features: Collection[Feature],
    offers: Sequence[Offer] = (),
    rules: Rules = NO_RULES,
    *,
    budget: int = 1,
) -> dict[str, Any]:
    """The JSON that asks the first of the models. `budget`: multiple of the usual token budget."""
    body: dict[str, Any] = {"model": models[0], "messages": messages(texts, offers, rules)}
    if Feature.SYSTEM_ROLE not in features:
        system, posts = (message["content"] for message in body["messages"])
        body["messages"] = [{"role": "user", "content": f"{system}\n\n{posts}"}]
    for limit in (Feature.MAX_TOKENS, Feature.MAX_COMPLETION_TOKENS):
        if limit in features:
            body[limit.value] = budget * max_tokens(len(texts))
    if Feature.RESPONSE_FORMAT in features:
        body["response_format"] = answer_schema(len(texts), _only(offers, rules))
    if Feature.PLUGINS in features:
        body["plugins"] = [{"id": "response-healing"}]
    if Feature.MODELS in features and len(models) > 1:
        body["models"] = list(models)
    return body


def _only(offers: Sequence[Offer], rules: Rules) -> tuple[str, ...]:
    return tuple(name for offer in offers for name in offer.names) if rules.is_closed else ()
