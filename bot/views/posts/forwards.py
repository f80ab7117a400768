from bot.i18n import Html, Texts
from bot.views.common import lines, paragraphs, provider
from services.availability.provider_status import ProviderState


def no_text(t: Texts) -> Html:
    return t._("⏭ This post has no text to tag.")


def not_supported(t: Texts) -> Html:
    return t._("⏭ This post is of a kind that I cannot read.")


def saved(t: Texts, post_id: int, state: ProviderState, *, admin: bool = False) -> Html:
    """This message will be edited to show the tags."""
    post = f"#{post_id}"
    text = t._("⏳ Saved as {post}; its tags will appear here.", post=post)
    shown = text if state.enabled else t._("⏳ Saved as {post}.", post=post)
    return paragraphs(shown, provider(t, state, admin=admin))


def from_person(t: Texts, *, has_text: bool) -> Html:
    return lines(
        t._("This was forwarded from a person or a group; I save posts of channels only."),
        t._("To get tags for its text, press the button.") if has_text else None,
    )
