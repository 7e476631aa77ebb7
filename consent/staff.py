"""Personal data of the people who work with voxgov: accounts, sessions, tokens, and the record of failed logins.

They are not subjects: an erasure order never names them. What piles up about them ends by a term of the installation, which no
project sets.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime

from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.contrib.sessions.models import Session
from django.utils import timezone
from knox.models import AuthToken

from accounts.models import BreakGlass
from consent.inventory import Category, Target


class StaffHolder:
    """Who signed in, from where, and with what."""

    name = "staff_access"
    category = Category.STAFF_ACCESS
    fields = frozenset(
        {
            *(
                f"accounts.User.{name}"
                for name in (
                    "username",
                    "first_name",
                    "last_name",
                    "email",
                    "code",
                    "password",
                    "last_login",
                    "date_joined",
                )
            ),
            *(f"sessions.Session.{name}" for name in ("session_key", "session_data", "expire_date")),
            *(f"knox.AuthToken.{name}" for name in ("digest", "token_key", "user", "created", "expiry")),
            *(
                f"axes.{model}.{name}"
                for model in ("AccessAttempt", "AccessFailureLog", "AccessLog")
                for name in ("user_agent", "ip_address", "username", "http_accept", "path_info", "attempt_time")
            ),
            "axes.AccessAttempt.get_data",
            "axes.AccessAttempt.post_data",
            "axes.AccessAttempt.failures_since_start",
            "axes.AccessFailureLog.locked_out",
            "axes.AccessLog.logout_time",
            "axes.AccessLog.session_hash",
            *(
                f"accounts.Authenticator.{name}"
                for name in (
                    *("user", "name", "code", "secret", "last_step", "confirmed", "created_at", "last_used_at"),
                    *("throttling_failure_timestamp", "throttling_failure_count"),
                )
            ),
            *(f"accounts.RecoveryCode.{name}" for name in ("user", "digest", "made_at", "used_at")),
            *(
                f"accounts.BreakGlass.{name}"
                for name in ("user", "user_code", "explanation", "begins_at", "ends_at", "closed_at", "acts")
            ),
            "accounts.BreakGlass.seen_by_code",
            "accounts.BreakGlass.seen_at",
            "accounts.Membership.user",
            "accounts.Membership.role",
            "accounts.ProjectUserObjectPermission.user",
            "audit.Event.actor_code",
        }
    )

    def count(self, target: Target) -> int:
        return 0

    def export(self, target: Target) -> Iterator[Mapping[str, object]]:
        yield from ()

    def destroy(self, target: Target) -> int:
        return 0

    def destroy_due(self, project: int, made_before: datetime, limit: int) -> int:
        """Nothing: people sign in to the installation, so no project's term may end their data or lift a lockout."""
        return 0

    def destroy_due_everywhere(self, made_before: datetime, limit: int) -> int:
        """Failed logins past their term; sessions and tokens that ended."""
        gone = 0
        for model in (AccessAttempt, AccessFailureLog, AccessLog):
            due = model.objects.filter(attempt_time__lt=made_before).values_list("pk", flat=True)[:limit]
            gone += model.objects.filter(pk__in=list(due)).delete()[0]
        # That the glass was broken stays on record; why, in words that may name somebody, goes.
        gone += BreakGlass.objects.filter(closed_at__lt=made_before).exclude(explanation="").update(explanation="")
        ended = list(Session.objects.filter(expire_date__lt=timezone.now()).values_list("pk", flat=True)[:limit])
        gone += Session.objects.filter(pk__in=ended).delete()[0]
        expired = list(AuthToken.objects.filter(expiry__lt=timezone.now()).values_list("pk", flat=True)[:limit])
        gone += AuthToken.objects.filter(pk__in=expired).delete()[0]
        return int(gone)
