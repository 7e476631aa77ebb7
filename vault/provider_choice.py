"""The key provider that the settings name. A client library is imported only where its provider is chosen."""

from collections.abc import Mapping
from pathlib import Path

from vault.provider import KeyProvider


def make(chosen: Mapping[str, str]) -> KeyProvider:
    """`chosen["kind"]` is `keyring`; the other entries are that provider's own, as `voxgov/settings.py` lists them."""
    match chosen["kind"]:
        case "keyring":
            from vault.provider_keyring import KeyringProvider  # noqa: PLC0415 (each provider with its own libraries)

            return KeyringProvider(Path(chosen["path"]))
        case unknown:
            raise ValueError(f"no key provider is called {unknown!r}")
