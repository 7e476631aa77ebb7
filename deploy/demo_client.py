"""A plain HTTP client for the demo: standard library only, so that it shows what any program could send."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit


@dataclass(frozen=True)
class Answer:
    """Status and parsed JSON body of one call."""

    status: int
    body: Any


class Client:
    """One API client of voxgov: a base address and a bearer token."""

    def __init__(self, base: str, token: str) -> None:
        parts = urlsplit(base)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._token = token

    def get(self, path: str, **query: str) -> Answer:
        return self._call("GET", f"{path}?{urlencode(query)}" if query else path)

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        return self._call("POST", path, json.dumps(body or {}).encode(), "application/json")

    def put_file(self, path: str, file: Path, content_type: str) -> Answer:
        return self._call("PUT", path, file.read_bytes(), content_type)

    def download(self, path: str) -> bytes:
        """The bytes of a file; raises `OSError` for any other answer than 200."""
        connection = HTTPConnection(self._host, self._port, timeout=60)
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {self._token}"})
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        if response.status != 200:
            raise OSError(f"{path} answers {response.status}")
        return content

    def _call(self, method: str, path: str, body: bytes | None = None, content_type: str = "") -> Answer:
        headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/json"}
        if body is not None:
            headers |= {"Content-Type": content_type, "Content-Length": str(len(body))}
        if method != "GET":
            headers["Idempotency-Key"] = str(uuid.uuid4())
        connection = HTTPConnection(self._host, self._port, timeout=60)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            text = response.read()
        finally:
            connection.close()
        try:
            return Answer(response.status, json.loads(text) if text else None)
        except ValueError:
            return Answer(response.status, {"detail": text[:200].decode("utf-8", "replace")})
