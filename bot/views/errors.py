from bot.i18n import Html, Texts


def admins_only(t: Texts) -> Html:
    return t._("🚫 That is for administrators only.")


def private_only(t: Texts) -> Html:
    return t._("I work in private chats only: write to me there.")


def unavailable(t: Texts) -> Html:
    return t._("⚠️ Temporarily unavailable, try again in a minute.")


def went_wrong(t: Texts) -> Html:
    return t._("⚠️ Something went wrong; the error is in the log. Try again later.")


def too_many(t: Texts) -> Html:
    return t._("⏳ That's a lot at once: wait a few seconds.")
