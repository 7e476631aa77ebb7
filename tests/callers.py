"""API clients for tests: Django's test client with a real token, through every middleware and the real error handlers."""

import json
from typing import Any

from django.test import Client

from accounts.models import ApiClient, Project
from accounts.roles import Role
from tests import factories


class Caller:
    """One API client. Bodies are JSON unless `raw` is given; an error of the service is an answer, not an exception."""

    def __init__(self, project: Project, *roles: Role) -> None:
        self.client: ApiClient
        self.client, self.token = factories.make_client(project, *roles)

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str = "",
        raw: bytes | None = None,
        environ: dict[str, Any] | None = None,
        **headers: str,
    ) -> "Answer":
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if key:
            named["Idempotency-Key"] = key
        if self.token:
            named.setdefault("Authorization", f"Bearer {self.token}")
        content = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        kind = "application/octet-stream" if raw is not None else "application/json"
        browser = Client(raise_request_exception=False, SERVER_NAME="localhost")
        return Answer(browser.generic(method, path, content, kind, headers=named, **(environ or {})))

    def get(self, path: str, **more: Any) -> "Answer":
        return self.call("GET", path, **more)

    def post(self, path: str, body: Any = None, **more: Any) -> "Answer":
        return self.call("POST", path, body, **more)

    def delete(self, path: str, **more: Any) -> "Answer":
        return self.call("DELETE", path, **more)


class Nobody(Caller):
    """A caller without a token."""

    def __init__(self) -> None:
        self.token = ""


class Answer:
    """Status, headers and body of one answer."""

    def __init__(self, response: Any) -> None:
        self.status = response.status_code
        self.content = response.getvalue() if response.streaming else response.content
        self.headers = response.headers
        self.kind = response.headers.get("Content-Type", "")

    @property
    def body(self) -> Any:
        return json.loads(self.content)

    def __repr__(self) -> str:
        return f"{self.status} {self.kind} {self.content[:2000]!r}"
