"""A person's browser for tests of the admin: keeps cookies, sends the form token, and sees what the middleware makes of it."""

import re
from html import unescape
from typing import Any

from django.test import Client

from accounts.models import User

PASSWORD = "correct horse battery"


class Browser(Client):
    """`user` is signed in already; `sign_in` goes through the form."""

    def __init__(self, user: User | None = None) -> None:
        super().__init__(enforce_csrf_checks=True, headers={"host": "localhost"})
        if user is not None:
            self.force_login(user, backend="django.contrib.auth.backends.ModelBackend")

    def sign_in(self, username: str, password: str = PASSWORD) -> Any:
        return self.submit("/admin/login/", username=username, password=password)

    def see(self, path: str) -> str:
        """The page's HTML; fails unless it is there."""
        answer = self.get(path)
        assert answer.status_code == 200, (path, answer.status_code, answer.headers.get("location"))
        return unescape(answer.content.decode())

    def submit(self, path: str, **fields: Any) -> Any:
        """Posts a form with the token that a page before it gave."""
        if "csrftoken" not in self.cookies:
            self.get("/admin/login/")
            self.get("/admin/")
        token = self.cookies["csrftoken"].value
        return self.post(path, {**fields, "csrfmiddlewaretoken": token})

    def does(self, path: str, **fields: Any) -> str:
        """Posts a form that must succeed: it leads on. Gives the address it leads to."""
        answer = self.submit(path, **fields)
        problems = re.findall(r'class="errorlist".*?</ul>|class="errornote".*?</p>', answer.content.decode(), re.DOTALL)
        assert answer.status_code == 302, (path, answer.status_code, problems)
        return str(answer["location"])
