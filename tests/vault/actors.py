"""Names for the vault's tests: an organization of their own, people, contexts. The vault knows them as codes only."""

from dataclasses import dataclass, field

from django.db import transaction

from vault import sealing
from vault.codes import new_code
from vault.context import Context
from vault.keys import KeyName
from vault.models import KeyClass, SealedBlob, ShredOrder


@dataclass(frozen=True)
class Tenant:
    """One organization with two people."""

    code: str = field(default_factory=new_code)
    anna: str = field(default_factory=new_code)
    ben: str = field(default_factory=new_code)

    def context(
        self, *subjects: str, scope: str = "speech.transcribe", row: str = "row", kind: str = "note"
    ) -> Context:
        return Context(self.code, subjects or (self.anna,), scope, kind, "body", row)

    def keys(self, *subjects: str, scope: str = "speech.transcribe") -> list[KeyName]:
        return [KeyName.subject(self.code, subject, scope) for subject in subjects or (self.anna,)]

    def shred(
        self, subject: str, scope: str = "", key_class: KeyClass = KeyClass.SUBJECT, reason: str = "withdrawal"
    ) -> ShredOrder:
        with transaction.atomic():
            return sealing.shred(self.code, owner=subject, key_class=key_class, scope=scope, reason=reason)

    def file(self, plaintext: bytes, *subjects: str, scope: str = "audio.store") -> tuple[Context, SealedBlob]:
        """A saved, sealed file."""
        code = new_code()
        context = self.context(*subjects, scope=scope, row=code, kind="recording")
        with sealing.seal_stream(context, self.keys(*subjects, scope=scope), code=code) as writer:
            writer.write(plaintext)
            blob = writer.finish()
            blob.save()
        return context, blob
