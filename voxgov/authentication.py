"""Who calls: the bearer token of an API client. People sign in to the admin and hold no tokens."""

from typing import Any

from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from knox.auth import TokenAuthentication
from knox.models import AuthToken
from rest_framework.exceptions import AuthenticationFailed

from accounts.models import ApiClient, User


class ClientTokenAuthentication(TokenAuthentication):  # type: ignore[misc]  # knox ships no types
    """A knox token whose user is an API client that was not revoked. Every refusal reads the same."""

    def authenticate_credentials(self, token: bytes) -> tuple[User, AuthToken]:
        try:
            found: tuple[User, AuthToken] = super().authenticate_credentials(token)
        except (AuthenticationFailed, UnicodeDecodeError):
            raise AuthenticationFailed("this token is not valid") from None
        return found

    def validate_user(self, auth_token: AuthToken) -> tuple[User, AuthToken]:
        client = (
            ApiClient.objects.select_related("user__organization", "project__organization")
            .filter(user_id=auth_token.user_id, revoked_at=None, user__is_active=True)
            .first()
        )
        if client is None:
            raise AuthenticationFailed("this token is not valid")
        user = client.user
        user.api_client = client
        return user, auth_token

    def _cleanup_token(self, auth_token: AuthToken) -> bool:
        """Whether it is expired. `consent.staff` sweeps expired ones away: to look for others here would cost each call a query."""
        return auth_token.expiry is not None and auth_token.expiry < timezone.now()


class ClientTokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # registers itself
    """How the OpenAPI document describes it."""

    target_class = ClientTokenAuthentication
    name = "clientToken"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {"type": "http", "scheme": "bearer", "description": "Token of an API client."}
