from services.accounts.people import CurrentUser


class AdminsOnlyError(Exception):
    """The caller is no administrator."""


def require_admin(by: CurrentUser) -> None:
    """Raise AdminsOnlyError unless `by` is an administrator."""
    if not by.is_admin:
        raise AdminsOnlyError
