from collections.abc import Collection, Sequence
from typing import Any

from services.llm import tag_pairs
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
    schema = answer_schema(len(texts), _only(offers, rules))
    return _with_features(body, models, features, schema, budget * max_tokens(len(texts)))


def pairs_body(names: Sequence[str], models: Sequence[str], features: Collection[Feature]) -> dict[str, Any]:
    """The JSON that asks which of these tags mean the same."""
    body: dict[str, Any] = {"model": models[0], "messages": tag_pairs.messages(names)}
    return _with_features(body, models, features, tag_pairs.answer_schema(), tag_pairs.MAX_TOKENS)


def _with_features(
    body: dict[str, Any], models: Sequence[str], features: Collection[Feature], schema: dict[str, object], tokens: int
) -> dict[str, Any]:
    if Feature.SYSTEM_ROLE not in features:
        system, user = (message["content"] for message in body["messages"])
        body["messages"] = [{"role": "user", "content": f"{system}\n\n{user}"}]
    for limit in (Feature.MAX_TOKENS, Feature.MAX_COMPLETION_TOKENS):
        if limit in features:
            body[limit.value] = tokens
    if Feature.RESPONSE_FORMAT in features:
        body["response_format"] = schema
    if Feature.PLUGINS in features:
        body["plugins"] = [{"id": "response-healing"}]
    if Feature.MODELS in features and len(models) > 1:
        body["models"] = list(models)
    return body


def _only(offers: Sequence[Offer], rules: Rules) -> tuple[str, ...]:
    return tuple(name for offer in offers for name in offer.names) if rules.is_closed else ()
