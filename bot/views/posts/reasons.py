from bot.i18n import Html, Texts, escape
from bot.views.common import shorten
from services.library.bot_queries import AttemptView, PostCard

#: What is kept of the server's own words.
REASON_UNITS = 300
#: The same in a list of posts.
LIST_UNITS = 180


#: Wordings of faults that OPENROUTER_BASE_URL alone can mend.
WRONG_ADDRESS = ("nothing answers at this address", "with an html page", "it redirects")


def reason(t: Texts, error: str | None, failure_kind: str | None = None, most: int = REASON_UNITS) -> Html:
    if failure_kind == "refused":
        return _quoting(t._("Every model refuses this text."), error or "", most)
    if not error:
        return t._("The reason is not known.")
    found = error.partition(": “")[0].lower()
    words = next((words for wordings, words in _table(t) if any(wording in found for wording in wordings)), None)
    return _quoting(words, error, most) if words else escape(shorten(error, most))


def servers_words(error: str) -> str:
    """What the server or the model itself said."""
    return error.partition(": “")[2].rpartition("”")[0]


def _quoting(words: Html, error: str, most: int) -> Html:
    servers = servers_words(error)
    return Html(f"{words} {escape(f'“{shorten(servers, most)}”')}") if servers else words


def _table(t: Texts) -> tuple[tuple[tuple[str, ...], Html], ...]:
    """(words in an error text, what they mean); the first match counts."""
    return (
        (("moderation", "refuses the text"), t._("The model refuses this text.")),
        (("too long for the model",), t._("The text is too long for the model.")),
        (("no usable answer",), t._("The models' answers had no usable tags.")),
        (("answer was empty",), t._("The model's answer was empty.")),
        (("day's quota",), t._("The day's quota of free models is used up.")),
        (("too many requests",), t._("The provider's limit was reached.")),
        (("api key was not accepted",), t._("The provider does not accept the API key.")),
        (("out of credit",), t._("The provider's account has run out of money.")),
        (
            ("privacy or provider settings",),
            t._("The settings of the account at the provider exclude the model."),
        ),
        (("access was forbidden",), t._("The provider forbids access.")),
        (("no such model", "model is not available"), t._("The model is no longer offered.")),
        (("request was not accepted",), t._("The provider did not accept the request.")),
        (WRONG_ADDRESS, t._("The address of the provider is wrong.")),
        (("no answer within", "timed out", "timeout"), t._("The provider took too long to answer.")),
        (
            ("certificate is refused",),
            t._("The provider's certificate is not trusted. A CA of your own goes into SSL_CERT_FILE, with a restart."),
        ),
        (("connection failed",), t._("The connection to the provider failed.")),
        (
            (
                "the provider failed",
                "no capacity",
                "server answered with",
                "larger than 1 mib",
                "stopped with an error",
            ),
            t._("The provider failed."),
        ),
    )


def outcome_name(t: Texts, outcome: str) -> Html:
    names = {
        "tagged": t._("tags received"),
        "server_error": t._("server error"),
        "timeout": t._("no answer in time"),
        "network": t._("connection failed"),
        "empty": t._("empty answer"),
        "malformed": t._("unusable answer"),
        "limited": t._("limit reached"),
        "account": t._("account refused"),
        "forbidden": t._("access forbidden"),
        "refused": t._("text refused"),
        "model_gone": t._("model gone"),
        "unsupported": t._("request not accepted"),
    }
    return names.get(outcome) or escape(shorten(outcome, 40))


def outcome(t: Texts, attempt: AttemptView) -> Html:
    words = outcome_name(t, attempt.outcome)
    is_ordinary = attempt.http_status is None or attempt.http_status == 200
    return words if is_ordinary else Html(f"{words} (HTTP {attempt.http_status})")


def why(t: Texts, card: PostCard, most: int = REASON_UNITS) -> Html:
    return reason(t, card.error, card.failure_kind, most)
