"""The second factor of people who sign in: setting it up, checking it, and starting anew when it is lost.

A token of an app (RFC 6238), or one of a few recovery codes. The secret is shown once and lies sealed; of recovery codes only keyed
hashes are kept. Who must have one is the sign-in's business.
"""

import base64
import secrets
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

from django.db import transaction
from django.utils import timezone

from accounts.errors import NoSecondFactorPending, SecondFactorThere
from accounts.models import Authenticator, RecoveryCode, User
from audit import trail
from audit.entry import Actor, ActorKind, ObjectKind, Reference
from audit.events import EventName
from vault import sealing
from vault.blind import blind_index
from vault.models import KeyClass

SECRET_BYTES: Final = 20
RECOVERY_CODES: Final = 8
TOKEN_DIGITS: Final = 6
ISSUER: Final = "voxgov"


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What the app needs, shown this once."""

    secret: str = field(repr=False)
    uri: str = field(repr=False)


def device_of(user: User) -> Authenticator | None:
    """The person's confirmed second factor."""
    found: Authenticator | None = Authenticator.objects.filter(user=user, confirmed=True).first()
    return found


@transaction.atomic
def begin(user: User) -> Enrolment:
    """A fresh secret, which counts for nothing until a token of it was given. Raises `SecondFactorThere`."""
    User.objects.select_for_update(no_key=True).get(pk=user.pk)
    if device_of(user) is not None:
        raise SecondFactorThere("a second factor is set up already")
    Authenticator.objects.filter(user=user).delete()
    secret = secrets.token_bytes(SECRET_BYTES)
    Authenticator.objects.create(user=user, name="authenticator", confirmed=False, secret=secret)
    text = base64.b32encode(secret).decode()
    label = f"{quote(ISSUER)}:{quote(user.username)}"
    return Enrolment(text, f"otpauth://totp/{label}?secret={text}&issuer={quote(ISSUER)}&digits=6&period=30")


@transaction.atomic
def confirm(user: User, token: str) -> list[str] | None:
    """Makes the pending secret the person's second factor; gives recovery codes to be shown once, or None for a wrong token.

    Raises `NoSecondFactorPending`.
    """
    device = Authenticator.objects.select_for_update(of=("self",)).filter(user=user, confirmed=False).first()
    if device is None:
        raise NoSecondFactorPending("ask for a secret first")
    if not device.verify_token(_plain(token)):
        _record(EventName.SECOND_FACTOR_FAILED, user, outcome="deny", reason="enrolment")
        return None
    device.confirmed = True
    device.save(update_fields=["confirmed"])
    RecoveryCode.objects.filter(user=user).delete()
    codes = ["-".join(secrets.token_hex(2) for _ in range(5)) for _ in range(RECOVERY_CODES)]
    RecoveryCode.objects.bulk_create(RecoveryCode(user=user, digest=_digest(user, code)) for code in codes)
    _record(EventName.SECOND_FACTOR_ENROLLED, user)
    return codes


@transaction.atomic
def verify(user: User, token: str) -> Authenticator | None:
    """The person's second factor when the token, or a recovery code that was not used yet, is right; each serves once. A wrong
    one makes the next wait."""
    rows = Authenticator.objects.select_for_update(of=("self",))
    device: Authenticator | None = rows.filter(user=user, confirmed=True).first()
    if device is None:
        return None
    plain = _plain(token)
    is_token = plain.isdigit() and len(plain) == TOKEN_DIGITS
    right = device.verify_token(plain) if is_token else _use_recovery_code(device, user, plain)
    if not right:
        _record(EventName.SECOND_FACTOR_FAILED, user, outcome="deny", reason="sign-in")
        return None
    return device


@transaction.atomic
def reset(user: User, *, actor: Actor) -> bool:
    """Takes the second factor away, so that the person sets up another at the next sign-in; whoever is signed in with it is out.
    False when there was none."""
    gone, _ = Authenticator.objects.filter(user=user).delete()
    RecoveryCode.objects.filter(user=user).delete()
    if gone and user.organization is not None:
        sealing.shred(user.organization.code, owner=user.code, key_class=KeyClass.RECORD, reason="second_factor_reset")
        _record(EventName.SECOND_FACTOR_RESET, user, actor=actor)
    return bool(gone)


def _use_recovery_code(device: Authenticator, user: User, plain: str) -> bool:
    allowed, _ = device.verify_is_allowed()
    if not allowed:
        return False
    used = RecoveryCode.objects.filter(user=user, digest=_digest(user, plain), used_at=None)
    if not used.update(used_at=timezone.now()):
        device.throttle_increment()
        return False
    device.throttle_reset()
    _record(EventName.RECOVERY_CODE_USED, user)
    return True


def _plain(token: str) -> str:
    return "".join(token.split()).replace("-", "").lower()


def _digest(user: User, code: str) -> bytes:
    assert user.organization is not None  # nobody else signs in
    return blind_index(user.organization.code, f"accounts.recovery/{user.code}", _plain(code))


def _record(name: EventName, user: User, *, actor: Actor | None = None, outcome: str = "", reason: str = "") -> None:
    if user.organization is None:
        return
    own = Actor(ActorKind.USER, user.code) if outcome != "deny" else trail.system("sign-in")
    trail.record(
        name,
        organization=user.organization.code,
        actor=actor or own,
        objects=[Reference(ObjectKind.USER, user.code)],
        outcome=outcome,
        reason=reason,
    )
