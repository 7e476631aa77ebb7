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
