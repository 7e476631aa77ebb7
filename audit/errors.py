"""What can go wrong when an event is written. Each error carries the stable code that clients see."""


class AuditError(Exception):
    """Base of all errors of the audit room."""

    code = "audit_error"


class EventOutsideTransaction(AuditError):
    """An event must commit with the change it speaks of: `trail.record` was called outside a transaction."""

    code = "audit_outside_transaction"


class EntryInvalid(AuditError):
    """The entry would break the frozen schema: too large, not canonical JSON, or a person's object named in clear."""

    code = "audit_entry_invalid"


class LogInvalid(AuditError):
    """Base of what can be wrong with a signed log, a part of it, or a copy of it."""

    code = "audit_log_invalid"


class NoteInvalid(LogInvalid):
    """Not a signed note, not signed by a known key, or a known key's signature does not verify."""

    code = "audit_note_invalid"


class KeyInvalid(LogInvalid):
    """A verifier key or signer key is written wrongly."""

    code = "audit_key_invalid"


class CheckpointInvalid(LogInvalid):
    """Signed text that is no checkpoint, or the checkpoint of another log."""

    code = "audit_checkpoint_invalid"


class ProofInvalid(LogInvalid):
    """An inclusion or consistency proof does not verify, or is not written as one."""

    code = "audit_proof_invalid"


class TileInvalid(LogInvalid):
    """A tile's path or content breaks the tiled format, or the tree has no such tile."""

    code = "audit_tile_invalid"


class LogInconsistent(LogInvalid):
    """The log in the database does not extend the checkpoint that was signed over it last. Nothing is signed."""

    code = "audit_log_inconsistent"


class CheckpointsUnavailable(AuditError):
    """The place outside the database where the last checkpoints are kept cannot be read or written."""

    code = "audit_checkpoints_unavailable"
    transient = True


class ServiceClosed(AuditError):
    """The database was restored from a backup, or changed behind the log's back; nothing is read until somebody has recovered."""

    code = "service_closed"
    transient = True


class EventNotSigned(AuditError):
    """The event is recorded, and no checkpoint covers it yet; that takes a moment."""

    code = "event_not_signed"
    transient = True


class AddressRefused(AuditError):
    """A webhook's URL leads to no public address, or is written in a way that two programs could read differently."""

    code = "webhook_address_refused"


class TooManyWebhooks(AuditError):
    """The organization has as many webhooks as it may have."""

    code = "too_many_webhooks"


class TooManySecrets(AuditError):
    """So many secrets of the webhook overlap already that another would only make its signatures longer."""

    code = "too_many_secrets"


class PlaceUnknown(AuditError):
    """The log has no such place: it was never there, or the database was restored from a backup that does not have it."""

    code = "place_unknown"


class StreamsFull(AuditError):
    """This process runs as many streams as it may."""

    code = "streams_full"
    transient = True


class TooManyStreams(AuditError):
    """The client has as many streams open as one client may have."""

    code = "too_many_streams"
    transient = True
