"""A person's browser for tests of the admin: keeps cookies, sends the form token, and sees what the middleware makes of it."""

import base64
import re
import time
from html import unescape
from typing import Any

from django.test import Client
from django_otp import DEVICE_ID_SESSION_KEY
from django_otp.oath import TOTP

from accounts.models import Authenticator, User

PASSWORD = "correct horse battery"


class Browser(Client):
    """`user` is signed in already; `sign_in` goes through the form."""

    def __init__(self, user: User | None = None) -> None:
        super().__init__(enforce_csrf_checks=True, headers={"host": "localhost"})
        self.secret = b""
        if user is not None:
            self.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
            if user.organization_id is not None:
                self._show_second_factor(user)

    def _show_second_factor(self, user: User) -> None:
        """As if it had been shown: how that is done has tests of its own."""
        device, _ = Authenticator.objects.get_or_create(
            user=user, defaults={"name": "authenticator", "secret": b"a secret of 20 bytes"}
        )
        session = self.session
        session[DEVICE_ID_SESSION_KEY] = device.persistent_id
        session.save()

    def sign_in(self, username: str, password: str = PASSWORD) -> Any:
        """Name and password; and where these are right and it is the first time, a second factor too."""
        answered = self.submit("/admin/login/", username=username, password=password)
        if answered.status_code == 302 and "second-factor" in answered["location"]:
            where = self.get(answered["location"])
            if where.status_code == 302 and "set-up" in where["location"]:
                self.set_up(where["location"])
        return answered

    def set_up(self, path: str) -> list[str]:
        """Sets a second factor up as a person would; gives the recovery codes."""
        page = self.submit(path, begin="1").content.decode()
        shown = re.findall(r"<code>(.*?)</code>", page[page.index('id="secret"') :])
        self.secret = base64.b32decode("".join(shown))
        done = self.submit(path, token=self.token()).content.decode()
        return re.findall(r"<li><code>(.*?)</code>", done)

    def token(self, steps: int = 0) -> str:
        """What the app shows now, or so many half minutes later."""
        totp = TOTP(self.secret)
        totp.time = time.time() + 30 * steps
        return f"{totp.token():06d}"

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
