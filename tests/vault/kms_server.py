"""moto's server for KMS, with what it leaves out of the real service put in: it lets disabled keys work on, and calls a
ciphertext under another key a missing permission. https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from moto.core.exceptions import JsonRESTError
from moto.kms.models import KmsBackend, kms_backends
from moto.server import ThreadedMotoServer

REGION = "eu-central-1"
ACCOUNT = "123456789012"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIATESTTESTTESTTEST",
    "AWS_SECRET_ACCESS_KEY": "a-secret-of-the-tests",
    "AWS_SESSION_TOKEN": "a-session-of-the-tests",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}


def backend() -> Any:
    """What the server holds; a test looks at it as an administrator would."""
    return kms_backends[ACCOUNT][REGION]


@contextmanager
def kms_server() -> Iterator[int]:
    """Its port, on this machine."""
    with ExitStack() as patches:
        for name in ("encrypt", "decrypt", "generate_mac"):
            patches.enter_context(patch.object(KmsBackend, name, _strict(getattr(KmsBackend, name))))
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        yield server.get_host_and_port()[1]
        server.stop()


def _strict(call: Any) -> Any:
    def checked(self: Any, *arguments: Any, **named: Any) -> Any:
        key = self.keys[self.any_id_to_key_id(named["key_id"])]
        if key.key_state == "Disabled":
            raise JsonRESTError("DisabledException", f"{key.arn} is disabled.")
        if key.key_state != "Enabled":
            raise JsonRESTError("KMSInvalidStateException", f"{key.arn} is pending deletion.")
        if "ciphertext_blob" in named:
            made_by = named["ciphertext_blob"][: len(key.id)].decode(errors="replace")
            if made_by in self.keys and made_by != key.id:
                raise JsonRESTError(
                    "IncorrectKeyException", "The key ID in the request does not identify a CMK that can"
                )
            if made_by not in self.keys:
                raise JsonRESTError("InvalidCiphertextException", "")
        return call(self, *arguments, **named)

    return checked
