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


class BundleInvalid(LogInvalid):
    """An export bundle is damaged, was altered, or is not what its signatures say."""

    code = "audit_bundle_invalid"


class CheckImpossible(AuditError):
    """A check could not be carried out: a file or a server is not there, or what was asked for needs something else."""

    code = "audit_check_impossible"


class RequestInvalid(LogInvalid):
    """What was sent to a witness is no request of its protocol."""

    code = "audit_request_invalid"


class WitnessRefused(AuditError):
    """A witness did not cosign. `transient` says whether asking again later can help."""

    code = "audit_witness_refused"

    def __init__(self, message: str, *, transient: bool = False) -> None:
        super().__init__(message)
        self.transient = transient


class ExportImpossible(AuditError):
    """No such bundle can be made: a checkpoint that was never signed, a range that was pruned, a filter that is none."""

    code = "export_impossible"


class ExportNotReady(AuditError):
    """The export is not done, has failed, or its file went when its term was over."""

    code = "export_not_ready"


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
