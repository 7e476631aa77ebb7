"""Errors of accounts, each with the stable code that clients see."""


class AccountsError(Exception):
    """Base of all errors of this room."""

    code = "accounts_error"


class OutsideOrganization(AccountsError):
    """A user of one organization cannot be a member of another's project."""

    code = "outside_organization"


class UnknownRole(AccountsError):
    """No role of that name exists."""

    code = "unknown_role"


class UsernameTaken(AccountsError):
    """Names by which people sign in are unique over all organizations."""

    code = "username_taken"


class SecondFactorThere(AccountsError):
    """The person has a second factor; only somebody else takes it away."""

    code = "second_factor_there"


class NoSecondFactorPending(AccountsError):
    """No second factor is being set up."""

    code = "no_second_factor_pending"


class GlassRefused(AccountsError):
    """Break-glass access is not opened so."""

    code = "glass_refused"


class OwnRole(AccountsError):
    """Nobody gives themself a role or takes one away from themself."""

    code = "own_role"
