"""A server that speaks the calls of Vault's Transit engine, with real keys, tokens and rules, for tests: no binary of Vault can be
had everywhere that these run.

Paths, fields, statuses and wording follow https://developer.hashicorp.com/vault/api-docs/secret/transit and the open source of
the engine. What the provider never asks for (key derivation, batches, rotation) is not here.
"""

import base64
import hashlib
import hmac
import json
import os
import re
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

TOKEN = "hvs.may-use-and-manage"
CREATOR = "hvs.may-also-create-by-encrypting"


@dataclass
class Key:
    """A named key with its one version."""

    type: str
    exportable: bool = False
    allow_plaintext_backup: bool = False
    deletion_allowed: bool = False
    aes: bytes = field(default_factory=lambda: os.urandom(32))
    hmac: bytes = field(default_factory=lambda: os.urandom(32))
    ed25519: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    made: datetime = field(default_factory=lambda: datetime.now(UTC))

    def shown(self, name: str) -> dict[str, object]:
        keys: dict[str, object] = {"1": int(self.made.timestamp())}
        if self.type == "ed25519":
            public = base64.b64encode(self.ed25519.public_key().public_bytes_raw()).decode()
            keys = {"1": {"name": "ed25519", "public_key": public, "creation_time": self.made.isoformat()}}
        return {
            "name": name,
            "type": self.type,
            "derived": False,
            "exportable": self.exportable,
            "allow_plaintext_backup": self.allow_plaintext_backup,
            "deletion_allowed": self.deletion_allowed,
            "keys": keys,
            "latest_version": 1,
            "min_decryption_version": 1,
            "min_encryption_version": 0,
            "supports_signing": self.type == "ed25519",
        }


class Refused(Exception):
    def __init__(self, status: int, *errors: str) -> None:
        super().__init__(status)
        self.status = status
        self.errors = list(errors)


class TransitServer:
    """Listens on a free port of this machine. `tokens` says for each token whether it may create a key by encrypting under it."""

    def __init__(self, *, namespace: str = "", tls: ssl.SSLContext | None = None) -> None:
        self.keys: dict[str, Key] = {}
        self.tokens = {TOKEN: False, CREATOR: True}
        self.namespace = namespace
        self.sealed = False
        self.throttled = 0
        self.binds = True
        self.asked: list[str] = []
        self.lock = threading.RLock()
        self._http = _HttpServer(("127.0.0.1", 0), _Handler)
        self._http.transit = self
        self.port: int = self._http.server_address[1]
        self.address = f"{'https' if tls else 'http'}://localhost:{self.port}"
        if tls is not None:
            self._http.socket = tls.wrap_socket(self._http.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def answer(self, method: str, path: str, token: str, namespace: str, body: dict[str, Any]) -> tuple[int, object]:
        """Status and JSON. Raises `Refused`."""
        self.asked.append(f"{method} {path}")
        if self.sealed:
            raise Refused(503, "Vault is sealed")
        if self.throttled > 0:
            self.throttled -= 1
            raise Refused(429, f'request path "{path}": rate limit quota exceeded')
        route = path.removeprefix("/v1/transit/")
        if route == path or namespace != self.namespace:
            raise Refused(404, f'no handler for route "{path}". route entry not found.')
        if token not in self.tokens:
            raise Refused(403, "permission denied")
        with self.lock:
            for pattern, call in _CALLS:
                if found := re.fullmatch(pattern, f"{method} {route}"):
                    return call(self, body, token, *found.groups())
        raise Refused(405, "unsupported operation")

    def list_keys(self, body: dict[str, Any], token: str) -> tuple[int, object]:
        if not self.keys:
            raise Refused(404)
        return 200, {"data": {"keys": sorted(self.keys)}}

    def create(self, body: dict[str, Any], token: str, name: str) -> tuple[int, object]:
        existed = name in self.keys
        if not existed:
            self.keys[name] = Key(
                body.get("type", "aes256-gcm96"),
                bool(body.get("exportable")),
                bool(body.get("allow_plaintext_backup")),
            )
        warnings = [f"key {name} already existed"] if existed else None
        return 200, {"data": self.keys[name].shown(name), "warnings": warnings}

    def read(self, body: dict[str, Any], token: str, name: str) -> tuple[int, object]:
        if name not in self.keys:
            raise Refused(404)
        return 200, {"data": self.keys[name].shown(name)}

    def delete(self, body: dict[str, Any], token: str, name: str) -> tuple[int, object]:
        if name not in self.keys:
            raise Refused(400, f"error deleting policy {name}: could not delete key; not found")
        if not self.keys[name].deletion_allowed:
            raise Refused(400, f"error deleting policy {name}: deletion is not allowed for this key")
        del self.keys[name]
        return 204, None

    def configure(self, body: dict[str, Any], token: str, name: str) -> tuple[int, object]:
        if name not in self.keys:
            raise Refused(400, f"no existing key named {name} could be found")
        self.keys[name].deletion_allowed = bool(body.get("deletion_allowed", self.keys[name].deletion_allowed))
        return 200, {"data": self.keys[name].shown(name)}

    def encrypt(self, body: dict[str, Any], token: str, name: str) -> tuple[int, object]:
        if name not in self.keys:
            # The call counts as creating a key then, which a policy allows apart.
            if not self.tokens[token]:
                raise Refused(403, "permission denied")
            if body.get("convergent_encryption"):
                raise Refused(400, "convergent encryption requires derivation to be enabled, so context is required")
            self.keys[name] = Key("aes256-gcm96")
        nonce = os.urandom(12)
        sealed = AESGCM(self.keys[name].aes).encrypt(nonce, _plain(body, "plaintext"), self._bound(body))
        return 200, {"data": {"ciphertext": f"vault:v1:{_coded(nonce + sealed)}", "key_version": 1}}

    def decrypt(self, body: dict[str, Any], token: str, name: str) -> tuple[int, object]:
        key = self._key(name, "encryption key not found")
        if not body["ciphertext"].startswith("vault:v"):
            raise Refused(400, "invalid ciphertext: no prefix")
        version, separator, coded = body["ciphertext"].removeprefix("vault:v").partition(":")
        if not separator:
            raise Refused(400, "invalid ciphertext: wrong number of fields")
        if not version.isdigit():
            raise Refused(400, "invalid ciphertext: version number could not be decoded")
        if int(version) > 1:
            raise Refused(400, "invalid ciphertext: version is too new")
        try:
            sealed = base64.b64decode(coded, validate=True)
        except ValueError:
            raise Refused(400, "invalid ciphertext: could not decode base64") from None
        if len(sealed) < 12:
            raise Refused(400, "invalid ciphertext length")
        try:
            plaintext = AESGCM(key.aes).decrypt(sealed[:12], sealed[12:], self._bound(body))
        except (InvalidTag, ValueError):
            raise Refused(400, "cipher: message authentication failed") from None
        return 200, {"data": {"plaintext": _coded(plaintext)}}

    def mac(self, body: dict[str, Any], token: str, name: str) -> tuple[int, object]:
        key = self._key(name, "encryption key not found")
        self._require_version(body)
        digest = hmac.new(key.hmac, _plain(body, "input"), hashlib.sha256).digest()
        return 200, {"data": {"hmac": f"vault:v1:{_coded(digest)}"}}

    def sign(self, body: dict[str, Any], token: str, name: str) -> tuple[int, object]:
        key = self._key(name, "signing key not found")
        self._require_version(body)
        if key.type != "ed25519":
            raise Refused(400, f"key type {key.type} does not support signing")
        signature = f"vault:v1:{_coded(key.ed25519.sign(_plain(body, 'input')))}"
        return 200, {"data": {"signature": signature, "key_version": 1}}

    def _key(self, name: str, missing: str) -> Key:
        if name not in self.keys:
            raise Refused(400, missing)
        return self.keys[name]

    def _require_version(self, body: dict[str, Any]) -> None:
        if body.get("key_version", 0) not in (0, 1):
            raise Refused(400, "key version does not exist; latest key version is 1")

    def _bound(self, body: dict[str, Any]) -> bytes:
        """A server from before 1.13 knows no such field and ignores it."""
        return _plain(body, "associated_data") if self.binds else b""


_NAME = r"(\w(?:[\w.-]*\w)?)"
_Call = Callable[..., tuple[int, object]]
_CALLS: list[tuple[str, _Call]] = [
    (r"LIST keys/?", TransitServer.list_keys),
    (rf"(?:POST|PUT) keys/{_NAME}", TransitServer.create),
    (rf"GET keys/{_NAME}", TransitServer.read),
    (rf"DELETE keys/{_NAME}", TransitServer.delete),
    (rf"(?:POST|PUT) keys/{_NAME}/config", TransitServer.configure),
    (rf"(?:POST|PUT) encrypt/{_NAME}", TransitServer.encrypt),
    (rf"(?:POST|PUT) decrypt/{_NAME}", TransitServer.decrypt),
    (rf"(?:POST|PUT) hmac/{_NAME}/sha2-256", TransitServer.mac),
    (rf"(?:POST|PUT) sign/{_NAME}", TransitServer.sign),
]


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    transit: TransitServer

    def handle_error(self, request: object, client_address: object) -> None:
        """A caller that went away, or whose TLS failed, is none of the test's concern."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    """An answer goes out in one piece: in two, the second would wait 40 ms for the first to be acknowledged."""

    server: _HttpServer

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self._any
        raise AttributeError(name)

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _any(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        try:
            body = json.loads(self.rfile.read(length) or b"{}")
            status, answer = self.server.transit.answer(
                self.command,
                self.path,
                self.headers.get("X-Vault-Token", ""),
                self.headers.get("X-Vault-Namespace", ""),
                body,
            )
        except Refused as refused:
            status, answer = refused.status, {"errors": refused.errors}
        content = b"" if answer is None else json.dumps({"request_id": os.urandom(4).hex(), **_fields(answer)}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _fields(answer: object) -> dict[str, Any]:
    assert isinstance(answer, dict)
    return answer


def _coded(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _plain(body: dict[str, Any], name: str) -> bytes:
    try:
        return base64.b64decode(body.get(name, ""), validate=True)
    except ValueError:
        raise Refused(400, f"illegal base64 data in {name}") from None
