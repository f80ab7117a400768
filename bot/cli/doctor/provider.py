"""Checks of the models' server: its address, the key, and the models of the chain. Asks no model."""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import urlsplit

from bot.cli.doctor.check import CheckFailed, CheckWarning
from bot.cli.doctor.http import Answer, get_json
from bot.settings import Settings
from services.llm.server_errors import find_error

_REFUSED = {401, 403}
#: Lists of these servers do not say which names they take: llama.cpp takes any, Azure the deployments'.
_ANY_NAME_OWNERS = {"llamacpp"}
_ANY_NAME_HOSTS = (".azure.com",)


async def check_provider(settings: Settings) -> str:
    if not settings.tagging_enabled:
        raise CheckFailed("OPENROUTER_API_KEY is empty: tagging is off. Make a key at https://openrouter.ai/keys")
    listed = await _get(settings, "models")
    proof = await _proof(settings, listed)
    missing = _missing(settings, listed)
    if missing and len(missing) == len(settings.models):
        raise CheckFailed(f"none of the models is offered there: {', '.join(missing)}. {_name_others()}")
    if missing:
        raise CheckWarning(f"not offered there: {', '.join(missing)}. {_name_others()}")
    return " → ".join(settings.models) + (f" ({proof})" if proof else "")


async def _get(settings: Settings, path: str, *, with_key: bool = True, base: str | None = None) -> Answer:
    key = settings.openrouter_api_key.get_secret_value()
    headers = {"Authorization": f"Bearer {key}"} if key and with_key else {}
    return await get_json(f"{base or settings.openrouter_base_url}/{path}", headers, "The provider", settings.proxies)


async def _proof(settings: Settings, listed: Answer) -> str:
    """What speaks against the key being proved; "" if it is proved, or if there is none to prove."""
    has_key = bool(settings.openrouter_api_key.get_secret_value())
    told = await _get(settings, "key") if has_key else Answer(404)
    if told.status == 401 or (told.status == 403 and settings.is_openrouter) or listed.status in _REFUSED:
        raise CheckFailed(_refused(settings, told if told.status == 401 else listed, has_key=has_key))
    if told.status == 200 and isinstance(told.body, dict):
        return ""
    if listed.status >= 500 or listed.status == 429:
        raise CheckFailed(f"the provider answers HTTP {listed.status}{_words(settings, listed)}: try again later")
    if not _has_list(listed):
        await _check_address(settings, listed)
        raise CheckWarning(
            f"the server has neither GET /key nor GET /models (HTTP {listed.status}{_words(settings, listed)}): "
            "without a request to a model neither the address, the key nor the models can be checked"
        )
    if has_key and _has_list(await _get(settings, "models", with_key=False)):
        return "its list of models is for anybody: whether the key is right, only a request to a model shows"
    return ""


def _refused(settings: Settings, answer: Answer, *, has_key: bool) -> str:
    todo = "copy it again" if has_key else "it is empty, and the server wants one"
    return f"the provider does not accept OPENROUTER_API_KEY{_words(settings, answer)}: {todo}"


def _words(settings: Settings, answer: Answer) -> str:
    """The server's own words about an error."""
    error = find_error(answer.body, answer.status, {})
    key = settings.openrouter_api_key.get_secret_value()
    words = error.words(()) if error else ""
    return f" (“{words.replace(key, '[key]') if key else words}”)" if words else ""


async def _check_address(settings: Settings, listed: Answer) -> None:
    """Raises CheckFailed if the API stands below /v1."""
    base = settings.openrouter_base_url
    if urlsplit(base).path.endswith("/v1"):
        return
    below = await _get(settings, "models", base=f"{base}/v1")
    if _has_list(below) or below.status in _REFUSED:
        raise CheckFailed(f"/v1 is missing in OPENROUTER_BASE_URL: the API is at {base.rpartition('@')[2]}/v1")


def _missing(settings: Settings, listed: Answer) -> list[str]:
    """The models of the chain that the list does not have."""
    host = urlsplit(settings.openrouter_base_url).hostname or ""
    models = list(_models(listed))
    takes_any = host.endswith(_ANY_NAME_HOSTS) or any(m.get("owned_by") in _ANY_NAME_OWNERS for m in models)
    names = [name for model in models for name in _names(model)]
    if takes_any or not names:
        return []
    # OpenRouter's own routers (openrouter/free) need not be listed.
    chain = [model for model in settings.models if not (settings.is_openrouter and model.startswith("openrouter/"))]
    return [model for model in chain if not any(fnmatchcase(model, name) for name in names)]


def _names(model: dict[str, Any]) -> Iterable[str]:
    """What the chain may call it: Ollama's tag and Gemini's prefix need not be named. `*` as in LiteLLM's list."""
    for field in ("id", "name", "canonical_slug"):
        name = model.get(field)
        if isinstance(name, str) and name:
            bare = name.removeprefix("models/").replace("[", "[[]")
            yield from (name, bare, bare.removesuffix(":latest"), f"{bare}:latest")


def _has_list(answer: Answer) -> bool:
    return answer.status == 200 and any(True for _ in _models(answer))


def _models(answer: Answer) -> Iterable[dict[str, Any]]:
    body = answer.body
    found = body.get("data", body.get("models")) if isinstance(body, dict) else body
    return [model for model in found if isinstance(model, dict)] if isinstance(found, list) else []


def _name_others() -> str:
    return "Name others in OPENROUTER_MODEL and OPENROUTER_FALLBACK_MODELS"
