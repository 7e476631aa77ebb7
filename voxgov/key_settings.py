"""The settings of the key provider: which one is used, how it is reached, and the sentence when something is missing or wrong.

`vault/provider_choice.py` makes the provider from what is found here; docs/production.md says what each setting means. This
module imports no Django.
"""

import re
from importlib.util import find_spec
from pathlib import Path

from voxgov import environment
from voxgov.environment import SettingInvalid, SettingMissing


def key_provider() -> dict[str, str]:
    """Which key provider is used and how it is reached: `VOXGOV_KEY_PROVIDER`, and the settings of that provider.

    What can be seen to be wrong stops the start here; that the provider can be reached shows when it is first asked.
    """
    kind = environment.text("VOXGOV_KEY_PROVIDER", "keyring")
    if kind == "keyring":
        return {
            "kind": kind,
            "path": environment.text("VOXGOV_KEYRING", str(environment.var_dir() / "secrets" / "keyring.json")),
        }
    if kind not in ("transit", "kms"):
        raise SettingInvalid(
            f"VOXGOV_KEY_PROVIDER must be keyring, transit or kms, not {kind!r}: correct it in the environment."
        )
    common = {
        "kind": kind,
        "prefix": _plain("VOXGOV_KEY_PREFIX", "voxgov", "letters, digits and hyphens", r"[A-Za-z0-9]+(-[A-Za-z0-9]+)*"),
        "patience": str(environment.integer("VOXGOV_KEY_PROVIDER_TIMEOUT", 5, at_least=1, at_most=60)),
    }
    return common | (_transit() if kind == "transit" else _kms(common["prefix"]))


def _transit() -> dict[str, str]:
    """HashiCorp Vault, by the names that its own tools use. The token's file is for the provider to read, again and again."""
    token, token_file = environment.looked_up("VAULT_TOKEN")
    if not token and not token_file:
        raise SettingMissing(
            "VAULT_TOKEN is not set: set it in the environment, or set VAULT_TOKEN_FILE to the path of a file that holds it."
        )
    return {
        "address": _address("VAULT_ADDR"),
        "token": _Concealed((token or "").strip()),
        "token_file": token_file or "",
        "certificates": _file("VAULT_CACERT"),
        "namespace": _plain("VAULT_NAMESPACE", "", "a path without spaces", r"[!-~]*"),
        "mount": _plain(
            "VOXGOV_TRANSIT_MOUNT", "transit", "a path of letters, digits and hyphens", r"[\w-]+(/[\w-]+)*"
        ),
    }


def _kms(prefix: str) -> dict[str, str]:
    """AWS; its credentials are found by the chain that all its tools use, and are no settings of ours."""
    if find_spec("botocore") is None:
        raise SettingInvalid(
            "VOXGOV_KEY_PROVIDER is kms and botocore is not installed: "
            "run pip install --no-deps --require-hashes -r requirements/kms.lock."
        )
    region = environment.text("AWS_REGION", "") or environment.text("AWS_DEFAULT_REGION", "")
    if not region:
        raise SettingMissing("AWS_REGION is not set: set it to the region that holds the keys, such as eu-central-1.")
    if not re.fullmatch(r"[a-z0-9-]+", region):
        raise SettingInvalid(f"AWS_REGION must be the name of a region, not {region!r}: correct it in the environment.")
    if prefix == "aws":
        raise SettingInvalid("VOXGOV_KEY_PREFIX must not be aws: AWS keeps that name for its own keys.")
    return {
        "region": region,
        "endpoint": _address("VOXGOV_KMS_ENDPOINT") if environment.text("VOXGOV_KMS_ENDPOINT", "") else "",
        "deletion_days": str(environment.integer("VOXGOV_KMS_DELETION_DAYS", 7, at_least=7, at_most=30)),
        "certificates": _file("AWS_CA_BUNDLE"),
    }


class _Concealed(str):
    """A secret that must travel as a string: what prints the objects around it does not print it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'...'"


def _address(name: str) -> str:
    """Keys travel to it, so it is https; http is only for this machine, where an agent listens or a test runs."""
    value = environment.text(name, "").rstrip("/")
    if not value:
        raise SettingMissing(f"{name} is not set: set it to the address of the key provider, https://host:port.")
    found = re.fullmatch(r"(https?)://([A-Za-z0-9._-]+)(:[0-9]{1,5})?", value)
    if found is None:
        # It is not repeated: somebody may have put a password into it.
        raise SettingInvalid(f"{name} must look like https://host:port and no more: correct it in the environment.")
    if found[1] == "http" and found[2] not in {"localhost", "127.0.0.1"}:
        raise SettingInvalid(f"{name} must begin with https://: keys travel to it, and http is only for this machine.")
    return value


def _file(name: str) -> str:
    value = environment.text(name, "")
    if value and not Path(value).is_file():
        raise SettingInvalid(f"{name} names {value}, which is no file: correct the path.")
    return value


def _plain(name: str, default: str, what: str, pattern: str) -> str:
    value = environment.text(name, default)
    if not re.fullmatch(pattern, value, re.ASCII):
        raise SettingInvalid(f"{name} must be {what}, not {value!r}: correct it in the environment.")
    return value
