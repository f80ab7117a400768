from collections.abc import Collection, Sequence
from typing import Any

from services.llm.features import Feature
from services.llm.prompts import Offer, answer_schema, max_tokens, messages


def request_body(
    texts: Sequence[str],
    models: Sequence[str],
    features: Collection[Feature],
    offers: Sequence[Offer] = (),
    *,
    budget: int = 1,
) -> dict[str, Any]:
    """The JSON that asks the first of the models. `budget`: multiple of the usual token budget."""
    body: dict[str, Any] = {"model": models[0], "messages": messages(texts, offers)}
    if Feature.SYSTEM_ROLE not in features:
        rules, posts = (message["content"] for message in body["messages"])
        body["messages"] = [{"role": "user", "content": f"{rules}\n\n{posts}"}]
    for limit in (Feature.MAX_TOKENS, Feature.MAX_COMPLETION_TOKENS):
        if limit in features:
            body[limit.value] = budget * max_tokens(len(texts))
    if Feature.RESPONSE_FORMAT in features:
        body["response_format"] = answer_schema(len(texts))
    if Feature.PLUGINS in features:
        body["plugins"] = [{"id": "response-healing"}]
    if Feature.MODELS in features and len(models) > 1:
        body["models"] = list(models)
    return body
