"""The key provider that the settings name. A client library is imported only where its provider is chosen."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from vault.provider import KeyProvider


def make(chosen: Mapping[str, str]) -> KeyProvider:
    """`chosen["kind"]` is `keyring`, `transit` or `kms`; the other entries are that provider's own, all of them there, as
    `voxgov/key_settings.py` makes them."""
    match chosen["kind"]:
        case "keyring":
            from vault.provider_keyring import KeyringProvider  # noqa: PLC0415 (each provider with its own libraries)

            return KeyringProvider(Path(chosen["path"]))
        case "transit":
            from vault.provider_transit import Token, TransitProvider  # noqa: PLC0415 (as above)

            return TransitProvider(
                chosen["address"],
                Token(chosen["token"], _path(chosen["token_file"])),
                prefix=chosen["prefix"],
                mount=chosen["mount"],
                namespace=chosen["namespace"],
                certificates=_path(chosen["certificates"]),
                patience=_seconds(chosen["patience"]),
            )
        case "kms":
            from vault.provider_kms import KmsProvider  # noqa: PLC0415 (as above)

            return KmsProvider(
                chosen["region"],
                prefix=chosen["prefix"],
                endpoint=chosen["endpoint"],
                deletion_days=int(chosen["deletion_days"]),
                certificates=_path(chosen["certificates"]),
                patience=_seconds(chosen["patience"]),
            )
        case unknown:
            raise ValueError(f"no key provider is called {unknown!r}")


def _path(given: str) -> Path | None:
    return Path(given) if given else None


def _seconds(given: str) -> timedelta:
    return timedelta(seconds=float(given))
