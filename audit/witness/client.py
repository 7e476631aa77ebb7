"""The log's side of a witness: sends a checkpoint with its proof, and believes no answer that the witness's key did not sign.

Which witnesses are asked, how often, and how many must answer is for the caller.
"""

import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from http.client import HTTPException
from typing import Final

from audit.errors import CheckpointInvalid, LogInvalid, NoteInvalid, WitnessRefused
from audit.tlog import cosignatures, notes
from audit.tlog.checkpoint import parse_size, parse_text
from audit.tlog.cosignatures import Witness
from audit.tlog.notes import Note, Signature
from audit.tlog.proving import HashReader, prove_consistency
from audit.witness.request import PATH, SIZE_TYPE, AddCheckpoint

TIMEOUT_SECONDS: Final = 10

Post = Callable[[bytes], tuple[int, str, bytes]]
"""Sends a body to `add-checkpoint`; answers status, content type and body. Raises `WitnessRefused` (transient)."""


def request_cosignatures(
    post: Post, witness: Witness, checkpoint: bytes, reader: HashReader, known_size: int = 0
) -> tuple[Signature, ...]:
    """The witness's cosignatures of a signed checkpoint, verified.

    `known_size` is what the witness is thought to have seen; where it has seen something else, it says so and is asked once more.
    Raises `WitnessRefused`, and what `reader` raises.
    """
    note = notes.parse(checkpoint)
    size = parse_text(note.text).size
    old = min(known_size, size)
    for _ in range(2):
        proof = prove_consistency(old, size, reader)
        status, content_type, body = post(AddCheckpoint(old, proof, checkpoint).encode())
        if status == 200:
            return _verified(note, witness, body)
        if status != 409 or content_type != SIZE_TYPE:
            raise WitnessRefused(
                f"{witness.name} answers {status}: {_said(body)}", transient=status >= 500 or status == 429
            )
        old = _size_in(body, witness)
        if old > size:
            raise WitnessRefused(
                f"{witness.name} has cosigned {old} entries, this checkpoint has {size}: ask with a newer one"
            )
    raise WitnessRefused(f"{witness.name} is being asked by somebody else at the same time", transient=True)


def with_cosignatures(checkpoint: bytes, lines: Sequence[Signature]) -> bytes:
    """The checkpoint with more signature lines; those of the same key before are replaced."""
    note = notes.parse(checkpoint)
    replaced = {(line.name, line.key_id) for line in lines}
    kept = [line for line in note.signatures if (line.name, line.key_id) not in replaced]
    return notes.parse(Note(note.text, (*kept, *lines)).encode()).encode()


def http_post(prefix: str) -> Post:
    """Posts to a witness below its submission prefix, over HTTP or HTTPS, following no redirects."""
    if not prefix.startswith(("https://", "http://")):
        raise WitnessRefused(f"{prefix!a} is no address of a witness: https://...")
    opener = urllib.request.build_opener(_NoRedirect)

    def post(body: bytes) -> tuple[int, str, bytes]:
        url = f"{prefix.rstrip('/')}/{PATH}"
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        try:
            asked = urllib.request.Request(url, data=body, headers=headers)  # noqa: S310 (see above)
            with opener.open(asked, timeout=TIMEOUT_SECONDS) as response:
                return response.status, response.headers.get_content_type(), response.read(notes.MAX_NOTE_BYTES)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers.get_content_type(), error.read(notes.MAX_NOTE_BYTES)
        except (OSError, HTTPException, ValueError) as error:
            raise WitnessRefused(f"{url} cannot be reached: {error}", transient=True) from error

    return post


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


def _verified(note: Note, witness: Witness, body: bytes) -> tuple[Signature, ...]:
    """Lines by other keys than the witness's are passed over, as the specification demands."""
    identity = (witness.name, witness.key_id)
    try:
        answered = notes.parse_signature_lines(body.decode())
        lines = tuple(line for line in answered if (line.name, line.key_id) == identity)
        if not lines:
            raise NoteInvalid("no cosignature by its key")
        for one in cosignatures.cosignatures(Note(note.text, lines), [witness]):
            if not one.timestamp:
                raise NoteInvalid("a cosignature without a time")
    except (LogInvalid, UnicodeDecodeError) as error:
        raise WitnessRefused(f"the answer of {witness.name} is of no use: {error}") from error
    return lines


def _size_in(body: bytes, witness: Witness) -> int:
    try:
        return parse_size(body.decode("ascii").removesuffix("\n"))
    except (CheckpointInvalid, UnicodeDecodeError) as error:
        raise WitnessRefused(f"{witness.name} does not say which size it knows") from error


def _said(body: bytes) -> str:
    return ascii(body[:200].decode("utf-8", "replace").strip())
