"""Blind indexes: finding a sealed value by exact match without storing it. The key never leaves the provider."""

import struct

from vault.keys import provider


def blind_index(organization: str, purpose: str, value: str) -> bytes:
    """HMAC-SHA256, 32 bytes, over length-prefixed organization, purpose and value.

    Values with few possibilities can be guessed by whoever holds the provider's key; SECURITY.md says so.
    """
    parts = [part.encode() for part in (organization, purpose, value)]
    return provider().blind(b"".join(struct.pack(">I", len(part)) + part for part in parts))
