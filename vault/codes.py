"""Public codes: UUIDv7 (RFC 9562, section 5.7), so that they sort by time and carry 74 random bits."""

import uuid_utils


def new_code() -> str:
    """A fresh code, 36 characters, lower case, hyphenated."""
    return str(uuid_utils.uuid7())
