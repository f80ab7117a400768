from collections.abc import Sequence


def is_free(model: str) -> bool:
    """Whether OpenRouter counts the model against the limits of free ones."""
    return model.endswith(":free") or model == "openrouter/free"


def is_router(model: str) -> bool:
    """A router picks the model itself: an answer by another model is no fault of it."""
    return model.startswith("openrouter/")


def plain_name(model: str) -> str:
    """The name without case and variant (`:free`)."""
    return model.lower().partition(":")[0]


def fell_back(sent: Sequence[str], answered: str | None) -> bool:
    """Whether a later model of those sent answered, which is a fault of the first.

    Not for routers, nor for another spelling of the first (`:free` gone, a date behind it).
    """
    if answered is None or answered == sent[0] or len(sent) < 2 or is_router(sent[0]):
        return False
    first, who = plain_name(sent[0]), plain_name(answered)
    if who == first or who.startswith(f"{first}-"):
        return False
    return who in {plain_name(model) for model in sent[1:]}
