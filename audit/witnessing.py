"""Asking witnesses to cosign the newest checkpoint of each log, and keeping what they answer.

After the signature and apart from it: a witness that is away delays nothing. Which witnesses there are is a setting; how one is
asked is `witness.client`'s, which believes nothing that the witness's key did not sign.
"""

from collections.abc import Callable, Iterable

import structlog
from django.conf import settings

from audit import stored_tree
from audit.errors import AuditError
from audit.models import Cosignature, Log, SignedCheckpoint
from audit.tlog import notes
from audit.tlog.cosignatures import Witness
from audit.tlog.notes import Signature
from audit.witness import client
from audit.witness.client import Post

log = structlog.get_logger(__name__)


def witnesses() -> list[tuple[Witness, str]]:
    """The configured witnesses with their addresses. Raises `KeyInvalid`."""
    return [(Witness.parse(vkey), url) for vkey, url in settings.VOXGOV_WITNESSES]


def ask_all(post_to: Callable[[str], Post] = client.http_post) -> int:
    """Asks every witness about the newest checkpoint of every log that it has not cosigned yet; returns how many answered."""
    answered = 0
    for witness, url in witnesses():
        for known in Log.objects.order_by("code", "-generation").distinct("code"):
            newest = SignedCheckpoint.objects.filter(log=known).order_by("-size").first()
            if newest is not None and not newest.cosignatures.filter(witness=witness.name).exists():
                answered += _ask(witness, post_to(url), known, newest)
    return answered


def with_cosignatures(checkpoint: SignedCheckpoint) -> bytes:
    """The signed note with the cosignatures that came for it."""
    return joined(bytes(checkpoint.note), [kept.line for kept in checkpoint.cosignatures.all()])


def joined(note: bytes, cosignatures: Iterable[str]) -> bytes:
    """A signed note with these cosignatures, each verbatim as it was kept."""
    lines = [one for kept in cosignatures for one in notes.parse_signature_lines(kept)]
    return client.with_cosignatures(note, lines) if lines else note


def _ask(witness: Witness, post: Post, known: Log, newest: SignedCheckpoint) -> bool:
    before = Cosignature.objects.filter(checkpoint__log=known, witness=witness.name).order_by("-checkpoint__size")
    size = before.values_list("checkpoint__size", flat=True).first() or 0
    try:
        lines = client.request_cosignatures(
            post, witness, bytes(newest.note), stored_tree.reader(known, newest.size), known_size=size
        )
    except AuditError as refusal:
        log.warning("witness_did_not_cosign", witness=witness.name, log=known.origin, reason=str(refusal))
        return False
    _keep(newest, witness, lines)
    return True


def _keep(newest: SignedCheckpoint, witness: Witness, lines: tuple[Signature, ...]) -> None:
    Cosignature.objects.get_or_create(
        checkpoint=newest, witness=witness.name, defaults={"line": "".join(line.line() for line in lines)}
    )
