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
